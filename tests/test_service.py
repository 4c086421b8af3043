"""The live loop when things fail: the database away, a file that kills, a file that is not ready."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from auroramon.coordinator import Coordinator, Job, utc_now
from auroramon.errors import StoreBusyError, StoreError
from auroramon.executors.inline import InlineExecutor
from auroramon.executors.pool import PoolExecutor
from auroramon.metrics import Metrics
from auroramon.ports import LabelFiles
from auroramon.service import Change, Parts, Service, nothing
from auroramon.sources.arrivals import ArrivalRule
from auroramon.sources.timing import Timing
from auroramon.sources.watch import FolderWatch, WatchedFolder
from auroramon.store.results import ModelRow
from auroramon.store.store import Store, open_store
from auroramon.types import LABELS, Classification, FileOutcome, FileStat, FrameInfo, LabelRecord, Outcome
from tests.daemon import wait_until

POISON = "poison"


def label(files: Sequence[FileStat]) -> list[FileOutcome]:
    """Stand for a labeller that calls everything an arc; a poison file kills the process it is read in."""
    outcomes = []
    for file in files:
        if POISON in file.path:
            os.kill(os.getpid(), signal.SIGKILL)
        time = datetime(2025, 12, 21, tzinfo=utc_now().tzinfo) + timedelta(seconds=file.mtime_ns % 100_000)
        info = FrameInfo(file.path, 0, file.camera, time, "mtime")
        said = Classification("arc", 0.9, (0.9, 0.1, 0.0, 0.0, 0.0, 0.0), 1.0)
        outcomes.append(FileOutcome(file, Outcome.LABELLED, "", (LabelRecord(info, said, None, None, None, None),)))
    return outcomes


def make_label() -> LabelFiles:
    return label


@dataclass
class Station:
    """A service on a folder, in a thread of the test."""

    folder: Path
    store: Store
    service: Service
    metrics: Metrics
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self.service.serve, args=(self.stop,))
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        assert self.thread is not None
        self.thread.join(30)
        assert not self.thread.is_alive()

    def arrive(self, name: str, content: bytes = b"frame") -> Path:
        new = self.folder / f"{name}.tmp"
        new.write_bytes(content)
        return new.rename(self.folder / name)

    def frames(self) -> float:
        value = self.metrics.registry.get_sample_value(
            "auroramon_frames_classified_total", {"camera": "test", "label": "arc"}
        )
        assert value is not None
        return value


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Station]]:
    made: list[Station] = []

    def station(label_files: LabelFiles = label, tend: Callable[[], None] = nothing) -> Station:
        folder = tmp_path / "in"
        folder.mkdir(exist_ok=True)
        store = open_store(f"sqlite:///{tmp_path / 'labels.db'}", busy_timeout_s=0.05)
        model = store.register_model(ModelRow("m", "d", "e", LABELS, None, utc_now()))
        run = store.start_run("run", utc_now())
        store.recover(run, utc_now(), lambda pid: False)
        metrics = Metrics(CollectorRegistry(), ["test"], LABELS)
        watch = FolderWatch(
            [WatchedFolder("test", folder, ArrivalRule((".png",)))], Timing(settle_s=0.1, reconcile_s=1.0)
        )
        parts = Parts(
            watch,
            Coordinator(store, Job(run, model, "live", 0.1), metrics),
            InlineExecutor(label_files),
            PoolExecutor(make_label, workers=1, in_hand=1),
            metrics,
            tend,
        )
        made.append(Station(folder, store, Service(parts), metrics))
        return made[-1]

    yield station
    for one in made:
        if one.thread is not None and one.thread.is_alive():
            one.end()
        one.store.close()


def test_frames_that_arrive_while_the_database_is_locked_are_labelled_afterwards(
    make: Callable[..., Station], tmp_path: Path
) -> None:
    station = make()
    station.start()
    station.arrive("a.png")
    wait_until(lambda: station.frames() == 1, "the first frame is counted")
    other = sqlite3.connect(tmp_path / "labels.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for number in range(5):
        station.arrive(f"b{number}.png")
    failures = "auroramon_database_failures_total"
    wait_until(lambda: (station.metrics.registry.get_sample_value(failures) or 0) > 0, "the lock was noticed")
    wait_until(lambda: not station.service.health().ok, "health says that the database is away")
    assert station.frames() == 1
    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: station.frames() == 6, "all frames are counted once")
    wait_until(lambda: station.service.health().ok, "health is well again")
    station.end()
    assert station.store.account().labelled == 6


def test_a_file_that_was_no_good_and_is_written_again_is_not_late_by_the_time_between(
    make: Callable[..., Station],
) -> None:
    def label_or_refuse(files: Sequence[FileStat]) -> list[FileOutcome]:
        return [
            FileOutcome(file, Outcome.QUARANTINED, "cut off", (), {}) if file.size < 5 else outcome
            for file, outcome in zip(files, label(files), strict=True)
        ]

    def files_in_quarantine() -> int:
        return station.store.account().quarantined

    station = make(label_or_refuse)
    station.start()
    station.arrive("half.png", b"fra")
    wait_until(lambda: files_in_quarantine() == 1, "the half is refused")
    threading.Event().wait(2)  # what must not be counted
    rewritten = time.monotonic()
    station.arrive("half.png", b"frame")
    wait_until(lambda: station.frames() == 1, "the whole is labelled")
    wait_until(lambda: latency(station)[0] == 1, "its latency is known")
    assert latency(station)[1] < time.monotonic() - rewritten


def latency(station: Station) -> tuple[float, float]:
    """Give how many latencies were observed, and their sum in seconds."""
    name = "auroramon_file_latency_seconds"
    said = [
        station.metrics.registry.get_sample_value(f"{name}_{part}", {"camera": "test"}) for part in ("count", "sum")
    ]
    return said[0] or 0.0, said[1] or 0.0


def test_a_file_that_killed_the_daemon_is_tried_apart_and_quarantined_in_the_end(
    make: Callable[..., Station],
) -> None:
    first = make()
    poison = first.folder / f"{POISON}.png"
    poison.write_bytes(b"x")
    status = poison.stat()
    stat = FileStat(str(poison), status.st_size, status.st_mtime_ns, "test")
    run = first.store.start_run("run", utc_now(), pid=2**22 + 1)
    first.store.claim_files(run, [stat], utc_now())  # and the daemon died with it in hand
    station = make()
    station.start()
    station.arrive("good.png")
    wait_until(lambda: station.frames() == 1, "the good frame is labelled")
    wait_until(lambda: station.store.account().quarantined == 1, "the poison is in quarantine")
    station.end()
    (bad,) = station.store.quarantined()
    assert bad.path == str(poison)
    assert "crashed the worker 3 times" in bad.reason


def test_files_of_a_daemon_that_was_killed_and_whose_number_is_another_process_now_are_labelled(
    make: Callable[..., Station],
) -> None:
    """After a power cut the numbers begin anew: the dead one's is another's, and its claims seem held."""
    station = make()
    held = station.folder / "held.png"
    held.write_bytes(b"frame")
    status = held.stat()
    stat = FileStat(str(held), status.st_size, status.st_mtime_ns, "test")
    other = station.store.start_run("run", utc_now() - timedelta(minutes=11), pid=os.getppid())
    station.store.claim_files(other, [stat], utc_now())
    station.start()
    wait_until(lambda: station.frames() == 1, "it is labelled")


def test_a_file_that_may_not_be_read_is_told_of_twice_and_not_all_night(
    make: Callable[..., Station], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tries: list[str] = []

    def closed(files: Sequence[FileStat]) -> list[FileOutcome]:
        tries.extend(file.path for file in files)
        return [FileOutcome(file, Outcome.NOT_READY, "cannot be read now (Permission denied)") for file in files]

    station = make(closed)
    station.start()
    station.arrive("a.png")

    def tried_four_times() -> bool:
        with suppress(StoreBusyError):
            station.store.make_due()
        return len(tries) >= 4

    wait_until(tried_four_times, "it is tried again and again")
    station.end()
    told = [(record.levelname, record.message) for record in caplog.records if "a.png" in record.message]
    assert [level for level, _ in told] == ["INFO", "WARNING"]
    assert "a.png: cannot be read now (Permission denied)" in told[1][1]


def test_a_mistake_of_ours_costs_one_file_and_is_told(make: Callable[..., Station]) -> None:
    def clumsy(files: Sequence[FileStat]) -> list[FileOutcome]:
        if any("odd" in file.path for file in files):
            raise ZeroDivisionError("odd")
        return label(files)

    station = make(clumsy)
    station.start()
    station.arrive("odd.png")
    wait_until(
        lambda: (
            station.metrics.registry.get_sample_value(
                "auroramon_file_failures_total", {"camera": "test", "reason": "crashed"}
            )
            == 1
        ),
        "the mistake is counted",
    )
    wait_until(lambda: station.frames() == 1, "tried apart, where the mistake does not happen, it is labelled")
    station.end()


def test_what_was_in_hand_at_the_end_is_given_back(make: Callable[..., Station]) -> None:
    station = make()
    station.start()
    for number in range(50):
        station.arrive(f"{number}.png")
    station.end()
    account = station.store.account()
    assert account.seen == account.labelled + account.pending
    run = station.store.start_run("run", utc_now())
    left = station.store.claim(run, 100, utc_now())
    assert len(left) == account.pending
    assert not station.store.claim(run, 100, utc_now(), suspects=True)


def test_a_backlog_is_worked_on_from_both_ends_and_drains(make: Callable[..., Station]) -> None:
    order: list[str] = []

    def noting(files: Sequence[FileStat]) -> list[FileOutcome]:
        order.extend(Path(file.path).stem for file in files)
        return label(files)

    station = make(noting)
    for number in range(100):
        file = station.folder / f"{number:03}.png"
        file.write_bytes(b"x")
        os.utime(file, (1_700_000_000 + number, 1_700_000_000 + number))
    station.start()
    wait_until(lambda: station.frames() == 100, "the backlog has drained")
    station.end()
    assert sorted(order) == [f"{number:03}" for number in range(100)]
    assert order.index("099") < order.index("050")
    assert order.index("000") < order.index("050")


def test_an_empty_file_waits_for_its_writer_and_is_quarantined_after_the_settle_time(
    make: Callable[..., Station],
) -> None:
    def reading(files: Sequence[FileStat]) -> list[FileOutcome]:
        return [FileOutcome(file, Outcome.NOT_READY, "is empty") for file in files]

    station = make(reading)
    station.start()
    station.arrive("empty.png", b"")
    wait_until(lambda: station.store.account().quarantined == 1, "the empty file is in quarantine")
    station.end()


@dataclass
class Prepared:
    """What a new configuration was given, and whether it gave it back."""

    enter: Callable[[Store], Job]
    closed: int = 0
    done: bool = False

    def close(self) -> None:
        self.closed += 1

    def finish(self) -> None:
        self.done = True

    def change(self, station: Station) -> Change:
        folders = [WatchedFolder("test", station.folder, ArrivalRule((".png",)))]
        isolated = PoolExecutor(make_label, workers=1, in_hand=1)
        return Change(folders, InlineExecutor(label, self.close), isolated, self.enter, self.finish)


def test_a_change_that_is_superseded_or_waits_at_the_end_gives_back_what_was_made_for_it(
    make: Callable[..., Station],
) -> None:
    asked = threading.Event()

    def busy(store: Store) -> Job:
        asked.set()
        raise StoreBusyError("another writer has it")

    station = make()
    first, second, late = Prepared(busy), Prepared(busy), Prepared(busy)
    station.start()
    station.service.change(first.change(station))
    assert asked.wait(30)
    station.service.change(second.change(station))
    wait_until(lambda: first.closed == 1, "the first is given back when the second takes its place")
    assert second.closed == 0
    station.end()
    station.service.change(late.change(station))  # the reloader was at it when the loop ended
    assert [one.closed for one in (first, second, late)] == [1, 1, 1]
    assert not any(one.done for one in (first, second, late))


def test_a_change_that_the_database_refuses_gives_back_what_was_made_for_it(make: Callable[..., Station]) -> None:
    def refused(store: Store) -> Job:
        raise StoreError("it is damaged")

    station, prepared = make(), Prepared(refused)
    station.service.change(prepared.change(station))
    with pytest.raises(StoreError, match="it is damaged"):
        station.service.serve(station.stop)
    assert (prepared.closed, prepared.done) == (1, False)


def test_a_change_in_force_is_closed_at_the_end_and_not_before(make: Callable[..., Station]) -> None:
    def enter(store: Store) -> Job:
        model = store.register_model(ModelRow("m", "d", "e", LABELS, None, utc_now()))
        return Job(store.start_run("run", utc_now()), model, "live", 0.1)

    station, prepared = make(), Prepared(enter)
    station.start()
    station.service.change(prepared.change(station))
    wait_until(lambda: prepared.done, "it is in force")
    assert prepared.closed == 0
    station.end()
    assert prepared.closed == 1


def test_what_goes_on_beside_the_work_is_looked_after_while_no_frame_comes(make: Callable[..., Station]) -> None:
    looked = threading.Event()
    station = make(tend=looked.set)
    station.start()
    assert looked.wait(30)
    station.end()
    assert station.frames() == 0
