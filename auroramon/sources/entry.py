"""Whether this user gets to a path. pathlib raises where a folder on the way is closed; these answer."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path


def is_there(path: Path) -> bool:
    """Say whether something is there; False where this user cannot get to it."""
    return os.path.exists(path)  # noqa: PTH110 - Path's raises where a folder on the way is closed


def is_folder(path: Path) -> bool:
    """Say whether a folder is there; False where this user cannot get to it."""
    return os.path.isdir(path)  # noqa: PTH112 - Path's raises where a folder on the way is closed


def nearest(path: Path) -> Path:
    """Give the path, or the nearest folder above it that this user finds."""
    path = path.absolute()
    return next((above for above in (path, *path.parents) if is_there(above)), Path("/"))


def closed(path: Path, may: Callable[[str | Path, int], bool] = os.access) -> Path | None:
    """Give the first folder on the way to a path that this user may not enter; None where there is none."""
    for folder in reversed(path.absolute().parents):
        if may(folder, os.X_OK):
            continue
        try:
            return folder if stat.S_ISDIR(folder.stat().st_mode) else None
        except PermissionError:
            return folder  # a link into a closed folder
        except OSError:
            return None
    return None


def opened(folder: Path) -> str:
    """Give the command that lets the service pass through a folder, and see nothing else in it."""
    return f"sudo setfacl -m u:auroramon:x {folder}"
