"""Where the listing of an archive stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from auroramon.store import listings
from auroramon.store.encoding import epoch
from auroramon.store.methods.opened import Opened
from auroramon.types import FileStat, ListedFolder

AT_ONCE = 2_000  # files of a folder in one transaction: a reader that stays for hours lets SQLite's journal grow


class Listings(Opened):
    """The folders that a listing has behind it; a listing is called by a digest of the call that began it."""

    def note_listed(self, listing: str, folders: Sequence[ListedFolder]) -> None:
        """Remember folders of which every file is in the ledger."""
        with self._db.writing() as conn:
            listings.note(conn, listing, folders)

    def listed(self, listing: str, path: str) -> ListedFolder | None:
        """Give what is remembered of a folder, None where it was not listed whole."""
        with self._db.reading() as conn:
            return listings.listed(conn, listing, path)

    def number_listed(self, listing: str) -> int:
        """Give the number of folders that are remembered of a listing."""
        with self._db.reading() as conn:
            return listings.number_listed(conn, listing)

    def forget_listing(self, listing: str) -> None:
        """Forget a listing: the next one of the same call begins anew."""
        with self._db.writing() as conn:
            listings.forget(conn, listing)

    def forget_listings_before(self, time: datetime) -> None:
        """Forget every folder that was listed before a time."""
        with self._db.writing() as conn:
            listings.forget_older(conn, round(epoch(time) * 1e9))

    def known_files(self, folder: str, model: int, after: str = "") -> list[FileStat]:
        """Give the next files of one folder that the ledger knows behind a name, in the order of their names.

        A DoneFile is one that needs no work for this model; all others are open, in quarantine, or lack a label of it.
        """
        with self._db.reading() as conn:
            return listings.known_files(conn, f"{folder.rstrip('/')}/", model, after, AT_ONCE)
