"""What a folder's own time says of the names in it, so that later listings need not look at every file again."""

from __future__ import annotations

from dataclasses import dataclass, field

from auroramon.sources.walk import Recalled, stands_still
from auroramon.types import ListedFolder

STILL_NS = 3 * 10**9
"""A folder changed less than this before it was listed is read again: two changes within a tick look like one."""


@dataclass(slots=True)
class Unchanged:
    """The folders of a listing, as they were just before it. Passed over are those that stand still since the last."""

    before: dict[str, ListedFolder]
    found: dict[str, ListedFolder] = field(default_factory=dict)  # what the next listing goes by

    def recall(self, folder: str) -> Recalled | None:
        """Give the folders below, and no files, where no name came or went since the listing before."""
        known = self.before.get(folder)
        if known is None or not stands_still(known, STILL_NS):
            return None
        self.found[folder] = known
        return Recalled((), known.below)

    def keep(self, folder: ListedFolder) -> None:
        """Take notice of a folder that was read."""
        self.found[folder.path] = folder
