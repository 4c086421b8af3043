"""Measures how long each panel of the Occurrence dashboard waits for its database.

    python -m benchmarks.dashboards                       # SQLite
    python -m benchmarks.dashboards --url postgresql://user@host/empty_database

The labels are those of `benchmarks.occurrence` (pseudo-random, written by SQL): five cameras with a frame each 10 s for
eleven hours a night, five million frames, every hour counted as a daemon does. Each statement is the dashboard's own,
asked as Grafana's plugins ask it, over the newest 30 days and over the half year that the dashboard opens with.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from auroramon.store import Store, open_store
from benchmarks.machine import load, machine
from benchmarks.occurrence import FIRST, Layout, fill
from deploy.grafana.__main__ import FOLDER
from deploy.grafana.expand import Choice

RANGES = {"30 days": 30, "180 days": 180}


def questions(dialect: str) -> Iterator[tuple[str, str]]:
    """Give the title and the statement of each panel."""
    page = json.loads((FOLDER / f"occurrence-{dialect}.json").read_text(encoding="utf-8"))
    for panel in page["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["rawQueryText" if dialect == "sqlite" else "rawSql"]


def ask(store: Store, statement: str, times: int) -> float:
    """Give the median time of a statement in milliseconds."""
    taken = []
    for _ in range(times):
        with store._db.reading() as conn:
            begun = time.perf_counter()
            conn.exec_driver_sql(statement.replace("%", "%%") if not store._db.sqlite else statement).all()
            taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


def measure(store: Store, layout: Layout, times: int) -> None:
    if not store.models():
        fill(store, layout)
        store.update_expected(FIRST + timedelta(days=layout.nights + 1))
        store.count_hours()
    end = FIRST + timedelta(days=layout.nights + 1)
    cameras = [f"cam{number}" for number in range(layout.cameras)]
    print(f"{layout.frames} labelled frames of {layout.cameras} cameras, {layout.nights} nights; milliseconds")
    print(f"| panel | {' | '.join(RANGES)} |\n|---|{'---:|' * len(RANGES)}")
    for title, statement in questions("sqlite" if store._db.sqlite else "postgresql"):
        taken = []
        for days in RANGES.values():
            choice = Choice(cameras, int((end - timedelta(days=days)).timestamp()), int(end.timestamp()))
            taken.append(f"{ask(store, choice.sql(statement), times):.0f}")
        print(f"| {title} | {' | '.join(taken)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty PostgreSQL database; without it a SQLite file")
    parser.add_argument("--file", type=Path, help="where the SQLite file is made, and kept")
    parser.add_argument("--frames", type=int, default=5_000_000)
    parser.add_argument("--cameras", type=int, default=5)
    parser.add_argument("--cadence", type=int, default=10)
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    layout = Layout(arguments.frames, arguments.cameras, arguments.cadence)
    print(machine())
    print(f"before: {load()}")
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.url or f"sqlite:///{arguments.file or Path(folder) / 'auroramon.db'}"
        with closing(open_store(url)) as store:
            measure(store, layout, arguments.times)
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
