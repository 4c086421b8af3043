"""kill -9 at any moment: the database stays sound, and the end is that of an undisturbed run."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import text

from auroramon.store import Store, open_store
from tests.conftest import ROOT
from tests.store.committer import FRAMES, files, outcome
from tests.store.station import NOW, Station

COUNT = 400
KILLS = {"sqlite": 10, "postgresql": 4}


def start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.committer", url, str(COUNT)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def contents(store: Store) -> list[tuple[object, ...]]:
    return [(row.time, row.label, row.confidence, row.scores) for row in store.labels()]


def test_kills_lose_nothing_and_double_nothing(store_url: str, tmp_path: Path) -> None:
    rng = random.Random(20260131)
    killed, kills = 0, KILLS[store_url.partition(":")[0]]
    for _ in range(kills):
        with start(store_url) as child:
            assert child.stdout
            assert child.stdout.readline() == "started\n"
            time.sleep(rng.uniform(0.0, 0.06))  # all of the work takes half a second of a quick machine
            child.kill()
            killed += child.stdout.read() != "done\n"
        store = open_store(store_url)
        Station(store).account()
        if store_url.startswith("sqlite"):
            with store._db.reading() as conn:
                assert conn.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
                assert conn.execute(text("PRAGMA foreign_key_check")).all() == []
        store.close()
    assert killed >= kills // 2, "the work was over before the kills"
    with start(store_url) as child:
        assert child.stdout
        assert child.stdout.read() == "started\ndone\n"
    store = open_store(store_url)
    counted = store.account()
    assert (counted.seen, counted.labelled, counted.skipped) == (COUNT, COUNT * 4 // 5, COUNT // 5)
    calm = open_store(f"sqlite:///{tmp_path}/calm.db")
    station = Station(calm)
    calm.claim_files(station.run, files(COUNT), NOW)
    station.commit(*map(outcome, files(COUNT)))
    assert len(contents(calm)) == FRAMES * COUNT * 4 // 5
    assert contents(store) == contents(calm)
    calm.close()
    store.close()


def test_a_daemon_and_a_backfill_share_one_database(store_url: str) -> None:
    with start(store_url) as first, start(store_url) as second:
        assert first.stdout
        assert second.stdout
        assert first.stdout.read().endswith("done\n")
        assert second.stdout.read().endswith("done\n")
    store = open_store(store_url)
    counted = store.account()
    assert (counted.seen, counted.pending, counted.quarantined) == (COUNT, 0, 0)
    assert len(contents(store)) == FRAMES * COUNT * 4 // 5
    store.close()
