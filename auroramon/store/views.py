"""The views that people and programs read, in SQL that SQLite and PostgreSQL both understand.

Views hold nothing, so they are not part of the migrations: each upgrade drops them and makes them anew.
"""

from __future__ import annotations

from auroramon.store.hours import kind_sql, label_sums
from auroramon.store.schema import COUNTS, MOONS, SOURCES, TIME_SOURCES
from auroramon.types import AURORA_LABELS

# What a frame is now: a person's newest word, else that of the model promoted last among those that labelled it, else
# of the newest.
_CURRENT = """
CREATE VIEW current_codes AS
SELECT f.file_id, f.frame_index, f.camera_id, f.channel_id, f.time_utc, f.time_source, f.night, f.sun, f.moon,
       f.moon_phase, l.model_id, l.label_id AS model_label_id, COALESCE(r.label_id, l.label_id) AS label_id,
       l.confidence, l.scores, l.distance, l.reason, l.source, l.run_id, r.id AS review_id, r.reviewer
FROM frames AS f
{labels}
LEFT JOIN reviews AS r ON r.id = (
    SELECT MAX(newest.id) FROM reviews AS newest
    WHERE newest.file_id = f.file_id AND newest.frame_index = f.frame_index AND newest.time_utc = f.time_utc)
{of_them}"""

_BY_JOIN = {
    "labels": """\
JOIN labels AS l ON l.file_id = f.file_id AND l.frame_index = f.frame_index
JOIN models AS m ON m.id = l.model_id""",
    "of_them": """\
WHERE NOT EXISTS (
    SELECT 1 FROM labels AS l2 JOIN models AS m2 ON m2.id = l2.model_id
    WHERE l2.file_id = f.file_id AND l2.frame_index = f.frame_index AND l2.model_id <> l.model_id
      AND (COALESCE(m2.promoted_at, 0), m2.created, m2.id) > (COALESCE(m.promoted_at, 0), m.created, m.id))
""",
}

# Where labels are divided by months they are asked for frame by frame, so that only the month of a frame is read,
# whatever the planner thinks of the number of months. As a join it took seven times as long to plan. Not so in a plain
# database: whoever reads all labels would wait up to three times as long as for the join.
_FRAME_BY_FRAME = {
    "labels": """\
CROSS JOIN LATERAL (
    SELECT said.* FROM labels AS said JOIN models AS m ON m.id = said.model_id
    WHERE said.file_id = f.file_id AND said.frame_index = f.frame_index AND said.time_utc = f.time_utc
    ORDER BY COALESCE(m.promoted_at, 0) DESC, m.created DESC, m.id DESC LIMIT 1) AS l""",
    "of_them": "",
}

_LABELS = """
CREATE VIEW labels_current AS
SELECT d.path || fi.name AS path, q.frame_index, c.name AS camera, q.time_utc, {time_iso} AS time_iso,
       {night} AS night, n.name AS label,
       CASE WHEN q.review_id IS NULL THEN CAST(q.confidence AS DOUBLE PRECISION) / 1000000 ELSE 1.0 END AS confidence,
       CAST(q.distance AS DOUBLE PRECISION) / 1000 AS distance,
       CASE WHEN q.review_id IS NULL THEN m.name ELSE 'human' END AS model,
       h.name AS channel, {time_source} AS time_source,
       CAST(q.sun AS DOUBLE PRECISION) / 100 AS sun_altitude, CAST(q.moon AS DOUBLE PRECISION) / 100 AS moon_altitude,
       CAST(q.moon_phase AS DOUBLE PRECISION) / 10000 AS moon_phase,
       COALESCE(q.reason, '') AS reason, {source} AS source, q.run_id AS run,
       mn.name AS model_label, COALESCE(q.reviewer, '') AS reviewer, q.scores, m.labels AS score_labels,
       q.file_id
FROM current_codes AS q
{camera_and_file}
JOIN channels AS h ON h.id = q.channel_id
JOIN models AS m ON m.id = q.model_id
JOIN label_names AS n ON n.id = q.label_id
JOIN label_names AS mn ON mn.id = q.model_label_id
"""

_CAMERA = "JOIN cameras AS c ON c.id = q.camera_id"
_FILE = "JOIN files AS fi ON fi.id = q.file_id\nJOIN folders AS d ON d.id = fi.folder_id"

# One row for each camera, night and hour. What is missing is counted here and only added up above, so hours and nights
# agree. A frame stands against the expectation only if the Sun was as low as the expectation asks. The frames of hours
# that are due are counted here, those of every other hour were (hours.py). No union and one grouping: so the name of a
# camera that somebody asks for reaches the table, in SQLite as well.
_PARTS = """
CREATE VIEW occurrence_parts AS
SELECT c.name AS camera, h.camera_id, h.night, h.hour, {columns}, {total} AS total,
       CASE WHEN w.filled_until IS NULL THEN NULL ELSE COALESCE({expected}, 0) END AS expected,
       CASE WHEN w.filled_until IS NULL THEN NULL
            WHEN {expected} > {dark} THEN {expected} - {dark} ELSE 0 END AS missing
FROM hours AS h
JOIN cameras AS c ON c.id = h.camera_id
{due}
LEFT JOIN nights AS w ON w.camera_id = h.camera_id AND w.night = h.night
LEFT JOIN expected AS x ON x.camera_id = h.camera_id AND x.night = h.night AND x.hour = h.hour
WHERE {total} > 0 OR x.hour IS NOT NULL
"""

