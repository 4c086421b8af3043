"""The one rule for what counts as an arrival: the same for a watched folder and for an archive."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from auroramon.errors import ConfigError
from auroramon.types import FileStat

TEMPORARY_ENDINGS: tuple[str, ...] = (
    ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".swp", ".lock", "~",
)  # fmt: skip
"""What editors, browsers, WinSCP and rclone call a file that they are still writing. (rsync's begins with a dot.)"""

DATABASE_ENDINGS: tuple[str, ...] = (
    ".db", ".sqlite", ".sqlite3", "-wal", "-shm", "-journal",
)  # fmt: skip
"""Our own database may lie in a watched folder: its changes are no frames."""

SYSTEM_FOLDERS = frozenset({"@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"})
"""Folders in which disks and network stores keep thumbnails, waste and the like; lower case."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was found and cannot be offered; nothing is passed over in silence."""

    path: str  # printable: bytes that are no UTF-8 are shown as \\udcXX
    sentence: str  # what is wrong and what to do
    lost: bool = True  # frames may lie there that nobody gets


Report = Callable[[Problem], None]


@dataclass(frozen=True, slots=True)
class ArrivalRule:
    """Which files of a folder are frames. Case does not matter: cameras write .JPG as well as .jpg.

    A pattern without a slash holds at any depth (`*.png`); one with a slash is relative to the folder
    (`/*.png` is its top level only, `2024*/**/*.png` any depth below such folders). `**` is any number of folders.
    Without patterns every file counts that ends in one of `suffixes`.

    Raises:
        ConfigError: a pattern is empty or leads out of the folder.
    """

    suffixes: tuple[str, ...] = ()  # lower case, with the dot: (".png", ".pgm.gz")
    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            if not pattern.strip("/") or ".." in pattern.split("/"):
                raise ConfigError(f"the pattern {pattern!r} names no file below the folder; use e.g. '**/*.png'")

    def wants(self, relative: str) -> bool:
        """Say whether the file at this path, relative to the folder, is one of ours, by its name alone."""
        name = relative.lower()
        if name.endswith(TEMPORARY_ENDINGS) or name.endswith(DATABASE_ENDINGS):
            return False
        if name.startswith(".") or "/." in name:
            return False
        if "/" in name and not SYSTEM_FOLDERS.isdisjoint(name.split("/")[:-1]):
            return False
        if self.patterns:
            return _compiled(self.patterns).fullmatch(name) is not None
        return name.endswith(self.suffixes)


def enters(name: str) -> bool:
    """Say whether a folder of this name is looked into."""
    return not name.startswith(".") and name.lower() not in SYSTEM_FOLDERS


def look(path: str, camera: str = "") -> FileStat | None:
    """Give the file behind this path, links followed; None where there is no regular file (any more).

    Nothing is opened: opening a fifo would wait for its writer for ever.

    Raises:
        OSError: there is something, and it cannot be looked at (permission, input/output error).
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path for every file of an archive costs more than the call
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return FileStat(path=path, size=found.st_size, mtime_ns=found.st_mtime_ns, camera=camera)


def unstorable(path: str) -> Problem | None:
    """Say what is wrong with a name that no database can hold: its bytes are no UTF-8, or it is none."""
    if "\0" in path:
        shown = f"{path[:60]!r}"
        return Problem(
            shown, f"{shown}... holds a zero byte: a list has one name on each line (find -print, not -print0)"
        )
    if path.isascii():
        return None
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = printable(path)
        return Problem(shown, f"{shown}: the name is not valid UTF-8 and cannot be stored; rename the file")
    return None


def printable(path: str) -> str:
    """Give the path with bytes that are no UTF-8 written out."""
    return path.encode(errors="backslashreplace").decode()


def trouble(path: str, error: OSError) -> Problem:
    """Say that a file or folder cannot be looked at."""
    shown = printable(path)
    return Problem(shown, f"{shown}: {error.strerror or error}; check its permissions and its disk")


@lru_cache(maxsize=256)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{_expression(pattern.lower())})" for pattern in patterns), re.DOTALL)


def _expression(pattern: str) -> str:
    """Give the regular expression of one glob pattern (Python 3.11's own `**` takes no part of a path)."""
    parts = pattern.strip("/").split("/") if "/" in pattern else ["**", pattern]
    if parts[-1] == "**":
        parts.append("*")
    steps = [r"(?:[^/]+/)*" if part == "**" else _segment(part) + "/" for part in parts[:-1]]
    return "".join(steps) + _segment(parts[-1])


def _segment(segment: str) -> str:
    """Give the regular expression of the pattern of one name."""
    out = ""
    at = 0
    while at < len(segment):
        char = segment[at]
        closing = segment.find("]", at + 2) if char == "[" else -1
        if closing > 0:
            inside = segment[at + 1 : closing]
            negated = "^" if inside[0] in "!^" else ""
            out += "[" + negated + re.escape(inside[len(negated) :]).replace(r"\-", "-") + "]"
            at = closing
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char))
        at += 1
    return out
