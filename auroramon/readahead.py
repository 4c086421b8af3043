"""Lists an archive ahead of the work, in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from queue import Empty, Full, Queue

from auroramon.archive import Archive
from auroramon.cursor import Cursor
from auroramon.ports import StopFlag
from auroramon.sources.walk import Recalled
from auroramon.types import DoneFile, FileStat, ListedFolder

AHEAD = 200_000
"""Files listed ahead of the work: 60 MB, and the whole of most archives, so that the time left is known early."""

PATIENCE_S = 0.5  # for a file, before those that have come are worked on
LEAVE_S = 5.0


class ReadAhead:
    """Lists ahead, so that slow storage and the count of all files do not hold up the work.

    With a cursor, folders that an earlier listing had behind it are not read, and those of their files that are done
    are counted and not given; it is told of each folder whose files were all taken in hand.
    """

    def __init__(self, archive: Archive, stop: StopFlag, cursor: Cursor | None = None) -> None:
        self._archive = archive
        self._stop = stop
        self._cursor = cursor
        self._queue: Queue[FileStat | None] = Queue(AHEAD)
        self._failure: BaseException | None = None
        self._ends: deque[tuple[int, ListedFolder]] = deque()  # files given when a folder was through
        self._given = 0
        self._passed = 0  # files of which nothing is left to do
        self._told = 0  # of these
        self.listed = 0
        self.complete = False  # the whole archive is listed, `listed` is its size

    def __iter__(self) -> Iterator[FileStat | None]:
        """Give the files as they are listed; None where there is none just now: a store hangs, or a pipe is silent."""
        thread = threading.Thread(target=self._list, name="listing", daemon=True)
        thread.start()
        try:
            yield from self._taken()
        finally:
            thread.join(LEAVE_S)  # not for ever: it may wait for a dead mount, or for a line on standard input
        if self._failure is not None:
            raise self._failure

    def entered(self, files: int) -> int:
        """Take notice that so many of the files given, in their order, are in the ledger.

        Returns:
            How many more files were passed over since the last time, because nothing is left to do for them.
        """
        through = []
        while self._ends and self._ends[0][0] <= files:
            through.append(self._ends.popleft()[1])
        if self._cursor:
            self._cursor.note(through)
        before, self._told = self._told, self._passed
        return self._told - before

    def recall(self, folder: str) -> Recalled | None:
        """Give what the cursor knows of a folder (for the walk)."""
        return self._cursor.recall(folder, self._stop) if self._cursor else None

    def keep(self, folder: ListedFolder) -> None:
        """Take notice that a folder is listed whole (for the walk)."""
        self._ends.append((self._given, folder))

    def _taken(self) -> Iterator[FileStat | None]:
        while not self._stop.is_set():
            try:
                file = self._queue.get(timeout=PATIENCE_S)
            except Empty:
                yield None
                continue
            if file is None:
                return
            yield file

    def _list(self) -> None:
        try:
            for file in self._archive.files(self._stop, self if self._cursor else None):
                self.listed += 1
                if isinstance(file, DoneFile):
                    self._passed += 1
                else:
                    self._given += 1
                    self._put(file)
            self.complete = not self._stop.is_set()
        except BaseException as error:
            self._failure = error
        self._put(None)

    def _put(self, file: FileStat | None) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(file, timeout=PATIENCE_S)
            except Full:
                continue
            return
