"""Each frame gets its time from the first source that has a believable one, always in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auroramon.errors import ConfigError, FrameError
from auroramon.times import FrameTime, check_pattern, name_time, time_of
from auroramon.types import RawFrame, TimeSource

ORDER: tuple[TimeSource, ...] = ("header", "exif", "name", "mtime")
MTIME = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
MTIME_NS = 1714979289_123456_789
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def raw(index: int = 0, header: datetime | None = None, exif: datetime | None = None) -> RawFrame:
    return RawFrame(index=index, pixels=np.zeros((2, 2)), header_time=header, exif_time=exif)


def when(
    frame: RawFrame, name: str = "frame.png", order: tuple[TimeSource, ...] = ORDER, pattern: str = "", ahead: float = 0
) -> FrameTime:
    return time_of(frame, f"/data/20010101_000000/{name}", MTIME_NS, order, pattern, ahead, NOW)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("20140310_0600_gill_themis19_full.pgm.gz", "2014-03-10 06:00:00"),
        ("20140101062052.jpg", "2014-01-01 06:20:52"),
        ("20211121170751123.jpg", "2021-11-21 17:07:51.123"),
        ("PKR_DASC_0428_20151007_082355.961.FITS", "2015-10-07 08:23:55.961"),
        ("20200508_060500_122643_gill_rgb-04_320ms_full.png", "2020-05-08 06:05:00.122643"),
        ("W8446B185_2017-12-18_03-14-57.img", "2017-12-18 03:14:57"),
        ("2017-12-18_03-14-57.123456.png", "2017-12-18 03:14:57.123456"),
        ("sky-2017-12-18T03-14-57.png", "2017-12-18 03:14:57"),
        ("2017-12-18 03.14.57.jpg", "2017-12-18 03:14:57"),
        ("20230101T010203Z.fits", "2023-01-01 01:02:03"),
        ("image-20231115223514.jpg", "2023-11-15 22:35:14"),
        ("ccd1_20231115_223514.jpg", "2023-11-15 22:35:14"),
        ("20231115_223514_0001.jpg", "2023-11-15 22:35:14"),
        ("cam_2023_11_15__22_35_14.jpg", "2023-11-15 22:35:14"),
        ("20161231_235960.png", "2017-01-01 00:00:00"),
    ],
)
def test_names_of_the_field_are_understood(name: str, expected: str) -> None:
    assert name_time(name) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "name",
    [
        "frame.png",
        "001.fits.bz2",
        "IMG_1234.JPG",
        "1700000000.jpg",  # seconds since 1970, or a serial number
        "LYR-Sony-211121_170751.jpg",  # DDMMYY or YYMMDD: only the configuration can tell
        "20140230_101010.png",
        "20141310_101010.png",
        "20140310_251010.png",
        "20140310_106110.png",
        "20140310_101061.png",
        "120140310_101010.png",
        "thg_l1_asf_gako_2011010617_v01.cdf",
        "",
    ],
)
def test_numbers_that_are_no_time_are_left_alone(name: str) -> None:
    assert name_time(name) is None


def test_the_next_possible_time_in_a_name_is_taken() -> None:
    assert name_time("20140230_101010_20140301_101010.png") == datetime(2014, 3, 1, 10, 10, 10)  # noqa: DTZ001
    assert when(raw(), "19200101_000000_20140301_101010.png").time.year == 2014


def test_the_order_decides() -> None:
    frame = raw(header=datetime(2014, 1, 1, tzinfo=UTC), exif=datetime(2015, 1, 1, tzinfo=UTC))
    name = "20160101_000000.png"
    assert when(frame, name) == FrameTime(datetime(2014, 1, 1, tzinfo=UTC), "header")
    assert when(frame, name, ("exif", "header")) == FrameTime(datetime(2015, 1, 1, tzinfo=UTC), "exif")
    assert when(frame, name, ("name", "header")) == FrameTime(datetime(2016, 1, 1, tzinfo=UTC), "name")
    assert when(frame, name, ("mtime", "header")) == FrameTime(MTIME, "mtime")


def test_the_mtime_is_the_last_resort_to_the_microsecond() -> None:
    assert when(raw()) == FrameTime(MTIME, "mtime")


def test_only_the_files_own_name_counts_not_its_folders() -> None:
    assert when(raw()).source == "mtime"


def test_without_any_source_the_frame_says_what_to_do() -> None:
    with pytest.raises(FrameError, match=r"frame 3 has no believable time in header, name; add 'mtime' to time_from"):
        when(raw(3), order=("header", "name"))


def test_the_cameras_clock_is_turned_into_utc() -> None:
    local = datetime(2015, 1, 1, 1, 30)  # noqa: DTZ001 - EXIF has no zone
    assert when(raw(exif=local), ahead=2).time == datetime(2014, 12, 31, 23, 30, tzinfo=UTC)
    assert when(raw(), "20150101_013000.png", ahead=-3.5).time == datetime(2015, 1, 1, 5, 0, tzinfo=UTC)


def test_a_time_that_names_its_zone_needs_no_help() -> None:
    east = datetime(2015, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=9)))
    found = when(raw(exif=east), ahead=2).time
    assert found == datetime(2014, 12, 31, 16, 30, tzinfo=UTC)
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "absurd",
    [
        datetime(1970, 1, 1, 0, 3, tzinfo=UTC),
        datetime(1949, 12, 31, tzinfo=UTC),
        datetime(2099, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-9))),
    ],
)
def test_a_clock_that_nobody_set_is_not_believed(absurd: datetime) -> None:
    assert when(raw(header=absurd), "20140101_000000.png").source == "name"


def test_a_clock_a_little_ahead_is_believed() -> None:
    assert when(raw(header=NOW + timedelta(hours=14))).source == "header"
    assert when(raw(header=NOW + timedelta(hours=25))).source == "mtime"


def test_films_of_the_geophysical_year_are_believed() -> None:
    assert when(raw(header=datetime(1957, 9, 13, 20, tzinfo=UTC))).source == "header"


def test_frames_of_a_stack_that_only_its_name_dates_stay_apart_and_in_order() -> None:
    times = [when(raw(index), "20140310_0600_gill.pgm").time for index in range(3)]
    assert times == sorted(set(times))
    assert times[2] - times[0] == timedelta(microseconds=2)


def test_a_pattern_is_looked_for_anywhere_in_the_name() -> None:
    name = "LYR-Sony-311221_170751.jpg"
    assert when(raw(), name, pattern="%d%m%y_%H%M%S").time == datetime(2021, 12, 31, 17, 7, 51, tzinfo=UTC)
    assert when(raw(), name, pattern="LYR-Sony-%y%m%d_%H%M%S").source == "mtime"  # 2031 is not believed
    assert name_time("x_09-Feb-2009+06h00.png", "%d-%b-%Y+%Hh%M") == datetime(2009, 2, 9, 6)  # noqa: DTZ001
    assert name_time("2014_069_061500", "%Y_%j_%H%M%S") == datetime(2014, 3, 10, 6, 15)  # noqa: DTZ001


def test_a_pattern_replaces_the_usual_ones() -> None:
    assert name_time("20140310_060000.png", "%d%m%y-%H%M%S") is None


def test_a_leap_second_is_the_next_minute_by_pattern_too() -> None:
    assert name_time("311216-235960", "%d%m%y-%H%M%S") == datetime(2017, 1, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("%Q%H", "'%Q' is unknown"),
        ("%Y%m%d", "needs year, month and day"),
        ("%H%M%S", "needs year, month and day"),
        ("%Y%Y%m%d%H", "given twice"),
        ("%Y%m%d%H%", "'%' is unknown"),
        ("sky", "needs year"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused_at_once(pattern: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_pattern(pattern)


def test_signs_in_a_pattern_are_plain_signs() -> None:
    check_pattern("")
    check_pattern("(a+b).%Y%m%d[%H]100%%")
    assert name_time("(a+b).20140310[06]100%", "(a+b).%Y%m%d[%H]100%%") == datetime(2014, 3, 10, 6)  # noqa: DTZ001


@given(st.text(max_size=60))
def test_any_name_gives_a_time_or_none(name: str) -> None:
    found = name_time(name)
    assert found is None or found.tzinfo is None


@given(st.text(alphabet="0123456789-_T:. ", max_size=40), st.integers(0, 10**6), st.floats(-14, 14))
def test_whatever_the_name_the_result_is_utc_and_believable(name: str, index: int, ahead: float) -> None:
    found = when(raw(index), name, ahead=ahead)
    assert found.time.utcoffset() == timedelta(0)
    assert 1950 <= found.time.year <= NOW.year + 1


@given(st.datetimes(datetime(1971, 1, 1), datetime(2025, 12, 31)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_every_time_is_read_back_from_the_usual_names(time: datetime) -> None:
    whole = time.replace(microsecond=0)
    for form in ("a_%Y%m%d_%H%M%S.png", "%Y%m%d%H%M%S.jpg", "%Y-%m-%d_%H-%M-%S-x", "c%Y-%m-%dT%H-%M-%SZ"):
        assert name_time(whole.strftime(form)) == whole
    for form in ("%Y%m%d_%H%M%S_%f_site", "%Y-%m-%d_%H-%M-%S.%f", "%Y%m%d_%H%M%S.%f.fits"):
        assert name_time(time.strftime(form)) == time


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2025, 12, 31)),  # noqa: DTZ001
    st.sampled_from(["%d%m%y_%H%M%S", "%Y%j%H%M%S", "x%Y-%b-%d %I%p%M%S", "%y.%m.%d-%H"]),
)
def test_a_pattern_reads_what_strftime_wrote(time: datetime, pattern: str) -> None:
    written = time.strftime(pattern)
    expected = datetime.strptime(written, pattern)  # noqa: DTZ007
    assert name_time(f"cam-{written}.png", pattern) == expected
