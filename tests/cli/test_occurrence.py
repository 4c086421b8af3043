"""occurrence: when the aurora was there, out of how many frames."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from auroramon.store.store import open_store
from auroramon.types import LABELS
from tests.cli.conftest import Command, Winter


def test_a_night_is_counted_with_every_denominator(auroramon: Command, winter: Winter) -> None:
    said = auroramon("occurrence", "-c", winter.config, "--json")
    (night,) = json.loads(said.out)
    assert said.code == 0
    assert (night["camera"], night["period"]) == ("kiruna", "2025-12-21")
    assert sum(night[label] for label in (*LABELS, "unknown", "other")) == night["total"] == 360
    assert night["aurora"] == night["arc"] + night["diffuse"] + night["discrete"]
    assert night["missing"] == night["expected"] - night["total"]
    assert night["missing"] > 300  # the polar night at Kiruna is longer than six hours
    assert night["aurora_of_clear_sky"] == pytest.approx(night["aurora"] / (night["aurora"] + night["clear"]), abs=1e-6)
    assert night["aurora_of_all"] == pytest.approx(night["aurora"] / 360, abs=1e-6)


def test_hours_add_up_to_the_night(auroramon: Command, winter: Winter) -> None:
    text = auroramon("occurrence", "-c", winter.config, "--by", "hour", "--csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    with_frames = [row for row in rows if row["total"] != "0"]
    assert [row["period"] for row in with_frames] == [f"2025-12-21T{hour}:00Z" for hour in range(16, 22)]
    assert [row["missing"] for row in with_frames] == ["0"] * 6
    assert sum(int(row["total"]) for row in rows) == 360
    assert all(row["aurora_of_clear_sky"] == "" for row in rows if row["total"] == "0")


def test_the_columns_are_those_that_the_documentation_promises(auroramon: Command, winter: Winter) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "config.md").read_text(encoding="utf-8")
    for words in (["occurrence", "--csv"], ["labels", "--csv"]):
        header = auroramon(*words, "-c", winter.config).out.splitlines()[0]
        promised = header.split(",source", maxsplit=1)[0].removeprefix(
            "path,index,time,camera,label,confidence,distance,"
        )
        assert f"`{promised}" in docs


def test_what_is_not_known_is_no_zero(auroramon: Command, winter: Winter) -> None:
    said = auroramon("occurrence", "-c", winter.config, "--by", "hour", "--since", "2025-12-22")
    hours = [line for line in said.out.splitlines() if line.startswith("2025-12-22 ")]
    assert hours
    assert all(line.split()[-2:] == ["-", "-"] for line in hours)
    assert "aurora / (aurora + clear)" in said.out


@pytest.mark.parametrize("flags", [["--since", "2025-12-22"], ["--until", "2025-12-21"], ["--camera", "abisko"]])
def test_the_span_and_the_camera_are_chosen(auroramon: Command, winter: Winter, flags: list[str]) -> None:
    assert json.loads(auroramon("occurrence", "-c", winter.config, "--json", *flags).out) == []
    assert auroramon("occurrence", "-c", winter.config, *flags).out == "no frame is labelled in this span\n"


@pytest.mark.parametrize("by", ["hour", "night", "month"])
def test_a_picture_is_drawn(auroramon: Command, winter: Winter, tmp_path: Path, by: str) -> None:
    said = auroramon("occurrence", "-c", winter.config, "--by", by, "--csv", "--plot", tmp_path / "picture.png")
    assert said.code == 0
    assert "picture.png" in said.err
    assert said.out.startswith("camera,period,")
    with Image.open(tmp_path / "picture.png") as picture:
        assert min(picture.size) > 500


def test_a_picture_that_cannot_be_drawn_is_one_sentence(auroramon: Command, winter: Winter, tmp_path: Path) -> None:
    away = auroramon("occurrence", "-c", winter.config, "--plot", tmp_path / "no" / "picture.png")
    assert away.code == 1
    assert "cannot be written" in away.err
    empty = auroramon("occurrence", "-c", winter.config, "--camera", "abisko", "--plot", tmp_path / "picture.png")
    assert empty.code == 1
    assert "no frames to show" in empty.err


def test_an_empty_database_has_no_rows(auroramon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'new.sqlite'}"
    monkeypatch.setenv("AURORAMON_DATABASE__URL", url)
    missing = auroramon("occurrence")
    assert (missing.code, missing.out) == (1, "")
    with closing(open_store(url)):
        pass
    assert auroramon("occurrence", "--json").out == "[]\n"
    assert auroramon("labels", "--json").out == ""
    assert json.loads(auroramon("status", "--json").out)["model"] is None
