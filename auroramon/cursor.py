"""Where the listing of an archive stands: a call that was cut off does not read again what it had behind it.

A folder is noted when each of its files is in the ledger, and forgotten when the call has come to its end. So only an
interrupted call finds notes; one that ended begins anew, and finds whatever was added or rewritten meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from auroramon import __version__
from auroramon.archive import Archive
from auroramon.errors import StoreBusyError
from auroramon.places import is_remote
from auroramon.ports import StopFlag
from auroramon.sources.walk import Recalled, stands_still
from auroramon.store.store import Store
from auroramon.types import DoneFile, FileStat, ListedFolder

log = logging.getLogger(__name__)

STILL_NS = 600 * 10**9
"""A folder changed less than this before it was listed is read again: the clock of a network store may be wrong, its
answer as old as its cache, and two changes within one tick of a disk's clock look like one."""

LONGEST = timedelta(days=30)
"""A note older than this is not believed any more."""

BUSY_S = 1.0


def listing_of(archive: Archive) -> str:
    """Give the name of a call's listing: equal for calls that list the same places by the same rules."""
    places = [path if is_remote(path) else os.path.abspath(path) for path in archive.paths]  # noqa: PTH100
    span = [time and time.isoformat() for time in (archive.period.since, archive.period.until)]
    cameras = [camera.model_dump(mode="json") for camera in archive.cameras.configured]
    return hashlib.sha256(json.dumps([__version__, places, span, cameras], sort_keys=True).encode()).hexdigest()


@dataclass(slots=True)
class Cursor:
    """The folders that one call's listing has behind it. Notes what it is told; asked by the listing thread."""

    store: Store
    listing: str
    model: int  # whose labels are wanted
    behind: int = 0  # folders that an earlier call noted
    still_ns: int = STILL_NS

    @classmethod
    def begin(cls, store: Store, archive: Archive, model: int, now: datetime) -> Cursor:
        """Give the cursor of a call, and say where it begins."""
        store.forget_listings_before(now - LONGEST)
        listing = listing_of(archive)
        if behind := store.number_listed(listing):
            log.info(
                "goes on with a listing that was cut off: %d folders are taken from the database unless their names "
                "changed; a file rewritten in them since is found when the command is called again after its end",
                behind,
            )
        return cls(store, listing, model, behind)

    def recall(self, folder: str, stop: StopFlag) -> Recalled | None:
        """Give what a folder held when it was listed; None where it must be read (again)."""
        if not self.behind:
            return None
        try:
            noted = self.store.listed(self.listing, folder)
        except StoreBusyError:
            return None
        if noted is None or not stands_still(noted, self.still_ns):
            return None
        return Recalled(self._files(folder, stop), noted.below)

    def note(self, folders: Sequence[ListedFolder]) -> None:
        """Remember folders of which every file is in the ledger."""
        try:
            if folders:
                self.store.note_listed(self.listing, folders)
        except StoreBusyError as error:
            log.warning("%d folders will be listed again if this call is cut off: %s", len(folders), error)

    def end(self) -> None:
        """Forget the listing: the call has come to its end."""
        self.store.forget_listing(self.listing)

    def _files(self, folder: str, stop: StopFlag) -> Iterator[FileStat | str]:
        """Give the files that the ledger has of a folder; those that are not done may have been mended: by name."""
        after = ""
        while not stop.is_set():
            try:
                found = self.store.known_files(folder, self.model, after)
            except StoreBusyError as error:
                log.warning("waiting for the database: %s", error)
                time.sleep(BUSY_S)
                continue
            if not found:
                return
            yield from (file if isinstance(file, DoneFile) else file.path for file in found)
            after = found[-1].path.rpartition("/")[2]
