"""Reads labels and occurrence through the views, so that a program and a person's SQL see the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime
from functools import lru_cache
from heapq import merge
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, column, func, select, table

from auroramon.store.choice import LabelChoice
from auroramon.store.encoding import day_date, epoch, moment, unpack
from auroramon.store.results import By, LabelRow, OccurrenceRow
from auroramon.store.schema import COUNTS, cameras
from auroramon.types import AURORA_LABELS

_WHO = ("path", "frame_index", "camera", "channel", "time_utc", "time_source", "night", "file_id")
_WHAT = ("label", "confidence", "distance", "model", "scores", "score_labels", "reason", "source", "run")
_SKY = ("sun_altitude", "moon_altitude", "moon_phase")
_CURRENT = table("labels_current", *(column(name) for name in (*_WHO, *_WHAT, *_SKY)))
_PARTS = table(
    "occurrence_parts",
    *(column(name) for name in ("camera", "night", "hour", *COUNTS, "total", "expected", "missing")),
)


def labels(conn: Connection, choice: LabelChoice, *, newest_first: bool, limit: int | None) -> Iterator[LabelRow]:
    """Stream the current labels of a choice, by time; a thousand of each camera are in memory at once."""
    view = _CURRENT.c
    order = (view.time_utc, view.camera, view.file_id, view.frame_index)
    query = select(*_CURRENT.c).order_by(*(key.desc() for key in order) if newest_first else order)
    query = query.where(*choice.conditions(_CURRENT)).limit(limit)
    # One stream for each camera, because the index gives those in order; sorting all frames of all cameras for the
    # newest twenty took seconds at a million frames.
    names = [choice.camera] if choice.camera is not None else list(conn.scalars(select(cameras.c.name)))
    streaming = conn.execution_options(yield_per=1000)
    with ExitStack() as open_streams:
        streams = [open_streams.enter_context(streaming.execute(query.where(view.camera == name))) for name in names]
        yield from map(_label_row, islice(merge(*streams, key=_moment_of, reverse=newest_first), limit))


def _moment_of(row: Row[Any]) -> tuple[float, str, int, int]:
    return row.time_utc, row.camera, row.file_id, row.frame_index


def _label_row(row: Row[Any]) -> LabelRow:
    scores = unpack(row.scores)
    return LabelRow(
        path=row.path,
        frame_index=row.frame_index,
        camera=row.camera,
        channel=row.channel,
        time=moment(row.time_utc),
        time_source=row.time_source,
        night=date.fromisoformat(row.night),
        label=row.label,
        confidence=row.confidence,
        distance=row.distance,
        model=row.model,
        scores=dict(zip(_score_labels(row.score_labels), scores.tolist(), strict=False)),
        sun_altitude=row.sun_altitude,
        moon_altitude=row.moon_altitude,
        moon_phase=row.moon_phase,
        reason=row.reason,
        source=row.source,
        run=row.run,
    )


@lru_cache(maxsize=32)
def _score_labels(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def occurrence(
    conn: Connection, by: By, *, since: datetime | None, until: datetime | None, camera: str | None
) -> list[OccurrenceRow]:
    """Count frames by camera and period, by time.

    Nights and months go by the date of the night, hours by UTC. A night lies between `since` and `until` if the UTC
    noon of its date does, an hour if its beginning does.
    """
    parts = _PARTS.c
    unit, per_second, offset = (parts.hour, 3600, 0) if by == "hour" else (parts.night, 86400, 43200)
    query = (
        select(
            parts.camera,
            unit,
            *(func.sum(parts[name]) for name in (*COUNTS, "total", "expected", "missing")),
        )
        .group_by(parts.camera, unit)
        .order_by(unit, parts.camera)
    )
    if since is not None:
        query = query.where(unit >= math.ceil((epoch(since) - offset) / per_second))
    if until is not None:
        query = query.where(unit < math.ceil((epoch(until) - offset) / per_second))
    if camera is not None:
        query = query.where(parts.camera == camera)
    periods: dict[tuple[str, str], list[int | None]] = {}
    for name, number, *numbers in conn.execute(query):
        key = (_period(by, number), name)
        periods[key] = [_plus(a, b) for a, b in zip(periods.get(key, [None] * len(numbers)), numbers, strict=True)]
    return [_occurrence_row(name, period, numbers) for (period, name), numbers in periods.items()]


def _plus(a: int | None, b: int | None) -> int | None:
    if b is None:
        return a
    return int(b) + (a or 0)


def _period(by: By, number: int) -> str:
    if by == "hour":
        return f"{moment(number * 3600):%Y-%m-%dT%H:00Z}"
    day = day_date(number)
    return f"{day:%Y-%m}" if by == "month" else day.isoformat()


def _occurrence_row(camera: str, period: str, numbers: list[int | None]) -> OccurrenceRow:
    *counted, total, expected, missing = numbers
    counts = {name: number or 0 for name, number in zip(COUNTS, counted, strict=True)}
    return OccurrenceRow(
        camera=camera,
        period=period,
        counts=counts,
        aurora=sum(counts[name] for name in AURORA_LABELS),
        total=total or 0,
        expected=expected,
        missing=missing,
    )
