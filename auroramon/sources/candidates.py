"""Files that are there and may still be growing: they wait until they stand still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from auroramon.types import FileStat


@dataclass(slots=True)
class _Waiting:
    file: FileStat  # as it lay there at `since`
    since: float  # seconds of the caller's clock


class Candidates:
    """Decides by size, mtime and what was heard of a file whether it is complete. Knows no disk and no clock.

    A file that only appeared (link, rename of a folder, first file of a new folder, network mount) is complete when
    its size and mtime stood still for `settle_s`. A file that somebody was heard writing to is *held*: it waits for
    the close, however long the writer pauses between two exposures. Should the close never be heard (events were
    lost), `held_s` without a sound frees it, and then it has to stand still like any other.

    A file that is still empty after `empty_s` is told of meanwhile, once, so that it is known before it is complete.
    """

    def __init__(self, settle_s: float, held_s: float, empty_s: float) -> None:
        self.settle_s = settle_s
        self._held_s = held_s
        self._empty_s = empty_s
        self._empty: dict[str, float] = {}  # path -> since when it was empty, in that order; those not told of yet
        self._waiting: dict[str, _Waiting] = {}  # in the order of `since`
        self._held: dict[str, float] = {}  # path -> when the last write was heard, in that order

    def __len__(self) -> int:
        return len(self._waiting) + len(self._held)

    def __contains__(self, path: str) -> bool:
        return path in self._waiting or path in self._held

    def wait(self, file: FileStat, now: float) -> None:
        """Note a file that appeared; one that is held stays held."""
        if file.path not in self._held:
            self._waiting.pop(file.path, None)
            self._waiting[file.path] = _Waiting(file, now)
            if file.size == 0:
                self._empty.setdefault(file.path, now)

    def hold(self, path: str, now: float) -> None:
        """Note that somebody writes to a file. Any name will do: it may be renamed before it is closed."""
        self._waiting.pop(path, None)
        self._held.pop(path, None)
        self._held[path] = now

    def forget(self, path: str) -> None:
        """Note that a file was closed, or is gone."""
        self._waiting.pop(path, None)
        self._held.pop(path, None)
        self._empty.pop(path, None)

    def rename(self, source: str, target: str, now: float) -> bool:
        """Carry what is known of a file to its new name, and say whether it was still waiting."""
        self.forget(target)  # what lay there is overwritten
        was_held = self._held.pop(source, None) is not None
        was_waiting = self._waiting.pop(source, None) is not None
        self._empty.pop(source, None)
        if was_held:
            self.hold(target, now)
        return was_held or was_waiting

    def release(self, now: float) -> list[str]:
        """Give up all held files, because closes may have been lost; the caller makes them wait."""
        return self._expired_holds(now, 0.0)

    def next_due(self) -> float:
        """Give the time of the next decision; infinity if nothing waits."""
        due = float("inf")
        for since in self._empty.values():
            due = since + self._empty_s
            break
        for waiting in self._waiting.values():
            due = min(due, waiting.since + self.settle_s)
            break
        for heard in self._held.values():
            return min(due, heard + self._held_s)
        return due

    def empties(self, now: float, look: Callable[[str], FileStat | None]) -> list[FileStat]:
        """Give the files that are empty since `empty_s`, each once."""
        due = []
        for path, since in self._empty.items():
            if since + self._empty_s > now:
                break
            due.append(path)
        for path in due:
            del self._empty[path]
        return [file for file in map(look, due) if file is not None and file.size == 0]

    def settle(self, now: float, look: Callable[[str], FileStat | None]) -> list[FileStat]:
        """Give the files that stood still long enough; `look` says how they lie there now (None: gone)."""
        for path in self._expired_holds(now, self._held_s):
            file = look(path)
            if file is not None:
                self.wait(file, now)
        ready = []
        for path in self._due(now):
            before = self._waiting.pop(path).file
            self._empty.pop(path, None)
            file = look(path)
            if file is None:
                continue
            if (file.size, file.mtime_ns) == (before.size, before.mtime_ns):
                ready.append(file)
            else:
                self.wait(file, now)
        return ready

    def _due(self, now: float) -> list[str]:
        due = []
        for path, waiting in self._waiting.items():
            if waiting.since + self.settle_s > now:
                break
            due.append(path)
        return due

    def _expired_holds(self, now: float, held_s: float) -> list[str]:
        expired = []
        for path, heard in self._held.items():
            if heard + held_s > now:
                break
            expired.append(path)
        for path in expired:
            del self._held[path]
        return expired
