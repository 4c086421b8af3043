"""What happens now is told once; what is history, or comes late, is only kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auroramon.config import EventSettings
from auroramon.events import EventRules
from auroramon.herald import Herald
from auroramon.publish import Courier, News
from auroramon.store import Store, open_store
from auroramon.store.reviews import NewReview
from tests.daemon import wait_until
from tests.store.station import NOW, Station, labelled, record, stat

RULES = EventRules({"arc": 0.5}, 3, 600.0)


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now.astimezone(UTC)


class Ears:
    """Hears what is published."""

    name = "webhook"
    retains = False

    def __init__(self) -> None:
        self.heard: list[str] = []

    def send(self, news: News) -> None:
        self.heard.append(f"{news.state} {(news.event.ended - NOW).total_seconds() / 60:.0f}")

    def close(self) -> None:
        pass


class Board(Ears):
    """Keeps what it heard last for whoever looks later, as a broker does."""

    name = "mqtt"
    retains = True


class Sky:
    """A station under a sky that the test paints, with a herald beside it."""

    def __init__(self, store: Store) -> None:
        self.station, self.clock, self.ears = Station(store), Clock(), Ears()
        self.minute = 0
        self.herald = self.new_herald()

    def new_herald(self, cooldown_s: float = 0.0, *more: Ears) -> Herald:
        couriers = [Courier(ears, lambda *_: None) for ears in (self.ears, *more)]
        settings = EventSettings(cooldown_s=cooldown_s)
        return Herald(self.station.store, RULES, couriers, settings, every_s=0.01, clock=self.clock)

    def paint(self, frames: str, minute: int | None = None, *, tell: bool = True) -> None:
        """Label one frame a minute, and let the herald look after each."""
        for place, letter in enumerate(frames, start=self.minute if minute is None else minute):
            time = NOW + timedelta(minutes=place)
            if minute is None:
                self.clock.now, self.minute = time, place + 1
            file = stat(f"{place}.png", mtime=place)
            label = "arc" if letter == "a" else "clear"
            done = self.station.commit(labelled(file, record(file.path, 0, time, label=label)), now=time)
            if tell:
                self.herald.notice(done.records)
                wait_until(self._kept, "the events are those of the labels")

    def _kept(self) -> bool:
        with self.station.store._db.reading() as conn:
            row = conn.exec_driver_sql("SELECT COUNT(*) FROM event_nights WHERE derived = changes").scalar()
        return row == 1


@pytest.fixture
def sky(tmp_path: Path) -> Iterator[Sky]:
    store = open_store(f"sqlite:///{tmp_path}/labels.db")
    yield Sky(store)
    store.close()


def test_a_beginning_and_an_end_are_told_once(sky: Sky) -> None:
    with sky.herald:
        sky.paint("..aaaaa...")
        wait_until(lambda: len(sky.ears.heard) == 2, "both are told")
        sky.paint("..aa..")
    assert sky.ears.heard == ["on 4", "off 6"]


def test_late_frames_are_kept_and_not_told(sky: Sky) -> None:
    with sky.herald:
        sky.paint(".")
        sky.clock.now = NOW + timedelta(hours=5)
        sky.paint("aaaa", minute=1)
    assert sky.ears.heard == []
    assert len(sky.station.store.events()) == 1


def test_what_had_begun_before_a_restart_is_not_told_again_but_its_end_is_not_told_either(sky: Sky) -> None:
    sky.paint("..aaa", tell=False)
    with sky.herald:
        wait_until(sky._kept, "the herald has looked")
        sky.paint("aa...")
    assert sky.ears.heard == []


def test_a_broker_is_told_after_a_restart_that_aurora_goes_on_and_that_it_is_over(sky: Sky) -> None:
    board = Board()
    sky.paint("..aaa", tell=False)  # a daemon told of it, and was killed
    sky.herald = sky.new_herald(0.0, board)
    with sky.herald:
        wait_until(lambda: bool(board.heard), "the present state is told")
        sky.paint("aa...")
        wait_until(lambda: len(board.heard) == 2, "the end is told")
    assert board.heard == ["on 4", "off 6"]
    assert sky.ears.heard == []


def test_a_broker_is_told_after_a_restart_that_aurora_ended_meanwhile(sky: Sky) -> None:
    board = Board()
    sky.paint("..aaa", tell=False)
    sky.station.store.derive_events(RULES)
    sky.clock.now = NOW + timedelta(days=90)
    sky.herald = sky.new_herald(0.0, board)
    with sky.herald:
        wait_until(lambda: bool(board.heard), "the present state is told")
    assert board.heard == ["off 4"]
    assert sky.ears.heard == []


def test_after_news_the_next_event_waits_for_the_cool_down(sky: Sky) -> None:
    sky.herald = sky.new_herald(cooldown_s=20 * 60)
    with sky.herald:
        sky.paint("aaa...aaa...")
        sky.paint("." * 12 + "aaa")
        wait_until(lambda: len(sky.ears.heard) == 3, "the third event is told")
    assert sky.ears.heard == ["on 2", "off 2", "on 26"]


def test_an_event_that_a_person_takes_back_is_over(sky: Sky) -> None:
    """Else a broker keeps that it goes on, and a light stays on."""
    board = Board()
    sky.herald = sky.new_herald(0.0, board)
    store = sky.station.store
    with sky.herald:
        sky.paint(".aaaa")
        wait_until(lambda: board.heard == ["on 3"], "the beginning is told")
        frames = [store.frames_of_file(stat(f"{minute}.png").path)[0] for minute in range(1, 5)]
        store.add_reviews([NewReview(frame, "cloudy", "anna") for frame in frames], sky.clock.now)
        sky.herald.notice(())
        wait_until(lambda: len(board.heard) == 2, "the end is told")
    assert board.heard[1].startswith("off")
    assert sky.ears.heard == board.heard


def test_aurora_that_lasts_until_the_camera_stops_ends(sky: Sky) -> None:
    with sky.herald:
        sky.paint("aaa")
        wait_until(lambda: bool(sky.ears.heard), "the beginning is told")
        sky.clock.now = NOW + timedelta(minutes=30)
        sky.herald.notice(())
        wait_until(lambda: len(sky.ears.heard) == 2, "the end is told")
    assert sky.ears.heard == ["on 2", "off 2"]
