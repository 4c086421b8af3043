"""The ledger of files: offered, claimed, committed, accounted for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from auroramon.store import accounts, awaited, commit, ledger, months
from auroramon.store.encoding import epoch
from auroramon.store.methods.opened import Opened
from auroramon.store.results import (
    CameraStatus,
    Claimed,
    Committed,
    FileAccount,
    Offered,
    QuarantinedFile,
    Source,
)
from auroramon.types import FileOutcome, FileStat


class Files(Opened):
    """The ledger."""

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

    def make_due(self) -> None:
        """Have every pending file tried again now: whoever starts the daemon anew has mended something."""
        with self._db.writing() as conn:
            ledger.make_due(conn)

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

        `not_ready` files become pending again, due after `retry_after`, or a tenth of their age. `crashed` ones become
        pending suspects, and quarantined at the third crash. An outcome of a file that has changed since it was claimed
        is dropped (its word becomes `not_ready`) and the file stays pending. A file all of whose frames came from
        another file is `skipped` with the reason "duplicate of PATH"; where only some are, the reason counts them.

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
        """Count the files by state; as quick for a hundred million as for one."""
        with self._db.reading() as conn:
            return accounts.account(conn)

    def pending_of(self, numbers: Collection[int]) -> int:
        """Count those of these files, by their numbers, that are pending."""
        with self._db.reading() as conn:
            return ledger.pending_of(conn, numbers)

    def shortage_of_months(self, now: datetime) -> str:
        """Say what is wrong with the months of a database that is divided by them; "" where nothing is."""
        with self._db.reading() as conn:
            return months.shortage(conn, now) if months.is_divided(conn) else ""

    def backlog(self) -> dict[str, int]:
        """Count pending files by camera; under an empty name those whose header must say. Quick at any size."""
        with self._db.reading() as conn:
            return accounts.backlog(conn)

    def camera_status(self) -> list[CameraStatus]:
        """Give each camera's newest frame and open work, by name. Quick at any size."""
        with self._db.reading() as conn:
            return accounts.camera_status(conn)
