"""Labels of another model for frames that are already known, from their stored embeddings: no image is read again.

Nothing is rewritten: labels are added beside those that are there. It can be stopped or killed at any moment, and goes
on where it was when it is called again, because a frame is asked for as long as it has no label of the model.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from auroramon.coordinator import utc_now
from auroramon.errors import StoreBusyError
from auroramon.heads import Head
from auroramon.ports import StopFlag
from auroramon.store.relabel import ALL_FRAMES, Which, judge
from auroramon.store.store import Store

log = logging.getLogger(__name__)

BATCH = 4000
"""Frames of one transaction: it holds up other writers for about 50 ms."""

BUSY_S = 1.0  # wait before a busy database is asked again
HEARTBEAT_S = 30.0
COUNTING_S = 3.0  # most that is spent at each sign of life on the counts of hours


@dataclass(frozen=True, slots=True)
class Relabelled:
    """What was done."""

    judged: int  # frames that the head labelled
    refused: int  # frames that a gate had refused: its word stands for this model too


@dataclass(slots=True)
class Relabelling:
    """Adds the labels of one model."""

    store: Store  # where the embeddings are, and the labels go
    run: int  # on whose behalf
    model: int  # its number in the store
    head: Head  # of this model
    progress: Callable[[Relabelled], None] = lambda _: None  # called after each commit with what was done
    clock: Callable[[], datetime] = utc_now
    batch: int = BATCH
    _alive_at: float = field(default_factory=time.monotonic)

    def work(self, stop: StopFlag, which: Which = ALL_FRAMES) -> Relabelled:
        """Label every frame that has an embedding, or the refusal of a gate, and no label of the model yet.

        Raises:
            StoreError: the database is damaged or refuses. What was committed before stays.
        """
        done = Relabelled(0, 0)
        for batch in self.store.embeddings_without_label(self.model, which, self.batch):
            add = partial(self.store.add_judged, self.run, judge(self.head, batch), model=self.model)
            done = Relabelled(done.judged + self._patiently(add, stop), done.refused)
            self.progress(done)
            if stop.is_set():
                return done
        for words in self.store.gate_words_without_label(self.model, which, self.batch):
            add = partial(self.store.add_gate_words, self.run, words, model=self.model)
            done = Relabelled(done.judged, done.refused + self._patiently(add, stop))
            self.progress(done)
            if stop.is_set():
                return done
        return done

    def _patiently(self, write: Callable[[], int], stop: StopFlag) -> int:
        """Write when the database lets us, and give a sign of life now and then; 0 when told to stop meanwhile."""
        while True:
            try:
                if time.monotonic() - self._alive_at > HEARTBEAT_S:
                    self.store.heartbeat(self.run, self.clock())
                    self.store.count_hours(limit_s=COUNTING_S)
                    self._alive_at = time.monotonic()
                return write()
            except StoreBusyError as error:
                log.warning("waiting for the database: %s", error)
                if stop.is_set():
                    return 0
                time.sleep(BUSY_S)
