"""What comes of labels night by night: how often there was aurora, and when."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from datetime import datetime

from auroramon.events import EventRules
from auroramon.store import accounts, events, expectation, hours, queries
from auroramon.store.encoding import epoch
from auroramon.store.hours import hour_of
from auroramon.store.methods.opened import Opened
from auroramon.store.results import AuroraEvent, By, FileAccount, OccurrenceRow


class Nights(Opened):
    """What comes of labels, night by night."""

    def occurrence(
        self,
        by: By,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        camera: str | None = None,
    ) -> list[OccurrenceRow]:
        """Count frames by camera and hour, night or month, with every denominator, by time.

        Nights and months go by the date of the night, hours by UTC. A night lies between `since` and `until` if the
        UTC noon of its date does, an hour if its beginning does.
        """
        with self._db.reading() as conn:
            return queries.occurrence(conn, by, since=since, until=until, camera=camera)

    def derive_events(self, rules: EventRules, since: datetime | None = None, camera: str | None = None) -> int:
        """Bring the events of every night whose labels or rules have changed up to date; give the number of nights.

        With `since` only nights that end after it. May be called again, and by several processes: the events are a
        function of labels and rules.
        """
        with self._db.writing() as conn:
            number = events.rules_number(conn, rules)
        with self._db.reading() as conn:
            due = events.due_nights(conn, number, None if since is None else epoch(since), camera)
        for night in due:
            with self._db.reading() as conn:
                derived = events.look_at(conn, night, rules)
            with self._db.writing() as conn:
                events.write(conn, self._db.codes, derived, number)  # where labels changed meanwhile, it stays due
        return len(due)

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        camera: str | None = None,
        label: str | None = None,
    ) -> list[AuroraEvent]:
        """Give the events that touch a span of time, by their beginning, as `derive_events` left them."""
        with self._db.reading() as conn:
            return events.read(conn, since, until, camera, label)

    def count_hours(self, before: datetime | None = None, limit_s: float = math.inf) -> int:
        """Count the frames of hours whose labels have changed, for quick occurrence views; give the number of hours.

        What the views say is the same before and after. With `before` only hours that begin earlier. In transactions of
        some milliseconds, and for `limit_s` seconds at most; may be called again, and by several processes.
        """
        end = time.monotonic() + limit_s
        done = 0
        hour = None if before is None else hour_of(epoch(before))
        while time.monotonic() < end:
            with self._db.reading() as conn:
                if not hours.due(conn, hour, 1):
                    break
            with self._db.writing() as conn:
                done += hours.count_due(conn, hour)
        return done

    def touch_miscounted(self) -> int:
        """Have the hours counted again whose counts by kind are not those by label; give the number of hours."""
        with self._db.reading() as conn:
            found = hours.miscounted(conn)
        if found:
            with self._db.writing() as conn:
                hours.touch(conn, found)
        return len(found)

    def recount(self) -> FileAccount:
        """Count anew all that is kept counted, files by state and frames by hour; give the account that was kept."""
        with self._db.writing(durable=True) as conn:
            before = accounts.keep_account(conn)
            hours.touch_all(conn)
        self.count_hours()
        return before

    def update_expected(self, now: datetime, watched: Iterable[str] = (), limit_s: float = math.inf) -> None:
        """Count the frames that should have come until now, for the `missing` of the occurrence views.

        Counted are the nights in which a camera gave a frame and, for cameras `watched` by a daemon, every night since
        the first such call, or since the last pause of more than 31 days; hours that have not passed are not counted.
        Cheap when little time has gone by; what `limit_s` seconds do not suffice for is left to the next call.
        """
        expectation.update(self._db, epoch(now), watched, limit_s)
