"""The daemon as a technician meets it: a process, a page, a signal, an exit code."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from auroramon.store.results import FileAccount
from tests.conftest import missing
from tests.daemon import (
    AURORAMON,
    account,
    daemon,
    get,
    labels,
    run,
    settled,
    started,
    stop,
    wait_until,
    write_config,
)
from tests.skies import stack, write_png
from tests.tiny import write_tiny_bundle


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny").folder


def test_frames_are_labelled_counted_and_shown_until_sigterm(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny, listen="127.0.0.1:0")
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    with daemon(config) as process:
        pages = started(process)
        for seed in range(6):
            write_png(tmp_path / "in", seed)
        (tmp_path / "in" / "20251222_0000_test_themis99_full.pgm.gz").write_bytes(stack(range(5)))
        (tmp_path / "in" / "rubbish.png").write_bytes(b"no picture")
        wait_until(lambda: settled(url, 8), "all eight files are done")
        assert json.loads(get(pages, "/healthz")[1]) == {"ok": True, "problems": []}
        counted = [line for line in get(pages, "/metrics")[1].splitlines() if line.startswith("auroramon_frames_cl")]
        assert len(counted) == 7  # six labels and unknown, from the start
        assert sum(float(line.split()[-1]) for line in counted) == 11
        assert get(pages, "/nothing")[0] == 404
        stop(process)
    done = account(url)
    assert done is not None
    assert (done.seen, done.labelled, done.quarantined, done.pending) == (8, 7, 1, 0)
    assert len(labels(url)) == 11


def with_settle_time(config: Path, seconds: float) -> Path:
    config.write_text(config.read_text().replace("settle_s = 0.2", f"settle_s = {seconds}"))
    return config


def test_an_empty_file_is_pending_then_quarantined_and_labelled_once_it_has_content(tiny: Path, tmp_path: Path) -> None:
    config = with_settle_time(write_config(tmp_path, tiny, listen="127.0.0.1:0"), 3.0)
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    with daemon(config) as process:
        started(process)
        empty = tmp_path / "in" / write_png(tmp_path, 1).name
        begun = time.monotonic()
        empty.touch()
        wait_until(lambda: account(url) == FileAccount(1, 0, 0, 0, 1), "the empty file is known and pending")
        wait_until(lambda: account(url) == FileAccount(1, 0, 0, 1, 0), "the empty file is in quarantine")
        assert 3.0 <= time.monotonic() - begun < 10.0
        empty.write_bytes((tmp_path / empty.name).read_bytes())
        wait_until(lambda: account(url) == FileAccount(1, 1, 0, 0, 0), "the filled file is labelled")
        stop(process)


def test_a_file_that_is_filled_a_moment_after_it_was_made_does_not_wait(tiny: Path, tmp_path: Path) -> None:
    config = with_settle_time(write_config(tmp_path, tiny, listen="127.0.0.1:0"), 600.0)
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    with daemon(config) as process:
        started(process)
        empty = tmp_path / "in" / write_png(tmp_path, 1).name
        empty.touch()
        wait_until(lambda: account(url) == FileAccount(1, 0, 0, 0, 1), "the empty file is known and pending")
        empty.write_bytes((tmp_path / empty.name).read_bytes())
        wait_until(lambda: account(url) == FileAccount(1, 1, 0, 0, 0), "it is labelled at once", timeout=10)
        stop(process)


def test_files_that_lay_there_before_are_labelled_once_and_a_new_model_does_not_start_over(
    tiny: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, tiny)
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    for seed in range(3):
        write_png(tmp_path / "in", seed)
    with daemon(config) as process:
        wait_until(lambda: settled(url, 3), "the files are labelled")
        stop(process)
    other = write_tiny_bundle(tmp_path / "other" / "second", name="second", seed=7)
    config = write_config(tmp_path, other.folder)
    with daemon(config) as process:
        write_png(tmp_path / "in", 9)
        wait_until(lambda: settled(url, 4), "the new file is labelled")
        stop(process)
    said = labels(url)
    assert len(said) == 4


def test_a_rewritten_file_is_labelled_again(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    file = write_png(tmp_path / "in", 1)
    with daemon(config) as process:
        wait_until(lambda: settled(url, 1), "the file is labelled")
        before = labels(url)
        shutil.copy(write_png(tmp_path, 2), file)
        wait_until(lambda: labels(url) != before, "the label is another frame's")
        stop(process)
    assert len(labels(url)) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[camera]]\nname = "a"\nfoldr = "x"\n', "foldr: unknown setting"),
        ("[[camera]\n", "is not valid TOML"),
        ('[database]\nurl = "sqlite:////tmp/a.db"\n', "no [[camera]] is configured"),
        ('[[camera]]\nname = "a"\n', "needs its folder"),
        ('[[camera]]\nname = "a"\nfolder = "in"\n[server]\nlisten = "nowhere"\n', "must look like 127.0.0.1:9750"),
        ('[[camera]]\nname = "a"\nfolder = "in"\ntime_pattern = "%Q"\n', "time_pattern"),
    ],
)
def test_a_wrong_configuration_ends_the_daemon_before_the_first_frame(tmp_path: Path, text: str, says: str) -> None:
    config = tmp_path / "auroramon.toml"
    config.write_text(text)
    done = run("run", "-c", config, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_model_ends_the_daemon_before_the_first_frame(tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    (broken / "embedder.onnx").write_bytes(b"no graph")
    done = run("run", "-c", write_config(tmp_path, broken), check=False)
    assert done.returncode == 1
    assert "embedder.onnx is not the file that bundle.json describes" in done.stderr
    assert not (tmp_path / "labels.db").exists()


def test_a_port_in_use_is_said_in_one_sentence(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny, listen="127.0.0.1:0")
    with daemon(config) as process:
        pages = started(process)
        (tmp_path / "b").mkdir()
        done = run("run", "-c", write_config(tmp_path / "b", tiny, listen=pages), check=False)
        assert done.returncode == 2
        assert "cannot listen there" in done.stderr
        stop(process)


def test_a_file_that_is_no_database_is_left_untouched(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    (tmp_path / "labels.db").write_bytes(b"these are my notes" * 100)
    done = run("run", "-c", config, check=False)
    assert done.returncode == 1
    assert "left untouched" in done.stderr
    assert (tmp_path / "labels.db").read_bytes() == b"these are my notes" * 100


def test_a_full_disk_stops_nothing_and_costs_nothing(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny, listen="127.0.0.1:0")
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    with daemon(config) as process:
        pages = started(process)
        write_png(tmp_path / "in", 0)
        wait_until(lambda: settled(url, 1), "the first frame is labelled")
        # No file of this process may grow any more: what a full disk looks like to SQLite.
        hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, hard))
        for seed in range(1, 30):
            write_png(tmp_path / "in", seed)
        wait_until(lambda: get(pages, "/healthz")[0] == 503, "health says that the database is away")
        assert "database" in get(pages, "/healthz")[1]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        wait_until(lambda: settled(url, 30), "everything is caught up")
        wait_until(lambda: get(pages, "/healthz")[0] == 200, "health is well again")
        stop(process)
    assert len(labels(url)) == 30


def test_a_database_that_another_program_holds_is_told_of_within_seconds_and_once(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny, listen="127.0.0.1:0")
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    with daemon(config) as process, closing(sqlite3.connect(tmp_path / "labels.db", isolation_level=None)) as other:
        pages = started(process)
        write_png(tmp_path / "in", 0)
        wait_until(lambda: settled(url, 1), "the first frame is labelled")
        other.execute("BEGIN IMMEDIATE")
        write_png(tmp_path / "in", 1)
        wait_until(
            lambda: get(pages, "/healthz")[0] == 503, "health tells of it", timeout=25
        )  # not after 30 s, as once
        counted = "auroramon_database_failures_total (?!0\\.0|1\\.0).*"
        wait_until(lambda: re.search(counted, get(pages, "/metrics")[1]) is not None, "it was tried again")
        other.execute("ROLLBACK")
        wait_until(lambda: settled(url, 2), "the second frame is labelled")
        wait_until(lambda: get(pages, "/healthz")[0] == 200, "health is well again")
        log = stop(process)
    assert log.count("in memory") == 1
    assert log.count("the database is back") == 1


def test_the_first_page_after_a_restart_counts_the_quarantine_that_there_was(tiny: Path, tmp_path: Path) -> None:
    """From 0 to twelve within seconds would be a quarantine that grows, and an alert."""
    config = write_config(tmp_path, tiny, listen="127.0.0.1:0")
    for number in range(12):
        (tmp_path / "in" / f"{number}.png").write_bytes(b"no picture")
    with daemon(config) as process:
        started(process)
        wait_until(lambda: settled(f"sqlite:///{tmp_path / 'labels.db'}", 12), "all are in quarantine")
        stop(process)
    with daemon(config) as process:
        assert "auroramon_quarantine_files 12.0" in get(started(process), "/metrics")[1]


def test_the_metrics_page_follows_the_conventions_of_prometheus(tiny: Path, tmp_path: Path) -> None:
    promtool = shutil.which("promtool") or missing("promtool is not installed (Debian: prometheus)")
    config = write_config(tmp_path, tiny, listen="127.0.0.1:0")
    with daemon(config) as process:
        page = get(started(process), "/metrics")[1]
        stop(process)
    checked = subprocess.run(
        [str(promtool), "check", "metrics"], input=page, text=True, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def journal(words: list[str | Path], *, ours: bool) -> list[str]:
    """Run a command whose stderr is the journal, or which has only inherited the name of it; give the lines."""
    end, stream = os.pipe()
    status = os.fstat(stream)
    name = f"{status.st_dev}:{status.st_ino + (not ours)}"
    subprocess.run((*AURORAMON, *words), stderr=stream, env=os.environ | {"JOURNAL_STREAM": name}, check=False)
    os.close(stream)
    with open(end) as said:
        return said.read().splitlines()


def test_the_journal_is_told_how_severe_a_line_is(tiny: Path, tmp_path: Path) -> None:
    """`journalctl -u auroramon -p err`, as `doctor` advises, goes by the number; without it every line is of 6."""
    config = write_config(tmp_path, tiny)
    (tmp_path / "in" / "rubbish.png").write_bytes(b"no picture")
    lines = journal(["backfill", tmp_path / "in", "-c", config], ours=True)
    assert any(line.startswith("<4>WARNING quarantined ") for line in lines), lines
    assert all(line.startswith(("<4>WARNING ", "<6>INFO ")) for line in lines), lines
    plain = journal(["backfill", tmp_path / "in", "-c", config], ours=False)
    assert plain
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:]+[+-]\d{4} INFO ", line) for line in plain), plain
    config.write_text("[watch]\nno_setting = 1\n[model]\nprecision = 3\n")
    (last,) = journal(["run", "-c", config], ours=True)
    assert last.startswith("<3>auroramon: ")


def test_no_name_of_a_file_writes_a_line_of_its_own_or_moves_the_cursor(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    for name in ("a\nERROR forged.png", "b\x1b[2J.png"):
        (tmp_path / "in" / name).write_bytes(b"no picture")
    lines = journal(["backfill", tmp_path / "in", "-c", config], ours=True)
    assert all(line.startswith(("<4>WARNING ", "<6>INFO ")) for line in lines), lines
    assert any("a\\x0aERROR forged.png: not a format" in line for line in lines), lines
    shown = run("quarantine", "list", "-c", config).stdout
    assert [line.split()[0] for line in shown.splitlines()[1::2]] == [r"a\x0aERROR", r"b\x1b[2J.png:"]
    assert "\x1b" not in shown
