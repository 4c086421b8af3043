"""Derives events while frames come in, and has others told when aurora begins and ends.

Beside the loop, in a thread of its own: what it costs, and what a broker does, no frame waits for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta

from auroramon.config import EventSettings
from auroramon.coordinator import utc_now
from auroramon.errors import StoreBusyError, StoreError
from auroramon.events import EventRules
from auroramon.publish import Courier, News
from auroramon.store.results import AuroraEvent
from auroramon.store.store import Store
from auroramon.types import LabelRecord

log = logging.getLogger(__name__)

EVERY_S = 10.0
"""Between two looks at the labels: a night of 20,000 frames is read anew each time."""


class Herald:
    """Keeps the events of the running nights, and tells what is new in them. A context: at its end the thread is gone.

    Told is only what happens now: an event whose last frame of aurora is older than `gap_s` is history, however it came
    into the database, and so is one that had begun before this process did. But who keeps the last word for others, as
    a broker does, gets the present state of each camera at the start: it may still say what a dead process said.

    Args:
        store: where labels are and events go.
        rules: what makes an event.
        couriers: whom to tell; the events are kept without any.
        settings: gap and cool-down.
        every_s: between two looks.
        clock: the time now, aware UTC.
    """

    def __init__(
        self,
        store: Store,
        rules: EventRules,
        couriers: Sequence[Courier],
        settings: EventSettings,
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._rules = rules
        self._couriers = couriers
        self._fresh = timedelta(seconds=settings.gap_s)
        self._cooldown = timedelta(seconds=settings.cooldown_s)
        self._every_s = every_s
        self._clock = clock
        self._waits = False  # for the database: said once, not at each look
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._known: dict[str, AuroraEvent] = {}  # camera -> its event that goes on, told or not
        self._told: dict[str, datetime] = {}  # camera -> when news of a beginning last went out
        self._open: set[str] = set()  # cameras whose beginning was told, and whose end was not
        self._restored: set[str] = set()  # the same, told at the start and to those that retain
        self._stack = ExitStack()
        self._thread = threading.Thread(target=self._run, name="herald", daemon=True)

    def __enter__(self) -> Herald:
        for courier in self._couriers:
            self._stack.enter_context(courier)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._changed.set()
        self._thread.join()
        self._stack.close()

    def notice(self, _records: Sequence[LabelRecord]) -> None:
        """Look at the labels soon; returns at once."""
        self._changed.set()

    def _run(self) -> None:
        self._look(begin=True)
        while not self._stop.is_set():
            # Also without new frames: what began must end when the camera stops at dawn.
            self._changed.wait(self._fresh.total_seconds() if self._known else None)
            self._changed.clear()
            if not self._stop.is_set():
                self._look()
            self._stop.wait(self._every_s)

    def _look(self, *, begin: bool = False) -> None:
        """Bring the events up to date, and tell what is new; at the begin nothing is."""
        now = self._clock()
        try:
            self._store.derive_events(self._rules, since=now - timedelta(days=1))
            recent = self._store.events(since=None if begin else now - timedelta(days=2))
        except StoreBusyError as error:
            if not self._waits:
                log.warning("events wait for the database: %s", error)
            self._waits = True
            self._changed.set()
            return
        except StoreError as error:  # the loop that labels finds it too, and ends
            log.error("events cannot be derived: %s", error)
            return
        self._waits = False
        # Whose event is not there any more (a person said that these were clouds) has none that goes on.
        gone = {camera: replace(event, over=True) for camera, event in self._known.items()}
        newest = {event.camera: event for event in recent}  # by beginning, so the last one of a camera stays
        for camera, event in (gone | newest).items():
            self._judge(camera, event, now, begin)

    def _judge(self, camera: str, event: AuroraEvent, now: datetime, begin: bool) -> None:
        goes_on = not event.over and abs(now - event.ended) <= self._fresh
        if begin:
            self._offer(News("on" if goes_on else "off", event), only_retained=True)
            if goes_on:
                self._restored.add(camera)
        elif goes_on and camera not in self._known:
            self._tell_begin(camera, event, now)
        elif not goes_on and camera in self._known:
            if camera in self._open | self._restored:
                self._offer(News("off", event), only_retained=camera not in self._open)
            self._open.discard(camera)
            self._restored.discard(camera)
        if goes_on:
            self._known[camera] = event
        else:
            self._known.pop(camera, None)

    def _tell_begin(self, camera: str, event: AuroraEvent, now: datetime) -> None:
        last = self._told.get(camera)
        if last is not None and now - last < self._cooldown:
            return
        self._told[camera] = now
        self._open.add(camera)
        self._offer(News("on", event))

    def _offer(self, news: News, *, only_retained: bool = False) -> None:
        for courier in self._couriers:
            if courier.retains or not only_retained:
                courier.offer(news)
