"""One watched folder: a thread that listens, lists, and waits for files to stand still."""

from __future__ import annotations

import logging
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from auroramon.sources.arrivals import Report, printable
from auroramon.sources.candidates import Candidates
from auroramon.sources.inotify import Heard, Listener
from auroramon.sources.offered import Offered, digest_of
from auroramon.sources.outbox import Arrival, How, Outbox
from auroramon.sources.presence import Mode, Presence
from auroramon.sources.timing import Timing
from auroramon.sources.walk import Claim, offerable, scan
from auroramon.types import FileStat

log = logging.getLogger(__name__)

_SLICE_S = 0.005  # a listing works for so long before events are looked at again
_LISTED_AT_ONCE = 1_000
_CONSUMER_PAUSE_S = 0.05  # how long a listing waits when the daemon is behind


@dataclass(frozen=True, slots=True)
class Seen:
    """What a folder's thread says of itself."""

    up: bool = False
    mode: Mode = "inotify"
    reason: str = "not looked at yet"
    overflows: int = 0
    listings: int = 0
    reconciled: int = 0
    candidates: int = 0


@dataclass(slots=True)
class _Listing:
    """A listing that is due or under way."""

    folder: str
    files: Iterator[FileStat | None]
    complete: bool  # of the whole root, not only of a new folder in it
    everything: bool  # offer also what was offered before
    started: bool = False
    began: float = 0.0
    found: array[int] = field(default_factory=lambda: array("q"))  # digests of the files that need no offer any more


