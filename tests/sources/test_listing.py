"""Later listings of a watched folder: what they find, and what they need not look at."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from auroramon.sources import arrivals
from auroramon.sources.candidates import Candidates
from auroramon.sources.listing import _FULL_EVERY, Lister
from auroramon.sources.offered import Offered
from auroramon.sources.outbox import Outbox
from auroramon.sources.timing import Timing
from tests.sources.conftest import LONG_AGO, RULE, put


class Station:
    """A lister of one folder, and what it offers at each listing."""

    def __init__(self, root: Path) -> None:
        self.root, self.outbox = root, Outbox()
        self.lister = Lister(
            str(root),
            Timing(),
            claim=lambda path: "sky" if RULE.wants(path[len(str(root)) + 1 :]) else None,
            outbox=self.outbox,
            report=lambda problem: pytest.fail(problem.sentence),
            candidates=Candidates(2.0, 60.0, 0.2),
            offered=Offered(),
            stop=threading.Event(),
        )

    def list_all(self) -> set[str]:
        self.lister.want_all()
        return self._worked(polled=False)

    def list_next(self, *, polled: bool = False) -> set[str]:
        self.lister.want_next(polled=polled)
        return self._worked(polled=polled)

    def _worked(self, *, polled: bool) -> set[str]:
        while self.lister.busy:
            self.lister.work(polled=polled)
        return {str(Path(arrival.file.path).relative_to(self.root)) for arrival in self.outbox.take(0.0, 1000)}


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """An archive of two nights that nobody has touched for a long time, listed once."""
    for night in ("night1", "night2"):
        put(tmp_path / night / "a.png", old=True)
    for folder in (tmp_path / "night1", tmp_path / "night2", tmp_path):
        os.utime(folder, (LONG_AGO, LONG_AGO))
    station = Station(tmp_path)
    assert station.list_all() == {"night1/a.png", "night2/a.png"}
    return station


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are looked at."""
    seen: list[str] = []
    look = arrivals.look
    monkeypatch.setattr("auroramon.sources.walk.look", lambda path, camera: seen.append(path) or look(path, camera))
    return seen


def test_files_of_folders_that_stand_still_are_not_looked_at(station: Station, looked_at: list[str]) -> None:
    assert station.list_next() == set()
    assert looked_at == []
    put(station.root / "night2" / "b.png", old=True)
    assert station.list_next() == {"night2/b.png"}
    assert sorted(looked_at) == [str(station.root / "night2" / name) for name in ("a.png", "b.png")]


def test_whatever_comes_is_found_at_once(station: Station) -> None:
    put(station.root / "night1" / "b.png", old=True)
    assert station.list_next() == {"night1/b.png"}
    put(station.root / "night1" / "c.png", old=True)  # the folder has changed only now and is read each time
    assert station.list_next() == {"night1/c.png"}
    put(station.root / "night2" / "deep" / "d.png", old=True)
    assert station.list_next() == {"night2/deep/d.png"}
    put(station.root / "night2" / "deep" / "e.png", old=True)
    put(station.root / "top.png", old=True)
    (station.root / "night1").rename(station.root / "night3")
    assert station.list_next() == {"night2/deep/e.png", "top.png", "night3/a.png", "night3/b.png", "night3/c.png"}
    assert station.list_next() == set()
    assert station.lister.reconciled == 8


def test_a_file_rewritten_where_it_lies_is_found_by_the_full_listing(station: Station) -> None:
    (station.root / "night1" / "a.png").write_bytes(b"longer than before")
    os.utime(station.root / "night1" / "a.png", (LONG_AGO, LONG_AGO))
    found = [station.list_next() for _ in range(_FULL_EVERY + 1)]
    assert found == [set()] * _FULL_EVERY + [{"night1/a.png"}]
    assert [station.list_next() for _ in range(_FULL_EVERY + 1)] == [set()] * (_FULL_EVERY + 1)


def test_one_that_is_asked_for_is_full(station: Station) -> None:
    """After events were lost, say: also where a quick one is due already."""
    (station.root / "night1" / "a.png").write_bytes(b"longer than before")
    os.utime(station.root / "night1" / "a.png", (LONG_AGO, LONG_AGO))
    station.lister.want_next(polled=False)
    assert station.list_all() == {"night1/a.png"}
    assert station.lister.completed == 2


def test_where_no_event_is_heard_every_listing_is_full(station: Station) -> None:
    put(station.root / "night1" / "a.png", b"longer than before", old=True)
    os.utime(station.root / "night1", (LONG_AGO, LONG_AGO))
    station.list_next(polled=True)
    assert str(station.root / "night1" / "a.png") in station.lister._candidates


def test_what_is_gone_is_forgotten_by_the_full_listing(station: Station) -> None:
    (station.root / "night1" / "a.png").unlink()
    assert station.list_next() == set()
    assert len(station.lister._offered) == 2
    assert station.list_all() == set()
    assert len(station.lister._offered) == 1
