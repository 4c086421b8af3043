"""Events in the database: which nights must be looked at again, and what was found in them.

Whoever changes what a frame of a night is said to show counts that night's `changes` up, in the same transaction. A
night is due while its events are of an older count, or of other rules; so nothing is lost by a kill, and twice is once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, column, delete, insert, select, table, text, update

from auroramon.events import EventRules, NightEvent, Sighting, derive
from auroramon.store.codes import Codes, label_codes
from auroramon.store.encoding import day_date, epoch, moment
from auroramon.store.results import AuroraEvent
from auroramon.store.schema import cameras, event_nights, event_rules, events, label_names, nights

_DAY = 86_400.0
_CURRENT = table(
    "current_codes",
    *(column(name) for name in ("camera_id", "night", "time_utc", "label_id", "confidence", "review_id", "file_id")),
    column("frame_index"),
)
_CHANGED = text(
    "INSERT INTO event_nights (camera_id, night, changes) VALUES (:camera, :night, 1) "
    "ON CONFLICT (camera_id, night) DO UPDATE SET changes = event_nights.changes + 1"
)


@dataclass(frozen=True, slots=True)
class DueNight:
    """A night whose events are not those of its labels."""

    camera_id: int
    night: int  # days since 1970
    changes: int | None  # when it was found due; None: never counted


@dataclass(frozen=True, slots=True)
class Derived:
    """What was found in a night, before it is written."""

    due: DueNight
    events: Sequence[NightEvent]


def count_change(conn: Connection, changed: Iterable[tuple[int, int]]) -> None:
    """Say that labels of these nights, as (camera, night), are others now."""
    rows = [{"camera": camera, "night": night} for camera, night in sorted(set(changed))]
    if rows:
        conn.execute(_CHANGED, rows)


def count_change_everywhere(conn: Connection) -> None:
    """Say that every label may be another now: another model speaks."""
    conn.execute(update(event_nights).values(changes=event_nights.c.changes + 1))


def rules_number(conn: Connection, rules: EventRules) -> int:
    """Give the number of these rules, entered if they are new."""
    said = json.dumps(asdict(rules), sort_keys=True)
    known: int | None = conn.scalar(select(event_rules.c.id).where(event_rules.c.rules == said))
    if known is not None:
        return known
    return int(conn.execute(insert(event_rules).values(rules=said).returning(event_rules.c.id)).scalar_one())


def due_nights(conn: Connection, rules: int, since: float | None, camera: str | None) -> list[DueNight]:
    """Give the nights to look at, oldest first; `since` leaves out those that ended before it (Unix seconds)."""
    same = (event_nights.c.camera_id == nights.c.camera_id) & (event_nights.c.night == nights.c.night)
    query = (
        select(nights.c.camera_id, nights.c.night, event_nights.c.changes)
        .outerjoin(event_nights, same)
        .where(
            event_nights.c.derived.is_(None)
            | (event_nights.c.derived != event_nights.c.changes)
            | (event_nights.c.rules_id != rules)
        )
        .order_by(nights.c.night, nights.c.camera_id)
    )
    if since is not None:
        query = query.where(nights.c.night >= int(since // _DAY) - 1)
    if camera is not None:
        query = query.join(cameras, cameras.c.id == nights.c.camera_id).where(cameras.c.name == camera)
    return [DueNight(*row) for row in conn.execute(query)]


def look_at(conn: Connection, due: DueNight, rules: EventRules) -> Derived:
    """Derive the events of a night from its labels as they are at this moment."""
    has = _CURRENT.c
    query = (
        select(has.time_utc, label_names.c.name, has.confidence, has.review_id)
        .join(label_names, label_names.c.id == has.label_id)
        .where(has.camera_id == due.camera_id, has.night == due.night)
        .where(has.time_utc >= due.night * _DAY, has.time_utc < (due.night + 2) * _DAY)  # by the index
        .order_by(has.time_utc, has.file_id, has.frame_index)
    )
    changes = conn.scalar(
        select(event_nights.c.changes).where(
            event_nights.c.camera_id == due.camera_id, event_nights.c.night == due.night
        )
    )
    found = derive((_sighting(*row) for row in conn.execute(query)), rules)
    return Derived(DueNight(due.camera_id, due.night, changes), found)


def _sighting(time: float, label: str, millionths: int | None, review: int | None) -> Sighting:
    sure = None if millionths is None else millionths / 1_000_000
    return Sighting(time, label, sure if review is None else 1.0)


def write(conn: Connection, codes: Codes, derived: Derived, rules: int) -> bool:
    """Put the events of a night in the place of the old ones; False where its labels have changed meanwhile."""
    due = derived.due
    if due.changes is None:
        count_change(conn, [(due.camera_id, due.night)])
    this = (event_nights.c.camera_id == due.camera_id) & (event_nights.c.night == due.night)
    changes = conn.scalar(select(event_nights.c.changes).where(this))
    if changes != (due.changes or 1):
        return False
    conn.execute(delete(events).where(events.c.camera_id == due.camera_id, events.c.night == due.night))
    numbers = label_codes(codes, conn, {event.label for event in derived.events})
    rows = [
        {
            "camera_id": due.camera_id,
            "begun": event.begun,
            "night": due.night,
            "ended": event.ended,
            "is_over": int(event.over),
            "label_id": numbers[event.label],
            "confidence": round(event.confidence * 1_000_000),
            "frames": event.frames,
            "rules_id": rules,
        }
        for event in derived.events
    ]
    if rows:
        conn.execute(insert(events), rows)
    conn.execute(update(event_nights).where(this).values(derived=changes, rules_id=rules))
    return True


def read(
    conn: Connection, since: datetime | None, until: datetime | None, camera: str | None, label: str | None
) -> list[AuroraEvent]:
    """Give the events that touch a span of time, by their beginning."""
    query = (
        select(
            cameras.c.name, events.c.night, events.c.begun, events.c.ended, events.c.is_over, label_names.c.name,
            events.c.confidence, events.c.frames, event_rules.c.rules,
        )
        .join(cameras, cameras.c.id == events.c.camera_id)
        .join(label_names, label_names.c.id == events.c.label_id)
        .join(event_rules, event_rules.c.id == events.c.rules_id)
        .order_by(events.c.begun, cameras.c.name)
    )  # fmt: skip
    if since is not None:
        query = query.where(events.c.ended >= epoch(since))
    if until is not None:
        query = query.where(events.c.begun < epoch(until))
    if camera is not None:
        query = query.where(cameras.c.name == camera)
    if label is not None:
        query = query.where(label_names.c.name == label)
    return [
        AuroraEvent(
            name, day_date(night), moment(begun), moment(ended), bool(over), kind, sure / 1_000_000, number,
            EventRules(**json.loads(rules)),
        )
        for name, night, begun, ended, over, kind, sure, number, rules in conn.execute(query)
    ]  # fmt: skip
