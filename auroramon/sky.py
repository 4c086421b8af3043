"""Where the Sun and the Moon stand above a camera, and which night a moment belongs to.

Positions are computed by PyEphem (VSOP87 and a truncated lunar theory, no download). Altitudes are those of the centre,
topocentric, without refraction: at the horizon the real Sun looks half a degree higher, and twilight limits are defined
without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from threading import get_ident
from typing import Any

_DEGREE = math.pi / 180.0


@dataclass(frozen=True, slots=True)
class SunMoon:
    """Sun and Moon as seen from a camera."""

    sun_altitude: float  # degrees, without refraction
    moon_altitude: float  # degrees, without refraction
    moon_phase: float  # illuminated fraction of the disc, 0..1


def sun_moon(time: datetime, latitude: float, longitude: float) -> SunMoon:
    """Give Sun and Moon at a moment (aware) for a place in degrees north and east."""
    observer, sun, moon = _bodies(latitude, longitude, get_ident())
    observer.date = _ephem_date(time)
    sun.compute(observer)
    moon.compute(observer)
    return SunMoon(sun.alt / _DEGREE, moon.alt / _DEGREE, moon.phase / 100.0)


def sun_altitude(time: datetime, latitude: float, longitude: float) -> float:
    """Give the Sun's altitude alone, in degrees."""
    observer, sun, _ = _bodies(latitude, longitude, get_ident())
    observer.date = _ephem_date(time)
    sun.compute(observer)
    return float(sun.alt) / _DEGREE


def observing_night(time: datetime, longitude: float | None) -> date:
    """Give the date of the local mean solar noon before a moment; without a longitude, of the UTC noon before it."""
    if time.utcoffset() is None:
        raise ValueError(f"{time} has no time zone")
    shift = (longitude or 0.0) / 15.0 - 12.0
    return (time.astimezone(UTC) + timedelta(hours=shift)).date()


_STEP_S = 600.0


def dark_seconds(
    start: datetime, end: datetime, latitude: float, longitude: float, below_deg: float
) -> dict[int, float]:
    """Count the seconds for which the Sun is below an altitude, by hours since 1970-01-01T00Z.

    Hours without any such second are left out. The Sun is sampled every ten minutes and each crossing found to half a
    second, so a dip under the limit of less than ten minutes may be passed over.
    """

    def is_dark(epoch: float) -> bool:
        return sun_altitude(datetime.fromtimestamp(epoch, UTC), latitude, longitude) < below_deg

    seconds: dict[int, float] = {}
    at, last = start.timestamp(), end.timestamp()
    dark = is_dark(at)
    while at < last:
        after = min(math.floor(at / _STEP_S + 1.0) * _STEP_S, last)
        dark_after = is_dark(after)
        crossing = after if dark == dark_after else _crossing(is_dark, at, after)
        held = (crossing - at if dark else 0.0) + (after - crossing if dark_after else 0.0)
        if held > 0.0:
            hour = math.floor(at / 3600.0)
            seconds[hour] = seconds.get(hour, 0.0) + held
        at, dark = after, dark_after
    return seconds


def _crossing(is_dark: Callable[[float], bool], before: float, after: float) -> float:
    """Give the moment between two at which the answer changes, to half a second."""
    first = is_dark(before)
    while after - before > 0.5:
        middle = (before + after) / 2.0
        if is_dark(middle) == first:
            before = middle
        else:
            after = middle
    return (before + after) / 2.0


@lru_cache(maxsize=64)
def _bodies(latitude: float, longitude: float, thread: int) -> tuple[Any, Any, Any]:
    # Made once for each camera and thread: setting up costs as much as the positions, and the objects hold the result.
    # Imported here because commands that need no sky shall start quickly.
    import ephem

    observer = ephem.Observer()
    observer.lat = latitude * _DEGREE
    observer.lon = longitude * _DEGREE
    observer.elevation = 0.0
    observer.pressure = 0.0  # no refraction
    return observer, ephem.Sun(), ephem.Moon()


_EPHEM_EPOCH = datetime(1899, 12, 31, 12, tzinfo=UTC)


def _ephem_date(time: datetime) -> float:
    """Give days since PyEphem's epoch, 1899-12-31T12Z."""
    if time.utcoffset() is None:
        raise ValueError(f"{time} has no time zone")
    return (time - _EPHEM_EPOCH).total_seconds() / 86400.0
