"""Which labels somebody asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, func

from auroramon.store.encoding import epoch


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """Labels that pass every filter; what is not given lets all pass."""

    since: datetime | None = None  # aware UTC; since <= time < until
    until: datetime | None = None
    night: date | None = None  # of the local noon before
    camera: str | None = None
    labels: tuple[str, ...] = ()  # any of these
    min_confidence: float | None = None  # 0..1; frames that a gate refused have none, and pass no such filter
    max_confidence: float | None = None
    reason: str | None = None  # a part of the reason of an `unknown`; case does not matter
    model: str | None = None  # the one that speaks; "human" where a person corrected it

    def conditions(self, view: FromClause) -> list[ColumnElement[bool]]:
        """Give the filters as SQL on `labels_current`; all but the camera, by which it is read."""
        has = view.c
        filters: list[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = [
            (self.since, lambda since: has.time_utc >= epoch(since)),
            (self.until, lambda until: has.time_utc < epoch(until)),
            (self.night, lambda night: has.night == night.isoformat()),
            (self.labels or None, has.label.in_),
            (self.min_confidence, lambda least: has.confidence >= least),
            (self.max_confidence, lambda most: has.confidence <= most),
            (self.reason, lambda part: func.lower(has.reason).contains(part.lower(), autoescape=True)),
            (self.model, lambda name: has.model == name),
        ]
        return [condition(asked) for asked, condition in filters if asked is not None]


EVERY = LabelChoice()
