"""Cameras, models and runs: the few rows that the many refer to. Every function runs in the caller's transaction."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from auroramon.errors import StoreError
from auroramon.store.changes import every_label_changed
from auroramon.store.codes import Codes
from auroramon.store.encoding import epoch, moment
from auroramon.store.ledger import free_claims, release
from auroramon.store.results import CameraPlace, ModelRow
from auroramon.store.schema import cameras, embedders, labels, models, runs

SILENT_S = 600.0
"""A run that has not given a sign of life for ten minutes is dead, wherever it ran."""

SHORTEST_DIGEST = 8
"""Digits of a digest by which a model can be asked for."""

STOP_FIRST = "stop that first; a program that was killed elsewhere counts as gone after ten minutes"
"""What to do about a living run that stands in the way."""


class Process(NamedTuple):
    """Where a run is at work."""

    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class LivingRun:
    """A run that works on the database."""

    command: str
    host: str
    pid: int

    def __str__(self) -> str:
        return f"`auroramon {self.command}` (process {self.pid} on {self.host})"


def process_is_alive(pid: int) -> bool:
    """Say whether a process of this number runs on this host."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def living_runs(conn: Connection, now: float, is_alive: Callable[[int], bool]) -> list[LivingRun]:
    """Give the runs of other processes that have not ended, and do not count as dead.

    A table of any version will do, and nothing is written.
    """
    query = select(runs.c.command, runs.c.host, runs.c.pid, runs.c.heartbeat).where(runs.c.ended.is_(None))
    own = Process(socket.gethostname(), os.getpid())
    return [
        LivingRun(run.command, run.host, run.pid)
        for run in conn.execute(query.order_by(runs.c.id))
        if not _is_dead(Process(run.host, run.pid), run.heartbeat, own, now, is_alive)
    ]


def _is_dead(process: Process, heartbeat: float, own: Process, now: float, is_alive: Callable[[int], bool]) -> bool:
    """Say whether a run that has not ended never will.

    So it is with one of this host whose process is gone, or that has this process's own number (in a container every
    run has the same), with any that was silent too long, and with one whose last sign of life lies in the future: the
    clock was wrong when it gave that, or is now, as after a power cut where there is no battery for it.
    """
    return abs(now - heartbeat) > SILENT_S or (
        process.host == own.host and (process.pid == own.pid or not is_alive(process.pid))
    )


def register_cameras(conn: Connection, codes: Codes, places: Sequence[CameraPlace]) -> None:
    """Enter cameras, or bring what is known of them up to date."""
    if not places:
        return
    numbers = codes.make(conn, cameras, {place.name for place in places})
    conn.execute(
        update(cameras).where(cameras.c.id == bindparam("row")),
        [
            {
                "row": numbers[place.name],
                "site": place.site,
                "latitude": place.latitude,
                "longitude": place.longitude,
                "cadence_s": place.cadence_s,
                "sun_below_deg": place.sun_below_deg,
            }
            for place in places
        ],
    )


def register_model(conn: Connection, codes: Codes, model: ModelRow) -> int:
    """Enter a model; one of the same digest is the same model."""
    known: int | None = conn.scalar(select(models.c.id).where(models.c.digest == model.digest))
    if known is not None:
        return known
    embedder = codes.make(conn, embedders, [model.embedder_digest])[model.embedder_digest]
    query = (
        insert(models)
        .values(
            name=model.name,
            digest=model.digest,
            embedder_id=embedder,
            labels=json.dumps(model.labels),
            threshold=model.threshold,
            created=epoch(model.created),
            promoted_at=None if model.promoted_at is None else epoch(model.promoted_at),
        )
        .returning(models.c.id)
    )
    return int(conn.execute(query).scalar_one())


