"""Whether this user can keep a SQLite file where the configuration says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ELSEWHERE = "give the permission, or name another place in [database] url"


def pending_restore(file: Path) -> Path:
    """Give where a checked copy waits to take the place of a database; it is there only during a restore.

    Beside the file itself, where `file` is a link to it.
    """
    file = file.resolve()
    return file.with_name(file.name + ".restoring")


def obstacle(file: Path, *, write: bool) -> str:
    """Say what keeps a database from being there, and what to do; "" where nothing does.

    Looked at are the file, its folder (SQLite keeps the journal beside the file) and, where there is no such folder
    yet, the nearest one above it. Nothing is made. Without `write` it is enough that the file can be read.
    """
    return next(_obstacles(file, write), "")


def _obstacles(file: Path, write: bool) -> Iterator[str]:
    """Give what is in the way, the cause first; what follows it are only its effects."""
    above = next(folder for folder in file.parents if os.path.lexists(folder))
    if not above.is_dir():
        yield f"the database {file} cannot be there: {above} is no folder; name another place in [database] url"
    if not os.access(above, os.X_OK):
        yield f"the database {file} cannot be reached: this user may not enter {above}; {ELSEWHERE}"
    if file.is_dir():
        yield f"the database {file} is a folder: name a file in it in [database] url"
    if file.exists() and not os.access(file, os.R_OK):
        yield f"the database {file} may not be read by this user; {ELSEWHERE}"
    if not write:
        return
    if os.statvfs(above).f_flag & os.ST_RDONLY:
        yield f"the database {file} cannot be written: its file system is mounted read-only; {ELSEWHERE}"
    if file.exists() and not os.access(file, os.W_OK):
        yield f"the database {file} may not be written by this user; {ELSEWHERE}"
    if not os.access(above, os.W_OK):
        what = "SQLite keeps its journal there" if above == file.parent else "the folder of the database belongs there"
        yield f"the database {file} cannot be written: this user may not write to {above} ({what}); {ELSEWHERE}"
