"""Lets the listings of all folders work one after another.

Ten threads that list at once leave little of Python's lock to the one that labels: a frame took 103 ms beside ten
listings, 11 beside ten by turns and 6 beside none (`python -m benchmarks.beside`).
"""

from __future__ import annotations

import threading
import time

PATIENCE_S = 1.0
"""Who holds its turn for longer waits for a disk, not for a processor: the others go on without it."""

FRESH_S = 0.1
"""Who has not asked for so long wants no turn any more."""


class Turns:
    """Gives turns to whoever asks again and again, the one that waits longest first. Never waits itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: str | None = None
        self._since = 0.0
        self._asked: dict[str, float] = {}
        self._served: dict[str, float] = {}

    def take(self, who: str) -> bool:
        """Say whether it is this one's turn now; then it must be given back."""
        now = time.monotonic()
        with self._lock:
            self._asked[who] = now
            if self._holder is not None and now - self._since < PATIENCE_S:
                return False
            rivals = [other for other, asked in self._asked.items() if now - asked < FRESH_S]
            if min(rivals, key=lambda other: self._served.get(other, 0.0)) != who:
                return False
            self._holder, self._since, self._served[who] = who, now, now
            return True

    def give(self, who: str) -> None:
        """Give the turn back."""
        with self._lock:
            self._asked.pop(who, None)
            if self._holder == who:
                self._holder = None
