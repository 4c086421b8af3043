"""camera: what the model sees of a frame."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Command, Winter
from tests.skies import START, stack, write_png
from tests.tiny import write_tiny_bundle


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURORAMON_MODEL__PATH", str(write_tiny_bundle(tmp_path / "tiny").folder))


def said_of(text: str) -> dict[str, str]:
    return {line[:8].strip(): line[9:] for line in text.splitlines()}


def test_a_preview_says_what_was_made_of_a_frame(auroramon: Command, tmp_path: Path) -> None:
    file = tmp_path / "20251221_2000_test_themis99_full.pgm.gz"
    file.write_bytes(stack(range(3), START))
    said = auroramon("camera", "preview", file, "--index", 2)
    told = said_of(said.out)
    assert said.code == 0
    assert told["camera"] == "test_themis99"
    assert told["time"] == f"{START:%Y-%m-%dT%H:%M}:06.000Z, from the header"
    assert told["disc"].startswith("found: centre 3")
    assert told["gates"] == "let it pass"
    with Image.open(told["picture"]) as picture:
        assert picture.width > 1000


def test_a_preview_uses_the_camera_whose_folder_the_file_lies_in(
    auroramon: Command, winter: Winter, tmp_path: Path
) -> None:
    file = write_png(tmp_path, 0)
    assert said_of(auroramon("camera", "preview", file, "-c", winter.config).out)["camera"] == "kiruna"
    named = auroramon("camera", "preview", file, "-c", winter.config, "--camera", "abisko", "-o", "mine.png")
    assert said_of(named.out)["camera"] == "abisko"
    assert Path("mine.png").exists()
    nobody = auroramon("camera", "preview", file, "-c", winter.config, "--camera", "nobody")
    assert nobody.code == 2
    assert "kiruna, abisko" in nobody.err


def test_a_preview_says_which_gate_refuses_the_frame(auroramon: Command, tmp_path: Path) -> None:
    Image.new("L", (64, 64), 7).save(tmp_path / "20251221_200000.png")
    Path("day.toml").write_text(
        f'[[camera]]\nname = "day"\nfolder = "{tmp_path}"\nlatitude = -67.0\nlongitude = 20.0\n'
        "disc = { x = 32, y = 32, radius = 30 }\n"
    )
    flat = said_of(auroramon("camera", "preview", tmp_path / "20251221_200000.png").out)
    assert "flat" in flat["gates"]
    day = said_of(auroramon("camera", "preview", tmp_path / "20251221_200000.png", "-c", "day.toml").out)
    assert "daylight" in day["gates"]
    assert day["disc"] == "configured: centre 32.0, 32.0, radius 30.0 pixels"


def test_a_file_without_the_frame_is_one_sentence(auroramon: Command, tmp_path: Path) -> None:
    absent = auroramon("camera", "preview", write_png(tmp_path, 0), "--index", 5)
    assert absent.code == 1
    assert "there are 1, counted from 0" in absent.err
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = auroramon("camera", "preview", tmp_path / "bad.png")
    assert bad.code == 1
    assert "bad.png" in bad.err


def test_configured_cameras_are_listed(auroramon: Command, winter: Winter) -> None:
    said = auroramon("camera", "list", "-c", winter.config)
    assert said.code == 0
    assert "kiruna" in said.out
    names = [camera["name"] for camera in json.loads(auroramon("camera", "list", "-c", winter.config, "--json").out)]
    assert names == ["kiruna", "abisko"]
    assert "auroramon init" in auroramon("camera", "list").out
