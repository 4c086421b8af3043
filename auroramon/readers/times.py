"""Times as headers spell them, turned into aware UTC here and nowhere else."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_ZONE = r"(Z|UTC|UT|GMT|[+-]\d{2}:?\d{2})?"
_ISO = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:T|\s+)(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d*))?)?\s*" + _ZONE)
_RFC_1123 = re.compile(r"(?:\w{3},\s*)?(\d{1,2})\s+(\w{3})\s+(\d{4})\s+(\d{2}):(\d{2}):(\d{2})()\s*" + _ZONE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_time(text: str, *, zone_required: bool = False) -> datetime | None:
    """Give the aware UTC time that a header states, or None where it states none.

    Understood are `2014-03-10 06:00:00.063119 UTC`, ISO 8601 with or without zone, and `09 Feb 2009 06:00:34 GMT`.
    A time without a zone is UTC (every header we read defines it so), unless `zone_required`. A second of 60, which
    rounding and leap seconds bring, is the next minute.
    """
    text = text.strip()
    if match := _ISO.fullmatch(text):
        year, month, day, hour, minute, second, fraction, zone = match.groups()
    elif match := _RFC_1123.fullmatch(text):
        day, name, year, hour, minute, second, fraction, zone = match.groups()
        if name.lower() not in _MONTHS:
            return None
        month = str(_MONTHS.index(name.lower()) + 1)
    else:
        return None
    if zone is None and zone_required:
        return None
    micro = int((fraction or "").ljust(6, "0")[:6])
    try:
        start = datetime(int(year), int(month), int(day), int(hour), int(minute), tzinfo=_zone(zone))
        return (start + timedelta(seconds=int(second or 0), microseconds=micro)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> timezone:
    """Give the zone of a suffix; a bare letter code means UTC. Raises ValueError beyond 24 hours."""
    if text is None or text[0] not in "+-":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)
