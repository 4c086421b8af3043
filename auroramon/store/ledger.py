"""The ledger: which files are known, who has them in hand, and how they ended.

Nothing is lost and nothing is done twice, because a file is claimed in a committed transaction before the work and its
end is written in the same transaction as its labels. Every function here runs inside a transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    bindparam,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    text,
    update,
)

from auroramon.store.accounts import count_moves, moved
from auroramon.store.codes import Codes, split
from auroramon.store.months import same_frame
from auroramon.store.results import Claimed, Offered
from auroramon.store.schema import (
    LABELLED,
    PENDING,
    QUARANTINED,
    cameras,
    files,
    folders,
    frames,
    labels,
)
from auroramon.types import FileStat

MAX_CRASHES = 3
"""Deaths of a worker with a file in hand that were seen before the file is left alone."""

_COLUMNS = (
    files.c.id,
    files.c.folder_id,
    files.c.name,
    files.c.size,
    files.c.mtime_ns,
    files.c.state,
    files.c.tries,
    files.c.crashes,
    files.c.rewritten,
    files.c.not_before,
    files.c.claimed_by,
    files.c.done_at,
    files.c.seen_at,
)

# Built once: of a single frame's claim, building and naming statements would be half of the work.
_FIND = select(*_COLUMNS).where(
    files.c.folder_id == bindparam("folder"), files.c.name.in_(bindparam("names", expanding=True))
)
_FIND_ONE = select(*_COLUMNS).where(files.c.folder_id == bindparam("folder"), files.c.name == bindparam("name"))
_INSERT = insert(files)
_TAKE = (
    update(files)
    .where(files.c.id.in_(bindparam("rows", expanding=True)))
    .values(claimed_by=bindparam("run"), tries=files.c.tries + 1)
)


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file as the ledger has it."""

    id: int
    folder_id: int
    name: str
    size: int
    mtime_ns: int
    state: int
    tries: int
    crashes: int
    rewritten: int
    not_before: float | None
    claimed_by: int | None
    done_at: int | None
    seen_at: int

    def is_same(self, file: FileStat) -> bool:
        return self.size == file.size and self.mtime_ns == file.mtime_ns

    @property
    def is_suspect(self) -> bool:
        return self.tries > 0 or self.crashes > 0


def find(conn: Connection, codes: Codes, paths: Iterable[str]) -> dict[str, FileRow]:
    """Give the rows of those paths that are known."""
    by_folder: dict[str, dict[str, str]] = {}
    for path in paths:
        folder, name = split(path)
        by_folder.setdefault(folder, {})[name] = path
    known = codes.find(conn, folders, by_folder)
    found: dict[str, FileRow] = {}
    for folder, by_name in by_folder.items():
        if folder in known:
            for row in _in_folder(conn, known[folder], list(by_name)):
                found[by_name[row.name]] = FileRow(*row)
    return found


def _in_folder(conn: Connection, folder: int, names: Sequence[str]) -> Iterator[Any]:
    """Give the rows of those names that a folder has."""
    if len(names) == 1:  # a live frame: a list to be spelled out would cost more than the look itself
        yield from conn.execute(_FIND_ONE, {"folder": folder, "name": names[0]})
        return
    for start in range(0, len(names), 1000):
        yield from conn.execute(_FIND, {"folder": folder, "names": names[start : start + 1000]})


def needs_offer(conn: Connection, codes: Codes, offered: Sequence[FileStat]) -> list[FileStat]:
    """Give those files of an offer that are new or changed, each path once (its last state counts)."""
    latest = {file.path: file for file in offered}
    rows = find(conn, codes, latest)
    return [file for path, file in latest.items() if path not in rows or not rows[path].is_same(file)]


def offer(conn: Connection, codes: Codes, offered: Sequence[FileStat], now: float) -> Offered:
    """Enter new files, and open changed ones again. Offering twice is offering once."""
    latest = {file.path: file for file in offered}
    rows = find(conn, codes, latest)
    new, changed = _compare(latest, rows)
    _insert(conn, codes, new, now)
    _reopen(conn, changed, rows)
    return Offered(len(new), len(changed), len(latest) - len(new) - len(changed))


