"""What a model has as good as seen is not judged, or the figure says how much of it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.train.oath_folder import oath_manifest, write_oath
from train.divided import frames_of_manifest
from train.frames import CameraFrames, read_split, write_camera, write_index
from train.leaks import LeakError, count_leaks, read_judged
from train.manifest import write_manifest
from train.runfile import ManifestTable, Run


def listed(run: Run, **change: object) -> Run:
    data = ManifestTable.model_validate(
        {"manifest": "oath.csv", "split": "blocks", "seed": 1, "part": 0, "parts": 4, "block": 8, "gap": 1} | change
    )
    return run.model_copy(update={"data": data, "head": run.head.model_copy(update={"fit_on": "train"})})


@pytest.fixture(scope="module")
def oath(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of labels and images, and the work folder beside it with its manifest."""
    root = tmp_path_factory.mktemp("oath")
    write_oath(root / "oath_v1.1", runs=48, length=4)
    oath_manifest(root / "oath_v1.1", root / "oath.csv")
    return root


def divided(oath: Path, run: Run, **change: object) -> Path:
    return frames_of_manifest(oath, listed(run, **change), lambda *_: None)


def test_blocks_hold_no_leak_and_random_splits_say_how_many(oath: Path, run: Run) -> None:
    apart = divided(oath, run)
    assert count_leaks(apart).none
    judged = read_judged(apart)
    assert {camera.origin for camera in judged.cameras} == {"oath"}
    random = count_leaks(divided(oath, run, split="published"))
    assert random.frames == 192 - 134
    assert random.copies == 0
    assert random.neighbours > 40
    assert not random.none


def test_the_frames_are_those_of_the_manifest(oath: Path, run: Run) -> None:
    folder = divided(oath, run, split="random", seed=3)
    total = sum(len(read_split(folder, split)) for split in ("train", "heads", "calibrate", "evaluate"))
    assert total == 192
    assert len(read_split(folder, "heads")) == 0
    judged = read_split(folder, "evaluate")
    counts, disc = judged.frame(5)
    assert counts.shape == (32, 32)
    assert disc.radius == pytest.approx(16 / 0.85, rel=1e-5)
    assert counts[0, 0] == 0 < counts[16, 16]


def test_a_copy_under_another_name_fails_the_run(oath: Path, run: Run, tmp_path: Path) -> None:
    manifest = oath_manifest(oath / "oath_v1.1", tmp_path / "plain.csv")
    judged = divided(oath, run)
    number = int(read_split(judged, "evaluate").cameras[0].positions[0])  # type: ignore[index]
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(manifest.rows[number - 1].file).read_bytes())
    # The copy takes the place of a frame that is learnt from, far away from the judged one.
    learnt = int(read_split(judged, "train").cameras[-1].positions[-1])  # type: ignore[index]
    rows = list(manifest.rows)
    rows[learnt - 1] = replace(rows[learnt - 1], file=str(copy))
    write_manifest(tmp_path / "oath.csv", rows)
    with pytest.raises(LeakError, match=r"1 are copies and 0 neighbours .*: no figure is given") as caught:
        frames_of_manifest(tmp_path, listed(run), lambda *_: None)
    assert all(name in str(caught.value) for name in (str(copy), manifest.rows[number - 1].file, "oath.csv"))


def test_a_neighbour_that_got_in_later_fails_the_evaluation(oath: Path, run: Run, tmp_path: Path) -> None:
    folder = divided(oath, run, seed=5)
    index = json.loads((folder / "index.json").read_text())
    read_judged(folder)
    (folder / "index.json").write_text(json.dumps(index | {"gap": 9}))
    with pytest.raises(LeakError, match="neighbours of learnt ones, though this split promises none"):
        read_judged(folder)


def test_simulated_cameras_are_guarded_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def camera(split: str, name: str, pixels: np.ndarray) -> None:
        write_camera(tmp_path / split / name, CameraFrames(
            name, pixels, np.zeros(len(pixels), dtype=int), np.ones((len(pixels), 3)), np.arange(len(pixels)),
        ))  # fmt: skip

    some = rng.integers(0, 9999, (3, 8, 8)).astype(np.uint16)
    camera("train", "a", some)
    camera("evaluate", "b", rng.integers(0, 9999, (3, 8, 8)).astype(np.uint16))
    write_index(tmp_path, {"kind": "simulated", "digest": "", "data": {}})
    assert len(read_judged(tmp_path)) == 3
    camera("evaluate", "c", some[1:2])
    with pytest.raises(LeakError, match="of 4 judged frames 1 are copies"):
        read_judged(tmp_path)
    camera("evaluate", "a", rng.integers(0, 9999, (2, 8, 8)).astype(np.uint16))
    with pytest.raises(LeakError, match="2 neighbours"):
        read_judged(tmp_path)