# SQLite counts the hours that are due once, and goes from them to their frames.
_DUE_SQLITE = """\
LEFT JOIN (
    SELECT e.camera_id, e.night, e.hour, {counted}, COUNT(*) AS total,
           SUM(CASE WHEN q.sun < y.sun_below THEN 1 ELSE 0 END) AS dark
    FROM hours AS e
    CROSS JOIN current_codes AS q ON q.camera_id = e.camera_id AND q.night = e.night
         AND q.time_utc >= e.hour * 3600.0 AND q.time_utc < e.hour * 3600.0 + 3600
    LEFT JOIN expected AS y ON y.camera_id = e.camera_id AND y.night = e.night AND y.hour = e.hour
    WHERE e.due = 1
    GROUP BY e.camera_id, e.night, e.hour
) AS d ON d.camera_id = h.camera_id AND d.night = h.night AND d.hour = h.hour"""

# PostgreSQL would read all frames for that; hour by hour it uses the index, and only of the cameras that are asked for.
_DUE_POSTGRESQL = """\
LEFT JOIN LATERAL (
    SELECT {counted}, COUNT(*) AS total, SUM(CASE WHEN q.sun < y.sun_below THEN 1 ELSE 0 END) AS dark
    FROM current_codes AS q
    LEFT JOIN expected AS y ON y.camera_id = h.camera_id AND y.night = h.night AND y.hour = h.hour
    WHERE h.due = 1 AND q.camera_id = h.camera_id AND q.night = h.night
      AND q.time_utc >= h.hour * CAST(3600 AS DOUBLE PRECISION)
      AND q.time_utc < (h.hour + 1) * CAST(3600 AS DOUBLE PRECISION)
) AS d ON true"""

_OCCURRENCE = """
CREATE VIEW {name} AS
SELECT p.camera AS camera, {period},
       {sums}, {aurora} AS aurora, {total} AS total, {expected} AS expected, {missing} AS missing
FROM occurrence_parts AS p
GROUP BY p.camera, {by}
"""

# The same frames by more than their label; those of hours that are due one by one, and SQLite goes from these to them.
_KINDS = """
CREATE VIEW occurrence_kinds AS
SELECT c.name AS camera, {night_kept} AS night, k.hour * {second} AS hour_utc, k.moon AS moon_code, {moon_kept} AS moon,
       n.name AS label, k.why, k.frames
FROM hour_kinds AS k
JOIN hours AS h ON h.camera_id = k.camera_id AND h.night = k.night AND h.hour = k.hour AND h.due = 0
JOIN cameras AS c ON c.id = k.camera_id
JOIN label_names AS n ON n.id = k.label_id
UNION ALL
SELECT c.name, {night_due}, e.hour * {second}, {moon}, {moon_due}, n.name, {why}, 1
FROM hours AS e
CROSS JOIN current_codes AS q
JOIN cameras AS c ON c.id = e.camera_id
JOIN label_names AS n ON n.id = q.label_id
WHERE e.due = 1 AND q.camera_id = e.camera_id AND q.night = e.night
  AND q.time_utc >= e.hour * CAST(3600 AS DOUBLE PRECISION)
  AND q.time_utc < (e.hour + 1) * CAST(3600 AS DOUBLE PRECISION)
"""

_FILES = """
CREATE VIEW file_states AS
SELECT d.path || f.name AS path,
       CASE f.state WHEN 0 THEN 'pending' WHEN 1 THEN 'labelled' WHEN 2 THEN 'skipped' ELSE 'quarantined' END AS state,
       COALESCE(f.reason, '') AS reason, COALESCE(c.name, '') AS camera, f.size, f.mtime_ns, f.tries, f.crashes,
       f.seen_at, f.done_at
FROM files AS f
JOIN folders AS d ON d.id = f.folder_id
LEFT JOIN cameras AS c ON c.id = f.camera_id
"""

_EVENTS = """
CREATE VIEW aurora_events AS
SELECT c.name AS camera, {night} AS night, e.begun AS begun_utc, e.ended AS ended_utc, {begun} AS begun_iso,
       {ended} AS ended_iso, n.name AS label, CAST(e.confidence AS DOUBLE PRECISION) / 1000000 AS confidence, e.frames,
       e.is_over, r.rules
FROM events AS e
JOIN cameras AS c ON c.id = e.camera_id
JOIN label_names AS n ON n.id = e.label_id
JOIN event_rules AS r ON r.id = e.rules_id
"""

