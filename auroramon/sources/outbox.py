"""Where the threads that watch the folders lay down what the daemon picks up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from auroramon.types import FileStat

How = Literal["closed", "moved", "settled", "listed", "empty"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that is complete, as far as can be told from outside; or one that is there and has no content yet."""

    file: FileStat
    how: How  # its writer closed it; renamed into place; stood still; found by listing; or empty so far


class Outbox:
    """A bounded queue in two classes: what was heard goes before what was listed, so a backlog delays no live frame.

    It never blocks: who finds it full keeps in mind that a listing is owed.
    """

    def __init__(self, heard_limit: int = 50_000, listed_limit: int = 4_000) -> None:
        self._heard: deque[Arrival] = deque()
        self._listed: deque[Arrival] = deque()
        self._heard_limit = heard_limit
        self._listed_limit = listed_limit
        self._filled = threading.Condition()

    def put(self, arrival: Arrival) -> bool:
        """Lay down a live arrival, and say whether there was room."""
        with self._filled:
            if len(self._heard) >= self._heard_limit:
                return False
            self._heard.append(arrival)
            self._filled.notify()
        return True

    def put_listed(self, arrivals: Sequence[Arrival]) -> None:
        """Lay down what a listing found; ask `room_for_listed` first."""
        with self._filled:
            self._listed.extend(arrivals)
            self._filled.notify()

    def room(self) -> bool:
        """Whether half of the place for live arrivals is free: reason enough to list what was turned away."""
        return len(self._heard) * 2 <= self._heard_limit

    def room_for_listed(self) -> bool:
        """Whether a listing may go on."""
        return len(self._listed) < self._listed_limit

    def take(self, timeout: float, limit: int) -> list[Arrival]:
        """Give up to `limit` arrivals, the live ones first, waiting up to `timeout` seconds for the first."""
        with self._filled:
            if not self._heard and not self._listed:
                self._filled.wait(timeout)
            source = self._heard or self._listed
            return [source.popleft() for _ in range(min(limit, len(source)))]
