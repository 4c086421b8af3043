"""Scoring on real frames counts cameras, not frames, and a refused file is an answer too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from auroramon.bundle import default_bundle
from auroramon.bundle_writing import write_bundle
from tests.backends.tiny_model import make_parts, write_graph
from train.real import Scored, agreement, score_real, summary


def scored(camera: str, accepted: str, *said: str) -> Scored:
    return Scored(f"{camera}.png", camera, frozenset(accepted.split("|")), said, "" if said else "no sky")


def test_a_camera_counts_once() -> None:
    text = summary([
        scored("a", "arc", "arc"), scored("a", "arc|discrete", "discrete"), scored("a", "clear", "arc"),
        scored("b", "cloudy", "moon", "cloudy"), scored("c", "unknown"),
    ])  # fmt: skip
    assert "| a | 3 | 67 % |" in text
    assert "| b | 1 | 50 % |" in text
    assert "| c | 1 | 100 % | c.png: refused (unknown) |" in text
    assert "Mean over 3 cameras 72.2 %, over 5 files 70.0 %" in text
    assert "aurora recall 100.0 % of 2 files" in text
    assert "false alarms 50.0 % of 2 files" in text


def test_two_graphs_are_compared_frame_by_frame() -> None:
    one = [scored("a", "arc", "arc"), scored("b", "cloudy", "moon", "cloudy"), scored("c", "unknown")]
    other = [scored("a", "arc", "diffuse"), scored("b", "cloudy", "moon", "cloudy"), scored("c", "unknown")]
    assert agreement(one, other) == "Both give the same label to 2 of 3 frames (66.7 %).\n"
    assert agreement(one, one) == "Both give the same label to 3 of 3 frames (100.0 %).\n"


def test_int8_is_scored_with_the_second_look_that_it_is_served_with(tmp_path: Path) -> None:
    """The int8 graph is another network here: only float32's second look, at all frames, can make both agree."""
    rng, real = np.random.default_rng(0), tmp_path / "real"
    real.mkdir()
    for k in range(6):
        sky = rng.integers(0, 40 * (k + 1), (8, 8), dtype=np.uint8)
        Image.fromarray(sky).resize((64, 64)).save(real / f"{k}.png")
    rows = [f"{k}.png,clear,one" for k in range(6)]
    (real / "MANIFEST.csv").write_text("\n".join(["file,accept,camera", *rows]) + "\n")
    parts = make_parts(tmp_path / "parts", int8=True, near=1e9)
    other = replace(parts, int8=write_graph(tmp_path / "other.onnx", seed=7))
    both = write_bundle(tmp_path / "both", other).folder
    assert other.agreement is not None
    alone = write_bundle(tmp_path / "alone", replace(other, agreement=replace(other.agreement, near=None, twice=None)))
    exact = score_real(both, "float32", real)
    assert score_real(both, "int8", real) == exact
    assert score_real(alone.folder, "int8", real) != exact


def test_every_file_of_the_manifest_is_scored(tmp_path: Path) -> None:
    sky = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(sky).save(tmp_path / "sky.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "sky.png").read_bytes()[:100])
    (tmp_path / "labels.csv").write_text("not a frame\n")
    manifest = "file,accept,camera\nsky.png,clear|cloudy|unknown,one\ncut.png,unknown,two\nlabels.csv,,none\n"
    (tmp_path / "MANIFEST.csv").write_text(manifest)
    found = score_real(default_bundle(), "float32", tmp_path)
    assert [s.file for s in found] == ["sky.png", "cut.png"]
    assert len(found[0].said) == 1
    assert found[1].said == ()
    assert found[1].reason
    assert found[1].part_right == pytest.approx(1)
