"""`tidy` removes the frames that no run refers to, when it is told to, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auroramon.errors import ConfigError
from tests.train.oath_folder import oath_manifest, write_oath
from train.commands import main
from train.divided import frames_of_manifest
from train.frames import read_split
from train.origin import origin_of
from train.record import write_record
from train.runfile import DataTable, ManifestTable, Run
from train.simulate import frames_of, simulate
from train.tidy import LATELY, REMOVED, remove, unreferred


def ignore(done: int, total: int) -> None:
    """Show no progress."""


def tidy(work: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["tidy", "--work", str(work), *more])


def aged(folder: Path) -> Path:
    """Make a folder as if nobody had written to it for a long time."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (1e9, 1e9))
    return folder


def everything(work: Path) -> set[str]:
    return {str(path.relative_to(work)) for path in work.rglob("*")}


@pytest.fixture
def small(run: Run) -> Run:
    assert isinstance(run.data, DataTable)
    data = run.data.model_copy(
        update={"cameras": {"train": 1, "heads": 1, "calibrate": 1, "evaluate": 1}, "frames": 6, "unknown": 1}
    )
    return run.model_copy(update={"data": data})


def test_frames_of_a_changed_run_are_listed_and_removed_only_when_told_to(small: Run, tmp_path: Path) -> None:
    old = aged(simulate(tmp_path, small, 1, ignore))
    changed = small.model_copy(update={"data": small.data.model_copy(update={"seed": 2})})
    new = aged(simulate(tmp_path, changed, 1, ignore))
    (tmp_path / "oath.csv").write_text("file,label\n")
    (tmp_path / "oath-results").mkdir()
    before = everything(tmp_path)

    said = tidy(tmp_path)
    assert said.exit_code == 0, said.output
    assert str(old) in said.stdout
    assert str(new) not in said.stdout
    assert "--yes removes them" in said.stdout
    assert everything(tmp_path) == before, "listing removes nothing"

    size = sum(path.stat().st_size for path in old.rglob("*") if path.is_file())
    assert [left.size for left in unreferred(tmp_path)] == [size]
    gone = {name for name in before if name == old.name or name.startswith(f"{old.name}/")}
    assert tidy(tmp_path, "--yes").exit_code == 0
    assert everything(tmp_path) == before - gone
    assert len(read_split(frames_of(tmp_path, changed), "train")) == 7
    assert "holds no frames that its runs do not refer to" in tidy(tmp_path, "--yes").stdout


def test_a_pool_stays_while_frames_of_a_fitted_run_refer_to_it(run: Run, tmp_path: Path) -> None:
    write_oath(tmp_path / "oath_v1.1", runs=48, length=4)
    oath_manifest(tmp_path / "oath_v1.1", tmp_path / "oath.csv")
    table = {"manifest": "oath.csv", "split": "blocks", "seed": 1, "part": 0, "parts": 4, "block": 8, "gap": 1}
    listed = run.model_copy(update={"data": ManifestTable.model_validate(table)})
    other = run.model_copy(update={"data": ManifestTable.model_validate({**table, "part": 1})})
    folder, unused = (aged(frames_of_manifest(tmp_path, one, ignore)) for one in (listed, other))
    (pool,) = tmp_path.glob("pool-*")
    aged(pool)
    write_record(tmp_path / listed.name, listed, origin_of(folder), "cpu")
    assert [left.folder for left in unreferred(tmp_path)] == [unused]

    assert tidy(tmp_path, "--yes").exit_code == 0
    assert pool.is_dir()
    assert len(read_split(folder, "train")) > 0
    (tmp_path / listed.name / "record.json").unlink()
    assert {left.folder for left in unreferred(tmp_path)} == {folder, pool}


def test_what_may_be_in_use_or_is_not_ours_is_left_alone(small: Run, tmp_path: Path) -> None:
    fresh = simulate(tmp_path, small, 1, ignore)
    (tmp_path / small.name / "frames.txt").unlink()
    for name in ("frames-0123456789ab", "pool-0123456789ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("years of work")
        aged(tmp_path / name)
    deep = tmp_path / "frames-aaaaaaaaaaaa/train/train-000/notes.txt"
    deep.parent.mkdir(parents=True)
    deep.write_text("how it was")
    aged(tmp_path / "frames-aaaaaaaaaaaa")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "pool-fedcba987654").symlink_to(elsewhere)
    for name in ("frames-of-mine", "pool-2026", "frames-0123456789AB"):
        aged_folder = tmp_path / name
        aged_folder.mkdir()
        aged(aged_folder)
    before = everything(tmp_path)

    said = tidy(tmp_path, "--yes")
    assert everything(tmp_path) == before
    assert said.stdout.count("left alone: ") == 5
    assert "within the last hour" in said.stdout
    assert "holds thesis.txt" in said.stdout
    assert "-mine" not in said.stdout
    now = fresh.stat().st_mtime + LATELY + 60
    assert [left.folder for left in unreferred(tmp_path, now) if not left.kept] == [fresh]
    with pytest.raises(ValueError, match="to be kept"):
        remove(unreferred(tmp_path)[0])


def test_a_removal_that_was_killed_is_finished_the_next_time(small: Run, tmp_path: Path) -> None:
    folder = simulate(tmp_path, small, 1, ignore)
    (tmp_path / small.name / "frames.txt").unlink()
    half = folder.rename(folder.with_name(folder.name + REMOVED))
    (half / "train/train-000/pixels.npy").unlink()
    assert simulate(tmp_path, small, 1, ignore) == folder, "frames that are half removed are never read"
    assert len(read_split(folder, "train")) == 7
    assert tidy(tmp_path, "--yes").exit_code == 0
    assert not half.exists()
    assert folder.exists()


def test_nothing_is_removed_where_it_is_not_known_what_a_run_refers_to(small: Run, tmp_path: Path) -> None:
    folder = aged(simulate(tmp_path, small, 1, ignore))
    (tmp_path / small.name / "frames.txt").unlink()
    (tmp_path / small.name / "record.json").write_text('{"data_digest"')
    said = tidy(tmp_path, "--yes")
    assert said.exit_code == 2
    assert "record.json cannot be read" in said.output
    assert folder.is_dir()
    with pytest.raises(ConfigError, match="no folder"):
        unreferred(tmp_path / "nowhere")
