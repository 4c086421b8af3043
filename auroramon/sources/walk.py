"""An archive as a stream of files: one stat a file, and memory for one folder at a time."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from auroramon.ports import StopFlag
from auroramon.sources.arrivals import (
    ArrivalRule,
    Problem,
    Report,
    enters,
    look,
    printable,
    trouble,
    unstorable,
)
from auroramon.types import FileStat, ListedFolder

Claim = Callable[[str], str | None]
"""From a full path to the camera that it belongs to ("" where the header must say), or None: not ours."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a folder held when it was listed."""

    files: Iterable[FileStat | str]  # of a name alone the file is looked at
    below: Sequence[str]  # names of the folders in it


class Memory(Protocol):
    """Remembers the folders that a listing has behind it, so that a later one need not read them again."""

    def recall(self, folder: str) -> Recalled | None:
        """Give what is known of a folder; None: it has to be read."""
        ...

    def keep(self, folder: ListedFolder) -> None:
        """Take notice that every file of a folder was given and taken."""
        ...


def walk(
    folder: Path | str,
    rule: ArrivalRule,
    *,
    stop: StopFlag,
    report: Report,
    camera: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    newest_first: bool = False,
    memory: Memory | None = None,
) -> Iterator[FileStat]:
    """Give the files of an archive, or the one file that `folder` names itself (whatever the rule says).

    Folders whose path plainly says a date outside `since`..`until` (aware; a day of grace on either side, for
    night folders and time zones) are not entered; the files that remain still have to be judged by their frames.
    Links to files are followed, links to folders are reported and not followed: `latest -> 2024-03-10` would
    give every frame twice. What cannot be looked at is reported; what vanishes meanwhile is not.
    """
    root = os.path.abspath(folder)  # noqa: PTH100 - names that are no UTF-8 and speed ask for plain strings
    if not os.path.isdir(root):  # noqa: PTH112
        named = named_file(root, camera, report)
        if named is not None:
            yield named
        return
    prefix = len(root.rstrip("/")) + 1

    def claim(path: str) -> str | None:
        return camera if rule.wants(path[prefix:]) else None

    def enter(path: str) -> bool:
        return may_hold(path, since, until)

    found_below = scan(root, claim, stop=stop, report=report, enter=enter, newest_first=newest_first, memory=memory)
    for found in found_below:
        if found is not None:
            yield found


def scan(
    root: str,
    claim: Claim,
    *,
    stop: StopFlag,
    report: Report,
    enter: Callable[[str], bool] = lambda path: True,
    newest_first: bool = False,
    memory: Memory | None = None,
) -> Iterator[FileStat | None]:
    """Give the files below `root` that `claim` names a camera for, and None for each other file.

    (The None lets the caller do something else meanwhile, however many files are passed over.) Folders come in the
    order of their names, the files of a folder in the order of the disk; with `newest_first` both come in falling
    order of their names, which is that of time wherever names begin with a date. What `memory` recalls of a folder is
    given without a look at the disk; a folder of which something had to be reported is not kept in it.
    """
    problems = 0

    def tell(problem: Problem) -> None:
        nonlocal problems
        problems += 1
        report(problem)

    folders = [root]
    while folders and not stop.is_set():
        folder = folders.pop()
        recalled = memory.recall(folder) if memory else None
        before, mark = problems, _mark(folder) if memory and recalled is None else None
        below: list[str] = []
        paths: Iterable[FileStat | str]
        if recalled is not None:
            below += [os.path.join(folder, name) for name in recalled.below]  # noqa: PTH118 - as in `walk`
            paths = recalled.files
        else:
            paths = _names(folder, below, enter, tell, newest_first)
        for found in paths:
            if stop.is_set():
                return
            yield _claimed(found, claim, tell)
        if memory and mark and problems == before:
            memory.keep(replace(mark, below=tuple(os.path.basename(path) for path in below)))  # noqa: PTH119
        folders.extend(sorted(below, reverse=not newest_first))


def _claimed(found: FileStat | str, claim: Claim, report: Report) -> FileStat | None:
    """Give a file as it can be offered, looked at where only its name is given."""
    path = found if isinstance(found, str) else found.path
    camera = claim(path)
    if camera is None:
        return None
    return offerable(path, camera, report) if isinstance(found, str) else replace(found, camera=camera)


def _mark(folder: str) -> ListedFolder | None:
    """Say how a folder is before it is listed: what comes into it from now on gives it another time."""
    now = time.time_ns()
    try:
        return ListedFolder(folder, os.stat(folder).st_mtime_ns, now, ())  # noqa: PTH116 - as in `walk`
    except OSError:
        return None


