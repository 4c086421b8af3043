"""What the kernel tells of a folder. The only module that knows watchdog."""

from __future__ import annotations

import errno
import os
import queue
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
)
from watchdog.observers.api import EventQueue, ObservedWatch
from watchdog.observers.inotify import InotifyFullEmitter
from watchdog.observers.inotify_c import CallbackId, InotifyEvent, InotifyFD, Mask, WatchCallback, WatchDescriptor

What = Literal["created", "modified", "closed", "moved", "deleted", "folder"]

_WHAT: dict[type[FileSystemEvent], What] = {
    FileCreatedEvent: "created",
    FileModifiedEvent: "modified",
    FileClosedEvent: "closed",
    FileMovedEvent: "moved",
    FileDeletedEvent: "deleted",
    DirCreatedEvent: "folder",
    DirMovedEvent: "folder",
}
_MOST_EVENTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that the kernel told."""

    what: What
    path: str  # where it is now: the target of a rename
    source: str = ""  # what it was called before; "" where that lies outside the folder


def expect_double_watches() -> None:
    """Keep watchdog from warning where it finds a new folder twice: by its parent's event, and by its own.

    Where warnings are errors that would end its thread. Nothing is wrong: the second watch replaces the first.
    """
    warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)


class Listener:
    """Hears what happens below one folder, from its making to `close`.

    It has an inotify instance of its own, so a flood in one camera's folder costs the others nothing. The events are
    taken from the emitter's queue: there is no dispatch thread and no callback that could die.

    Raises:
        OSError: the folder cannot be watched (ENOSPC and EMFILE: a limit of the kernel).
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder.rstrip("/")
        self._real = os.path.realpath(folder)  # watchdog watches a link itself, not what it points to
        self._events = EventQueue()
        self._descriptor = _TellingDescriptor()
        self._descriptor.start()
        watch = ObservedWatch(self._real, recursive=True)
        # Of a file renamed in from outside the "full" emitter says that it was moved, the plain one only "created".
        self._emitter = InotifyFullEmitter(self._events, watch, event_filter=list(_WHAT), inotify_fd=self._descriptor)
        try:
            self._emitter.start()
        except OSError:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether every thread that events pass through is still there."""
        return self._emitter.is_alive() and self._descriptor.is_alive()

    @property
    def overflows(self) -> int:
        """How often the kernel threw events away because nobody fetched them in time."""
        return self._descriptor.overflows

    @property
    def refused(self) -> OSError | None:
        """Why a folder below could not be watched, if that happened; watchdog itself does not tell."""
        return self._descriptor.refused

    def take(self, timeout: float) -> Iterator[Heard]:
        """Give what was heard, waiting up to `timeout` seconds for the first."""
        try:
            entry = self._events.get(timeout=timeout) if timeout > 0 else self._events.get_nowait()
            for _ in range(_MOST_EVENTS_AT_ONCE):
                heard = self._heard(entry[0]) if entry is not None else None
                if heard is not None:
                    yield heard
                entry = self._events.get_nowait()
        except queue.Empty:
            return

    def wake(self) -> None:
        """End a waiting `take` at once."""
        self._events.put(None)

    def close(self) -> None:
        """Stop listening; the threads are gone afterwards."""
        self._emitter.stop()
        self._descriptor.stop()
        for thread in (self._emitter, self._descriptor):
            if thread.ident is not None:
                thread.join()

    def _heard(self, event: FileSystemEvent) -> Heard | None:
        what = _WHAT.get(type(event))
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        if what == "moved" and not target:  # out of the folder
            return Heard("deleted", self._named(source))
        if target:
            return None if what is None else Heard(what, self._named(target), self._named(source))
        return None if what is None else Heard(what, self._named(source))

    def _named(self, path: str) -> str:
        """Give the path below the folder as it was configured, links in its own path included."""
        return self._folder + path[len(self._real.rstrip("/")) :] if path else ""


class _TellingDescriptor(InotifyFD):
    """Watchdog's reader of one inotify instance, which also tells what watchdog only logs or swallows."""

    def __init__(self) -> None:
        super().__init__()
        self.overflows = 0
        self.refused: OSError | None = None

    def handle_event(self, event: InotifyEvent) -> None:
        super().handle_event(event)
        if event.is_queue_overflow:
            self.overflows += 1  # after watchdog made its watches anew: a listing that follows misses nothing

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        try:
            descriptor = super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                self.refused = error
            raise
        if descriptor == -1:  # watchdog passes over a folder that may not be read; the listing reports it
            self.remove_callbacks([(descriptor, id_)])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fsdecode(path))
        return descriptor