def all_models(conn: Connection) -> list[ModelRow]:
    """Give every model, the one whose labels are shown first."""
    query = (
        select(models, embedders.c.digest.label("embedder_digest"))
        .join(embedders, embedders.c.id == models.c.embedder_id)
        .order_by(func.coalesce(models.c.promoted_at, 0).desc(), models.c.created.desc(), models.c.id.desc())
    )
    return [
        ModelRow(
            name=row.name,
            digest=row.digest,
            embedder_digest=row.embedder_digest,
            labels=tuple(json.loads(row.labels)),
            threshold=row.threshold,
            created=moment(row.created),
            promoted_at=None if row.promoted_at is None else moment(row.promoted_at),
            id=row.id,
        )
        for row in conn.execute(query)
    ]


def find_model(rows: Sequence[ModelRow], wanted: str) -> ModelRow:
    """Give the newest model of a name, or the one whose digest begins so: two bundles of one name are two models.

    Raises:
        StoreError: there is none.
    """
    named = [row for row in rows if row.name == wanted]
    if not named and len(wanted) >= SHORTEST_DIGEST:
        named = [row for row in rows if row.digest.startswith(wanted)]
    if not named:
        twice = {name for name, count in Counter(row.name for row in rows).items() if count > 1}
        known = sorted(f"{row.name} ({row.digest[:12]})" if row.name in twice else row.name for row in rows)
        raise StoreError(f"the database knows no model named {wanted!r} (it knows {', '.join(known or ['none'])})")
    return max(named, key=lambda row: (row.created, row.id))


def promote_model(conn: Connection, name: str, now: float) -> int:
    """Make the model that `find_model` gives the one whose labels are shown."""
    number = find_model(all_models(conn), name).id
    conn.execute(update(models).where(models.c.id == number).values(promoted_at=now))
    every_label_changed(conn)
    return number


def keep_speaking(conn: Connection, now: float) -> str | None:
    """Promote the newest model that has labels, if no model was ever promoted; give its name."""
    if conn.scalar(select(func.count()).select_from(models).where(models.c.promoted_at.is_not(None))):
        return None
    has_labels = select(labels.c.model_id).where(labels.c.model_id == models.c.id).exists()
    query = select(models.c.id, models.c.name).where(has_labels).order_by(models.c.created.desc(), models.c.id.desc())
    newest = conn.execute(query.limit(1)).one_or_none()
    if newest is None:
        return None
    conn.execute(update(models).where(models.c.id == newest.id).values(promoted_at=now))
    return str(newest.name)


def start_run(conn: Connection, row: dict[str, str | int], now: float) -> int:
    """Enter a run and give its number."""
    return int(conn.execute(insert(runs).values(started=now, heartbeat=now, **row).returning(runs.c.id)).scalar_one())


def heartbeat(conn: Connection, run: int, now: float) -> None:
    """Say that a run lives; one that was taken for dead lives again."""
    conn.execute(update(runs).where(runs.c.id == run).values(heartbeat=now, ended=None))


def end_run(conn: Connection, run: int, now: float) -> int:
    """End a run in order: what it still had in hand goes back as if never taken."""
    conn.execute(update(runs).where(runs.c.id == run).values(heartbeat=now, ended=now))
    return release(conn, run)


def recover(conn: Connection, run: int, now: float, is_alive: Callable[[int], bool]) -> int:
    """End the runs that died, and free their claims; give the number of files freed.

    A run wrongly taken for dead does no harm: its files may be worked on twice, and the second commit finds the first.
    """
    own = Process(*conn.execute(select(runs.c.host, runs.c.pid).where(runs.c.id == run)).one())
    others = conn.execute(
        select(runs.c.id, runs.c.host, runs.c.pid, runs.c.heartbeat).where(runs.c.ended.is_(None), runs.c.id != run)
    ).all()
    dead = [
        other.id for other in others if _is_dead(Process(other.host, other.pid), other.heartbeat, own, now, is_alive)
    ]
    if dead:
        conn.execute(update(runs).where(runs.c.id.in_(dead)).values(ended=now))
    ended = select(runs.c.id).where(runs.c.ended.is_not(None), runs.c.id != run)
    return free_claims(conn, ended)
