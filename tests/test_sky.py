"""Sun, Moon and nights, against almanacs and against astropy."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest

from auroramon.sky import dark_seconds, observing_night, sun_altitude, sun_moon

KIRUNA = (67.84, 20.41)
LONGYEARBYEN = (78.15, 16.04)


@pytest.mark.parametrize(
    ("moment", "latitude", "longitude", "sun", "tolerance"),
    [
        # Reda & Andreas, "Solar Position Algorithm", NREL/TP-560-34302 (2008), table A5.1: zenith 50.11162 degrees with
        # refraction at 820 hPa and 11 degrees C (0.016 degrees) for 2003-10-17 12:30:30 at UTC-7, height 1830 m.
        (datetime(2003, 10, 17, 19, 30, 30, tzinfo=UTC), 39.742476, -105.1786, 39.872, 0.005),
        # Meeus, "Astronomical Algorithms", 2nd ed., example 25.b: apparent declination -7.78507 degrees at
        # 1992-10-13 00h TD; at a pole the altitude is the declination (59 s from TD to UT move it by 0.0003 degrees).
        (datetime(1992, 10, 13, tzinfo=UTC), 90.0, 0.0, -7.785, 0.005),
    ],
)
def test_the_sun_stands_where_the_almanac_says(
    moment: datetime, latitude: float, longitude: float, sun: float, tolerance: float
) -> None:
    assert sun_altitude(moment, latitude, longitude) == pytest.approx(sun, abs=tolerance)
    assert sun_moon(moment, latitude, longitude).sun_altitude == sun_altitude(moment, latitude, longitude)


def test_the_moon_is_lit_as_the_almanac_says() -> None:
    """Meeus, 2nd ed., example 48.a: illuminated fraction 0.6786 at 1992-04-12 00h TD."""
    assert sun_moon(datetime(1992, 4, 12, tzinfo=UTC), 0.0, 0.0).moon_phase == pytest.approx(0.6786, abs=0.003)


def test_sun_and_moon_agree_with_astropy() -> None:
    pytest.importorskip("astropy")
    from astropy import units
    from astropy.coordinates import AltAz, EarthLocation, get_body
    from astropy.time import Time
    from astropy.utils import iers

    start = datetime(2023, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(hours=37.3 * step) for step in range(200)]
    latitude, longitude = KIRUNA
    with iers.conf.set_temp("auto_download", False):
        place = EarthLocation.from_geodetic(longitude * units.deg, latitude * units.deg)
        when = Time(moments)
        frame = AltAz(obstime=when, location=place)
        expected = {body: get_body(body, when, place).transform_to(frame).alt.deg for body in ("sun", "moon")}
    ours = [sun_moon(moment, latitude, longitude) for moment in moments]
    assert np.abs(expected["sun"] - [sky.sun_altitude for sky in ours]).max() < 0.01
    assert np.abs(expected["moon"] - [sky.moon_altitude for sky in ours]).max() < 0.02


def test_a_frame_costs_less_than_a_tenth_of_a_millisecond() -> None:
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    sun_moon(moment, *KIRUNA)
    begun = time.process_time()
    for second in range(2000):
        sun_moon(moment + timedelta(seconds=second), *KIRUNA)
    assert (time.process_time() - begun) / 2000 < 100e-6


def test_a_time_without_zone_is_refused() -> None:
    naive = datetime(2026, 1, 31)  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        observing_night(naive, 0.0)
    with pytest.raises(ValueError, match="no time zone"):
        sun_moon(naive, *KIRUNA)


@pytest.mark.parametrize(
    ("moment", "longitude", "night"),
    [
        (datetime(2026, 2, 1, 3, tzinfo=UTC), 20.0, date(2026, 1, 31)),
        (datetime(2026, 2, 1, 11, 59, 59, 999999, tzinfo=UTC), None, date(2026, 1, 31)),
        (datetime(2026, 2, 1, 12, tzinfo=UTC), None, date(2026, 2, 1)),
        (datetime(2026, 2, 1, 12, tzinfo=UTC), 0.0, date(2026, 2, 1)),
        (datetime(2026, 2, 1, 10, 40, tzinfo=UTC), 20.0, date(2026, 2, 1)),  # Kiruna's noon is 10:40 UTC
        (datetime(2026, 2, 1, 10, 39, 59, tzinfo=UTC), 20.0, date(2026, 1, 31)),
        (datetime(2026, 2, 1, 6, tzinfo=UTC), -147.0, date(2026, 1, 31)),  # evening in Alaska
        (datetime(2026, 2, 1, 16, tzinfo=UTC), -147.0, date(2026, 1, 31)),  # its next morning
        (datetime(2026, 1, 31, 12, tzinfo=UTC), 174.0, date(2026, 1, 31)),  # midnight in New Zealand
        (datetime(2026, 2, 1, 4, tzinfo=timezone(timedelta(hours=2))), 20.0, date(2026, 1, 31)),
    ],
)
def test_a_night_is_named_after_the_local_noon_before_it(
    moment: datetime, longitude: float | None, night: date
) -> None:
    assert observing_night(moment, longitude) == night


def test_dark_seconds_are_those_that_second_by_second_counting_gives() -> None:
    start = datetime(2026, 3, 20, 15, 20, 17, tzinfo=UTC)
    hours = dark_seconds(start, start + timedelta(hours=16), *KIRUNA, -6.0)
    slow: dict[int, float] = {}
    for step in range(16 * 360):
        moment = start + timedelta(seconds=10 * step + 5)
        if sun_altitude(moment, *KIRUNA) < -6.0:
            hour = int(moment.timestamp() // 3600)
            slow[hour] = slow.get(hour, 0.0) + 10.0
    assert hours.keys() == slow.keys()
    for hour, seconds in hours.items():
        assert seconds == pytest.approx(slow[hour], abs=10.0)
    assert max(hours.values()) == pytest.approx(3600.0)


def test_polar_night_and_polar_day_are_all_and_nothing() -> None:
    winter = datetime(2025, 12, 20, 12, tzinfo=UTC)
    dark = dark_seconds(winter, winter + timedelta(days=1), *LONGYEARBYEN, -6.0)
    assert sum(dark.values()) == pytest.approx(86400.0)
    summer = datetime(2025, 6, 20, 12, tzinfo=UTC)
    assert dark_seconds(summer, summer + timedelta(days=1), *LONGYEARBYEN, -6.0) == {}


def test_a_night_counted_in_pieces_is_the_night_counted_at_once() -> None:
    start = datetime(2026, 1, 31, 12, tzinfo=UTC)
    cuts = [start, *(start + timedelta(minutes=m) for m in (7.5, 300, 301, 333.3, 1100)), start + timedelta(days=1)]
    pieces: dict[int, float] = {}
    for begin, end in itertools.pairwise(cuts):
        for hour, seconds in dark_seconds(begin, end, *KIRUNA, -6.0).items():
            pieces[hour] = pieces.get(hour, 0.0) + seconds
    whole = dark_seconds(cuts[0], cuts[-1], *KIRUNA, -6.0)
    assert pieces == pytest.approx(whole, abs=1.0)
