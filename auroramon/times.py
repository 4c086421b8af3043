"""When a frame was exposed, and how we know.

A camera without a network reports 1970, a name can hold numbers that are no date: times before 1950, of the first day
of 1970, or more than a day in the future are not taken, and the next source is asked. Only the file's own mtime, where
the configuration allows it, is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import PurePath

from auroramon.errors import ConfigError, FrameError
from auroramon.types import RawFrame, TimeSource

EARLIEST = datetime(1950, 1, 1, tzinfo=UTC)  # all-sky cameras begin in the International Geophysical Year 1957
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RESET_CLOCK = EPOCH.date()  # where a clock starts that nobody has set
AHEAD = timedelta(days=1)  # a clock in local time runs ahead of UTC by 14 hours at most

_DASHED = r"(?<!\d)(\d{4})[-_](\d\d)[-_](\d\d)[-_T ]{1,2}(\d\d)[-_:.]?(\d\d)"
_COMPACT = r"(?<!\d)(\d{4})(\d\d)(\d\d)[-_T ]?(\d\d)(\d\d)"
_SECONDS = r"[-_:.]?(\d\d)(?:\.(\d{1,6})|_(\d{6})|(?<=\d{14})(\d{3}))?(?!\d)"
_MINUTES = r"(?!\d)()()()()"
_USUAL = tuple(
    re.compile(p) for p in (_DASHED + _SECONDS, _COMPACT + _SECONDS, _DASHED + _MINUTES, _COMPACT + _MINUTES)
)

_DIRECTIVES = {
    "Y": r"\d{4}", "y": r"\d\d", "m": r"\d\d", "d": r"\d\d", "j": r"\d{3}", "b": r"[A-Za-z]{3}",
    "H": r"\d\d", "I": r"\d\d", "p": r"[AaPp][Mm]", "M": r"\d\d", "S": r"\d\d", "f": r"\d{1,6}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FrameTime:
    """The start of an exposure."""

    time: datetime  # aware UTC
    source: TimeSource


def time_of(
    raw: RawFrame,
    path: str,
    mtime_ns: int,
    order: Sequence[TimeSource],
    pattern: str = "",
    utc_offset_hours: float = 0.0,
    now: datetime | None = None,
) -> FrameTime:
    """Give the time of a frame from the first source that has a believable one.

    Args:
        raw: the frame as read, with the times of its header and EXIF block.
        path: of its file; the last part is looked at.
        mtime_ns: of its file, nanoseconds since 1970.
        order: sources, the most trusted first.
        pattern: strptime pattern of the time in names; '' for the usual ones.
        utc_offset_hours: how far the clock of EXIF and names is ahead of UTC.
        now: for tests; the clock where it is None.

    Raises:
        FrameError: none of the sources has a time.
        ConfigError: the pattern is wrong (`check_pattern` finds out before the first frame).
    """
    offset = timedelta(hours=utc_offset_hours)
    latest = (now or datetime.now(UTC)) + AHEAD
    for source in order:
        if source == "mtime":
            return FrameTime(EPOCH + timedelta(microseconds=mtime_ns // 1000), "mtime")
        found = raw.header_time if source == "header" else raw.exif_time
        candidates = _in_name(PurePath(path).name, pattern) if source == "name" else iter([found] if found else [])
        for candidate in candidates:
            time = _utc(candidate, offset)
            if time is not None and EARLIEST <= time <= latest and time.date() != RESET_CLOCK:
                # Frames of a stack that only its name dates stay apart and in order.
                return FrameTime(time + timedelta(microseconds=raw.index if source == "name" else 0), source)
    asked = ", ".join(order)
    raise FrameError(f"{path}: frame {raw.index} has no believable time in {asked}; add 'mtime' to time_from to use it")


def name_time(name: str, pattern: str = "") -> datetime | None:
    """Give the first possible date and time in a file name, without a zone, or None."""
    return next(_in_name(name, pattern), None)


def check_pattern(pattern: str) -> None:
    """Refuse a strptime pattern that cannot give a time; '' is fine.

    Raises:
        ConfigError: it has an unknown directive, or not year, day and hour.
    """
    if pattern:
        _compiled(pattern)


def _utc(time: datetime, offset: timedelta) -> datetime | None:
    try:
        return (time - offset).replace(tzinfo=UTC) if time.utcoffset() is None else time.astimezone(UTC)
    except OverflowError:
        return None


def _in_name(name: str, pattern: str) -> Iterator[datetime]:
    if pattern:
        yield from _by_pattern(name, pattern)
        return
    for usual in _USUAL:
        for match in usual.finditer(name):
            year, month, day, hour, minute, second, *fractions = match.groups()
            micro = next((f for f in fractions if f), "").ljust(6, "0")
            time = _moment(f"{year}{month}{day}{hour}{minute}", "%Y%m%d%H%M", int(second or 0), int(micro))
            if time is not None:
                yield time


def _by_pattern(name: str, pattern: str) -> Iterator[datetime]:
    for match in _compiled(pattern).finditer(name):
        text, second = match.group(), 0
        if match.groupdict().get("S") == "60":  # strptime knows no leap second
            start = match.start("S") - match.start()
            text, second = text[:start] + "59" + text[start + 2 :], 1
        time = _moment(text, pattern, second, 0)
        if time is not None:
            yield time


def _moment(text: str, pattern: str, second: int, micro: int) -> datetime | None:
    """Read a date; a second of 60 is the next minute, 61 and other impossible values give None."""
    if second > 60:
        return None
    try:
        return datetime.strptime(text, pattern) + timedelta(seconds=second, microseconds=micro)  # noqa: DTZ007 - a name has no zone
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts, seen = [], set()
    for piece in re.findall(r"%.?|[^%]+", pattern, flags=re.DOTALL):
        if not piece.startswith("%"):
            parts.append(re.escape(piece))
        elif piece == "%%":
            parts.append("%")
        elif piece[1:] in _DIRECTIVES and piece not in seen:
            seen.add(piece)
            parts.append(f"(?P<{piece[1:]}>{_DIRECTIVES[piece[1:]]})")
        else:
            known = " ".join(f"%{letter}" for letter in _DIRECTIVES)
            raise ConfigError(f"time_pattern {pattern!r}: {piece!r} is unknown or given twice; there are {known}")
    dated = "%j" in seen or ("%d" in seen and seen & {"%m", "%b"})
    if not (dated and seen & {"%Y", "%y"} and seen & {"%H", "%I"}):
        raise ConfigError(f"time_pattern {pattern!r}: needs year, month and day (or day of the year), and hour")
    number = pattern.startswith("%") and not pattern.startswith(("%b", "%p", "%%"))
    return re.compile((r"(?<!\d)" if number else "") + "".join(parts))
