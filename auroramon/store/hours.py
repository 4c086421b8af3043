"""The frames of each hour, counted and kept: what makes the occurrence views quick at any size.

`hours` counts them by label, beside what was expected; `hour_kinds` also by Moon and by why a frame is unknown.

Whoever changes what a frame is said to show makes its hour `due`, in the same transaction. The views themselves count
the frames of an hour that is due, and take what is kept of every other. So their numbers are right at any moment,
whatever is killed, and `count_due` only makes them quick again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, insert, select, text, update

from auroramon.store.schema import COUNTS, LABEL_CODES, hour_kinds, hours
from auroramon.types import UNKNOWN

FRAMES_AT_ONCE = 2000
"""Frames counted in one transaction, which other writers wait for: some milliseconds."""

Hour = tuple[int, int, int]  # camera, night, hour since 1970

_KEY = "camera_id = :camera AND night = :night AND hour = :hour"
_EXPECTED = text(
    "INSERT INTO hours (camera_id, night, hour, due, sun_below) SELECT camera_id, night, hour, 0, sun_below "
    "FROM expected WHERE camera_id = :camera AND night = :night ON CONFLICT DO NOTHING"
)
_CHANGED = text(
    "UPDATE hours SET due = 1 WHERE due = 0 AND camera_id = :camera AND night = :night AND EXISTS ("
    "SELECT 1 FROM expected AS e WHERE e.camera_id = hours.camera_id AND e.night = hours.night "
    "AND e.hour = hours.hour AND e.sun_below <> COALESCE(hours.sun_below, -32768))"
)


def hour_of(time: float) -> int:
    """Give the hour since 1970 of a time in Unix seconds."""
    return int(time // 3600)


def hour_sql(sqlite: bool, time: str) -> str:
    """Give the same in SQL; SQLite may lack FLOOR, and its CAST goes towards 1970."""
    if sqlite:
        return f"(CAST({time} / 3600 AS INTEGER) - ({time} / 3600 < CAST({time} / 3600 AS INTEGER)))"
    return f"CAST(FLOOR({time} / 3600) AS INTEGER)"


def touch(conn: Connection, changed: Iterable[Hour]) -> None:
    """Say that labels of these hours are others now."""
    rows = sorted(set(changed))
    if not rows:
        return
    mark = "?" if conn.dialect.name == "sqlite" else "%s"
    # Past the compiler, as each commit comes here. Of an hour that is due already nothing is written.
    conn.exec_driver_sql(
        f"INSERT INTO hours (camera_id, night, hour, due) VALUES ({mark}, {mark}, {mark}, 1) "  # noqa: S608
        "ON CONFLICT (camera_id, night, hour) DO UPDATE SET due = 1 WHERE hours.due = 0",
        rows,
    )


def touch_all(conn: Connection) -> None:
    """Say that any label may be another now: another model speaks."""
    conn.execute(update(hours).where(hours.c.due == 0).values(due=1))


def touch_expected(conn: Connection, camera: int, nights: Iterable[int]) -> None:
    """Enter the hours of these nights in which frames are expected; those that are dark by another limit are due."""
    rows = [{"camera": camera, "night": night} for night in nights]
    conn.execute(_EXPECTED, rows)
    conn.execute(_CHANGED, rows)


def due(conn: Connection, before: int | None, limit: int) -> Sequence[Hour]:
    """Give some hours that are due and begin before `before`."""
    query = select(hours.c.camera_id, hours.c.night, hours.c.hour).where(text("hours.due = 1"))
    query = query.with_hint(hours, "INDEXED BY hours_due", "sqlite")  # its planner takes all rows for likely to be due
    if before is not None:
        query = query.where(hours.c.hour < before)
    return [(camera, night, hour) for camera, night, hour in conn.execute(query.limit(limit))]


def miscounted(conn: Connection) -> Sequence[Hour]:
    """Give the hours that are not due and whose counts by kind are not those by label.

    Nothing of this version leaves such an hour; a program from before `hour_kinds` that counts hours does.
    """
    return [(camera, night, hour) for camera, night, hour in conn.execute(_MISCOUNTED)]


def count_due(conn: Connection, before: int | None) -> int:
    """Count the frames of some hours that are due and begin before `before`; give the number of hours."""
    done = frames = 0
    for camera, night, hour in due(conn, before, FRAMES_AT_ONCE // 20):
        if frames >= FRAMES_AT_ONCE:
            break
        frames += _count(conn, {"camera": camera, "night": night, "hour": hour})
        done += 1
    return done


def _count(conn: Connection, key: Mapping[str, int]) -> int:
    """Count the frames of an hour, and keep it."""
    counts: Counter[str] = Counter(dict.fromkeys((*COUNTS, "total", "dark"), 0))
    kinds = []
    for row in conn.execute(_COUNT[conn.dialect.name], {**key, "since": key["hour"] * 3600.0}):
        counts[_COLUMNS.get(row.label_id, "other")] += row.frames
        counts["total"] += row.frames
        counts["dark"] += row.dark
        kinds.append({"moon": row.moon, "label_id": row.label_id, "why": row.why, "frames": row.frames})
    conn.execute(_FORGET, key)
    if kinds:
        own = {"camera_id": key["camera"], "night": key["night"], "hour": key["hour"]}
        conn.execute(insert(hour_kinds), [{**own, **kind} for kind in kinds])
    conn.execute(_KEEP, {**counts, **key})
    return counts["total"]


def label_sums(column: str, frames: str = "1") -> str:
    """Give the SQL that counts frames by label, a column for each of COUNTS; a row stands for so many frames."""
    counted = [f"COALESCE(SUM(CASE WHEN {column} = {code} THEN {frames} ELSE 0 END), 0) AS {name}"
               for name, code in LABEL_CODES.items()]  # fmt: skip
    counted.append(f"COALESCE(SUM(CASE WHEN {column} > {len(LABEL_CODES)} THEN {frames} ELSE 0 END), 0) AS other")
    return ", ".join(counted)


def kind_sql(sqlite: bool) -> tuple[str, str]:
    """Give the SQL for what the Moon did while a frame `q` of current_codes was taken, and for why it is unknown."""
    moon = (
        "CASE WHEN q.moon IS NULL THEN 0 WHEN q.moon < 0 THEN 1 WHEN q.moon_phase < 2500 THEN 2 "
        "WHEN q.moon_phase < 7500 THEN 3 ELSE 4 END"
    )
    # A gate's reason names its kind before a colon; the model's own has a number instead.
    colon, before = (
        ("instr(q.reason, ':')", "substr(q.reason, 1, instr(q.reason, ':') - 1)")
        if sqlite
        else ("strpos(q.reason, ':')", "split_part(q.reason, ':', 1)")
    )
    why = (
        f"CASE WHEN q.label_id <> {LABEL_CODES[UNKNOWN]} THEN '' WHEN q.review_id IS NOT NULL THEN 'a person says so' "
        f"WHEN substr(q.reason, 1, 8) = 'distance' THEN 'unlike every class' WHEN {colon} > 0 THEN {before} "
        "ELSE COALESCE(q.reason, '') END"
    )
    return moon, why


def _count_sql(sqlite: bool) -> str:
    moon, why = kind_sql(sqlite)
    return (
        f"SELECT {moon} AS moon, q.label_id, {why} AS why, COUNT(*) AS frames, "  # noqa: S608 (our own names)
        "COALESCE(SUM(CASE WHEN q.sun < y.sun_below THEN 1 ELSE 0 END), 0) AS dark "
        "FROM current_codes AS q "
        "LEFT JOIN expected AS y ON y.camera_id = q.camera_id AND y.night = q.night AND y.hour = :hour "
        "WHERE q.camera_id = :camera AND q.night = :night AND q.time_utc >= :since AND q.time_utc < :since + 3600 "
        "GROUP BY 1, 2, 3"
    )


def _miscounted_sql() -> str:
    sums = label_sums("label_id", "frames")
    differ = " OR ".join(f"h.{name} <> COALESCE(k.{name}, 0)" for name in (*COUNTS, "total"))
    return (
        "SELECT h.camera_id, h.night, h.hour FROM hours AS h LEFT JOIN ("  # noqa: S608 (our own names)
        f"SELECT camera_id, night, hour, {sums}, SUM(frames) AS total FROM hour_kinds GROUP BY camera_id, night, hour"
        ") AS k ON k.camera_id = h.camera_id AND k.night = h.night AND k.hour = h.hour "
        f"WHERE h.due = 0 AND ({differ})"
    )


_MISCOUNTED = text(_miscounted_sql())
_FORGET = text(f"DELETE FROM hour_kinds WHERE {_KEY}")  # noqa: S608
_COLUMNS = {code: name for name, code in LABEL_CODES.items()}
_COUNT = {dialect: text(_count_sql(dialect == "sqlite")) for dialect in ("sqlite", "postgresql")}
_KEEP = text(
    f"UPDATE hours SET due = 0, {', '.join(f'{name} = :{name}' for name in (*COUNTS, 'total', 'dark'))}, "  # noqa: S608
    "sun_below = (SELECT sun_below FROM expected WHERE camera_id = :camera AND night = :night AND hour = :hour) "
    f"WHERE {_KEY}"
)
