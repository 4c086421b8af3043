"""Counts come with every denominator, and hours, nights and months agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import column as column_named
from sqlalchemy import select, text

from auroramon.sky import dark_seconds
from auroramon.store.results import CameraPlace
from auroramon.types import LABELS, UNKNOWN
from tests.store.station import KIRUNA, NOW, Station, labelled, record, stat

NOON = datetime(2026, 1, 31, 10, 38, 22, tzinfo=UTC)  # local mean noon in Kiruna
LATER = NOON + timedelta(days=3)
KIRUNA_FIELDS = {
    name: getattr(KIRUNA, name) for name in ("name", "site", "latitude", "longitude", "cadence_s", "sun_below_deg")
}


def fill_night(station: Station, start: datetime, minutes: int, label: str = "clear", camera: str = "kiruna") -> None:
    for minute in range(minutes):
        time = start + timedelta(minutes=minute)
        file = stat(f"{camera}{time:%m%d%H%M}.png")
        station.commit(labelled(file, record(file.path, 0, time, label=label, camera=camera)))


def test_each_label_has_its_column_and_aurora_is_three_of_them(station: Station) -> None:
    for place, label in enumerate((*LABELS, UNKNOWN)):
        fill_night(station, NOW + timedelta(minutes=10 * place), place + 1, label)
    (night,) = station.store.occurrence("night")
    assert (night.camera, night.period) == ("kiruna", "2026-01-31")
    assert night.counts == {
        "arc": 1, "diffuse": 2, "discrete": 3, "cloudy": 4, "moon": 5, "clear": 6, "unknown": 7, "other": 0,
    }  # fmt: skip
    assert (night.aurora, night.total) == (6, 28)


def test_without_cadence_or_position_nobody_knows_what_is_missing(station: Station) -> None:
    station.store.register_cameras([CameraPlace("bare"), CameraPlace("no place", cadence_s=60.0, sun_below_deg=-6.0)])
    fill_night(station, NOW, 2, camera="bare")
    fill_night(station, NOW, 2, camera="no place")
    station.store.update_expected(LATER, ["bare", "no place"])
    for by in ("hour", "night", "month"):
        rows = station.store.occurrence(by)  # type: ignore[arg-type]
        assert [(row.camera, row.total, row.expected, row.missing) for row in rows] == [
            ("bare", 2, None, None),
            ("no place", 2, None, None),
        ]


def test_missing_frames_are_those_of_the_dark_hours_that_did_not_come(station: Station) -> None:
    fill_night(station, NOW, 60)
    fill_night(station, NOW + timedelta(hours=1), 15)
    station.store.update_expected(LATER)
    hours = {row.period: row for row in station.store.occurrence("hour")}
    assert (hours["2026-01-31T22:00Z"].expected, hours["2026-01-31T22:00Z"].missing) == (60, 0)
    assert (hours["2026-01-31T23:00Z"].expected, hours["2026-01-31T23:00Z"].missing) == (60, 45)
    assert (hours["2026-02-01T00:00Z"].expected, hours["2026-02-01T00:00Z"].missing) == (60, 60)
    assert 0 < (hours["2026-01-31T15:00Z"].expected or 0) <= 60
    assert "2026-01-31T11:00Z" not in hours
    (night,) = station.store.occurrence("night")
    (month,) = station.store.occurrence("month")
    for row, period in ((night, "2026-01-31"), (month, "2026-01")):
        assert row.period == period
        assert row.total == sum(hour.total for hour in hours.values()) == 75
        assert row.expected == sum(hour.expected or 0 for hour in hours.values())
        assert row.missing == sum(hour.missing or 0 for hour in hours.values()) == (row.expected or 0) - 75


def test_frames_by_day_do_not_stand_in_for_missing_ones(station: Station) -> None:
    file = stat("day.png")
    station.commit(labelled(file, record(file.path, 0, NOON + timedelta(hours=5, minutes=30), sun=-5.9)))
    station.store.update_expected(LATER)
    (night,) = station.store.occurrence("night")
    assert night.total == 1
    assert night.missing == night.expected


def test_the_future_is_not_missing_and_time_that_passes_is_added(station: Station) -> None:
    fill_night(station, NOW, 10)
    station.store.update_expected(NOW + timedelta(minutes=11))
    assert [row.expected for row in station.store.occurrence("hour")][-1] == 10
    for minutes in (12.5, 20, 44.25, 61, 121):
        station.store.update_expected(NOW + timedelta(minutes=minutes))
    hours = {row.period: row for row in station.store.occurrence("hour")}
    assert (hours["2026-01-31T22:00Z"].expected, hours["2026-01-31T22:00Z"].missing) == (60, 50)
    assert hours["2026-01-31T23:00Z"].expected == 60
    assert max(hours) == "2026-01-31T23:00Z"


def test_nights_without_a_frame_are_missing_only_while_a_daemon_watches(station: Station) -> None:
    fill_night(station, NOW, 1)
    station.store.update_expected(NOW + timedelta(days=3), [])
    assert [row.period for row in station.store.occurrence("night")] == ["2026-01-31"]
    station.store.update_expected(NOW + timedelta(days=3), ["kiruna"])
    station.store.update_expected(NOW + timedelta(days=5), ["kiruna"])
    rows = station.store.occurrence("night")
    assert [row.period for row in rows] == ["2026-01-31", "2026-02-03", "2026-02-04", "2026-02-05"]
    assert rows[1].expected == whole_minutes(NOW + timedelta(days=3), NOON + timedelta(days=4))  # not before the watch
    assert rows[2].missing == rows[2].expected == whole_minutes(NOON + timedelta(days=4), NOON + timedelta(days=5))


@pytest.mark.parametrize("wrong", [datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 12, 1, tzinfo=UTC)])
def test_a_clock_that_was_wrong_at_the_first_start_invents_no_years_of_missing_nights(
    station: Station, wrong: datetime
) -> None:
    for minutes in (0, 1):
        station.store.update_expected(wrong + timedelta(minutes=minutes), ["kiruna"])
    for minutes in (0, 60, 120):
        station.store.update_expected(NOW + timedelta(minutes=minutes), ["kiruna"])
    nights = {row.period: row for row in station.store.occurrence("night")}
    assert len(nights) <= 2
    assert nights["2026-01-31"].expected == 119  # of the two hours the last minute may still come


def test_a_station_that_was_off_for_the_summer_misses_nothing_of_it(station: Station) -> None:
    station.store.update_expected(NOW, ["kiruna"])
    station.store.update_expected(NOW + timedelta(days=30), ["kiruna"])
    assert len(station.store.occurrence("night")) == 31
    station.store.update_expected(NOW + timedelta(days=300), ["kiruna"])
    station.store.update_expected(NOW + timedelta(days=301), ["kiruna"])
    periods = [row.period for row in station.store.occurrence("night")]
    assert [period for period in periods if period > "2026-03-03"] == ["2026-11-27", "2026-11-28"]


def test_a_loop_that_has_no_time_counts_a_few_nights_at_each_call(station: Station) -> None:
    station.store.update_expected(NOW, ["kiruna"])
    known = []
    while not known or known[-1] < 21:
        station.store.update_expected(NOW + timedelta(days=20), ["kiruna"], 1e-9)
        counted = [row.expected for row in station.store.occurrence("night")]
        known.append(sum(frames is not None for frames in counted))
        assert len(known) < 20
    assert known == sorted(set(known)), "each call brings some"
    assert max(np.diff([1, *known])) <= 5, "and none brings many"
    noons = [NOON + timedelta(days=n) for n in range(1, 21)]
    assert counted[1:-1] == [whole_minutes(noon, noon + timedelta(days=1)) for noon in noons[:-1]]


def whole_minutes(start: datetime, end: datetime) -> int:
    dark = dark_seconds(start, end, KIRUNA_FIELDS["latitude"], KIRUNA_FIELDS["longitude"], -6.0)
    return sum(int(seconds / 60 + 1e-6) for seconds in dark.values())


def test_a_changed_cadence_counts_from_now_on(station: Station) -> None:
    fill_night(station, NOW, 1)
    station.store.update_expected(NOW + timedelta(minutes=61))
    station.store.register_cameras([CameraPlace(**{**KIRUNA_FIELDS, "cadence_s": 30.0})])
    station.store.update_expected(NOW + timedelta(minutes=121))
    hours = {row.period: row.expected for row in station.store.occurrence("hour")}
    assert (hours["2026-01-31T22:00Z"], hours["2026-01-31T23:00Z"]) == (60, 120)


def test_in_polar_night_an_hour_of_two_nights_is_counted_once(station: Station) -> None:
    """Over noon in the polar night the Sun stays down, and one hour of UTC belongs to two nights."""
    station.store.register_cameras([CameraPlace("svalbard", "LYR", 78.15, 16.04, 60.0, -6.0)])
    noon = datetime(2025, 12, 20, 10, 55, 51, tzinfo=UTC)
    fill_night(station, noon - timedelta(minutes=5), 10, camera="svalbard")
    station.store.update_expected(noon + timedelta(days=5))
    nights = station.store.occurrence("night")
    assert [(row.period, row.total, row.expected) for row in nights] == [
        ("2025-12-19", 5, 1439),  # 1440, but only whole frames count on either side of noon
        ("2025-12-20", 5, 1439),
    ]
    hours = station.store.occurrence("hour")
    assert len({row.period for row in hours}) == len(hours) == 49
    assert sum(row.missing or 0 for row in hours) == sum(row.missing or 0 for row in nights) == 1434 + 1435


def test_periods_and_cameras_can_be_chosen(station: Station) -> None:
    for day in range(4):
        fill_night(station, NOW + timedelta(days=day), 1)
    fill_night(station, NOW, 1, camera="tromso")

    def periods(by: str, **filters: object) -> list[str]:
        return [row.period for row in station.store.occurrence(by, **filters)]  # type: ignore[arg-type]

    first, last = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 3, tzinfo=UTC)
    assert periods("night", since=first, until=last) == ["2026-02-01", "2026-02-02"]
    assert periods("hour", since=first, until=last) == ["2026-02-01T22:00Z", "2026-02-02T22:00Z"]
    assert periods("month", camera="kiruna") == ["2026-01", "2026-02"]
    assert periods("night", camera="tromso") == ["2026-01-31"]


def test_a_persons_word_stands_above_every_model_and_the_newest_counts(station: Station) -> None:
    file = stat("a.png")
    station.commit(labelled(file, record(file.path, label="cloudy")))
    insert = text(
        "INSERT INTO reviews (file_id, frame_index, time_utc, label_id, reviewer, note, made_at)"
        " SELECT file_id, 0, time_utc, :label, :who, '', 0 FROM frames"
    )
    with station.store._db.writing(durable=True) as conn:
        conn.execute(insert, {"label": 1, "who": "Kirsi"})
        conn.execute(insert, {"label": 3, "who": "Anna"})
    with station.store._db.reading() as conn:
        query = "SELECT label, model, confidence, model_label, reviewer FROM labels_current"
        assert tuple(conn.execute(text(query)).one()) == ("discrete", "human", 1.0, "cloudy", "Anna")
    (night,) = station.store.occurrence("night")
    assert (night.counts["discrete"], night.counts["cloudy"]) == (1, 0)


def test_times_and_nights_can_be_read_by_people(station: Station) -> None:
    file = stat("a.png")
    station.commit(labelled(file, record(file.path, 0, NOW + timedelta(microseconds=250_000))))
    with station.store._db.reading() as conn:
        row = conn.execute(text("SELECT time_utc, time_iso, night FROM labels_current")).one()
        assert tuple(row) == (NOW.timestamp() + 0.25, "2026-01-31T22:00:00.250Z", "2026-01-31")
        hour = conn.execute(text("SELECT hour, hour_utc, total FROM occurrence_hourly")).one()
        assert tuple(hour) == ("2026-01-31T22:00Z", NOW.timestamp(), 1)
        state = conn.execute(text("SELECT path, state, camera FROM file_states")).one()
        assert tuple(state) == (file.path, "labelled", "kiruna")


@pytest.mark.parametrize("column", ["path", "frame_index", "camera", "time_utc", "night", "label", "model"])
def test_the_promised_columns_are_there(station: Station, column: str) -> None:
    with station.store._db.reading() as conn:
        assert conn.execute(select(column_named(column)).select_from(text("labels_current"))).all() == []
