"""A simulated folder lies on disk exactly as OATH does, and its frames are consecutive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import png
import pytest
from click.testing import CliRunner

from tests.train.oath_folder import write_oath
from train.commands import main
from train.oath_layout import is_simulated, oath_rows


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_oath(tmp_path_factory.mktemp("labels"), runs=2, length=3)


@pytest.fixture(scope="module")
def simulated(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("simulated") / "oath"
    args = ["simulate-oath", str(labels), str(to), "--native", "64", "--rotated", "--processes", "1"]
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    assert "6 simulated images" in result.output
    return to


def pixels(path: Path) -> np.ndarray:
    width, height, rows, info = png.Reader(bytes=path.read_bytes()).read()
    assert (width, height, info["bitdepth"], info["planes"], info["greyscale"]) == (256, 256, 16, 3, False)
    return np.array([np.asarray(row) for row in rows]).reshape(256, 256, 3)


def test_the_folder_has_the_names_tables_and_pixels_of_oath(labels: Path, simulated: Path) -> None:
    for table in ("classifications.csv", "train_test_split.csv"):
        assert (simulated / table).read_bytes() == (labels / table).read_bytes()
    names = {path.relative_to(simulated) for path in simulated.rglob("*.png")}
    assert names == {path.relative_to(labels) for path in labels.rglob("*.png")}
    frame = pixels(simulated / "images/cropped_scaled/00002.png")
    assert frame[..., 0].max() == frame[..., 2].max() == 0
    assert frame[..., 1].max() == 65535
    assert frame[0, 0, 1] == frame[255, 255, 1] == 0
    assert [row.simulated for row in oath_rows(simulated)] == [True] * 6
    assert not is_simulated(labels)
    assert "CC BY 4.0" in (simulated / "SIMULATED.txt").read_text()


def test_frames_of_a_run_follow_each_other_and_runs_differ(simulated: Path) -> None:
    frames = [pixels(simulated / f"images/cropped_scaled/{n:05d}.png")[..., 1].astype(float) for n in range(1, 7)]
    away = [np.abs(frames[n] - frames[n + 1]).mean() for n in range(5)]
    assert all(distance > 0 for distance in away)
    assert max(away[0], away[1], away[3], away[4]) < away[2]


def test_what_is_there_is_kept_and_real_images_are_never_mixed_in(labels: Path, simulated: Path) -> None:
    image = simulated / "images/cropped_scaled/00003.png"
    before = image.read_bytes()
    other = simulated / "images/cropped_scaled/00001.png"
    stamp = other.stat().st_mtime_ns
    image.unlink()
    args = ["simulate-oath", str(labels), str(simulated), "--native", "64", "--processes", "1"]
    assert CliRunner().invoke(main, args).exit_code == 0
    assert image.read_bytes() == before
    assert other.stat().st_mtime_ns == stamp
    for other_way in (["--native", "96"], ["--native", "64", "--seed", "2"]):
        mixed = CliRunner().invoke(main, ["simulate-oath", str(labels), str(simulated), *other_way])
        assert mixed.exit_code == 2
        assert "holds images of another seed or size" in mixed.output
    refused = CliRunner().invoke(main, ["simulate-oath", str(simulated), str(labels)])
    assert refused.exit_code == 2
    assert "holds images that were not simulated" in refused.output
