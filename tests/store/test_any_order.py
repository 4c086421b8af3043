"""Whatever happens in whatever order: no frame is lost, none is doubled, and the end is that of an undisturbed run."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from auroramon.store import Store, open_store
from auroramon.store.ledger import MAX_CRASHES
from auroramon.types import FileOutcome, FileStat, Outcome
from tests.store.station import NOW, Station, labelled, record, stat

FILES = 5
"""Files 0 to 2 are minutes of their own, 3 is a copy of 0, and 4 overlaps 0 and 1."""
WORDS = [*[Outcome.LABELLED] * 4, Outcome.NOT_READY, Outcome.CRASHED, Outcome.QUARANTINED]


def minutes_of(number: int) -> list[int]:
    """Give the seconds at which the frames of a file were taken."""
    if number == 3:
        return [0, 1, 2]
    if number == 4:
        return [2, 60, 210]
    return [60 * number + second for second in range(3)]


def outcome_of(number: int, file: FileStat, shift: int = 0) -> FileOutcome:
    """Give what a labeller says of a content: the label depends on the moment alone."""
    labels = ("arc", "diffuse", "clear")
    seconds = [second + shift for second in minutes_of(number)]
    return labelled(
        file,
        *(
            record(file.path, index, NOW + timedelta(seconds=second), label=labels[second % 3])
            for index, second in enumerate(seconds)
        ),
    )


class AnyOrder(RuleBasedStateMachine):
    """Several runs on one database that offer, claim, commit, crash and are killed as they like."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store: Store = open_store(f"sqlite:///{shutil.copy(self.template, self.folder.name)}")
        self.station = Station(self.store)
        self.now = NOW
        self.files = {number: stat(f"{number}.pgm", mtime=number) for number in range(FILES)}
        self.shift = dict.fromkeys(range(FILES), 0)  # a rewritten file has frames of another hour
        self.by_path = {file.path: number for number, file in self.files.items()}
        self.alive: dict[int, dict[str, FileStat]] = {}  # run -> what it has in hand
        self.pids: dict[int, int] = {}
        self.last: tuple[int, list[FileOutcome]] | None = None
        self.seen: set[str] = set()

    @initialize(numbers=st.lists(st.integers(0, FILES - 1), unique=True))
    def start(self, numbers: list[int]) -> None:
        """Begin where some files are done: what can go wrong afterwards is more than what can go wrong before."""
        self.start_run()
        (run,) = self.alive
        self.claim_files_of(run, numbers)
        held = self.alive[run]
        self.station.commit(*(self.outcome(held.pop(path), Outcome.LABELLED) for path in [*held]), run=run)

    @rule()
    def start_run(self) -> None:
        pid = 1000 + len(self.pids)
        run = self.store.start_run("run", self.now, host="station", pid=pid)
        self.pids[pid] = run
        self.alive[run] = {}
        self.store.recover(run, self.now, is_alive=lambda pid: self.pids.get(pid) in self.alive)

    def some_run(self, data: Any) -> int:
        if not self.alive:
            self.start_run()
        run: int = data.draw(st.sampled_from(sorted(self.alive)))
        return run

    @rule(numbers=st.lists(st.integers(0, FILES - 1), max_size=4))
    def offer(self, numbers: list[int]) -> None:
        self.store.offer([self.files[number] for number in numbers], self.now)
        self.seen |= {self.files[number].path for number in numbers}

    @rule(data=st.data(), limit=st.integers(1, 4), suspects=st.booleans(), newest=st.booleans())
    def claim(self, data: Any, limit: int, suspects: bool, newest: bool) -> None:
        run = self.some_run(data)
        self.take(run, self.store.claim(run, limit, self.now, suspects=suspects, newest_first=newest))

    @rule(data=st.data(), numbers=st.lists(st.integers(0, FILES - 1), max_size=4))
    def claim_files(self, data: Any, numbers: list[int]) -> None:
        self.claim_files_of(self.some_run(data), numbers)

    def claim_files_of(self, run: int, numbers: list[int]) -> None:
        claimed = self.store.claim_files(run, [self.files[number] for number in numbers], self.now)
        self.seen |= {self.files[number].path for number in numbers}
        self.take(run, [*claimed.fresh, *claimed.suspects])

    def take(self, run: int, files: list[FileStat]) -> None:
        for other, held in self.alive.items():
            assert not ({file.path for file in files} & held.keys()), f"run {other} has it in hand"
        self.alive[run].update({file.path: file for file in files})

    @rule(data=st.data(), word=st.sampled_from(WORDS))
    def commit(self, data: Any, word: Outcome) -> None:
        if not any(self.alive.values()):
            numbers = data.draw(st.lists(st.integers(0, FILES - 1), min_size=1, unique=True))
            self.claim_files_of(self.some_run(data), numbers)
        holders = sorted(run for run, held in self.alive.items() if held)
        if not holders:
            return
        run = data.draw(st.sampled_from(holders))
        held = self.alive[run]
        chosen = data.draw(st.lists(st.sampled_from(sorted(held)), min_size=1, unique=True))
        outcomes = [self.outcome(held.pop(path), word) for path in chosen]
        done = self.station.commit(*outcomes, run=run, now=self.now)
        assert [result.file.path for result in done.files] == chosen
        self.last = (run, outcomes)

    def outcome(self, file: FileStat, word: Outcome) -> FileOutcome:
        number = self.by_path[file.path]
        if word is Outcome.LABELLED:
            shift = self.shift[number] if file == self.files[number] else self.shift[number] - 3600
            return outcome_of(number, file, shift)
        return FileOutcome(file, word, str(word))

    @precondition(lambda self: self.last is not None)
    @rule()
    def commit_the_same_again(self) -> None:
        assert self.last
        run, outcomes = self.last
        before = self.rows()
        labelled_ones = [outcome for outcome in outcomes if outcome.outcome is Outcome.LABELLED]
        done = self.station.commit(*labelled_ones, run=run, now=self.now)
        unchanged = all(outcome.file == self.files[self.by_path[outcome.file.path]] for outcome in labelled_ones)
        if unchanged and not done.records:
            assert self.rows() == before

    @rule(data=st.data())
    def kill(self, data: Any) -> None:
        del self.alive[self.some_run(data)]

    @rule(data=st.data())
    def stop(self, data: Any) -> None:
        run = self.some_run(data)
        self.store.end_run(run, self.now)
        del self.alive[run]

    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(number=st.integers(0, FILES - 1))
    def rewrite(self, number: int) -> None:
        file = self.files[number]
        self.files[number] = replace(file, size=file.size + 1)
        self.shift[number] += 3600

    @rule()
    def retry(self) -> None:
        self.store.retry_quarantined()

    def rows(self) -> list[tuple[str, str]]:
        return [(f"{row.time:%H%M%S}", row.label) for row in self.store.labels()]

    @invariant()
    def every_file_is_accounted_for(self) -> None:
        self.station.account()
        assert self.store.account().seen == len(self.seen)

    @invariant()
    def no_frame_is_doubled(self) -> None:
        times = [time for time, _ in self.rows()]
        assert len(times) == len(set(times))

    def teardown(self) -> None:
        """Let one run work in peace to the end, and compare with a database that only ever saw that."""
        try:
            self.finish(self.store, self.station)
            with tempfile.TemporaryDirectory() as folder:
                calm = open_store(f"sqlite:///{shutil.copy(self.template, folder)}")
                calm_station = Station(calm)
                self.finish(calm, calm_station)
                expected = [(f"{row.time:%H%M%S}", row.label) for row in calm.labels()]
                calm.close()
            assert self.rows() == expected
        finally:
            self.store.close()
            self.folder.cleanup()

    def finish(self, store: Store, station: Station) -> None:
        now = self.now + timedelta(hours=1)
        run = store.start_run("run", now, host="station", pid=1)
        store.recover(run, now, is_alive=lambda pid: False)
        store.offer(list(self.files.values()), now)
        store.retry_quarantined()
        for _ in range(4 * FILES):  # a rewritten original opens its copies again
            work = store.claim(run, FILES, now) + store.claim(run, FILES, now, suspects=True)
            if not work:
                break
            station.commit(
                *(outcome_of(self.by_path[file.path], file, self.shift[self.by_path[file.path]]) for file in work),
                run=run,
                now=now,
            )
        counted = store.account()
        assert (counted.pending, counted.quarantined) == (0, 0)


def test_any_order_of_events_ends_as_an_undisturbed_run(sqlite_file: Path) -> None:
    AnyOrder.template = sqlite_file
    run_state_machine_as_test(
        AnyOrder,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_crash_limit_is_the_documented_one() -> None:
    assert MAX_CRASHES == 3
