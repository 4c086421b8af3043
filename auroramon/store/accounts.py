"""How things stand: every file by its state, what waits, what is left alone, what each camera gave last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, case, func, select, text

from auroramon.store.encoding import moment
from auroramon.store.results import CameraStatus, FileAccount, QuarantinedFile
from auroramon.store.schema import LABELLED, PENDING, QUARANTINED, SKIPPED, STATES, cameras, files, folders, frames
from auroramon.store.schema import account as kept

_KEPT = select(kept.c.seen, kept.c.labelled, kept.c.skipped, kept.c.quarantined, kept.c.pending)
_MOVE = text(
    "INSERT INTO account (id, seen, pending, labelled, skipped, quarantined) "
    "VALUES (1, :seen, :pending, :labelled, :skipped, :quarantined) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = account.{name} + excluded.{name}" for name in ("seen", *STATES.values()))
)


def account(conn: Connection) -> FileAccount:
    """Give the account that is kept: one row, whatever the number of files."""
    row = conn.execute(_KEPT).one_or_none()
    return FileAccount(*row) if row else FileAccount(0, 0, 0, 0, 0)


def count_moves(conn: Connection, moves: Mapping[int, int], *, new: int = 0) -> None:
    """Bring the account up to date: by how much each state grew, and how many files were never seen before.

    In the transaction that changes the states, so that it is right whatever is killed.
    """
    if new or any(moves.values()):
        conn.execute(_MOVE, {"seen": new} | {name: moves.get(state, 0) for state, name in STATES.items()})


def moved(states: Iterable[int], to: int) -> Counter[int]:
    """Give by how much each state grows when files of these states come into another."""
    moves: Counter[int] = Counter()
    for state in states:
        moves[state] -= 1
        moves[to] += 1
    return moves


def keep_account(conn: Connection) -> FileAccount:
    """Count every file, and keep that; give what was kept before."""
    before, now = account(conn), recount(conn)
    difference = {name: getattr(now, name) - getattr(before, name) for name in ("seen", *STATES.values())}
    conn.execute(_MOVE, difference)
    return before


def recount(conn: Connection) -> FileAccount:
    """Count every file, and by itself each state, at one moment; reads the whole table."""

    def count(state: int) -> object:
        return func.coalesce(func.sum(case((files.c.state == state, 1), else_=0)), 0)

    states = [count(state) for state in (LABELLED, SKIPPED, QUARANTINED, PENDING)]
    row = conn.execute(select(func.count(), *states).select_from(files)).one()
    return FileAccount(*(int(number) for number in row))


def backlog(conn: Connection) -> dict[str, int]:
    """Count pending files by camera; under an empty name those whose header must say."""
    query = (
        select(cameras.c.name, func.count())
        .select_from(files.outerjoin(cameras, cameras.c.id == files.c.camera_id))
        .where(text("files.state = 0"))  # spelled out, so that the partial index is used
        .group_by(cameras.c.name)
    )
    return {name or "": number for name, number in conn.execute(query)}


def quarantined(conn: Connection) -> list[QuarantinedFile]:
    """Give the files that are left alone, oldest first."""
    query = (
        select(folders.c.path, files.c.name, cameras.c.name, files.c.reason, files.c.done_at)
        .join(folders, folders.c.id == files.c.folder_id)
        .outerjoin(cameras, cameras.c.id == files.c.camera_id)
        .where(text("files.state = 3"))
        .order_by(files.c.done_at, files.c.id)
    )
    return [
        QuarantinedFile(folder + name, camera or "", reason or "", moment(since))
        for folder, name, camera, reason, since in conn.execute(query)
    ]


def camera_status(conn: Connection) -> list[CameraStatus]:
    """Give each camera's newest frame and open work, by name."""
    waiting = backlog(conn)
    last = select(func.max(frames.c.time_utc)).where(frames.c.camera_id == cameras.c.id).scalar_subquery()
    query = select(cameras.c.name, last).order_by(cameras.c.name)
    return [
        CameraStatus(name, None if time is None else moment(time), waiting.get(name, 0))
        for name, time in conn.execute(query)
    ]