def _compare(latest: Mapping[str, FileStat], rows: Mapping[str, FileRow]) -> tuple[list[FileStat], list[FileStat]]:
    """Give the files that have no row, and those that are no longer as their row says."""
    new = [file for path, file in latest.items() if path not in rows]
    changed = [file for path, file in latest.items() if path in rows and not rows[path].is_same(file)]
    return new, changed


def _reopen(conn: Connection, changed: Sequence[FileStat], rows: Mapping[str, FileRow]) -> None:
    """Make changed files pending, as if they had never been tried."""
    if not changed:
        return
    count_moves(conn, moved((rows[file.path].state for file in changed), PENDING))
    conn.execute(
        update(files)
        .where(files.c.id == bindparam("row"))
        .values(state=PENDING, tries=0, crashes=0, reason=None, not_before=None, rewritten=bindparam("had_frames")),
        [
            {
                "row": rows[file.path].id,
                "size": file.size,
                "mtime_ns": file.mtime_ns,
                "had_frames": int(rows[file.path].done_at is not None),
            }
            for file in changed
        ],
    )


def _insert(conn: Connection, codes: Codes, new: Sequence[FileStat], now: float, run: int | None = None) -> None:
    """Enter new files; in the hands of `run`, with the try counted, where one is given."""
    if not new:
        return
    parts = [split(file.path) for file in new]
    folder_ids = codes.make(conn, folders, {folder for folder, _ in parts})
    camera_ids = codes.make(conn, cameras, {file.camera for file in new if file.camera})
    count_moves(conn, {PENDING: len(new)}, new=len(new))
    conn.execute(
        _INSERT,
        [
            {
                "folder_id": folder_ids[folder],
                "name": name,
                "size": file.size,
                "mtime_ns": file.mtime_ns,
                "camera_id": camera_ids.get(file.camera),
                "state": PENDING,
                "tries": int(run is not None),
                "crashes": 0,
                "rewritten": 0,
                "claimed_by": run,
                "seen_at": int(now),
            }
            for file, (folder, name) in zip(new, parts, strict=True)
        ],
    )


def open_files(
    conn: Connection, limit: int, now: float, newest_first: bool, camera: str | None, suspects: bool
) -> list[tuple[int, FileStat]]:
    """Give files that are pending, due and in nobody's hands: either the suspects or the others."""
    found = conn.execute(
        _open_files(newest_first, camera is not None, suspects), {"now": now, "limit": limit, "camera": camera}
    )
    return [
        (number, FileStat(folder + name, size, mtime_ns, hint or ""))
        for number, folder, name, size, mtime_ns, hint in found
    ]


@lru_cache(maxsize=8)
def _open_files(newest_first: bool, of_camera: bool, suspects: bool) -> Select[Any]:
    suspect = or_(files.c.tries > 0, files.c.crashes > 0)
    query = (
        select(files.c.id, folders.c.path, files.c.name, files.c.size, files.c.mtime_ns, cameras.c.name)
        .join(folders, folders.c.id == files.c.folder_id)
        .outerjoin(cameras, cameras.c.id == files.c.camera_id)
        .where(text("files.state = 0"))  # spelled out, so that the partial index is used
        .where(files.c.claimed_by.is_(None))
        .where(or_(files.c.not_before.is_(None), files.c.not_before <= bindparam("now")))
        .where(suspect if suspects else not_(suspect))
        .order_by(files.c.mtime_ns.desc() if newest_first else files.c.mtime_ns, files.c.id)
        .limit(bindparam("limit"))
    )
    return query.where(func.coalesce(cameras.c.name, "") == bindparam("camera")) if of_camera else query


def take(conn: Connection, run: int, file_ids: Sequence[int]) -> None:
    """Claim these files for a run, and count the try before the work begins."""
    for start in range(0, len(file_ids), 1000):
        conn.execute(_TAKE, {"rows": file_ids[start : start + 1000], "run": run})


