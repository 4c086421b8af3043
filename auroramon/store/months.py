"""Months by which a PostgreSQL database may be divided: what queries must know of that, and whether months run out.

In such a database `frames`, `labels` and `embeddings` are partitioned by the time of the frame (partitioning.py), and
whoever joins them names that time, so that one month is asked and not each. In all others labels and embeddings
hold no time.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, FromClause, text, true

from auroramon.store.encoding import moment

DIVIDED = ("frames", "labels", "embeddings")
REST = "default"
"""What the partition of frames that have no month of their own is called by."""

AHEAD = 24
"""Months that are made ahead of the clock."""

SHORT = 3
"""Months ahead of the clock that are few."""

RELKIND = "SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = to_regclass('frames')"
_NAMES = text(
    "SELECT child.relname FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS child ON child.oid = i.inhrelid "
    "WHERE i.inhparent = to_regclass('frames') AND child.relname ~ '^frames_[0-9]{4}_[0-9]{2}$' ORDER BY child.relname"
)
_CHOSEN = text("SELECT obj_description(to_regclass('frames'), 'pg_class')")  # a comment goes with a dump
_BEFORE = text("SELECT MIN(time_utc) FROM frames WHERE time_utc < :first")
_BETWEEN = text("SELECT EXISTS (SELECT 1 FROM frames WHERE time_utc >= :end AND time_utc < :far)")

_DOUBLED = text(
    "SELECT COUNT(*) FROM (SELECT 1 FROM frames GROUP BY file_id, frame_index HAVING COUNT(*) > 1) AS twice"
)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of UTC."""

    number: int  # since the year 0

    @classmethod
    def of(cls, time: datetime) -> Month:
        return cls(time.year * 12 + time.month - 1)

    @classmethod
    def named(cls, name: str) -> Month:
        """Give the month of a name such as 2026-11 or 2026_11; ValueError where it is none."""
        return cls.of(datetime.strptime(name.replace("_", "-"), "%Y-%m").replace(tzinfo=UTC))

    @property
    def begin(self) -> float:
        """Seconds since 1970."""
        return datetime(self.number // 12, self.number % 12 + 1, 1, tzinfo=UTC).timestamp()

    def later(self, months: int) -> Month:
        return Month(self.number + months)

    def __str__(self) -> str:
        return f"{self.number // 12:04}-{self.number % 12 + 1:02}"


def is_divided(conn: Connection) -> bool:
    """Say whether the tables of frames are divided by months; looked up when the connection was made."""
    return bool(conn.info.get("divided", False))


def same_frame(conn: Connection, a: FromClause, b: FromClause) -> ColumnElement[bool]:
    """Give the condition that rows of two tables, each of DIVIDED or an alias of one, are of the same frame."""
    same = (a.c.file_id == b.c.file_id) & (a.c.frame_index == b.c.frame_index)
    return same & (a.c.time_utc == b.c.time_utc) if is_divided(conn) else same


def within(conn: Connection, table: FromClause, times: Collection[float | None]) -> ColumnElement[bool]:
    """Give what lets only the months of these times be asked; no condition where nothing is divided."""
    if not is_divided(conn):
        return true()
    known = [time for time in times if time is not None]
    return table.c.time_utc.between(min(known, default=0.0), max(known, default=0.0))


def doubled(conn: Connection) -> list[str]:
    """Give a sentence where a file has a frame twice, at two times, which no key of a divided database forbids."""
    number = conn.scalar(_DOUBLED)
    return [f"{number} frames of files are there more than once, at different times"] if number else []


def months(conn: Connection) -> list[Month]:
    """Give the months that have partitions, in order."""
    return [Month.named(name.removeprefix("frames_")) for name in conn.scalars(_NAMES)]


def choose(conn: Connection, first: Month) -> None:
    """Note which month a person named as the first, for later calls and whoever asks what is short."""
    conn.exec_driver_sql(f"COMMENT ON TABLE frames IS 'first month: {first}'")


def chosen(conn: Connection) -> Month | None:
    """Give the month that a person named as the first; None where nobody did."""
    said = re.fullmatch(r"first month: (\d{4}-\d{2})", conn.scalar(_CHOSEN) or "")
    return Month.named(said[1]) if said else None


def earliest_before(conn: Connection, first: Month) -> datetime | None:
    """Give the time of the earliest frame before a month; None where there is no frame."""
    time = conn.scalar(_BEFORE, {"first": first.begin})
    return None if time is None else moment(time)


def shortage(conn: Connection, now: datetime) -> str:
    """Say which months `auroramon db partition` could make and move frames to; "" where there are none.

    For any role that reads `frames`: what lies outside of all months is asked for by its time. Frames further ahead
    than months are made are of a clock that is wrong, and those before a month that a person named as the first lie
    where that person wants them.
    """
    there = months(conn)
    if not there:
        return "it has no months: every frame goes to the partition for the rest"
    left = there[-1].number - Month.of(now).number
    if left < SHORT:
        return f"its months end with {there[-1]}, then every frame goes to the partition for the rest"
    far = Month.of(now).later(AHEAD + 1).begin
    if conn.scalar(_BETWEEN, {"end": there[-1].later(1).begin, "far": far}):
        return f"frames after {there[-1]} lie in the partition for the rest"
    if chosen(conn) is None and (early := earliest_before(conn, there[0])):
        return (
            f"frames before {there[0]}, the first of {Month.of(early)}, lie in the partition for the rest "
            "(where a clock was wrong then, --since YYYY-MM names the first month)"
        )
    return ""
