"""What is kept of each hour is what counting every label gives, whatever was done in whatever order."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from auroramon.store import Store, open_store
from auroramon.store.hours import hour_of, hour_sql
from auroramon.store.relabel import JudgedBatch
from auroramon.store.results import CameraPlace, OccurrenceRow
from auroramon.store.reviews import NewReview
from auroramon.store.schema import COUNTS, LABEL_CODES
from auroramon.types import FileOutcome
from tests.store.conftest import _empty
from tests.store.station import NOW, Station, labelled, model_row, record, stat

LABELS = ("arc", "diffuse", "clear", "cloudy", "unknown", "airglow")
MINUTES = st.lists(st.integers(0, 300), min_size=1, max_size=4, unique=True)
FILES = 4
REASONS = ("flat: one value, 7", "distance 4.2 > 3.1", "daylight: the Sun at 3.0\u00b0", "no light", "")
MODELS = ("oath-1", "oath-2", "oath-3")


def reference(store: Store) -> list[tuple[Any, ...]]:
    """Count every label from the beginning, as the views did before anything was kept."""
    sqlite = store._db.sqlite
    hour = hour_sql(sqlite, "q.time_utc")
    sums = ", ".join(f"SUM(CASE WHEN p.label_id = {code} THEN 1 ELSE 0 END)" for code in LABEL_CODES.values())
    whole = f"CAST({'x.frames + 0.000001' if sqlite else 'FLOOR(x.frames + 0.000001)'} AS INTEGER)"
    query = f"""
        SELECT c.name, g.*, CASE WHEN w.filled_until IS NULL THEN NULL ELSE COALESCE({whole}, 0) END,
               CASE WHEN w.filled_until IS NULL THEN NULL WHEN {whole} > g.dark THEN {whole} - g.dark ELSE 0 END
        FROM (SELECT p.camera_id, p.night, p.hour, {sums},
                     SUM(CASE WHEN p.label_id > {len(LABEL_CODES)} THEN 1 ELSE 0 END), SUM(p.n), SUM(p.dark) AS dark
              FROM (SELECT q.camera_id, q.night, {hour} AS hour, q.label_id, 1 AS n,
                           CASE WHEN q.sun < y.sun_below THEN 1 ELSE 0 END AS dark
                    FROM current_codes AS q
                    LEFT JOIN expected AS y ON y.camera_id = q.camera_id AND y.night = q.night AND y.hour = {hour}
                    UNION ALL SELECT z.camera_id, z.night, z.hour, 0, 0, 0 FROM expected AS z) AS p
              GROUP BY p.camera_id, p.night, p.hour) AS g
        JOIN cameras AS c ON c.id = g.camera_id
        LEFT JOIN nights AS w ON w.camera_id = g.camera_id AND w.night = g.night
        LEFT JOIN expected AS x ON x.camera_id = g.camera_id AND x.night = g.night AND x.hour = g.hour
        ORDER BY c.name, g.night, g.hour"""  # noqa: S608
    with store._db.reading() as conn:
        rows = conn.execute(text(query)).all()
    return [(row[0], *row[2:-3], *row[-2:]) for row in rows]  # without the camera's number and `dark`


def parts(store: Store) -> list[tuple[Any, ...]]:
    columns = ", ".join(("camera", "night", "hour", *COUNTS, "total", "expected", "missing"))
    with store._db.reading() as conn:
        rows = conn.execute(text(f"SELECT {columns} FROM occurrence_parts ORDER BY camera, night, hour")).all()  # noqa: S608
    return [tuple(row) for row in rows]


def kinds(store: Store) -> list[tuple[Any, ...]]:
    with store._db.reading() as conn:
        rows = conn.execute(
            text("SELECT camera, night, hour_utc, moon, label, why, CAST(SUM(frames) AS INTEGER) FROM occurrence_kinds"
                 " GROUP BY camera, night, hour_utc, moon, label, why")
        ).all()  # fmt: skip
    return sorted(tuple(row) for row in rows)


def kinds_of_labels(store: Store) -> list[tuple[Any, ...]]:
    """Count the rows of `labels_current`, which knows nothing of hours, by what a person reads in them."""
    counts: Counter[tuple[Any, ...]] = Counter()
    with store._db.reading() as conn:
        rows = conn.execute(
            text("SELECT camera, night, time_utc, moon_altitude AS up, moon_phase AS lit, label, reason, reviewer"
                 " FROM labels_current")
        ).all()  # fmt: skip
    for row in rows:
        if row.up is None:
            moon = "no position"
        elif row.up < 0:
            moon = "Moon down"
        else:
            moon = "up, " + ("below 1/4" if row.lit < 0.25 else "1/4 to 3/4" if row.lit < 0.75 else "above 3/4")
        why = ""
        if row.label == "unknown":
            kind = "unlike every class" if row.reason.startswith("distance ") else row.reason.partition(":")[0]
            why = "a person says so" if row.reviewer else kind
        counts[row.camera, row.night, hour_of(row.time_utc) * 3600, moon, row.label, why] += 1
    return sorted((*key, number) for key, number in counts.items())


class AnyChange(RuleBasedStateMachine):
    """Everything that can change what a frame is said to show, and counts that are taken at any moment."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.store = self.open()
        self.station = Station(self.store)
        self.models = [self.store.register_model(model_row(name, created=NOW)) for name in MODELS]
        self.now = NOW
        self.files = {number: stat(f"{number}.pgm", mtime=number) for number in range(FILES)}

    def open(self) -> Store:
        _empty(self.url)
        return open_store(self.url)

    @rule(
        number=st.integers(0, FILES - 1),
        minutes=MINUTES,
        label=st.sampled_from(LABELS),
        model=st.sampled_from(range(len(MODELS))),
        sun=st.sampled_from((-7.0, -7.0, -3.0, None)),
        moon=st.sampled_from((-0.01, 0.0, 12.0, None)),
        lit=st.sampled_from((0.1, 0.25, 0.7499, 0.75, 1.0)),
        reason=st.sampled_from(REASONS),
        grown=st.booleans(),
    )
    def commit(
        self, number: int, minutes: list[int], label: str, model: int, sun: float | None, moon: float | None,
        lit: float, reason: str, grown: bool,
    ) -> None:  # fmt: skip
        file = self.files[number]
        if grown:
            file = self.files[number] = stat(f"{number}.pgm", size=file.size + 1, mtime=number)
        camera = "kiruna" if number else "tromso"
        frames = [
            record(file.path, index, NOW + timedelta(minutes=minute), label=label, camera=camera, sun=sun)
            for index, minute in enumerate(minutes)
        ]
        frames = [
            replace(
                frame,
                moon_altitude=moon,
                moon_phase=None if moon is None else lit,
                classification=replace(frame.classification, reason=reason if label == "unknown" else ""),
            )
            for frame in frames
        ]
        self.store.claim_files(self.station.run, [file], self.now)
        self.station.commit(labelled(file, *frames), model=self.models[model], now=self.now)

    @rule(number=st.integers(0, FILES - 1), label=st.sampled_from(LABELS), reviewer=st.sampled_from(("Kirsi", "Anna")))
    def review(self, number: int, label: str, reviewer: str) -> None:
        found = self.store.frames_of_file(self.files[number].path)
        self.store.add_reviews([NewReview(frame, label, reviewer) for frame in found[:2]], self.now)

    @rule(model=st.sampled_from(MODELS))
    def promote(self, model: str) -> None:
        self.now += timedelta(seconds=1)
        self.store.promote_model(model, self.now)

    @rule()
    def keep_speaking(self) -> None:
        self.now += timedelta(seconds=1)
        self.store.keep_speaking(self.now)

    @rule(model=st.sampled_from(range(len(MODELS))), label=st.integers(0, 5))
    def relabel(self, model: int, label: int) -> None:
        for batch in self.store.embeddings_without_label(self.models[model], batch=3):
            n = len(batch)
            said = np.full(n, label)
            judged = JudgedBatch(batch, LABELS, said, [900_000] * n, [b""] * n, [1] * n, [None] * n)
            self.store.add_judged(self.station.run, judged, model=self.models[model])

    @rule(below=st.sampled_from((-2.0, -5.0, -8.0)), cadence=st.sampled_from((30.0, 60.0, None)))
    def reconfigure(self, below: float, cadence: float | None) -> None:
        self.store.register_cameras([CameraPlace("kiruna", "KRN", 67.84, 20.41, cadence, below)])

    @rule(minutes=st.integers(20, 200), watched=st.booleans())
    def expect(self, minutes: int, watched: bool) -> None:
        self.now += timedelta(minutes=minutes)
        self.store.update_expected(self.now, ["kiruna"] if watched else [])

    @rule()
    def forget_expected(self) -> None:
        """What docs/database.md tells people to do by hand."""
        with self.store._db.writing() as conn:
            conn.execute(text("DELETE FROM expected"))
            conn.execute(text("UPDATE nights SET filled_until = NULL"))

    @rule(hours=st.integers(-1, 6))
    def count(self, hours: int) -> None:
        self.store.count_hours(NOW + timedelta(hours=hours))

    @rule()
    def count_all(self) -> None:
        self.store.count_hours()
        assert self.store.count_hours() == 0

    @rule()
    def killed_before_the_end(self) -> None:
        with suppress(ZeroDivisionError), self.store._db.writing() as conn:
            conn.execute(text("UPDATE hours SET due = 0"))
            raise ZeroDivisionError

    @invariant()
    def views_say_what_counting_gives(self) -> None:
        assert parts(self.store) == reference(self.store)
        assert kinds(self.store) == kinds_of_labels(self.store)

    def teardown(self) -> None:
        self.store.close()


