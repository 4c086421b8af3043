"""An archive, from a list of files to committed labels."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from auroramon.coordinator import Coordinator, utc_now
from auroramon.errors import StoreBusyError
from auroramon.heads import Head
from auroramon.ports import Executor, StopFlag
from auroramon.relabel import Relabelling
from auroramon.store.results import Claimed
from auroramon.types import FileOutcome, FileStat, Outcome

log = logging.getLogger(__name__)

BATCH_FILES = 64  # most files of one task
BATCH_BYTES = 8_000_000  # a task ends here: four THEMIS minutes, or a few dozen single images
COMMIT_FRAMES = 1000  # outcomes are written together once they hold so many frames
COMMIT_S = 1.0  # or after so long
BUSY_S = 1.0  # wait before a busy database is asked again
HEARTBEAT_S = 30.0
COUNTING_S = 2.0  # most that is spent at each sign of life on the counts of hours, which takes a hundredth of that


ENDS = (Outcome.LABELLED, Outcome.SKIPPED, Outcome.QUARANTINED, Outcome.KNOWN)


def cut(files: Iterable[FileStat | None]) -> Iterator[Sequence[FileStat]]:
    """Cut a list of files into tasks of some hundred milliseconds, by number and by size.

    Where the list has no file just now (None), those that have come are a task, or none, and the task is empty.
    """
    batch: list[FileStat] = []
    size = 0
    for file in files:
        if file is not None:
            batch.append(file)
            size += file.size
        if file is None or len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(slots=True)
class Account:
    """What became of the files of one backfill."""

    listed: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    frames: int = 0  # newly labelled
    relabelled: int = 0  # of them from stored embeddings, before any file was read
    reopened: set[int] = field(default_factory=set)  # numbers of files that a rewritten original made pending
    waiting: int = 0  # of these, how many the list had passed before that

    @property
    def ended(self) -> int:
        """Files that need no more work."""
        return sum(self.outcomes[word] for word in ENDS)

    @property
    def left(self) -> int:
        """Files that still have work."""
        return self.listed - self.ended + self.waiting


class Backfill:
    """Labels every file of a list that has no label of the model yet.

    Args:
        coordinator: where outcomes go.
        executor: where the work is done.
        isolated: the same for files that a worker died with, one at a time.
        progress: called after each commit.
        entered: told how many of the files given are in the ledger, after each claim; says how many more the list has
            passed over meanwhile, because nothing is left to do for them.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        executor: Executor,
        isolated: Executor,
        progress: Callable[[Account], None],
        clock: Callable[[], datetime] = utc_now,
        entered: Callable[[int], int] = lambda files: 0,
    ) -> None:
        self._coordinator = coordinator
        self._executor = executor
        self._isolated = isolated
        self._progress = progress
        self._clock = clock
        self._entered = entered
        self._suspects: list[FileStat] = []  # claimed
        self._next_heartbeat = 0.0  # monotonic
        self._crashed: list[FileStat] = []  # not claimed any more
        self.account = Account()

    def run(self, files: Iterable[FileStat | None], stop: StopFlag) -> Account:
        """Work through the files; may be stopped and started again at any moment.

        None among them says that the list has no more just now: what was done is written meanwhile.

        Raises:
            StoreError: the database is damaged or refuses.
        """
        self._work(self._executor, self._batches(files, stop), stop)
        while suspects := self._next_suspects(stop):
            self._work(self._isolated, ((file,) for file in suspects), stop)
        return self.account

    def relabel(self, head: Head, stop: StopFlag) -> int:
        """Label frames of the same embedder from their stored embeddings: no image is read again.

        Returns:
            Number of frames that got a label.
        """
        job = self._coordinator.job
        done = Relabelling(self._coordinator.store, job.run, job.model, head).work(stop)
        return done.judged + done.refused

    def _batches(self, files: Iterable[FileStat | None], stop: StopFlag) -> Iterator[Sequence[FileStat]]:
        """Cut a list into tasks, and claim each when somebody is about to work on it: not earlier, for what is
        claimed when the power fails is tried again one file at a time.
        """
        given = 0
        for batch in cut(files):
            if not batch:
                yield ()
                continue
            claimed = self._patiently(batch, stop)
            if claimed is None:
                return
            given += len(batch)
            self._count(len(batch), claimed.known, self._entered(given))
            self._suspects += claimed.suspects
            if claimed.fresh:
                yield claimed.fresh
        self._count(0, 0, self._entered(given))

    def _count(self, taken: int, known: int, passed: int) -> None:
        self.account.listed += taken + passed
        self.account.outcomes[Outcome.KNOWN] += known + passed

    def _next_suspects(self, stop: StopFlag) -> Sequence[FileStat]:
        """Give the files in whose hands a worker died, claimed."""
        crashed, self._crashed = self._crashed, []
        claimed = self._patiently(crashed, stop) if crashed else None
        suspects = [*self._suspects, *(claimed.suspects if claimed else ())]
        self._suspects = []
        return () if stop.is_set() else suspects

    def _patiently(self, files: Sequence[FileStat], stop: StopFlag) -> Claimed | None:
        """Claim those files that need work, when the database lets us; None when told to stop meanwhile."""
        job = self._coordinator.job
        while not stop.is_set():
            try:
                return self._coordinator.store.claim_files(job.run, files, self._clock(), model=job.model)
            except StoreBusyError as error:
                log.warning("waiting for the database: %s", error)
                time.sleep(BUSY_S)
        return None

    def _work(self, executor: Executor, batches: Iterator[Sequence[FileStat]], stop: StopFlag) -> None:
        waiting: list[FileOutcome] = []
        frames, since = 0, time.monotonic()
        for outcomes in executor.run(batches, stop):
            waiting += outcomes
            frames += sum(len(outcome.records) for outcome in outcomes)
            if frames >= COMMIT_FRAMES or time.monotonic() - since >= COMMIT_S:
                self._commit(waiting, stop)
                waiting, frames, since = [], 0, time.monotonic()
        self._commit(waiting, stop)

    def _live(self) -> None:
        """Give a sign of life now and then: a run that is silent for ten minutes loses its files to the next."""
        if time.monotonic() < self._next_heartbeat:
            return
        try:
            self._coordinator.store.heartbeat(self._coordinator.job.run, self._clock())
            self._coordinator.store.count_hours(limit_s=COUNTING_S)
            self._next_heartbeat = time.monotonic() + HEARTBEAT_S
        except StoreBusyError as error:
            log.warning("no sign of life could be given: %s", error)

    def _commit(self, outcomes: Sequence[FileOutcome], stop: StopFlag) -> None:
        done = self._coordinator.commit(outcomes)
        while done is None:
            time.sleep(BUSY_S)
            done = self._coordinator.commit(())
            if stop.is_set() and done is None:
                if outcomes:
                    log.error("stopped while the database was away: %d files will be labelled again", len(outcomes))
                return
        self._live()
        self.account.frames += len(done.records)
        self.account.reopened |= done.reopened
        for file in done.files:
            if file.outcome is Outcome.CRASHED:
                self._crashed.append(file.file)  # not an end: it is tried again, alone
            else:
                self.account.outcomes[file.outcome] += 1
        self._progress(self.account)
