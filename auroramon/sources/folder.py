"""One watched folder: a thread that listens, lists, and waits for files to stand still."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from auroramon.sources.arrivals import Report, printable
from auroramon.sources.candidates import Candidates
from auroramon.sources.inotify import Heard, Listener
from auroramon.sources.listing import Lister
from auroramon.sources.offered import Offered
from auroramon.sources.outbox import Arrival, How, Outbox
from auroramon.sources.presence import Mode, Presence
from auroramon.sources.timing import Timing
from auroramon.sources.turns import Turns
from auroramon.sources.walk import Claim, offerable
from auroramon.types import FileStat

log = logging.getLogger(__name__)

_NEW_FOLDER_S = 10.0  # for so long a folder counts as new
_CONSUMER_PAUSE_S = 0.05  # how long a listing waits when the daemon is behind
_TURN_PAUSE_S = 0.05  # the same where another folder is listed at the moment


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
    looked: bool = False


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
        turns: Turns,
    ) -> None:
        super().__init__(name=f"watch {printable(root)}", daemon=True)
        self.root = root
        self.poll = poll
        self.seen = Seen()
        self._timing = timing
        self._claim = claim
        self._outbox = outbox
        self._report = report
        self._turns = turns
        self._waits_for_turn = False
        self._presence = Presence(root, poll, listen)
        self._candidates = Candidates(timing.settle_s, timing.held_s, timing.empty_s)
        self._offered = Offered()
        self._new_folders: dict[str, float] = {}  # path -> when it was heard of
        self._leaving = threading.Event()
        self._lister = Lister(
            root,
            timing,
            claim=claim,
            outbox=outbox,
            report=report,
            candidates=self._candidates,
            offered=self._offered,
            stop=self._leaving,
        )
        self._asked = threading.Event()
        self._losing = False  # the outbox is full and files were turned away
        self._losses = 0
        self._beat = time.monotonic()
        self._next_check = 0.0
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
                self._list()
                self._tell()
        finally:
            self._presence.close()

    def _list(self) -> None:
        """List for a moment, where there is something to list and nobody else does."""
        if not self._lister.busy:
            return
        self._waits_for_turn = not self._turns.take(self.root)
        if self._waits_for_turn:
            return
        try:
            self._lister.work(polled=self._presence.mode == "polling")
        finally:
            self._turns.give(self.root, ended=not self._lister.busy)

    # What is heard

    def _hear(self) -> Iterator[Heard]:
        listener = self._presence.listener
        if listener is None:
            self._leaving.wait(self._pause())
            return iter(())
        return listener.take(self._pause())

    def _pause(self) -> float:
        """Give the seconds until something is to be done that no event announces."""
        if self._lister.busy:
            if not self._outbox.room_for_listed():
                return _CONSUMER_PAUSE_S
            return _TURN_PAUSE_S if self._waits_for_turn else 0.0
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
                self._lister.want_folder(heard.path)
                self._mind_escapes(heard, now)

    def _mind_escapes(self, heard: Heard, now: float) -> None:
        """Listen anew after the rename of a folder that is new itself.

        Watchdog may have been entering its subfolders under the old name at that moment; it then hears nothing of what
        happens in them.
        """
        while self._new_folders and now - next(iter(self._new_folders.values())) > _NEW_FOLDER_S:
            del self._new_folders[next(iter(self._new_folders))]
        if heard.source:
            below = heard.source + "/"
            if any(path == heard.source or path.startswith(below) for path in self._new_folders):
                self._presence.doubt()
        self._new_folders.pop(heard.path, None)  # the dictionary is in the order of its times
        self._new_folders[heard.path] = now

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
        for file in self._candidates.empties(time.monotonic(), self._see):
            self._outbox.put(Arrival(file, "empty"))  # where there is no room for it, it is told of when it settles
        for file in self._candidates.settle(time.monotonic(), self._see):
            self._offer(file, "settled")

    def _offer(self, file: FileStat, how: How) -> None:
        if self._outbox.put(Arrival(file, how)):
            self._offered.add(file)
        elif not self._losing:
            self._losing = True
            self._losses += 1
            log.warning("%s: the daemon is too far behind; will list the folder", printable(self.root))

    # Looking after

    def _look_after(self) -> None:
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + self._timing.check_s
        if self._presence.check():
            self._candidates.settle_s = self._timing.settle_s + self._presence.stale_s
            self._lister.want_all(everything=self._lister.completed == 0)
            for path in self._candidates.release(now):  # whose closes may have been lost
                self._await(path, now)
        if not self._presence.up:
            self._lister.drop_all()
            return
        if self._asked.is_set():
            self._asked.clear()
            self._lister.want_all(everything=True)
        if self._losing and self._outbox.room():
            self._losing = False
            self._lister.want_all()
        if now >= self._next_retry:
            self._next_retry = now + self._timing.reconcile_s
            if self._presence.retry_limit():
                self._lister.want_all()
        if self._lister.due(now):
            self._lister.want_next(polled=self._presence.mode == "polling")

    def _tell(self) -> None:
        presence = self._presence
        self._beat = time.monotonic()
        self.seen = Seen(
            presence.up,
            presence.mode,
            presence.reason,
            presence.overflows + self._losses,
            self._lister.completed,
            self._lister.reconciled,
            len(self._candidates),
            looked=True,
        )

    def _wake(self) -> None:
        listener = self._presence.listener
        if listener is not None:
            listener.wake()
