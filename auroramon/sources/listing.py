"""Lists a watched folder a little at a time, and offers what no event told of."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from auroramon.sources.arrivals import Report
from auroramon.sources.candidates import Candidates
from auroramon.sources.offered import Offered, digest_of
from auroramon.sources.outbox import Arrival, Outbox
from auroramon.sources.timing import Timing
from auroramon.sources.unchanged import Unchanged
from auroramon.sources.walk import Claim, scan
from auroramon.types import FileStat, ListedFolder

_SLICE_S = 0.005  # a listing works for so long before events are looked at again
_LISTED_AT_ONCE = 1_000
_FULL_EVERY = 12
"""After so many listings that pass over folders without a new name, one looks at every file."""


@dataclass(slots=True)
class _Listing:
    """A listing that is due or under way."""

    folder: str
    files: Iterator[FileStat | None]
    complete: bool  # of the whole root, not only of a new folder in it
    quick: bool  # passes over folders that stand still
    everything: bool  # offer also what was offered before
    folders: Unchanged = field(default_factory=lambda: Unchanged({}))
    started: bool = False
    began: float = 0.0
    found: array[int] = field(default_factory=lambda: array("q"))  # digests of all files, where it looks at all


class Lister:
    """Keeps the listings of one root that are due. Belongs to one thread."""

    def __init__(
        self,
        root: str,
        timing: Timing,
        *,
        claim: Claim,
        outbox: Outbox,
        report: Report,
        candidates: Candidates,
        offered: Offered,
        stop: threading.Event,
    ) -> None:
        self.completed = 0  # listings of the whole root
        self.reconciled = 0  # files that a later complete listing found and of which no event had told
        self._root = root
        self._timing = timing
        self._claim = claim
        self._outbox = outbox
        self._report = report
        self._candidates = candidates
        self._offered = offered
        self._stop = stop
        self._listings: list[_Listing] = []  # the last is worked on
        self._new_folders: set[str] = set()  # those of which a listing has not started
        self._next = 0.0
        self._still: dict[str, ListedFolder] = {}  # folders as the last complete listing found them
        self._since_full = 0  # complete listings since the one that looked at every file

    @property
    def busy(self) -> bool:
        """Whether there is something to list."""
        return bool(self._listings)

    def due(self, now: float) -> bool:
        """Say whether it is time for the next complete listing."""
        return now >= self._next

    def want_all(self, *, everything: bool = False) -> None:
        """List the whole root after what is under way; files may have come behind the back of that."""
        for listing in self._listings:
            if listing.complete and not listing.started:
                if listing.quick:
                    self._listings.remove(listing)
                    break
                listing.everything |= everything
                return
        self._want(quick=False, everything=everything)

    def want_next(self, *, polled: bool) -> None:
        """List the whole root because it is time to. Where events are heard, only where names came or went.

        A file that is rewritten where it lies leaves its folder's time as it was. Such a change is heard; the full
        listing every hour is for a network mount below, or a kernel that lost it without a word.
        """
        self._want(quick=not polled and self.completed > 0 and self._since_full < _FULL_EVERY, everything=False)

    def want_folder(self, folder: str) -> None:
        """List a new folder before all else, unless that or one above it is about to be listed."""
        above = folder
        while len(above) > len(self._root):
            if above in self._new_folders:
                return
            above = above.rpartition("/")[0]
        self._new_folders.add(folder)
        files = scan(folder, self._claim, stop=self._stop, report=self._report)
        self._listings.append(_Listing(folder, files, complete=False, quick=False, everything=False))

    def drop_all(self) -> None:
        """Give up: the root is gone."""
        self._listings.clear()
        self._new_folders.clear()

    def work(self, *, polled: bool) -> None:
        """List for a moment; a full outbox makes a listing wait, events never do."""
        end = time.monotonic() + _SLICE_S
        while self._listings and self._outbox.room_for_listed() and time.monotonic() < end:
            listing = self._listings[-1]
            if not listing.started:
                listing.started, listing.began = True, time.monotonic()
                self._new_folders.discard(listing.folder)
            if self._list_some(listing, end, polled):
                self._listings.remove(listing)
                if listing.complete:
                    self._finish(listing, polled)

    def _want(self, *, quick: bool, everything: bool) -> None:
        folders = Unchanged(self._still if quick else {})
        files = scan(self._root, self._claim, stop=self._stop, report=self._report, memory=folders)
        listing = _Listing(self._root, files, complete=True, quick=quick, everything=everything, folders=folders)
        self._listings.insert(0, listing)
        self._next = float("inf")

    def _list_some(self, listing: _Listing, end: float, polled: bool) -> bool:
        """Offer some more files, and say whether these were the last."""
        arrivals: list[Arrival] = []
        ended = True
        for number, file in enumerate(listing.files, 1):
            if file is not None and self._judge(file, listing, polled):
                arrivals.append(Arrival(file, "listed"))
            if len(arrivals) >= _LISTED_AT_ONCE or (number % 32 == 0 and time.monotonic() > end):
                ended = False
                break
        if arrivals:
            self._outbox.put_listed(arrivals)
        return ended

    def _judge(self, file: FileStat, listing: _Listing, polled: bool) -> bool:
        """Say whether a listed file is offered now; one that may still grow becomes a candidate instead."""
        if file.path in self._candidates:
            return False
        known = file in self._offered
        if not known and not self._quiet(file, polled):
            self._candidates.wait(file, time.monotonic())
            return False
        if listing.complete and not listing.quick:
            listing.found.append(digest_of(file))
        elif not known:
            self._offered.add(file)
        if known:
            return listing.everything
        if listing.complete:
            self.reconciled += self.completed > 0
        return True

    def _quiet(self, file: FileStat, polled: bool) -> bool:
        """Say whether a file that was not offered yet has been still for long enough, by its mtime.

        A network store has a clock of its own. So where a folder is polled this is believed in the first listing only,
        for which waiting would mean to keep a whole archive in mind, and only beyond a wide margin.
        """
        if polled and self.completed:
            return False
        age_s = (time.time_ns() - file.mtime_ns) / 1e9
        return age_s >= (self._timing.skew_s if polled else self._timing.settle_s)

    def _finish(self, listing: _Listing, polled: bool) -> None:
        self.completed += 1
        self._still = listing.folders.found
        if listing.quick:
            self._since_full += 1
        else:
            self._since_full = 0
            self._offered.keep(listing.found)
        now = time.monotonic()
        if polled:  # never more than half of the time, however slow the store
            self._next = now + max(self._timing.poll_s, now - listing.began)
        else:
            self._next = now + self._timing.reconcile_s
