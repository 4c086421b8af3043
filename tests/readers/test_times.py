"""Times in headers and EXIF: aware UTC, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auroramon.readers.exif import exif_time
from auroramon.readers.times import parse_time
from tests.readers import samples


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2014-03-10 06:00:00.063119 UTC", datetime(2014, 3, 10, 6, 0, 0, 63119, tzinfo=UTC)),
        ("2018-07-29T04:08:29.014", datetime(2018, 7, 29, 4, 8, 29, 14000, tzinfo=UTC)),
        ("2018-07-29T04:08:29.1234567Z", datetime(2018, 7, 29, 4, 8, 29, 123456, tzinfo=UTC)),
        ("2018-07-29T04:08", datetime(2018, 7, 29, 4, 8, tzinfo=UTC)),
        ("2018/07/29 04:08:29", datetime(2018, 7, 29, 4, 8, 29, tzinfo=UTC)),
        ("2018-07-29T04:08:29-09:00", datetime(2018, 7, 29, 13, 8, 29, tzinfo=UTC)),
        ("2016-12-31T23:59:60", datetime(2017, 1, 1, tzinfo=UTC)),
        (" 09 Feb 2009 06:00:34 GMT ", datetime(2009, 2, 9, 6, 0, 34, tzinfo=UTC)),
        ("Mon, 09 Feb 2009 06:00:34 +0100", datetime(2009, 2, 9, 5, 0, 34, tzinfo=UTC)),
    ],
)
def test_a_stated_time_is_understood(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "2018-07-29", "0000-00-00 00:00:00", "2018-13-01T00:00:00", "2018-07-29T25:00:00", "yesterday",
     "9999-12-31T23:59:60", "0001-01-01T00:00:00+05:00", "2018-07-29T04:08:29+99:99", "09 Foo 2009 06:00:34 GMT"],
)  # fmt: skip
def test_what_is_no_time_gives_none(text: str) -> None:
    assert parse_time(text) is None


def test_a_zone_can_be_demanded() -> None:
    assert parse_time("2018-07-29T04:08:29", zone_required=True) is None
    assert parse_time("2018-07-29T04:08:29Z", zone_required=True) is not None


@given(st.text(max_size=60))
def test_no_text_raises(text: str) -> None:
    parse_time(text)


@given(st.binary(max_size=200), st.sampled_from([b"II*\0", b"MM\0*", b"Exif\0\0II*\0\x08\0\0\0"]))
def test_no_exif_raises(block: bytes, start: bytes) -> None:
    exif_time(start + block)


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6), st.integers(0, 130))
def test_no_damaged_exif_raises(changes: list[tuple[int, int]], cut: int) -> None:
    block = bytearray(samples.exif("2021:11:21 17:07:51", subsecond="25", offset="+01:00"))
    for at, value in changes:
        block[at % len(block)] = value
    exif_time(bytes(block[:cut]))


def test_an_unset_clock_is_no_time() -> None:
    assert exif_time(samples.exif("0000:00:00 00:00:00")) is None
    assert exif_time(samples.exif("    :  :     :  :  ")) is None
