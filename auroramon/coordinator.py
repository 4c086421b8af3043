"""The one writer of a run: what labellers found goes through here into the database, and is counted afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from auroramon.errors import StoreBusyError
from auroramon.metrics import Metrics
from auroramon.store.results import Committed, FileResult, Source
from auroramon.store.store import Store, in_parts
from auroramon.types import FileOutcome, LabelRecord, Outcome, sentence

log = logging.getLogger(__name__)

RETRY_AFTER = timedelta(seconds=30)
"""A file that was not ready is tried again after this long, or a tenth of its age."""

MOST_REMEMBERED = 100_000  # files that were not ready


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Job:
    """On whose behalf outcomes are written."""

    run: int
    model: int
    source: Source
    settle_s: float  # an empty file older than this is no file that is still being written


class Coordinator:
    """Commits outcomes, and keeps those that the database does not take for now.

    Args:
        store: the database.
        job: the run they belong to.
        metrics: counted after each commit; None in a backfill, whose frames are history.
        clock: the time now, aware UTC.
        news: told of what was labelled, after the commit; must return at once.
    """

    def __init__(
        self,
        store: Store,
        job: Job,
        metrics: Metrics | None,
        clock: Callable[[], datetime] = utc_now,
        news: Callable[[Sequence[LabelRecord]], None] | None = None,
    ) -> None:
        self.store = store
        self.job = job
        self._metrics = metrics
        self._clock = clock
        self._news = news
        self._kept: list[FileOutcome] = []
        self._refused = False  # the last commit was: said once, not at each try
        self._not_ready: dict[str, int] = {}  # path -> how often that was found

    @property
    def kept(self) -> int:
        """Number of outcomes that wait for the database."""
        return len(self._kept)

    def commit(self, outcomes: Iterable[FileOutcome]) -> Committed | None:
        """Write outcomes, and those kept from before.

        Returns:
            What was written; None when the database cannot be used for now: what was not written is kept, call again.

        Raises:
            StoreError: the database is damaged or refuses.
        """
        now = self._clock()
        self._kept += [judge_empty(outcome, now, self.job.settle_s) for outcome in outcomes]
        files: list[FileResult] = []
        records: list[LabelRecord] = []
        reopened: set[int] = set()
        for part in list(in_parts(self._kept)):
            try:
                done = self.store.commit(
                    self.job.run, part, model=self.job.model, source=self.job.source, now=now, retry_after=RETRY_AFTER
                )
            except StoreBusyError as error:
                if not self._refused:
                    log.warning("labels wait in memory until the database takes them: %s", error)
                self._refused = True
                if self._metrics is not None:
                    self._metrics.store_failures.inc()
                return None
            self._kept = self._kept[len(part) :]
            self._refused = False
            self._tell(done)
            if self._metrics is not None:
                self._metrics.count_commit(part, done)
            if self._news is not None and done.records:
                self._news(done.records)
            files += done.files
            records += done.records
            reopened |= done.reopened
        return Committed(tuple(files), tuple(records), frozenset(reopened))

    def _tell(self, done: Committed) -> None:
        """Log what a person should know of: files that gave less than a label for every frame."""
        for file in done.files:
            if file.outcome is Outcome.NOT_READY:
                self._tell_not_ready(file)
            elif file.outcome in {Outcome.QUARANTINED, Outcome.CRASHED}:
                log.warning("%s %s", file.outcome.value, sentence(file.file.path, file.reason))
            elif file.reason:
                log.info("%s %s", file.outcome.value, sentence(file.file.path, file.reason))

    def _tell_not_ready(self, file: FileResult) -> None:
        """Log it the first time, for it may pass, and as a warning the second; then no more: a folder that may not be
        read for a night would fill the journal with a million lines.
        """
        path = file.file.path
        if len(self._not_ready) >= MOST_REMEMBERED:
            self._not_ready.clear()
        times = self._not_ready[path] = self._not_ready.get(path, 0) + 1
        if times == 1:
            log.info("not_ready %s", sentence(path, file.reason))
        elif times == 2:
            log.warning("not_ready again, and tried now and then: %s", sentence(path, file.reason))


def judge_empty(outcome: FileOutcome, now: datetime, settle_s: float) -> FileOutcome:
    """Quarantine a file of zero bytes that is older than the settle time: nobody is writing it any more."""
    stale = now.timestamp() - outcome.file.mtime_ns / 1e9 >= settle_s
    if outcome.outcome is Outcome.NOT_READY and outcome.file.size == 0 and stale:
        return replace(outcome, outcome=Outcome.QUARANTINED, reason="the file is empty")
    return outcome
