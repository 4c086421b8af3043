"""Watched folders as a stream of complete files, for as long as the daemon lives."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auroramon.ports import StopFlag
from auroramon.sources.arrivals import ArrivalRule, Problem, Report
from auroramon.sources.folder import FolderThread
from auroramon.sources.inotify import Listener, expect_double_watches
from auroramon.sources.outbox import Arrival, Outbox
from auroramon.sources.timing import Timing
from auroramon.sources.turns import Turns

log = logging.getLogger(__name__)

BATCH = 1_000
_MOST_PROBLEMS_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class WatchedFolder:
    """One camera's folder."""

    camera: str
    folder: Path
    rule: ArrivalRule
    poll: bool | None = None  # True: always poll; False: never; None: poll where inotify cannot be trusted


@dataclass(frozen=True, slots=True)
class WatchState:
    """How the watch of one camera's folder does, for metrics and the systemd watchdog."""

    camera: str
    folder: Path
    up: bool  # the folder is there and is being watched or polled
    mode: str  # "inotify" or "polling"
    reason: str  # why it is down, or polled although it was to be watched; "" when all is well
    overflows: int  # times the kernel, or a stalled daemon, lost events; each was followed by a listing
    listings: int  # complete listings so far
    reconciled: int  # files that a listing found after the first one, and of which no event had told
    candidates: int  # files that are there and not complete yet
    age_s: float  # seconds since the thread of this folder last gave a sign of life
    looked: bool = True  # the thread has seen whether the folder is there


class Ownership:
    """Says which camera a file belongs to: of those whose rule wants it, the one with the deepest folder."""

    def __init__(self, folders: Sequence[WatchedFolder]) -> None:
        rooted = [(root_of(watched.folder), watched) for watched in folders]
        self._cameras = sorted(
            ((root, f"{root.rstrip('/')}/", watched.rule, watched.camera) for root, watched in rooted),
            key=lambda item: -item[1].count("/"),
        )

    def camera_of(self, path: str) -> str | None:
        """Give the camera that owns a file, None where it is nobody's."""
        for _, prefix, rule, camera in self._cameras:
            if path.startswith(prefix) and rule.wants(path[len(prefix) :]):
                return camera
        return None

    def claim_in(self, root: str, path: str) -> str | None:
        """Give the camera whose folder is `root` and that owns the file, None where it is another's or nobody's."""
        for own, prefix, rule, camera in self._cameras:
            if path.startswith(prefix) and rule.wants(path[len(prefix) :]):
                return camera if own == root else None
        return None


