"""Measures how long each panel of the Occurrence dashboard waits for its database.

    python -m benchmarks.dashboards              # SQLite, then a PostgreSQL server that it starts

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
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from auroramon.store import Store, open_store
from benchmarks.machine import load, machine
from benchmarks.occurrence import FIRST, Layout, fill
from deploy.grafana.__main__ import FOLDER
from deploy.grafana.expand import Choice
from tests.store.postgres import find_program, running_server

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


@contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'auroramon.db'}"


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a server of its own."""
    import psycopg

    if find_program("initdb") is None:
        raise SystemExit("PostgreSQL's server is not installed (apt install postgresql)")
    with running_server() as server:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as conn:
            conn.execute("CREATE DATABASE dashboards")
        yield f"{server}/dashboards"


def measure(store: Store, layout: Layout, times: int) -> None:
    fill(store, layout)
    store.update_expected(FIRST + timedelta(days=layout.nights + 1))
    begun = time.perf_counter()
    hours = store.count_hours()
    counted = time.perf_counter() - begun
    end = FIRST + timedelta(days=layout.nights + 1)
    cameras = [f"cam{number}" for number in range(layout.cameras)]
    print(
        f"{layout.frames} labelled frames of {layout.cameras} cameras, {layout.nights} nights; "
        f"{hours} hours counted in {counted:.1f} s; milliseconds"
    )
    print(f"| panel | {' | '.join(RANGES)} |\n|---|{'---:|' * len(RANGES)}")
    for title, statement in questions("sqlite" if store._db.sqlite else "postgresql"):
        taken = []
        for days in RANGES.values():
            choice = Choice(cameras, int((end - timedelta(days=days)).timestamp()), int(end.timestamp()))
            taken.append(f"{ask(store, choice.sql(statement), times):.0f}")
        print(f"| {title} | {' | '.join(taken)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5_000_000)
    parser.add_argument("--cameras", type=int, default=5)
    parser.add_argument("--cadence", type=int, default=10)
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    layout = Layout(arguments.frames, arguments.cameras, arguments.cadence)
    print(machine())
    print(f"before: {load()}")
    for database in (sqlite, postgresql):
        with database() as url, closing(open_store(url)) as store:
            print(f"\n{url.partition(':')[0]}: ", end="")
            measure(store, layout, arguments.times)
    print(f"after: {load()}")


if __name__ == "__main__":
    main()
