"""Lets the listings of all folders work one after another.

Ten threads that list at once leave little of Python's lock to the one that labels: a frame took 98 ms beside ten
listings, 11 beside ten by turns and 5 beside none (`python -m benchmarks.beside`).
"""

from __future__ import annotations

import threading
import time

PATIENCE_S = 1.0
"""Who holds its turn for longer waits for a disk, not for a processor: the others go on without it."""

TERM_S = 0.25
"""Who has had its turn is preferred for so long: those that wait need not ask more often than that."""

FRESH_S = 0.2
"""Who has not asked for so long wants no turn any more."""


class Turns:
    """Gives turns to whoever asks again and again, term by term the one that waits longest. Never waits itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: str | None = None  # who is at work now
        self._since = 0.0
        self._asked: dict[str, float] = {}
        self._begun: dict[str, float] = {}  # when each one's last term began

    def take(self, who: str) -> bool:
        """Say whether it is this one's turn now; then it must be given back."""
        now = time.monotonic()
        with self._lock:
            self._asked[who] = now
            if self._holder is not None and now - self._since < PATIENCE_S:
                return False
            rivals = [other for other, asked in self._asked.items() if now - asked < FRESH_S]
            if min(rivals, key=lambda other: self._rank(other, now)) != who:
                return False
            if now - self._begun.get(who, 0.0) >= TERM_S:
                self._begun[who] = now
            self._holder, self._since = who, now
            return True

    def give(self, who: str, *, ended: bool) -> None:
        """Give the turn back; `ended`: no other is wanted."""
        with self._lock:
            if self._holder == who:
                self._holder = None
            if ended:
                self._asked.pop(who, None)

    def _rank(self, who: str, now: float) -> float:
        """Give the lowest number to whose term lasts, then to those that waited longest."""
        begun = self._begun.get(who, 0.0)
        return -1.0 if now - begun < TERM_S else begun
