"""Which folders a listing has behind it, and what the ledger knows of the files in them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from auroramon.store.ledger import unlabelled
from auroramon.store.schema import LABELLED, SKIPPED, files, folders, listed_folders
from auroramon.types import DoneFile, FileStat, ListedFolder


def note(conn: Connection, listing: str, listed: Sequence[ListedFolder]) -> None:
    """Remember these folders; what was known of them before is forgotten."""
    latest = {folder.path: folder for folder in listed}
    for path in latest:
        conn.execute(delete(listed_folders).where(_of(listing), listed_folders.c.path == path))
    rows = [
        {
            "listing": listing,
            "path": folder.path,
            "mtime_ns": folder.mtime_ns,
            "listed_ns": folder.listed_ns,
            "below": json.dumps(folder.below),
        }
        for folder in latest.values()
    ]
    conn.execute(insert(listed_folders), rows)


def listed(conn: Connection, listing: str, path: str) -> ListedFolder | None:
    """Give what is remembered of a folder."""
    columns = (listed_folders.c.mtime_ns, listed_folders.c.listed_ns, listed_folders.c.below)
    row = conn.execute(select(*columns).where(_of(listing), listed_folders.c.path == path)).one_or_none()
    return row and ListedFolder(path, row.mtime_ns, row.listed_ns, tuple(json.loads(row.below)))


def number_listed(conn: Connection, listing: str) -> int:
    """Give the number of folders that a listing has behind it."""
    return conn.execute(select(func.count()).select_from(listed_folders).where(_of(listing))).scalar_one()


def forget(conn: Connection, listing: str) -> None:
    """Forget a listing: the next one begins anew."""
    conn.execute(delete(listed_folders).where(_of(listing)))


def forget_older(conn: Connection, before_ns: int) -> None:
    """Forget folders that were listed before a time, whatever the listing."""
    conn.execute(delete(listed_folders).where(listed_folders.c.listed_ns < before_ns))


def known_files(conn: Connection, folder: str, model: int, after: str, limit: int) -> list[FileStat]:
    """Give files of one folder (its path with a closing slash) behind a name, in the order of their names.

    A DoneFile is skipped, or has a label of this model for each frame.
    """
    query = (
        select(files.c.id, files.c.name, files.c.size, files.c.mtime_ns, files.c.state)
        .join(folders, folders.c.id == files.c.folder_id)
        .where(folders.c.path == folder, files.c.name > after)
        .order_by(files.c.name)
        .limit(limit)
    )
    rows = conn.execute(query).all()
    lacking = set(unlabelled(conn, [row.id for row in rows if row.state == LABELLED], model))
    return [
        (DoneFile if state == SKIPPED or (state == LABELLED and number not in lacking) else FileStat)(
            folder + name, size, mtime_ns
        )
        for number, name, size, mtime_ns, state in rows
    ]


def _of(listing: str) -> ColumnElement[bool]:
    return listed_folders.c.listing == listing