def check(machine: type[AnyChange], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_the_counts_of_hours_are_those_of_labels_after_any_changes(tmp_path: Path, sqlite_file: Path) -> None:
    class OnSqlite(AnyChange):
        def open(self) -> Store:
            return open_store(f"sqlite:///{shutil.copy(sqlite_file, tmp_path)}")

    check(OnSqlite, 25)


@pytest.mark.parametrize("kind", ["postgres_database", "divided_database"])
def test_the_same_on_postgresql(request: pytest.FixtureRequest, kind: str) -> None:
    class OnServer(AnyChange):
        url = request.getfixturevalue(kind)

    check(OnServer, 5)


def evening(station: Station, hours: int) -> None:
    for hour in range(hours):
        file = stat(f"{hour}.png")
        station.commit(labelled(file, record(file.path, 0, NOW + timedelta(hours=hour))))


def total(rows: list[OccurrenceRow]) -> int:
    return sum(row.total for row in rows)


def test_hours_that_may_still_grow_can_be_left_alone(station: Station) -> None:
    evening(station, 3)
    assert station.store.count_hours(NOW + timedelta(hours=2)) == 2
    assert total(station.store.occurrence("hour")) == 3
    assert station.store.count_hours() == 1
    evening(station, 3)  # the same again changes nothing
    assert station.store.count_hours() == 0


def test_counting_ends_when_its_time_is_over(station: Station) -> None:
    evening(station, 2)
    assert station.store.count_hours(limit_s=0.0) == 0
    assert station.store.count_hours() == 2


@pytest.mark.parametrize(
    "time", [0.0, 3599.999999, 3600.0, 1_769_900_399.999999, 1_769_900_400.0, -0.5, -3600.0, -3601.5]
)
def test_a_moment_has_one_hour_in_python_and_in_sql(store: Store, time: float) -> None:
    with store._db.reading() as conn:
        literal = repr(time) if store._db.sqlite else f"CAST({time!r} AS DOUBLE PRECISION)"
        found = conn.execute(text(f"SELECT {hour_sql(store._db.sqlite, f'({literal})')}")).scalar_one()
    assert found == hour_of(time)
    assert found * 3600 <= time < (found + 1) * 3600


def test_the_account_and_the_hours_can_be_counted_anew(station: Station) -> None:
    evening(station, 3)
    station.store.count_hours()
    with station.store._db.writing() as conn:
        conn.execute(text("UPDATE account SET labelled = 7, seen = 9"))
        conn.execute(text("UPDATE hours SET arc = 5"))
    assert station.store.recount().seen == 9
    assert station.account() == (3, 0, 0, 0)
    assert parts(station.store) == reference(station.store)


def test_a_night_that_is_expected_after_it_was_counted_is_counted_again(station: Station) -> None:
    evening(station, 2)
    station.store.count_hours()
    station.store.update_expected(NOW + timedelta(hours=3))
    assert parts(station.store) == reference(station.store)
    missing = [row.missing for row in station.store.occurrence("hour") if row.total]
    assert missing == [59, 59]


def test_what_an_older_program_counted_is_found_and_counted_again(station: Station) -> None:
    """Such a one sets `due` and the counts by label, and knows nothing of `hour_kinds`."""

    def one(after_s: int) -> FileOutcome:
        file = stat(f"{after_s}.png")
        return labelled(file, record(file.path, time=NOW + timedelta(seconds=after_s)))

    store = station.store
    station.commit(one(0), one(7200))
    store.count_hours()
    assert store.touch_miscounted() == 0
    station.commit(one(9))
    with store._db.writing() as conn:
        conn.execute(text("UPDATE hours SET due = 0, arc = 2, total = 2 WHERE due = 1"))
    assert kinds_shown(store) == 2
    assert store.touch_miscounted() == 1
    assert kinds_shown(store) == 3
    store.count_hours()
    assert kinds_shown(store) == 3
    assert store.touch_miscounted() == 0


def kinds_shown(store: Store) -> int:
    with store._db.reading() as conn:
        return int(conn.execute(text("SELECT SUM(frames) FROM occurrence_kinds")).scalar_one())
