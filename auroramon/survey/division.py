"""Divides the files of a folder by camera."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auroramon.readers import suffixes
from auroramon.sources.arrivals import ArrivalRule
from auroramon.survey.looks import Look

_DATE = re.compile(r"\d{4}$|\d{6}$|\d{8}$|\d{4}[-_]\d\d")
"""Names of folders that divide by date, not by camera."""


@dataclass(slots=True)
class Group:
    """Files of one camera, as far as their first frames tell."""

    looks: list[Look] = field(default_factory=list)
    folder: Path = Path()
    patterns: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)


def divided(folder: Path, looks: Sequence[Look]) -> list[Group]:
    """Divide the files by camera: by header, and where it names none by format and size of the frames.

    The daemon knows a camera by its folder, so cameras stay apart only if folders or names tell them apart.
    """
    groups: dict[tuple[str, ...], Group] = {}
    for look in looks:
        key = (look.name,) if look.name else ("", look.format, f"{look.width}x{look.height}")
        groups.setdefault(key, Group()).looks.append(look)
    found = list(groups.values())
    if len(found) > 1 and not all(_told_apart(folder, group, found) for group in found):
        return _by_subfolder(folder, looks) or [_merged(folder, found)]
    if len(found) == 1:
        found[0].folder = folder
    return found


def _by_subfolder(folder: Path, looks: Sequence[Look]) -> list[Group]:
    """Divide each folder below by itself; nothing where frames lie in the folder itself or it is divided by date."""
    below: dict[str, list[Look]] = {}
    for look in looks:
        below.setdefault(Path(look.file.path).relative_to(folder).parts[0], []).append(look)
    if len(below) < 2 or any(_DATE.match(name) or not (folder / name).is_dir() for name in below):
        return []
    return [group for name, inside in below.items() for group in divided(folder / name, inside)]


def _merged(folder: Path, groups: Sequence[Group]) -> Group:
    names = sorted({group.looks[0].name or f"{group.looks[0].width}x{group.looks[0].height}" for group in groups})
    note = f"frames of several kinds ({', '.join(names)}) lie together, and neither folder nor name tells them apart"
    looks = sorted((look for group in groups for look in group.looks), key=lambda look: look.file.path)
    return Group(looks, folder, notes=[note])


def _told_apart(folder: Path, group: Group, groups: Sequence[Group]) -> bool:
    """Find the folder, or the pattern, that only this group's files have."""
    others = [look for other in groups if other is not group for look in other.looks]
    parents = [os.path.dirname(look.file.path) for look in group.looks]  # noqa: PTH120
    common = os.path.commonpath(parents)
    if not any(look.file.path.startswith(common + os.sep) for look in others):
        group.folder = Path(common)
        return True
    first = group.looks[0]
    for pattern in _patterns(first):
        rule = ArrivalRule((), (pattern,))
        inside = (look.file.path[len(str(folder)) + 1 :] for look in group.looks)
        outside = (look.file.path[len(str(folder)) + 1 :] for look in others)
        if all(rule.wants(path) for path in inside) and not any(rule.wants(path) for path in outside):
            group.folder, group.patterns = folder, (pattern,)
            return True
    return False


def _patterns(look: Look) -> Iterator[str]:
    """Give patterns that may name the files of a camera."""
    ending = max((end for end in suffixes() if look.file.path.lower().endswith(end)), key=len, default="")
    for word in dict.fromkeys((look.name, look.imager, look.site)):
        if word and not set(word) & set("*?[]/"):
            yield f"*{word}*{ending}"
            yield f"**/{word}/**/*{ending}"
    yield f"*{ending}"
