"""simulate and demo: skies that never were, through everything that is real."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from auroramon.readers import read_frames
from auroramon.types import LABELS
from tests.cli.conftest import Command


def truth_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "simulated_truth.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_simulated_pictures_carry_their_time_and_say_that_they_are_simulated(
    auroramon: Command, tmp_path: Path
) -> None:
    words = ["--hours", "0.05", "--size", "64", "--nights", "2", "--camera", "abc_cam7"]
    said = auroramon("simulate", tmp_path / "out", "--start", "2025-12-30T23:59", *words)
    rows = truth_of(tmp_path / "out")
    assert said.code == 0
    assert [row["path"] for row in rows] == [
        "2025/12/30/20251230_235900_abc_cam7.png", "2025/12/31/20251231_000000_abc_cam7.png",
        "2025/12/31/20251231_000100_abc_cam7.png", "2025/12/31/20251231_235900_abc_cam7.png",
        "2026/01/01/20260101_000000_abc_cam7.png", "2026/01/01/20260101_000100_abc_cam7.png",
    ]  # fmt: skip
    assert {row["label"] for row in rows} <= set(LABELS)
    for row in rows:
        with Image.open(tmp_path / "out" / row["path"]) as image:
            assert "simulated" in image.info["Comment"]
    assert sorted(p.suffix for p in (tmp_path / "out").rglob("*.*")) == [".csv", *[".png"] * 6]


def test_what_an_earlier_call_simulated_stays_in_the_list(auroramon: Command, tmp_path: Path) -> None:
    words = ["--hours", "0.05", "--size", "64", "--camera", "abc_cam7"]
    for start, seed in (("2025-12-30T22:00", 1), ("2025-12-30T23:00", 1), ("2025-12-30T22:00", 2)):
        assert auroramon("simulate", tmp_path, "--start", start, "--seed", seed, *words).code == 0
    rows = truth_of(tmp_path)
    assert sorted(row["path"] for row in rows) == sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.png"))
    (alone := tmp_path / "alone").mkdir()
    auroramon("simulate", alone, "--start", "2025-12-30T22:00", "--seed", 2, *words)
    assert [row for row in rows if "_22" in row["path"]] == truth_of(alone)


def test_simulated_minutes_are_read_like_those_of_themis(auroramon: Command, tmp_path: Path) -> None:
    words = ["--format", "pgm.gz", "--hours", "0.02", "--size", "64", "--camera", "abc_themis97"]
    said = auroramon("simulate", tmp_path / "out", "--start", "2025-12-21T20:00", *words)
    assert said.code == 0
    files = sorted((tmp_path / "out").rglob("*.pgm.gz"))
    assert [file.name for file in files] == [
        "20251221_2000_abc_themis97_full.pgm.gz",
        "20251221_2001_abc_themis97_full.pgm.gz",
    ]
    frames = list(read_frames(files[0]))
    assert len(frames) == 20
    assert (frames[0].site, frames[0].imager) == ("abc", "themis97")
    times = [frame.header_time for frame in frames]
    rows = [row for row in truth_of(tmp_path / "out") if row["path"].endswith(files[0].name)]
    for time, row in zip(times, rows, strict=True):
        assert time is not None
        assert f"{time:%Y-%m-%dT%H:%M:%S}" == row["time"][:19]


def test_the_same_seed_gives_the_same_files(auroramon: Command, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert auroramon("simulate", tmp_path / name, "--hours", "0.03", "--size", "64", "--seed", "7").code == 0
    first, second = (sorted((tmp_path / name).rglob("*.png")) for name in ("one", "two"))
    assert first
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_a_minute_has_its_own_cadence(auroramon: Command, tmp_path: Path) -> None:
    said = auroramon("simulate", tmp_path / "out", "--format", "pgm.gz", "--cadence", "10")
    assert said.code == 2
    assert "3 seconds" in said.err


def test_the_demo_labels_a_whole_night_and_says_where_everything_is(
    auroramon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURORAMON_DATABASE__URL", f"sqlite:///{tmp_path / 'mine.sqlite'}")  # must be left alone
    said = auroramon("demo", tmp_path / "demo", "--seconds", "5")
    assert (said.code, said.err.count("\n")) == (0, 2), said.err
    assert not (tmp_path / "mine.sqlite").exists()
    lines = [line for line in said.out.splitlines() if "(simulated: " in line]
    frames = sorted((tmp_path / "demo" / "incoming").iterdir())
    assert len(lines) == len(frames) >= 8
    assert "2025-12-21 14h" in said.out
    assert f"{len(frames)} files written: {len(frames)} seen = {len(frames)} labelled + 0 skipped" in said.out
    assert "simulated frames" in said.out
    monkeypatch.delenv("AURORAMON_DATABASE__URL")
    status = json.loads(auroramon("status", "-c", tmp_path / "demo" / "auroramon.toml", "--json").out)
    assert status["files"]["labelled"] == len(frames)
    assert not status["daemon"]["answers"]
    assert b"auroramon_frames_classified_total" in (tmp_path / "demo" / "metrics.txt").read_bytes()
    with Image.open(tmp_path / "demo" / "occurrence.png") as picture:
        assert picture.width > 1000


def test_the_demo_stays_out_of_folders_that_are_not_its_own(auroramon: Command, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "auroramon.toml").write_text("# my station\n")
    said = auroramon("demo", mine, "--seconds", "5")
    assert said.code == 2
    assert "no demo" in said.err
    assert (mine / "auroramon.toml").read_text() == "# my station\n"


def test_no_daemon_survives_a_demo_that_is_interrupted(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "auroramon", "demo", str(tmp_path / "demo"), "--seconds", "600"]
    # Where the tests run in the background, Ctrl-C is ignored by all that they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    with process.stdout as said:
        for line in said:
            if "(simulated: " in line:
                process.send_signal(signal.SIGINT)
                break
        rest = said.read()
    assert process.wait(60) == 130
    assert "stopped" in rest
    log = (tmp_path / "demo" / "daemon.log").read_text()
    assert log.rstrip().endswith("stopped")
    assert not _running(str(tmp_path / "demo" / "auroramon.toml"))


def _running(word: str) -> list[str]:
    """Give the processes of this machine that have a word in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if word in line:
                found.append(line)
    return found
