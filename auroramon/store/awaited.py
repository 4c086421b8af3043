"""Files that are there without any content: known to everybody, and in nobody's hands until they had time to fill."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, update

from auroramon.store.codes import Codes
from auroramon.store.ledger import find, offer
from auroramon.store.schema import PENDING, files
from auroramon.types import FileStat

_AWAIT = (
    update(files)
    .where(files.c.id == bindparam("row"), files.c.state == PENDING, files.c.claimed_by.is_(None))
    .values(not_before=bindparam("due"))
)


def offer_empty(conn: Connection, codes: Codes, empty: Sequence[FileStat], now: float, due: float) -> None:
    """Enter empty files as pending and not due before `due`. One that is offered with content is due at once."""
    offer(conn, codes, empty, now)
    rows = find(conn, codes, {file.path for file in empty}).values()
    conn.execute(_AWAIT, [{"row": row.id, "due": due} for row in rows])
