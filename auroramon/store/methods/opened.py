"""What every part of the store works on."""

from __future__ import annotations

from pathlib import Path

from auroramon.store.database import Database


class Opened:
    """An open database."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.place = database.place  # for messages: the file, or the URL without its password

    @property
    def folder(self) -> Path | None:
        """Give the folder of a SQLite file, None where a server keeps the database."""
        return Path(self._db.place).parent if self._db.sqlite else None

    def close(self) -> None:
        self._db.close()
