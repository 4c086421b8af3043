"""An archive in an object store as a stream of files: no second look at a file, memory for one prefix at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from auroramon.places import missing, out_of_reach
from auroramon.ports import StopFlag
from auroramon.sources.arrivals import ArrivalRule, Problem, Report, enters, unstorable
from auroramon.sources.walk import may_hold
from auroramon.types import FileStat

_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")
"""How the file systems of fsspec call the time at which an object was written."""


def walk_remote(
    address: str,
    rule: ArrivalRule,
    *,
    stop: StopFlag,
    report: Report,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[FileStat]:
    """Give the files below an address, or the one file that it names (whatever the rule says).

    Prefixes whose name plainly says a date outside `since`..`until` are not listed, as `walk` does with folders.

    Raises:
        MissingPartError: the library for this kind of store is not installed.
    """
    files = _file_system(address)
    scheme = address.partition("://")[0]
    try:
        top = files.info(address)
    except out_of_reach() as error:
        report(_trouble(address, error))
        return
    if top["type"] == "file":
        yield _stat(address, top)
        return
    root = _address(scheme, top["name"]).rstrip("/")
    folders = [root]
    while folders and not stop.is_set():
        folder = folders.pop()
        try:
            entries = sorted(files.ls(folder, detail=True), key=lambda entry: str(entry["name"]))
        except out_of_reach() as error:
            report(_trouble(folder, error))
            continue
        below = []
        for entry in entries:
            name = _address(scheme, entry["name"]).rstrip("/")
            if name == folder:  # the empty object that some tools leave in place of a folder
                continue
            if entry["type"] == "directory":
                if enters(name.rpartition("/")[2]) and may_hold(name, since, until):
                    below.append(name)
            elif rule.wants(name[len(root) + 1 :]) and (problem := unstorable(name)) is None:
                yield _stat(name, entry)
            elif rule.wants(name[len(root) + 1 :]) and problem is not None:
                report(problem)
        files.dircache.pop(folder.partition("://")[2], None)  # or millions of names would stay in memory
        folders.extend(reversed(below))


def look_remote(address: str, report: Report) -> FileStat | None:
    """Give the file at an address; report it where there is none.

    Raises:
        MissingPartError: the library for this kind of store is not installed.
    """
    try:
        found = _file_system(address).info(address)
    except out_of_reach() as error:
        report(_trouble(address, error))
        return None
    if found["type"] != "file":
        report(Problem(address, f"{address}: is no single object; name the objects in it"))
        return None
    return _stat(address, found)


def _file_system(address: str) -> Any:
    try:
        from fsspec.core import url_to_fs

        return url_to_fs(address)[0]
    except (ImportError, ValueError) as error:  # fsspec says ValueError to a scheme that it does not know
        raise missing(address) from error


def _address(scheme: str, name: str) -> str:
    return name if "://" in name else f"{scheme}://{name}"


def _stat(address: str, entry: dict[str, Any]) -> FileStat:
    return FileStat(address, int(entry["size"] or 0), _written_ns(entry))


def _written_ns(entry: dict[str, Any]) -> int:
    """Give the time of writing in nanoseconds, 0 where the store does not say."""
    found = next((entry[key] for key in _TIMES if entry.get(key) is not None), 0)
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    if isinstance(found, datetime):
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return round(float(found) * 1e9)


def _trouble(address: str, error: Exception) -> Problem:
    why = str(error) or type(error).__name__
    return Problem(address, f"{address}: cannot be had ({why}); check the address, the network and the credentials")
