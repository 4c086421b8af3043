"""Runs `auroramon backfill` as a user does, and watches how its database fills."""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from auroramon.config import load_settings

POLL_S = 0.02  # the database is asked so often how many labels it holds
COUNT = "SELECT COUNT(*) FROM labels"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a command labelled the archive."""

    frames: int
    steady: float  # frames a second
    whole: float  # frames a second
    core_ms: float  # of all its processes, a frame, start-up included


def run_backfill(
    archive: Path, config: Path, precision: str, workers: int, cluster: str = "", backend: str = ""
) -> Pace:
    """Run the command, and watch its database."""
    command = (
        sys.executable, "-m", "auroramon", "backfill", str(archive), "-c", str(config), "--precision", precision,
        "--workers", str(workers), "--json", *(("--cluster", cluster) if cluster else ()),
        *(("--backend", backend) if backend else ()),
    )  # fmt: skip
    count = counter(load_settings(config).database_url)
    used, began = children_s(), time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        seen = _watch(count, process)
        out, log = process.communicate()
    seconds = time.perf_counter() - began
    assert process.returncode == 0, log
    frames = int(json.loads(out)["frames"])
    assert seen[-1][1] <= frames, "labels of nobody"
    (first, some), (last, most) = seen[0], seen[-1]
    steady = (most - some) / (last - first) if most > some else float("nan")
    return Pace(frames, steady, frames / seconds, 1e3 * (children_s() - used) / frames)


def children_s() -> float:
    """Give the processor time of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def counter(url: str) -> Callable[[], int]:
    """Give what counts the labels of a database."""
    if url.startswith("sqlite:///"):
        return lambda: _in_file(Path(url.removeprefix("sqlite:///")))
    return lambda: _in_server(url)


def _watch(count: Callable[[], int], process: subprocess.Popen[str]) -> list[tuple[float, int]]:
    """Give when the number of labels changed, and to what, until the process ends."""
    seen = [(time.perf_counter(), 0)]
    while process.poll() is None:
        time.sleep(POLL_S)
        labels = count()
        if labels > seen[-1][1]:
            seen.append((time.perf_counter(), labels))
    return seen[1:] or seen


def _in_file(database: Path) -> int:
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        try:
            return int(db.execute(COUNT).fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # its tables are still being made


def _in_server(url: str) -> int:
    import psycopg

    with psycopg.connect(url) as db:
        try:
            row = db.execute(COUNT).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
    assert row
    return int(row[0])