def claim_offered(
    conn: Connection, codes: Codes, run: int, offered: Sequence[FileStat], now: float, model: int | None
) -> Claimed:
    """Offer files and claim those that need work: open ones, and with a model those it has not labelled."""
    latest = {file.path: file for file in offered}
    rows = find(conn, codes, latest)
    new, changed = _compare(latest, rows)
    _insert(conn, codes, new, now, run)
    if changed:
        _reopen(conn, changed, rows)
        rows = find(conn, codes, rows)
    free = {path: row for path, row in rows.items() if row.claimed_by is None}
    # A backfill names its files and ends with them: what was not ready a moment ago is tried now.
    ready = [path for path, row in free.items() if model is not None or (row.not_before or 0) <= now]
    due = [path for path in ready if free[path].state == PENDING]
    again: list[str] = []
    if model is not None:
        done = {row.id: path for path, row in free.items() if row.state == LABELLED}
        again = [done[number] for number in unlabelled(conn, list(done), model)]
    taken = {*due, *again}
    take(conn, run, [free[path].id for path in taken])
    suspects = {path for path in taken if free[path].is_suspect}
    fresh = {file.path for file in new} | (taken - suspects)
    return Claimed(
        fresh=tuple(file for path, file in latest.items() if path in fresh),
        suspects=tuple(file for path, file in latest.items() if path in suspects),
        known=_known(rows, run) - len(again) + len(offered) - len(latest),
    )


def _known(rows: Mapping[str, FileRow], run: int) -> int:
    """Count the files that are done, or that this run was given before."""
    return sum(row.state != PENDING or row.claimed_by == run for row in rows.values())


def unlabelled(conn: Connection, file_ids: Sequence[int], model: int) -> list[int]:
    """Give those of these files of which a frame has no label of this model."""
    labelled = select(labels.c.model_id).where(same_frame(conn, labels, frames), labels.c.model_id == model)
    found: list[int] = []
    for start in range(0, len(file_ids), 500):
        query = (
            select(frames.c.file_id)
            .distinct()
            .where(frames.c.file_id.in_(file_ids[start : start + 500]))
            .where(~exists(labelled))
        )
        found += conn.scalars(query)
    return found


def needing_work(conn: Connection, codes: Codes, offered: Sequence[FileStat], model: int) -> list[FileStat]:
    """Give new, changed and pending files, and those with a frame that this model has not labelled."""
    latest = {file.path: file for file in offered}
    rows = find(conn, codes, latest)
    lacking = set(unlabelled(conn, [row.id for row in rows.values() if row.state == LABELLED], model))
    return [
        file
        for path, file in latest.items()
        if path not in rows or not rows[path].is_same(file) or rows[path].state == PENDING or rows[path].id in lacking
    ]


def release(conn: Connection, run: int) -> int:
    """Give back what a run has in hand, as if it had not been taken."""
    return conn.execute(
        update(files).where(files.c.claimed_by == run).values(claimed_by=None, tries=files.c.tries - 1)
    ).rowcount


def free_claims(conn: Connection, runs: Select[tuple[int]]) -> int:
    """Take the files of dead runs out of their hands. The tries stay: one of these files may have killed it."""
    return conn.execute(update(files).where(files.c.claimed_by.in_(runs)).values(claimed_by=None)).rowcount


def pending_of(conn: Connection, numbers: Collection[int]) -> int:
    """Count those of these files, by their numbers, that are pending."""
    ordered, pending = sorted(numbers), 0
    for start in range(0, len(ordered), 1000):
        some = files.c.id.in_(ordered[start : start + 1000])
        pending += conn.scalar(select(func.count()).select_from(files).where(some, files.c.state == PENDING)) or 0
    return pending


def make_due(conn: Connection) -> None:
    """Have every pending file tried again now, however long it was to wait, and by whatever clock."""
    conn.execute(update(files).where(text("files.state = 0"), files.c.not_before.is_not(None)).values(not_before=None))


def retry_quarantined(conn: Connection, codes: Codes, paths: Iterable[str] | None) -> int:
    """Open quarantined files again, all or these."""
    reopened = {"state": PENDING, "tries": 0, "crashes": 0, "reason": None, "not_before": None}
    if paths is None:
        number = conn.execute(update(files).where(files.c.state == QUARANTINED).values(reopened)).rowcount
        count_moves(conn, {QUARANTINED: -number, PENDING: number})
        return number
    rows = find(conn, codes, paths).values()
    wanted = [{"row": row.id} for row in rows if row.state == QUARANTINED]
    if wanted:
        conn.execute(update(files).where(files.c.id == bindparam("row")).values(reopened), wanted)
        count_moves(conn, {QUARANTINED: -len(wanted), PENDING: len(wanted)})
    return len(wanted)
