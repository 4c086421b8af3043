"""The files of the folder of engines: written beside and renamed, under one lock, and told apart by their names."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auroramon.errors import EngineError

log = logging.getLogger(__name__)

LOCK = "build.lock"
ENGINE = re.compile(r".+-sm\d+-(float32|fp16|int8)-tensorrt(_rtx)?-[0-9a-f]{16}\.(plan|json|kernels)$")
TIMINGS = re.compile(r"tensorrt(_rtx)?-.+-sm\d+\.timings$")
HALF = re.compile(r"\..+\.new$")


def files_of(folder: Path) -> list[Path]:
    """List the files of a folder by name; none where there is no folder.

    Raises:
        EngineError: it is there and cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EngineError(
            f"{folder} cannot be read ({error.strerror}): let this user read it, or name another folder in paths.cache"
        ) from error


def write_file(folder: Path, name: str, content: bytes) -> None:
    """Write beside and rename, so that nobody ever reads half a file.

    Raises:
        EngineError: the folder cannot be written, or the disk is full; what was there before is as it was.
    """
    new = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, new = tempfile.mkstemp(suffix=".new", prefix=f".{name}.", dir=folder)
        os.fchmod(handle, 0o644)  # built by one user, run by another
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(new).replace(folder / name)
    except OSError as error:
        if new:
            Path(new).unlink(missing_ok=True)
        raise EngineError(
            f"{folder / name} ({len(content) / 1e6:.1f} MB) cannot be written: {error.strerror}; "
            f"free some space, or name another folder in paths.cache"
        ) from error


def remove_file(path: Path) -> None:
    """Remove a file that may be gone already.

    Raises:
        EngineError: this user may not.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise EngineError(f"{path} cannot be removed: {error.strerror}") from error


def left_over(files: list[Path]) -> list[Path]:
    """Give those that a killed build left: half files, and plans and manifests without the other.

    Of a build that runs there are such files, too: ask while `locked`.
    """
    names = {path.name for path in files}

    def alone(path: Path) -> bool:
        other = ".plan" if path.suffix == ".json" else ".json"
        return bool(ENGINE.match(path.name)) and f"{path.stem}{other}" not in names

    return [path for path in files if HALF.match(path.name) or alone(path)]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock under which a folder is written; wait, and say so, while another process holds it.

    Raises:
        EngineError: the folder cannot be written.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+b")
    except OSError as error:
        raise EngineError(
            f"{folder} cannot be written: {error.strerror}; let this user write there, or name another folder in "
            f"paths.cache"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process builds an engine in %s: waiting for it", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
