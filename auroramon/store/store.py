"""The store: everything that is known of files and frames, behind one class.

    store = open_store("sqlite:////var/lib/auroramon/auroramon.db")
    run = store.start_run("run", now=now, code_version="1.0")
    store.recover(run, now)
    claimed = store.claim_files(run, arrived, now)
    done = store.commit(run, label_files(claimed.fresh), model=model, source="live", now=now)

Every method is one transaction, and may be called again after a StoreBusyError: nothing has happened then. `now` is
always given by the caller, aware UTC.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.events import EventRules
from auroramon.store import (
    accounts,
    awaited,
    candidates,
    commit,
    comparison,
    events,
    expectation,
    ledger,
    queries,
    registry,
    relabel,
    reviews,
    tally,
)
from auroramon.store.candidates import Candidates
from auroramon.store.choice import EVERY, LabelChoice
from auroramon.store.comparison import ChangedFrame, Comparison
from auroramon.store.database import Database, connect
from auroramon.store.encoding import epoch
from auroramon.store.frames import Author
from auroramon.store.migrate import upgrade
from auroramon.store.relabel import EmbeddingBatch, GateWord, JudgedBatch, Which
from auroramon.store.results import (
    AuroraEvent,
    By,
    CameraPlace,
    CameraStatus,
    Claimed,
    Committed,
    FileAccount,
    FrameKey,
    LabelRow,
    ModelRow,
    OccurrenceRow,
    Offered,
    QuarantinedFile,
    Source,
)
from auroramon.store.reviews import FoundFrame, NewReview, ReviewedFrame, ReviewRow
from auroramon.types import FileOutcome, FileStat

ALL_FRAMES = Which()


def open_store(url: str, *, create: bool = True, busy_timeout_s: float = 30.0) -> Store:
    """Open the database, make it if need be, and bring its schema up to date.

    Args:
        url: `sqlite:////path/to/file.db` or `postgresql://user@host/name`.
        create: whether a SQLite file that is not there is made.
        busy_timeout_s: how long to wait for another writer before StoreBusyError.

    Raises:
        ConfigError: the URL cannot be used, or no file can be kept where it says.
        StoreError: not a database, damaged, of another program, or newer than this program; it is left untouched.
        StoreBusyError: locked, full or away for now.
        MissingPartError: the driver for PostgreSQL is not installed.
    """
    database = connect(url, create=create, busy_timeout_s=busy_timeout_s)
    try:
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return Store(database)


def process_is_alive(pid: int) -> bool:
    """Say whether a process of this number runs on this host."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Store:
    """One database, as the coordinator, the commands and the pages see it. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.place = database.place  # for messages: the file, or the URL without its password

    @property
    def folder(self) -> Path | None:
        """Give the folder of a SQLite file, None where a server keeps the database."""
        return Path(self._db.place).parent if self._db.sqlite else None

    def close(self) -> None:
        self._db.close()

    # Cameras, models and runs

    def register_cameras(self, places: Sequence[CameraPlace]) -> None:
        """Enter cameras, or bring what is known of them up to date. Cameras of headers enter by themselves."""
        with self._db.writing() as conn:
            registry.register_cameras(conn, self._db.codes, places)

    def register_model(self, model: ModelRow) -> int:
        """Give the number of a model, entered if its digest is new (one digest is one model, whatever its name)."""
        with self._db.writing(durable=True) as conn:
            return registry.register_model(conn, self._db.codes, model)

    def promote_model(self, name: str, now: datetime) -> int:
        """Make the newest model of this name the one whose labels are shown; StoreError if there is none."""
        with self._db.writing(durable=True) as conn:
            return registry.promote_model(conn, name, epoch(now))

    def models(self) -> list[ModelRow]:
        """Give every model, the one whose labels are shown first."""
        with self._db.reading() as conn:
            return registry.all_models(conn)

    def label_counts(self) -> dict[int, int]:
        """Give the number of frames that each model labelled, by the number of the model."""
        with self._db.reading() as conn:
            return tally.label_counts(conn)

    def start_run(
        self,
        command: str,
        now: datetime,
        *,
        code_version: str = "",
        backend: str = "",
        precision: str = "",
        settings_digest: str = "",
        host: str | None = None,
        pid: int | None = None,
    ) -> int:
        """Give the number of a new run of this process; the host and process can be named for tests."""
        row: dict[str, str | int] = {
            "command": command,
            "host": socket.gethostname() if host is None else host,
            "pid": os.getpid() if pid is None else pid,
            "code_version": code_version,
            "backend": backend,
            "precision": precision,
            "settings_digest": settings_digest,
        }
        with self._db.writing() as conn:
            return registry.start_run(conn, row, epoch(now))

    def heartbeat(self, run: int, now: datetime) -> None:
        """Say that this run lives. Ten minutes of silence count as death (see `recover`)."""
        with self._db.writing() as conn:
            registry.heartbeat(conn, run, epoch(now))

    def end_run(self, run: int, now: datetime) -> int:
        """End a run in order; what it still has in hand is released. Give the number of files released."""
        with self._db.writing() as conn:
            return registry.end_run(conn, run, epoch(now))

    def recover(self, run: int, now: datetime, is_alive: Callable[[int], bool] = process_is_alive) -> int:
        """Free the files that dead runs had in hand; they become suspects. Give their number.

        Dead is: of this host and the process is gone; or silent for ten minutes, anywhere.
        """
        with self._db.writing() as conn:
            return registry.recover(conn, run, epoch(now), is_alive)

    # The ledger

    def offer(self, files: Sequence[FileStat], now: datetime) -> Offered:
        """Tell of files seen. New and changed ones become pending; known ones cost a look and no lock."""
        with self._db.reading() as conn:
            needed = ledger.needs_offer(conn, self._db.codes, files)
        distinct = len({file.path for file in files})
        if not needed:
            return Offered(0, 0, distinct)
        with self._db.writing() as conn:
            done = ledger.offer(conn, self._db.codes, needed, epoch(now))
        return Offered(done.new, done.changed, distinct - done.new - done.changed)

    def offer_empty(self, files: Sequence[FileStat], now: datetime, due: datetime) -> None:
        """Tell of files of zero bytes: they are pending, and not claimed before `due` unless they change."""
        with self._db.writing() as conn:
            awaited.offer_empty(conn, self._db.codes, files, epoch(now), epoch(due))

    def claim(
        self,
        run: int,
        limit: int,
        now: datetime,
        *,
        newest_first: bool = True,
        camera: str | None = None,
        suspects: bool = False,
    ) -> list[FileStat]:
        """Take up to `limit` pending, due files in hand, and count the try before the work.

        Without `suspects` only files that no worker died with; with it only those, to be worked on one by one in a
        process of their own. So a kill of the coordinator never puts an innocent file into quarantine: only deaths
        that were seen (`crashed`) count towards it.
        """
        with self._db.reading() as conn:
            if not ledger.open_files(conn, 1, epoch(now), newest_first, camera, suspects):
                return []
        with self._db.writing() as conn:
            found = ledger.open_files(conn, limit, epoch(now), newest_first, camera, suspects)
            ledger.take(conn, run, [number for number, _ in found])
        return [file for _, file in found]

    def claim_files(self, run: int, files: Sequence[FileStat], now: datetime, *, model: int | None = None) -> Claimed:
        """Offer these files and take those in hand that need work, in one transaction: the short way of a live frame.

        With `model`, files that are labelled but have a frame without a label of this model are taken too (backfill);
        they stay `labelled` meanwhile.
        """
        with self._db.writing() as conn:
            return ledger.claim_offered(conn, self._db.codes, run, files, epoch(now), model)

    def release(self, run: int) -> int:
        """Give back what this run has in hand as if it had never been taken (a clean stop)."""
        with self._db.writing() as conn:
            return ledger.release(conn, run)

    def commit(
        self,
        run: int,
        outcomes: Sequence[FileOutcome],
        *,
        model: int,
        source: Source,
        now: datetime,
        retry_after: timedelta = timedelta(seconds=10),
    ) -> Committed:
        """Write outcomes: frames, embeddings, labels and the ends of the files. Twice is the same as once.

        `not_ready` files become pending again, due after `retry_after`. `crashed` ones become pending suspects, and
        quarantined at the third crash. An outcome of a file that has changed since it was claimed is dropped (its word
        becomes `not_ready`) and the file stays pending. A file all of whose frames came from another file is `skipped`
        with the reason "duplicate of PATH"; where only some are, the reason counts them.

        Raises:
            StoreBusyError: nothing was written; keep the outcomes and call again.
        """
        with self._db.writing(durable=True) as conn:
            return commit.commit(
                conn,
                self._db.codes,
                run,
                outcomes,
                model=model,
                source=source,
                now=epoch(now),
                retry_after_s=retry_after.total_seconds(),
            )

    def quarantined(self) -> list[QuarantinedFile]:
        """Give the files that are left alone, oldest first."""
        with self._db.reading() as conn:
            return accounts.quarantined(conn)

    def retry_quarantined(self, paths: Iterable[str] | None = None) -> int:
        """Open quarantined files again, all or these; give their number. `claim` will find them."""
        with self._db.writing() as conn:
            return ledger.retry_quarantined(conn, self._db.codes, paths)

    def account(self) -> FileAccount:
        """Count the files by state; reads the whole table of files (0.1 s for a million)."""
        with self._db.reading() as conn:
            return accounts.account(conn)

    def backlog(self) -> dict[str, int]:
        """Count pending files by camera; under an empty name those whose header must say. Quick at any size."""
        with self._db.reading() as conn:
            return accounts.backlog(conn)

    def camera_status(self) -> list[CameraStatus]:
        """Give each camera's newest frame and open work, by name. Quick at any size."""
        with self._db.reading() as conn:
            return accounts.camera_status(conn)

    # Labels

    def needs_label(self, files: Sequence[FileStat], model: int) -> list[FileStat]:
        """Give those files that `claim_files` would take for this model now, without taking them (a dry run)."""
        with self._db.reading() as conn:
            return ledger.needing_work(conn, self._db.codes, files, model)

    def embeddings_without_label(
        self, model: int, which: Which = ALL_FRAMES, batch: int = 1000
    ) -> Iterator[EmbeddingBatch]:
        """Give batches of frames without a label of this model whose embedding is of its embedder.

        Each batch is a short read of its own, so labels may be added in between.
        """
        after = None
        while True:
            with self._db.reading() as conn:
                found = relabel.embeddings_without_label(conn, model, which, batch, after)
            if not found:
                return
            yield found
            after = FrameKey(found.files[-1], found.indices[-1])

    def gate_words_without_label(
        self, model: int, which: Which = ALL_FRAMES, batch: int = 1000
    ) -> Iterator[Sequence[GateWord]]:
        """Give batches of frames without a label of this model that gates in front of its embedder refused."""
        after = None
        while True:
            with self._db.reading() as conn:
                found = relabel.gate_words_without_label(conn, model, which, batch, after)
            if not found:
                return
            yield found
            after = found[-1].key

    def count_without_label(self, model: int, which: Which = ALL_FRAMES) -> int:
        """Count the frames that this model has not labelled."""
        with self._db.reading() as conn:
            return relabel.count_without_label(conn, model, which)

    def add_judged(self, run: int, judged: JudgedBatch, *, model: int, source: Source = "relabel") -> int:
        """Add labels of this model to known frames; give how many were new. Adding twice is adding once."""
        with self._db.writing(durable=True) as conn:
            return relabel.add_judged(conn, self._db.codes, Author(model, run, source), judged)

    def add_gate_words(self, run: int, words: Sequence[GateWord], *, model: int, source: Source = "relabel") -> int:
        """Add what gates said as labels of this model; give how many were new. Adding twice is adding once."""
        with self._db.writing(durable=True) as conn:
            return relabel.add_gate_words(conn, Author(model, run, source), words)

    # A person's words, and what follows from them

    def frames_of_file(self, path: str) -> list[FoundFrame]:
        """Give the frames of a file, by index; none where it is not known or gave none."""
        with self._db.reading() as conn:
            return reviews.frames_of_file(conn, path)

    def frames_at(self, camera: str, time: datetime) -> list[FoundFrame]:
        """Give the frames of a camera whose exposure began at this time, to the millisecond."""
        with self._db.reading() as conn:
            return reviews.frames_at(conn, camera, time)

    def known_labels(self) -> set[str]:
        """Give every label that a model or a person has used."""
        with self._db.reading() as conn:
            return reviews.known_labels(conn)

    def add_reviews(self, new: Sequence[NewReview], now: datetime) -> list[NewReview]:
        """Add what people say, all or nothing; give what was new. Adding twice is adding once."""
        with self._db.writing(durable=True) as conn:
            return reviews.add_reviews(conn, self._db.codes, new, epoch(now))

    def reviews(self, which: Which = ALL_FRAMES) -> Iterator[ReviewRow]:
        """Stream what people said, by time of the frame, then by when they said it."""
        with self._db.reading() as conn:
            yield from reviews.all_reviews(conn, which)

    def reviewed_frames(self, embedder_digest: str, which: Which = ALL_FRAMES) -> list[ReviewedFrame]:
        """Give the newest word on each frame, with the frame's embedding by this embedder, by time."""
        with self._db.reading() as conn:
            return reviews.reviewed_frames(conn, embedder_digest, which)

    def candidates(self, model: int, which: Which = ALL_FRAMES, batch: int = 5000) -> Iterator[Candidates]:
        """Stream the frames that this model labelled and no person did."""
        with self._db.reading() as conn:
            yield from candidates.candidates(conn, model, which, batch)

    def reviewed_vectors(self, model: int, which: Which = ALL_FRAMES) -> NDArray[np.float16]:
        """Give (N,D) embeddings, by the embedder of this model, of the frames that a person has labelled."""
        with self._db.reading() as conn:
            return candidates.reviewed_vectors(conn, model, which)

    def frames_of(self, keys: Sequence[FrameKey]) -> list[FoundFrame]:
        """Give these frames, in this order."""
        with self._db.reading() as conn:
            return reviews.frames_of(conn, keys)

    def compare(self, a: int, b: int, which: Which = ALL_FRAMES) -> Comparison:
        """Give what two models said of the same frames: counts, and the frames that a person labelled."""
        with self._db.reading() as conn:
            return comparison.compare(conn, a, b, which)

    def changed(self, a: int, b: int, which: Which = ALL_FRAMES) -> Iterator[ChangedFrame]:
        """Stream the frames that two models label differently, by time."""
        with self._db.reading() as conn:
            yield from comparison.changed(conn, a, b, which)

    def keep_speaking(self, now: datetime) -> str | None:
        """Promote the model that speaks if none was ever promoted, so that no newer one takes its place by itself.

        Gives its name, None where nothing had to be done.
        """
        with self._db.writing(durable=True) as conn:
            return registry.keep_speaking(conn, epoch(now))

    def labels(
        self, choice: LabelChoice = EVERY, *, newest_first: bool = False, limit: int | None = None
    ) -> Iterator[LabelRow]:
        """Stream the current labels of a choice, by time."""
        with self._db.reading() as conn:
            yield from queries.labels(conn, choice, newest_first=newest_first, limit=limit)

    def occurrence(
        self,
        by: By,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        camera: str | None = None,
    ) -> list[OccurrenceRow]:
        """Count frames by camera and hour, night or month, with every denominator, by time.

        Nights and months go by the date of the night, hours by UTC. A night lies between `since` and `until` if the
        UTC noon of its date does, an hour if its beginning does.
        """
        with self._db.reading() as conn:
            return queries.occurrence(conn, by, since=since, until=until, camera=camera)

    def derive_events(self, rules: EventRules, since: datetime | None = None, camera: str | None = None) -> int:
        """Bring the events of every night whose labels or rules have changed up to date; give the number of nights.

        With `since` only nights that end after it. May be called again, and by several processes: the events are a
        function of labels and rules.
        """
        with self._db.writing() as conn:
            number = events.rules_number(conn, rules)
        with self._db.reading() as conn:
            due = events.due_nights(conn, number, None if since is None else epoch(since), camera)
        for night in due:
            with self._db.reading() as conn:
                derived = events.look_at(conn, night, rules)
            with self._db.writing() as conn:
                events.write(conn, self._db.codes, derived, number)  # where labels changed meanwhile, it stays due
        return len(due)

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        camera: str | None = None,
        label: str | None = None,
    ) -> list[AuroraEvent]:
        """Give the events that touch a span of time, by their beginning, as `derive_events` left them."""
        with self._db.reading() as conn:
            return events.read(conn, since, until, camera, label)

    def update_expected(self, now: datetime, watched: Iterable[str] = ()) -> None:
        """Count the frames that should have come until now, for the `missing` of the occurrence views.

        Counted are the nights in which a camera gave a frame and, for cameras `watched` by a daemon, every night since
        the first such call; hours that have not passed are not counted. Cheap when little time has gone by.
        """
        expectation.update(self._db, epoch(now), watched)


def in_parts(outcomes: Iterable[FileOutcome], frames: int = 2000) -> Iterator[list[FileOutcome]]:
    """Divide outcomes for `Store.commit`: one transaction of 2000 frames holds up other writers for 50 ms."""
    part: list[FileOutcome] = []
    held = 0
    for outcome in outcomes:
        if part and held + len(outcome.records) > frames:
            yield part
            part, held = [], 0
        part.append(outcome)
        held += len(outcome.records)
    if part:
        yield part
