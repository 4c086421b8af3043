"""The live loop: arrivals in, claimed, labelled, committed, counted; and what to do when any of it fails.

What is promised: a file that was once seen is in the database as labelled, skipped, quarantined or pending, whatever
happens to this process; a frame has one label of a model, however often it was offered.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from auroramon.coordinator import Coordinator, Job, utc_now
from auroramon.errors import StoreBusyError
from auroramon.metrics import Metrics
from auroramon.ports import Executor, StopFlag
from auroramon.pulse import WatchPulse
from auroramon.sources.outbox import Arrival
from auroramon.sources.watch import FolderWatch, WatchedFolder
from auroramon.store.store import Store
from auroramon.types import FileStat, Health, LabelRecord, Outcome

log = logging.getLogger(__name__)

TICK_S = 0.5  # longest wait while nothing arrives
CLAIM = 8  # files taken in hand at once: a fresh frame waits for at most so many older ones
OLDEST_EVERY = 4  # each fourth claim from a backlog is its oldest, so that it drains from both ends
AWAY_S = 2.0  # wait before a database that was away is asked again
REPORT_S = 10.0  # between counts of the whole database
HEARTBEAT_S = 30.0
SETTLED = timedelta(minutes=10)  # an hour that is over for so long is counted; until then its frames are counted anew
COUNTING_S = 0.05  # spent on that, and on counting expected frames, at once: new frames wait meanwhile
PATIENCE_S = 120.0  # a loop that has not turned for so long is hung
FORGET_S = 3600.0  # the latency of a file that took longer is the backlog's affair
MOST_UNOFFERED = 100_000  # files kept in memory while the database is away; beyond it the folders are listed again


def nothing() -> None:
    """Look after nothing."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop is made of."""

    watch: FolderWatch
    coordinator: Coordinator
    executor: Executor  # labels in this process: the least latency
    isolated: Executor  # labels one file at a time in a process that may die
    metrics: Metrics
    tend: Callable[[], None] = nothing  # called at each turn of the loop: looks after what goes on beside the work


@dataclass(frozen=True, slots=True)
class Change:
    """What a new configuration puts in the place of the old one, made while that worked on."""

    folders: Sequence[WatchedFolder]
    executor: Executor
    isolated: Executor
    enter: Callable[[Store], Job]  # enters cameras, model and a new run; may be called again after a StoreBusyError
    done: Callable[[], None]  # called when the change is in force
    tend: Callable[[], None] = nothing  # see Parts

    def close(self) -> None:
        """Give back what was made for it: it never comes into force."""
        self.isolated.close()
        self.executor.close()


