"""How a command opens the database to write to it: never a SQLite file that is known to be damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auroramon.config import Settings
    from auroramon.store.store import Store

GLANCE_S = 3.0
"""As long as a person who asked for one small change is kept waiting by the look at a large file."""


def look(settings: Settings, *, fresh: bool = False, limit_s: float | None = None) -> None:
    """Refuse a damaged SQLite file before anything is written to it, or set it aside where that was asked for.

    Args:
        settings: which database.
        fresh: set a damaged one aside.
        limit_s: how long may be looked; None: as long as at the start of a daemon.

    Raises:
        ConfigError: this user cannot write it.
        DamagedDatabaseError: it is damaged and stays as it is.
    """
    from auroramon.care.copies import sqlite_file
    from auroramon.care.restore import START_CHECK_S, check_at_start
    from auroramon.coordinator import utc_now
    from auroramon.store.database import check_place

    check_place(settings.database_url)
    file = sqlite_file(settings.database_url)
    if file is not None:
        check_at_start(file, utc_now(), fresh=fresh, limit_s=START_CHECK_S if limit_s is None else limit_s)


def open_to_change(settings: Settings) -> Store:
    """Open a database that is there to change something in it.

    Raises:
        ConfigError: this user cannot write it.
        NoDatabaseError: nothing is there yet.
        DamagedDatabaseError: it is damaged; nothing was written to it.
        StoreError: it cannot be used.
    """
    from auroramon.store.store import open_store

    look(settings, limit_s=GLANCE_S)
    return open_store(settings.database_url, create=False)