_RUNS = """
CREATE VIEW label_runs AS
SELECT r.id AS run, r.command, r.host, r.started AS started_utc, {started} AS started_iso, r.code_version, r.backend,
       r.precision, r.settings_digest, e.rules
FROM runs AS r
LEFT JOIN event_rules AS e ON e.id = r.rules_id
"""

NAMES = (
    "label_runs",
    "aurora_events",
    "file_states",
    "occurrence_hourly",
    "occurrence_nightly",
    "occurrence_kinds",
    "occurrence_parts",
    "labels_current",
    "current_codes",
)
"""In the order in which they can be dropped."""


def statements(dialect: str, *, divided: bool = False) -> list[str]:
    """Give the statements that make every view, in order; `divided` where labels hold the time of their frame."""
    sqlite = dialect == "sqlite"
    return [
        _CURRENT.format_map(_FRAME_BY_FRAME if divided else _BY_JOIN),
        _labels_view(sqlite),
        _parts_view(sqlite),
        _occurrence_view("occurrence_hourly", f"{_hour_iso(sqlite)} AS hour, p.hour * 3600 AS hour_utc", "p.hour"),
        _occurrence_view("occurrence_nightly", f"{night_iso(sqlite, 'p.night')} AS night", "p.night"),
        _kinds_view(sqlite),
        _FILES,
        _EVENTS.format(
            night=night_iso(sqlite, "e.night"), begun=time_iso(sqlite, "e.begun"), ended=time_iso(sqlite, "e.ended")
        ),
        _RUNS.format(started=time_iso(sqlite, "r.started")),
    ]


def time_iso(sqlite: bool, column: str) -> str:
    """Give the SQL for a time to the millisecond, written 2026-01-31T22:00:00.250Z."""
    if sqlite:
        return f"strftime('%Y-%m-%dT%H:%M:%fZ', {column}, 'unixepoch')"
    return f"to_char(to_timestamp({column}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"


def night_iso(sqlite: bool, column: str) -> str:
    """Give the SQL for a night as a date, written 2026-01-31."""
    if sqlite:
        return f"date({column} * 86400, 'unixepoch')"
    return f"CAST(DATE '1970-01-01' + {column} AS TEXT)"


def _hour_iso(sqlite: bool) -> str:
    if sqlite:
        return "strftime('%Y-%m-%dT%H:00Z', p.hour * 3600, 'unixepoch')"
    return "to_char(to_timestamp(p.hour::bigint * 3600) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:00\"Z\"')"


def _cases(column: str, codes: dict[str, int]) -> str:
    whens = " ".join(f"WHEN {code} THEN '{name}'" for name, code in codes.items())
    return f"CASE {column} {whens} END"


def _labels_view(sqlite: bool) -> str:
    # PostgreSQL looks for the best order among the first eight tables only: with the camera after those it read every
    # frame for one night. In the other order SQLite, once analysed, took twelve times as long for the newest labels.
    return _LABELS.format(
        camera_and_file=f"{_FILE}\n{_CAMERA}" if sqlite else f"{_CAMERA}\n{_FILE}",
        time_iso=time_iso(sqlite, "q.time_utc"),
        night=night_iso(sqlite, "q.night"),
        time_source=_cases("q.time_source", TIME_SOURCES),
        source=_cases("q.source", SOURCES),
    )


def _parts_view(sqlite: bool) -> str:
    def now(name: str) -> str:
        return f"CASE h.due WHEN 0 THEN h.{name} ELSE COALESCE(d.{name}, 0) END"

    return _PARTS.format(
        columns=", ".join(f"{now(name)} AS {name}" for name in COUNTS),
        due=(_DUE_SQLITE if sqlite else _DUE_POSTGRESQL).format(counted=label_sums("q.label_id")),
        total=now("total"),
        dark=now("dark"),
        # A whole hour at a cadence of a third of a second is 10800 frames, not 10799.99999.
        expected=f"CAST({'x.frames + 0.000001' if sqlite else 'FLOOR(x.frames + 0.000001)'} AS INTEGER)",
    )


def _kinds_view(sqlite: bool) -> str:
    moon, why = kind_sql(sqlite)
    codes = {name: code for code, name in enumerate(MOONS)}
    return _KINDS.format(
        night_kept=night_iso(sqlite, "k.night"),
        night_due=night_iso(sqlite, "e.night"),
        second="3600" if sqlite else "CAST(3600 AS BIGINT)",
        moon=moon,
        why=why,
        moon_kept=_cases("k.moon", codes),
        moon_due=_cases(f"({moon})", codes),
    )


def _occurrence_view(name: str, period: str, by: str) -> str:
    def total(column: str) -> str:
        return f"CAST(SUM({column}) AS BIGINT)"

    return _OCCURRENCE.format(
        name=name,
        period=period,
        by=by,
        sums=", ".join(f"{total('p.' + count)} AS {count}" for count in COUNTS),
        aurora=total(" + ".join(f"p.{count}" for count in COUNTS if count in AURORA_LABELS)),
        total=total("p.total"),
        expected=total("p.expected"),
        missing=total("p.missing"),
    )
