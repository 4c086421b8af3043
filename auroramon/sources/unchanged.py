"""What a folder's own time says of the names in it, so that later listings need not look at every file again."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from auroramon.sources.walk import Recalled
from auroramon.types import ListedFolder

STILL_NS = 3 * 10**9
"""A folder changed less than this before it was listed is read again: two changes within a tick look like one."""


@dataclass(slots=True)
class Unchanged:
    """The folders of one listing that stand still. Passed over are those that stood so in the listing before."""

    before: dict[str, ListedFolder]
    found: dict[str, ListedFolder] = field(default_factory=dict)  # what the next listing may pass over

    def recall(self, folder: str) -> Recalled | None:
        """Give the folders below, and no files, where no name came or went since the listing before."""
        known = self.before.get(folder)
        try:
            if known is None or os.stat(folder).st_mtime_ns != known.mtime_ns:  # noqa: PTH116 - it may be no UTF-8
                return None
        except OSError:
            return None
        self.found[folder] = known
        return Recalled((), known.below)

    def keep(self, folder: ListedFolder) -> None:
        """Take notice of a folder that was read."""
        if folder.listed_ns - folder.mtime_ns >= STILL_NS:
            self.found[folder.path] = folder
