"""Which files were offered as they lie there now, in eight bytes a file."""

from __future__ import annotations

from array import array
from bisect import bisect_left

import numpy as np

from auroramon.types import FileStat


class Offered:
    """Keeps the listing of a million files every few minutes from offering all of them every time.

    One 64-bit digest of (path, size, mtime) a file. Two files with the same digest (a chance of 1 in 40 million for
    a million files) would hide one of them until the daemon starts again.
    """

    def __init__(self) -> None:
        self._listed = array("q")  # of the last complete listing, sorted
        self._since: set[int] = set()  # offered since that listing ended

    def __len__(self) -> int:
        return len(self._listed) + len(self._since)

    def __contains__(self, file: FileStat) -> bool:
        digest = digest_of(file)
        if digest in self._since:
            return True
        at = bisect_left(self._listed, digest)
        return at < len(self._listed) and self._listed[at] == digest

    def add(self, file: FileStat) -> None:
        """Note that this file was offered."""
        self._since.add(digest_of(file))

    def keep(self, listed: array[int]) -> None:
        """Forget what a complete listing did not find again (`listed`: the digests of what it did find)."""
        found = np.frombuffer(listed, np.int64) if listed else np.empty(0, np.int64)
        since = np.fromiter(self._since, np.int64, len(self._since))
        self._listed = array("q", np.unique(np.concatenate([found, since])).tobytes())
        self._since.clear()


def digest_of(file: FileStat) -> int:
    """Give 64 bits that stand for this file as it lies there, for the life of this process."""
    return hash((file.path, file.size, file.mtime_ns))
