"""Months by which a PostgreSQL database may be divided: what queries must know of that, and whether months run out.

In such a database `frames`, `labels` and `embeddings` are partitioned by the time of the frame (partitioning.py), and
whoever joins them names that time, so that one month is asked and not each. In all others labels and embeddings
hold no time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, FromClause, text, true

DIVIDED = ("frames", "labels", "embeddings")
REST = "default"
"""What the partition of frames that have no month of their own is called by."""

SHORT = 3
"""Months ahead of the clock that are few."""

RELKIND = "SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = to_regclass('frames')"
_NAMES = text(
    "SELECT child.relname FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS child ON child.oid = i.inhrelid "
    "WHERE i.inhparent = to_regclass('frames') AND child.relname ~ '^frames_[0-9]{4}_[0-9]{2}$' ORDER BY child.relname"
)
_OUTSIDE = text("SELECT EXISTS (SELECT 1 FROM frames WHERE time_utc < :first OR time_utc >= :end)")

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


def shortage(conn: Connection, now: datetime) -> str:
    """Say what is wrong with the months of a divided database; "" where nothing is.

    For any role that reads `frames`: what lies outside of all months is asked for by its time.
    """
    there = months(conn)
    if not there:
        return "it has no months: every frame goes to the partition for the rest"
    left = there[-1].number - Month.of(now).number
    if left < SHORT:
        return f"its months end with {there[-1]}, then every frame goes to the partition for the rest"
    if conn.scalar(_OUTSIDE, {"first": there[0].begin, "end": there[-1].later(1).begin}):
        return f"frames before {there[0]} or after {there[-1]} lie in the partition for the rest"
    return ""