def stands_still(noted: ListedFolder, still_ns: int) -> bool:
    """Say whether no name came into a folder or went since it was listed, by its own time, and that says so.

    Args:
        noted: the folder as it was then.
        still_ns: changed less than this before it was listed, it may have changed again within the same tick.
    """
    if noted.listed_ns - noted.mtime_ns < still_ns:
        return False
    try:
        return os.stat(noted.path).st_mtime_ns == noted.mtime_ns  # noqa: PTH116 - as in `walk`
    except OSError:
        return False


def offerable(path: str, camera: str, report: Report) -> FileStat | None:
    """Give the file if it can be offered; report it if it is there and cannot."""
    problem = unstorable(path)
    if problem is None:
        try:
            return look(path, camera)
        except OSError as error:
            problem = trouble(path, error)
    report(problem)
    return None


def may_hold(folder: str, since: datetime | None, until: datetime | None) -> bool:
    """Say whether a folder can hold frames between two times, as far as its path plainly says a date.

    Understood are .../2024/03/10, .../2024/03, .../2024/03/10/SITE/ut06 (the archives of Calgary), .../20240310 and
    .../2024-03-10. A day of grace on either side, for night folders and time zones; an hour for the hours of UT.
    """
    if match := _UT_HOUR.fullmatch(folder):
        return _hour_may_hold([int(digits) for digits in match.groups()], since, until)
    span = _span(folder)
    if span is None:
        return True
    day = timedelta(days=1)
    if since is not None and span[1] < since.date() - day:
        return False
    return until is None or span[0] <= until.date() + day


def _hour_may_hold(parts: Sequence[int], since: datetime | None, until: datetime | None) -> bool:
    try:
        year, month, day, hour_of_day = parts
        begin = datetime(year, month, day, hour_of_day, tzinfo=UTC)
    except ValueError:  # digits that are no date
        return True
    hour = timedelta(hours=1)
    return (since is None or begin + 2 * hour > since) and (until is None or begin - hour < until)


_UT_HOUR = re.compile(r"(?:^|.*/)((?:19|20)\d\d)/(\d\d)/(\d\d)/[^/]+/ut(\d\d)")
_DAY = re.compile(r"(?:^|.*/)((?:19|20)\d\d)(?:/(\d\d)/(\d\d)|(\d\d)(\d\d)|-(\d\d)-(\d\d)|_(\d\d)_(\d\d))")
_MONTH = re.compile(r"(?:^|.*/)((?:19|20)\d\d)/(\d\d)")


def _span(folder: str) -> tuple[date, date] | None:
    """Give the first and the last day that a folder's path says, None where it says none."""
    try:
        if match := _DAY.fullmatch(folder):
            year, month, day = (int(digits) for digits in match.groups() if digits)
            return date(year, month, day), date(year, month, day)
        if match := _MONTH.fullmatch(folder):
            first = date(int(match[1]), int(match[2]), 1)
            return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    except ValueError:  # digits that are no date
        return None
    return None


def _names(
    folder: str,
    below: list[str],
    enter: Callable[[str], bool],
    report: Report,
    newest_first: bool,
) -> Iterator[str]:
    """Give the paths in one folder that may be files, and put its folders into `below`."""
    try:
        with os.scandir(folder) as entries:
            files = (entry.path for entry in entries if not _is_folder(entry, below, enter, report))
            yield from sorted(files, reverse=True) if newest_first else files
    except FileNotFoundError:
        return  # it vanished meanwhile, or was renamed; then it is found under its new name
    except OSError as error:
        report(trouble(folder, error))


def _is_folder(entry: os.DirEntry[str], below: list[str], enter: Callable[[str], bool], report: Report) -> bool:
    """Say whether this is a folder, and note it if it is to be looked into."""
    try:
        if not entry.is_dir():
            return False
    except OSError:  # a link that leads to itself, say: looked at as a file it is named, and the others go on
        return False
    if enters(entry.name) and enter(entry.path):
        if entry.is_symlink():
            shown = printable(entry.path)
            report(
                Problem(
                    shown,
                    f"{shown} is a link to a folder and is not followed; name the folder itself if its frames count",
                    lost=False,
                )
            )
        else:
            below.append(entry.path)
    return True


def named_file(path: str, camera: str, report: Report) -> FileStat | None:
    """Give the file of this name, whatever the rule says; report it where there is none."""
    path = os.path.abspath(path)  # noqa: PTH100 - as in `walk`
    found = offerable(path, camera, report)
    if found is None and unstorable(path) is None:
        shown = printable(path)
        what = "there is no such file or folder; check the path"
        if os.path.isdir(path):  # noqa: PTH112 - as in `walk`
            what = "is a folder: name the files in it, or give it as a PATH"
        elif os.path.exists(path):  # noqa: PTH110 - as in `walk`
            what = "is no regular file, and cannot be read as frames"
        report(Problem(shown, f"{shown}: {what}"))
    return found