class FolderWatch:
    """Watches the folders of all cameras and yields their files as they become complete.

    Listen first, then list: a file may come twice, and never not at all. Offering a file twice must cost nothing.
    Each folder has a thread of its own, so that a network mount that hangs holds up no other camera. A folder that
    is missing is waited for, also at the start: a mount that comes late must not keep the daemon from running.
    """

    def __init__(
        self,
        folders: Sequence[WatchedFolder],
        timing: Timing | None = None,
        *,
        report: Report | None = None,
        listen: Callable[[str], Listener] = Listener,
    ) -> None:
        self._timing = timing or Timing()
        self._report = _Once(report or _log_problem)
        self._listen = listen
        self._outbox = Outbox()
        self._turns = Turns()
        self._folders = tuple(folders)
        self._ownership = Ownership(folders)
        self._threads: dict[str, FolderThread] = {}
        self._changing = threading.Lock()
        self._running = False

    def arrivals(self, stop: StopFlag, wait: Callable[[], float] | None = None) -> Iterator[Sequence[Arrival]]:
        """Yield files as they become complete, in batches of up to 1000; an empty batch every `tick_s` at the latest.

        `wait` is asked each time for another number of seconds: 0 while the caller has other work to do.

        Live arrivals come before listed ones. When the generator is closed every thread is gone.
        """
        expect_double_watches()
        with self._changing:
            self._running = True
            self._match_threads()
        try:
            while not stop.is_set():
                yield self._outbox.take(self._timing.tick_s if wait is None else wait(), BATCH)
                self._revive()
        finally:
            with self._changing:
                self._running = False
                self._match_threads()

    def replace(self, folders: Sequence[WatchedFolder]) -> None:
        """Watch these folders from now on; what goes on being watched loses no file."""
        with self._changing:
            self._folders = tuple(folders)
            self._ownership = Ownership(folders)
            kept = self._match_threads()
        for thread in kept:  # a rule may have changed, or a file may have another owner now
            thread.ask_listing()

    def relist(self) -> None:
        """Offer every file again, known or not."""
        for thread in list(self._threads.values()):
            thread.ask_listing()

    def state(self) -> tuple[WatchState, ...]:
        """Give one line for each camera, from any thread, without waiting."""
        threads = dict(self._threads)
        return tuple(
            _state(watched, threads.get(root_of(watched.folder)), self._timing.patience_s) for watched in self._folders
        )

    def _match_threads(self) -> list[FolderThread]:
        """Start and end threads until there is one for each folder; give those that stayed."""
        wanted = {root_of(watched.folder): watched for watched in self._folders} if self._running else {}
        leaving = [
            self._threads.pop(root)
            for root, thread in list(self._threads.items())
            if root not in wanted or thread.poll != wanted[root].poll
        ]
        for thread in leaving:
            thread.leave()
        for thread in leaving:
            thread.join(self._timing.leave_s)
            if thread.is_alive():
                log.error("%s does not answer; its thread is left behind", thread.root)
        staying = list(self._threads.values())
        for root, watched in wanted.items():
            if root not in self._threads:
                self._threads[root] = self._started(root, watched.poll)
        return staying

    def _started(self, root: str, poll: bool | None) -> FolderThread:
        thread = FolderThread(
            root,
            poll,
            self._timing,
            claim=lambda path: self._ownership.claim_in(root, path),
            outbox=self._outbox,
            report=self._report,
            listen=self._listen,
            turns=self._turns,
        )
        thread.start()
        return thread

    def _revive(self) -> None:
        """Put a new thread in the place of one that died of an error of ours."""
        for root, thread in list(self._threads.items()):
            if not thread.is_alive() and thread.age() > self._timing.revive_s:
                log.error("the watch of %s died; starting it again", root)
                with self._changing:
                    del self._threads[root]
                    self._match_threads()


def root_of(folder: Path) -> str:
    """Give the folder as an absolute string; links are kept, for files are stored under the name they are given by."""
    return os.path.abspath(folder)  # noqa: PTH100 - resolve() would follow the links


def _state(watched: WatchedFolder, thread: FolderThread | None, patience_s: float) -> WatchState:
    if thread is None:
        return WatchState(watched.camera, watched.folder, False, "inotify", "not started", 0, 0, 0, 0, 0.0, False)
    seen = thread.seen
    age = thread.age()
    if not thread.is_alive():
        seen = replace(seen, up=False, reason=f"the watch of {watched.folder} died; it starts again in a moment")
    state = WatchState(
        watched.camera,
        watched.folder,
        seen.up,
        seen.mode,
        seen.reason,
        seen.overflows,
        seen.listings,
        seen.reconciled,
        seen.candidates,
        age,
        seen.looked,
    )
    if age > patience_s:
        return replace(state, up=False, reason=f"{watched.folder} has not answered for {age:.0f} s")
    return state


class _Once:
    """Passes each problem on once: a listing every few minutes would repeat it for ever."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, problem: Problem) -> None:
        with self._lock:
            if problem.sentence in self._known:
                return
            if len(self._known) >= _MOST_PROBLEMS_REMEMBERED:
                self._known.clear()
            self._known.add(problem.sentence)
        self._report(problem)


def _log_problem(problem: Problem) -> None:
    log.warning("%s", problem.sentence)