class Service:
    """Labels what arrives until it is told to stop."""

    def __init__(self, parts: Parts, clock: Callable[[], datetime] = utc_now) -> None:
        self._parts = parts
        self._store = parts.coordinator.store
        self._run = parts.coordinator.job.run
        self._settle = timedelta(seconds=parts.coordinator.job.settle_s)
        self._clock = clock
        self._unoffered: list[FileStat] = []
        self._empty: list[FileStat] = []  # of zero bytes: to be known, and not read before they had time to fill
        self._suspects: list[FileStat] = []  # claimed; a worker died with them in hand
        self._noticed: dict[str, float] = {}  # path -> monotonic time of its arrival, until its labels are committed
        self._claims = 0
        self._busy = True
        self._away_until = 0.0  # monotonic; the database is left alone until then
        self._beat = time.monotonic()
        self._next_report = self._next_heartbeat = 0.0
        self._pulse = WatchPulse(parts.watch)
        self._changing = threading.Lock()
        self._change: Change | None = None  # waits to be put in force
        self._ended = False  # no change comes into force any more
        self._labelled = 0  # frames, by this process
        self._last: LabelRecord | None = None
        self._waiting = 0  # files without a label, as last counted

    def serve(self, stop: StopFlag) -> None:
        """Work until `stop` is set; the files in hand are finished and committed.

        Raises:
            StoreError: the database is damaged: going on could only hide it.
        """
        try:
            for batch in self._parts.watch.arrivals(stop, self._wait):
                self._beat = time.monotonic()
                self._notice(batch)
                self._take_change()
                self._parts.tend()
                if self._beat >= self._away_until:
                    self._busy = self._step(stop)
                self._keep_house()
        finally:
            with self._changing:
                self._ended = True
            self._parts.isolated.close()
            self._parts.executor.close()
            self._end()
            self._drop(self._next_change())

    def health(self) -> Health:
        """Say what is wrong, from any thread."""
        problems = []
        silent = time.monotonic() - self._beat
        if silent > PATIENCE_S:
            problems.append(f"the loop has not turned for {silent:.0f} s")
        for state in self._parts.watch.state():
            if not state.up:
                problems.append(f"{state.camera}: {state.reason}")
        if self._away_until:
            problems.append("the database cannot be written; labels wait in memory")
        return Health(tuple(problems))

    def started(self) -> bool:
        """Say whether every folder is watched, or is waited for."""
        return self._pulse.started()

    def stuck(self, patience_s: float) -> str:
        """Say what has hung and only a new start can mend; "" while everything moves."""
        silent = time.monotonic() - self._beat
        return f"the loop has not turned for {silent:.0f} s" if silent > patience_s else self._pulse.stuck()

    def sentence(self) -> str:
        """Say in a line how it goes: the last label, the backlog, and what is wrong."""
        words = [*self.health().problems, f"{self._labelled} frames labelled"]
        if self._last is not None:
            info, said = self._last.info, self._last.classification
            words.append(f"last {said.label} at {info.camera}, {info.time:%Y-%m-%d %H:%M:%S} UTC")
        return "; ".join((*words, f"{self._waiting} files wait"))

    def change(self, change: Change) -> None:
        """Have this put in force between two batches. From any thread; the loop may be at work.

        A change that still waits is superseded: what was made for it is given back, and so it is with one that comes
        when the loop has ended.
        """
        with self._changing:
            superseded, self._change = (change, None) if self._ended else (self._change, change)
        self._drop(superseded)

    @staticmethod
    def _drop(change: Change | None) -> None:
        if change is not None:
            change.close()

    def _next_change(self) -> Change | None:
        with self._changing:
            change, self._change = self._change, None
        return change

    def _put_back(self, change: Change) -> None:
        """Have a change wait again, unless a newer one came meanwhile."""
        with self._changing:
            older = change if self._change is not None else None
            self._change = self._change or change
        self._drop(older)

    def _take_change(self) -> None:
        """Put a new configuration in force. No file is in hand now but suspects, which go back with the old run."""
        parts = self._parts
        if self._away_until or parts.coordinator.kept:
            return
        change = self._next_change()
        if change is None:
            return
        try:
            self._store.end_run(self._run, self._clock())
            parts.coordinator.job = change.enter(self._store)
        except StoreBusyError as error:
            self._put_back(change)
            self._stay_away(error)
            return
        except BaseException:
            change.close()
            raise
        self._run = parts.coordinator.job.run
        self._suspects.clear()
        self._parts = replace(parts, executor=change.executor, isolated=change.isolated, tend=change.tend)
        parts.isolated.close()
        parts.executor.close()
        # After the labeller: a frame of a new camera must not meet one that does not know it.
        parts.watch.replace(change.folders)
        change.done()

    def _wait(self) -> float:
        """Give how long to wait for arrivals: not at all while there is work."""
        return 0.0 if self._busy and not self._away_until else TICK_S

    def _notice(self, batch: Sequence[Arrival]) -> None:
        """Take arrivals into memory; the next step brings them into the database."""
        for arrival in batch:
            if arrival.how not in {"listed", "empty"}:
                self._noticed.setdefault(arrival.file.path, self._beat)
        self._unoffered += [arrival.file for arrival in batch if arrival.how != "empty"]
        self._empty += [arrival.file for arrival in batch if arrival.how == "empty"]
        if len(self._unoffered) + len(self._empty) > MOST_UNOFFERED:
            log.error("the database has been away for %d files: the folders will be listed again", MOST_UNOFFERED)
            self._unoffered.clear()
            self._empty.clear()
            self._noticed.clear()
            self._parts.watch.relist()

    def _step(self, stop: StopFlag) -> bool:
        """Do one piece of work; say whether there may be more.

        Waiting outcomes come first, then what just arrived, then the backlog, then one suspect.
        """
        try:
            if self._parts.coordinator.kept and self._parts.coordinator.commit(()) is None:
                raise StoreBusyError("outcomes still wait")
            fresh = self._claim_arrivals() or self._claim_backlog()
            if not fresh and not self._suspects:
                self._suspects = self._store.claim(self._run, 1, self._clock(), suspects=True)
        except StoreBusyError as error:
            self._stay_away(error)
            return True
        if self._away_until:
            log.info("the database is back")
            self._away_until = 0.0
        if fresh:
            self._work(self._parts.executor, fresh, stop)
        elif self._suspects:
            suspect = self._suspects.pop()
            self._work(self._parts.isolated, [suspect], stop)
        else:
            return False
        return True

    def _stay_away(self, error: StoreBusyError) -> None:
        if not self._away_until:
            log.error("the database is away, work goes on in memory: %s", error)
        self._parts.metrics.store_failures.inc()
        self._away_until = time.monotonic() + AWAY_S

    def _claim_arrivals(self) -> Sequence[FileStat]:
        """Bring what arrived into the database; take it in hand at once where it is little."""
        now = self._clock()
        if self._empty:
            self._store.offer_empty(self._empty, now, now + self._settle)
            self._empty = []
        if not self._unoffered:
            return ()
        if len(self._unoffered) <= CLAIM:
            claimed = self._store.claim_files(self._run, self._unoffered, now=now)
            self._unoffered = []
            self._suspects += claimed.suspects
            return claimed.fresh
        self._store.offer(self._unoffered, now=now)
        self._unoffered = []
        return ()

    def _claim_backlog(self) -> Sequence[FileStat]:
        oldest = self._claims % OLDEST_EVERY == OLDEST_EVERY - 1
        fresh = self._store.claim(self._run, CLAIM, self._clock(), newest_first=not oldest)
        self._claims += bool(fresh)
        return fresh

    def _work(self, executor: Executor, files: Sequence[FileStat], stop: StopFlag) -> None:
        for outcomes in executor.run([files], stop):
            done = self._parts.coordinator.commit(outcomes)
            committed = time.monotonic()
            if done is None:
                self._away_until = committed + AWAY_S
                return
            self._labelled += len(done.records)
            self._last = done.records[-1] if done.records else self._last
            for file in done.files:
                if file.outcome in {Outcome.NOT_READY, Outcome.CRASHED}:
                    continue  # it is tried again, and its labels are late by all of that
                noticed = self._noticed.pop(file.file.path, None)
                if noticed is not None and file.outcome is Outcome.LABELLED:
                    self._parts.metrics.latency.labels(file.file.camera).observe(committed - noticed)

    def _keep_house(self) -> None:
        """Refresh what costs a query or a look around, every few seconds."""
        if self._away_until:
            return
        try:
            if self._beat >= self._next_heartbeat:
                self._next_heartbeat = self._beat + HEARTBEAT_S
                now = self._clock()
                self._store.heartbeat(self._run, now)
                # Also while it works: who was killed a minute ago, and whose number another process has now, is not
                # known to be dead before ten minutes have gone by.
                self._store.recover(self._run, now)
                watched = [state.camera for state in self._parts.watch.state()]
                self._store.update_expected(now, watched, COUNTING_S)
                self._store.count_hours(now - SETTLED, COUNTING_S)
            if self._beat >= self._next_report:
                self._next_report = self._beat + REPORT_S
                account = self._store.account()
                self._waiting = account.pending
                self._parts.metrics.show_account(account)
                # What was known already, or never becomes ready, must not stay in memory for ever.
                self._noticed = {k: since for k, since in self._noticed.items() if self._beat - since < FORGET_S}
        except StoreBusyError as error:
            self._stay_away(error)

    def _end(self) -> None:
        """Write what is still in memory, and give back what was claimed and not begun."""
        coordinator = self._parts.coordinator
        try:
            if coordinator.kept:
                coordinator.commit(())
            self._store.end_run(self._run, now=self._clock())
        except StoreBusyError as error:
            log.warning("the database is away at the end (%s): these files will be labelled again", error)
