"""The questions of the Occurrence page, in SQL for SQLite and for PostgreSQL, by the time of the exposure.

Grafana puts in `${camera:sqlstring}` and `${__from:date:seconds}`. Only the documented views are read, and the names in
`cameras`. Every fraction is made a floating number: the SQLite plugin takes the type of a column from its first row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from auroramon.types import AURORA_LABELS, LABELS, UNKNOWN
from deploy.grafana.looks import LABELS as COUNTED

Dialect = Literal["sqlite", "postgresql"]
FROM, TO = "${__from:date:seconds}", "${__to:date:seconds}"
CAMERAS = "camera IN (${camera:sqlstring})"
HOURS = f"{CAMERAS} AND hour_utc >= {FROM} AND hour_utc < {TO}"
COUNTS = ", ".join(f"SUM({label}) AS {label}" for label in COUNTED)
OF_CLEAR_SKY = "100.0 * SUM(aurora) / NULLIF(SUM(aurora) + SUM(clear), 0)"
OF_ALL = "100.0 * SUM(aurora) / NULLIF(SUM(total), 0)"
COVERAGE = "100.0 * (SUM(expected) - SUM(missing)) / NULLIF(SUM(expected), 0)"
_BY_MOON = f"FROM occurrence_kinds WHERE {HOURS}\nGROUP BY moon_code, moon ORDER BY moon_code"
CHOICE = "SELECT name FROM cameras ORDER BY name"


@dataclass(frozen=True)
class Words:
    """What the two dialects say differently."""

    dialect: Dialect

    @property
    def nights(self) -> str:
        """Nights by the date of the noon before them, as the view writes it."""
        return f"{CAMERAS} AND night >= {self._date(FROM)} AND night <= {self._date(TO)}"

    @property
    def midnight(self) -> str:
        """The middle of a night in UTC, near enough for a bar: its date and twelve hours."""
        if self.dialect == "sqlite":
            return "CAST(strftime('%s', night) AS INTEGER) + 86400"
        return "(CAST(night AS DATE) + INTERVAL '1 day') AT TIME ZONE 'UTC'"

    @property
    def hour_time(self) -> str:
        return "hour_utc" if self.dialect == "sqlite" else "to_timestamp(hour_utc)"

    def _date(self, seconds: str) -> str:
        if self.dialect == "sqlite":
            return f"date({seconds}, 'unixepoch')"
        return f"to_char(to_timestamp({seconds}) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


def totals() -> str:
    return (
        f'SELECT SUM(total) AS "frames", {OF_CLEAR_SKY} AS "aurora of clear sky", {OF_ALL} AS "aurora of all frames",\n'
        f'       SUM(missing) AS "missing frames", {COVERAGE} AS "coverage"\n'
        f"FROM occurrence_hourly WHERE {HOURS}"
    )


def by_night(words: Words) -> str:
    return (
        f"SELECT {words.midnight} AS time, {COUNTS}, SUM(missing) AS missing\n"
        f"FROM occurrence_nightly WHERE {words.nights} GROUP BY night ORDER BY night"
    )


def rate_by_night(words: Words) -> str:
    return (
        f'SELECT {words.midnight} AS time, {OF_CLEAR_SKY} AS "of clear sky", {OF_ALL} AS "of all frames"\n'
        f"FROM occurrence_nightly WHERE {words.nights} GROUP BY night ORDER BY night"
    )


def coverage_by_night(words: Words) -> str:
    return (
        f"SELECT {words.midnight} AS time, {COVERAGE} AS coverage\n"
        f"FROM occurrence_nightly WHERE {words.nights} GROUP BY night ORDER BY night"
    )


def by_hour_of_day() -> str:
    return (
        f'SELECT substr(hour, 12, 2) AS "hour (UTC)", {COUNTS}, SUM(missing) AS missing\n'
        f"FROM occurrence_hourly WHERE {HOURS} GROUP BY substr(hour, 12, 2) ORDER BY substr(hour, 12, 2)"
    )


def rate_by_hour_of_day() -> str:
    return (
        f'SELECT substr(hour, 12, 2) AS "hour (UTC)", {OF_CLEAR_SKY} AS "aurora of clear sky"\n'
        f"FROM occurrence_hourly WHERE {HOURS} GROUP BY substr(hour, 12, 2) ORDER BY substr(hour, 12, 2)"
    )


def by_month(words: Words) -> str:
    return (
        f"SELECT substr(night, 1, 7) AS month, {COUNTS}, SUM(missing) AS missing\n"
        f"FROM occurrence_nightly WHERE {words.nights} GROUP BY substr(night, 1, 7) ORDER BY substr(night, 1, 7)"
    )


def by_moon() -> str:
    """Give the parts of all frames by how bright the Moon was: it hides faint aurora, and is itself a class."""
    known = ", ".join(f"'{label}'" for label in (*LABELS, UNKNOWN))
    tests = {label: f"label = '{label}'" for label in COUNTED} | {"other": f"label NOT IN ({known})"}
    share = ",\n       ".join(
        f"100.0 * SUM(CASE WHEN {test} THEN frames ELSE 0 END) / SUM(frames) AS {label}"
        for label, test in tests.items()
    )  # fmt: skip
    return f'SELECT moon AS "Moon",\n       {share}\n{_BY_MOON}'


def rate_by_moon() -> str:
    aurora = ", ".join(f"'{label}'" for label in sorted(AURORA_LABELS))
    return (
        'SELECT moon AS "Moon",\n'
        f"       100.0 * SUM(CASE WHEN label IN ({aurora}) THEN frames ELSE 0 END)\n"
        f"       / NULLIF(SUM(CASE WHEN label IN ({aurora}, 'clear') THEN frames ELSE 0 END), 0)"
        ' AS "aurora of clear sky"\n'
        f"{_BY_MOON}"
    )


def by_camera() -> str:
    return (
        f'SELECT camera, SUM(expected) AS expected, SUM(missing) AS missing, {COVERAGE} AS "coverage",\n'
        f"       SUM(total) AS frames, SUM(aurora) AS aurora, {COUNTS},\n"
        f'       {OF_CLEAR_SKY} AS "aurora of clear sky", {OF_ALL} AS "aurora of all frames"\n'
        f"FROM occurrence_hourly WHERE {HOURS} GROUP BY camera ORDER BY camera"
    )


def by_hour(words: Words) -> str:
    return (
        f"SELECT {words.hour_time} AS time, SUM(discrete) AS discrete, SUM(arc) AS arc, SUM(diffuse) AS diffuse\n"
        f"FROM occurrence_hourly WHERE {HOURS} GROUP BY hour_utc ORDER BY hour_utc"
    )


def refused() -> str:
    return (
        "SELECT camera, why, CAST(SUM(frames) AS BIGINT) AS frames\n"
        f"FROM occurrence_kinds WHERE {HOURS} AND label = '{UNKNOWN}'\n"
        "GROUP BY camera, why ORDER BY SUM(frames) DESC"
    )


def files() -> str:
    return (
        "SELECT camera, COUNT(*) AS seen,\n"
        "       SUM(CASE WHEN state = 'labelled' THEN 1 ELSE 0 END) AS labelled,\n"
        "       SUM(CASE WHEN state = 'skipped' THEN 1 ELSE 0 END) AS skipped,\n"
        "       SUM(CASE WHEN state = 'quarantined' THEN 1 ELSE 0 END) AS quarantined,\n"
        "       SUM(CASE WHEN state = 'pending' THEN 1 ELSE 0 END) AS pending\n"
        f"FROM file_states WHERE {CAMERAS} OR camera = '' GROUP BY camera ORDER BY camera"
    )
