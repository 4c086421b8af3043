"""Names that stand in many rows, as small numbers: folders, cameras, channels, labels, embedders."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Table, insert, select

from auroramon.store import schema

_NAME = {"folders": "path", "embedders": "digest"}
_MANY = 20_000  # cached names of one table; folders of an archive would otherwise stay for ever


class Codes:
    """Numbers of names, remembered. Cleared by the database before a writer's changes are taken back."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, int]] = {}

    def clear(self) -> None:
        self._known = {}

    def find(self, conn: Connection, table: Table, names: Iterable[str]) -> dict[str, int]:
        """Give the numbers of those names that have one."""
        wanted = set(names)
        known = self._known.get(table.name, {})
        found = {name: known[name] for name in wanted if name in known}
        absent = sorted(wanted - found.keys())
        column = table.c[_NAME.get(table.name, "name")]
        for start in range(0, len(absent), 500):
            rows = conn.execute(select(column, table.c.id).where(column.in_(absent[start : start + 500])))
            found.update((row[0], row[1]) for row in rows)
        return found

    def make(self, conn: Connection, table: Table, names: Iterable[str]) -> dict[str, int]:
        """Give the numbers of these names, and numbers to those that have none. For the writer only."""
        wanted = set(names)
        found = self.find(conn, table, wanted)
        absent = sorted(wanted - found.keys())
        if absent:
            column = table.c[_NAME.get(table.name, "name")]
            conn.execute(insert(table), [{column.name: name} for name in absent])
            found.update(self.find(conn, table, absent))
        known = self._known.setdefault(table.name, {})
        if len(known) > _MANY:
            known.clear()
        known.update(found)
        return found


def split(path: str) -> tuple[str, str]:
    """Divide a path into folder (with its closing separator) and name; joined they give the path again."""
    at = max(path.rfind("/"), path.rfind("\\")) + 1
    return path[:at], path[at:]


def label_codes(codes: Codes, conn: Connection, names: Iterable[str]) -> dict[str, int]:
    """Give the numbers of labels; those that every database has need no query."""
    wanted = set(names)
    others = wanted - schema.LABEL_CODES.keys()
    if not others:
        return schema.LABEL_CODES
    return {**schema.LABEL_CODES, **codes.make(conn, schema.label_names, others)}