class FolderThread(threading.Thread):
    """Watches one root folder until it is told to leave. Other threads may read `seen` and call the public methods."""

    def __init__(
        self,
        root: str,
        poll: bool | None,
        timing: Timing,
        *,
        claim: Claim,
        outbox: Outbox,
        report: Report,
        listen: Callable[[str], Listener],
    ) -> None:
        super().__init__(name=f"watch {printable(root)}", daemon=True)
        self.root = root
        self.poll = poll
        self.seen = Seen()
        self._timing = timing
        self._claim = claim
        self._outbox = outbox
        self._report = report
        self._presence = Presence(root, poll, listen)
        self._candidates = Candidates(timing.settle_s, timing.held_s)
        self._offered = Offered()
        self._listings: list[_Listing] = []  # the last is worked on
        self._leaving = threading.Event()
        self._asked = threading.Event()
        self._losing = False  # the outbox is full and files were turned away
        self._losses = 0
        self._completed = 0
        self._reconciled = 0
        self._beat = time.monotonic()
        self._next_check = 0.0
        self._next_listing = 0.0
        self._next_retry = self._beat + timing.reconcile_s

    def leave(self) -> None:
        """Tell the thread to end."""
        self._leaving.set()
        self._wake()

    def ask_listing(self) -> None:
        """Have everything offered once more."""
        self._asked.set()
        self._next_check = 0.0
        self._wake()

    def age(self) -> float:
        """Give the seconds since the last sign of life."""
        return time.monotonic() - self._beat

    def run(self) -> None:
        try:
            while not self._leaving.is_set():
                self._look_after()
                for heard in self._hear():
                    self._follow(heard)
                self._settle()
                self._list_on()
                self._tell()
        finally:
            self._presence.close()

    # What is heard

    def _hear(self) -> Iterator[Heard]:
        listener = self._presence.listener
        if listener is None:
            self._leaving.wait(self._pause())
            return iter(())
        return listener.take(self._pause())

    def _pause(self) -> float:
        """Give the seconds until something is to be done that no event announces."""
        if self._listings:
            return 0.0 if self._outbox.room_for_listed() else _CONSUMER_PAUSE_S
        due = min(self._next_check, self._candidates.next_due())
        return max(0.0, due - time.monotonic())

    def _follow(self, heard: Heard) -> None:
        now = time.monotonic()
        match heard.what:
            case "created":
                self._await(heard.path, now)
            case "modified":
                self._candidates.hold(heard.path, now)
            case "closed":
                self._candidates.forget(heard.path)
                self._complete(heard.path, "closed", now)
            case "moved":
                if self._candidates.rename(heard.source, heard.path, now):
                    self._await(heard.path, now)
                else:
                    self._complete(heard.path, "moved", now)
            case "deleted":
                self._candidates.forget(heard.path)
            case "folder":
                self._want_folder(heard.path)

    def _see(self, path: str) -> FileStat | None:
        """Give the file as it lies there now, if it is one of this folder's cameras'."""
        camera = self._claim(path)
        return None if camera is None else offerable(path, camera, self._report)

    def _await(self, path: str, now: float) -> None:
        file = self._see(path)
        if file is not None:
            self._candidates.wait(file, now)

    def _complete(self, path: str, how: How, now: float) -> None:
        file = self._see(path)
        if file is None:
            return
        if file.size == 0:  # some writers make the file first and fill it later
            self._candidates.wait(file, now)
        else:
            self._offer(file, how)

    def _settle(self) -> None:
        for file in self._candidates.settle(time.monotonic(), self._see):
            self._offer(file, "settled")

    def _offer(self, file: FileStat, how: How) -> None:
        if self._outbox.put(Arrival(file, how)):
            self._offered.add(file)
        elif not self._losing:
            self._losing = True
            self._losses += 1
            log.warning("%s: the daemon is too far behind; will list the folder", printable(self.root))

    # What is listed

    def _want_listing(self, *, everything: bool = False) -> None:
        """List the whole root after what is under way; files may have come behind the back of that."""
        for listing in self._listings:
            if listing.complete and not listing.started:
                listing.everything |= everything
                return
        self._listings.insert(0, self._listing(self.root, complete=True, everything=everything))
        self._next_listing = float("inf")

    def _want_folder(self, folder: str) -> None:
        """List a new folder before all else, unless one above it is about to be listed."""
        if not any(not other.started and folder.startswith(other.folder + "/") for other in self._listings):
            self._listings.append(self._listing(folder, complete=False, everything=False))

    def _listing(self, folder: str, *, complete: bool, everything: bool) -> _Listing:
        files = scan(folder, self._claim, stop=self._leaving, report=self._report)
        return _Listing(folder, files, complete, everything)

    def _list_on(self) -> None:
        """Work on the listings for a moment; a full outbox makes them wait, events never do."""
        end = time.monotonic() + _SLICE_S
        while self._listings and self._outbox.room_for_listed() and time.monotonic() < end:
            listing = self._listings[-1]
            if not listing.started:
                listing.started, listing.began = True, time.monotonic()
            self._list_some(listing, end)

    def _list_some(self, listing: _Listing, end: float) -> None:
        arrivals: list[Arrival] = []
        ended = True
        for number, file in enumerate(listing.files, 1):
            if file is not None and self._judge(file, listing):
                arrivals.append(Arrival(file, "listed"))
            if len(arrivals) >= _LISTED_AT_ONCE or (number % 32 == 0 and time.monotonic() > end):
                ended = False
                break
        if arrivals:
            self._outbox.put_listed(arrivals)
        if ended:
            self._listings.remove(listing)
            self._finish(listing)

    def _judge(self, file: FileStat, listing: _Listing) -> bool:
        """Say whether a listed file is offered now; one that may still grow becomes a candidate instead."""
        if file.path in self._candidates:
            return False
        known = file in self._offered
        if not known and not self._quiet(file):
            self._candidates.wait(file, time.monotonic())
            return False
        listing.found.append(digest_of(file))
        if known:
            return listing.everything
        if listing.complete:
            self._reconciled += self._completed > 0
        else:
            self._offered.add(file)
        return True

    def _quiet(self, file: FileStat) -> bool:
        """Say whether a file that was not offered yet has been still for long enough, by its mtime.

        A network store has a clock of its own. So where a folder is polled this is believed in the first listing only,
        for which waiting would mean to keep a whole archive in mind, and only beyond a wide margin.
        """
        polled = self._presence.mode == "polling"
        if polled and self._completed:
            return False
        age_s = (time.time_ns() - file.mtime_ns) / 1e9
        return age_s >= (self._timing.skew_s if polled else self._timing.settle_s)

    def _finish(self, listing: _Listing) -> None:
        if not listing.complete:
            return
        self._completed += 1
        self._offered.keep(listing.found)
        now = time.monotonic()
        if self._presence.mode == "polling":
            self._next_listing = now + max(self._timing.poll_s, now - listing.began)
        else:
            self._next_listing = now + self._timing.reconcile_s

    # Looking after

    def _look_after(self) -> None:
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + self._timing.check_s
        if self._presence.check():
            self._candidates.settle_s = self._timing.settle_s + self._presence.stale_s
            self._want_listing(everything=self._completed == 0)
            for path in self._candidates.release(now):  # whose closes may have been lost
                self._await(path, now)
        if not self._presence.up:
            self._listings.clear()
            return
        if self._asked.is_set():
            self._asked.clear()
            self._want_listing(everything=True)
        if self._losing and self._outbox.room():
            self._losing = False
            self._want_listing()
        if now >= self._next_retry:
            self._next_retry = now + self._timing.reconcile_s
            if self._presence.retry_limit():
                self._want_listing()
        if now >= self._next_listing:
            self._want_listing()

    def _tell(self) -> None:
        presence = self._presence
        self._beat = time.monotonic()
        self.seen = Seen(
            presence.up,
            presence.mode,
            presence.reason,
            presence.overflows + self._losses,
            self._completed,
            self._reconciled,
            len(self._candidates),
        )

    def _wake(self) -> None:
        listener = self._presence.listener
        if listener is not None:
            listener.wake()
