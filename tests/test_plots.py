"""Pictures of occurrence show what the rows say."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auroramon.plots import PALETTE, Legend, clear_sky_rate, draw_occurrence, plot_occurrence, total_rate
from auroramon.store.results import By, OccurrenceRow
from auroramon.store.views import COUNTS

LEGEND = Legend("first")


def row(period: str, camera: str = "kiruna", missing: int | None = 0, **counts: int) -> OccurrenceRow:
    every = dict.fromkeys(COUNTS, 0) | counts
    aurora = every["arc"] + every["diffuse"] + every["discrete"]
    total = sum(every.values())
    expected = None if missing is None else total + missing
    return OccurrenceRow(camera, period, every, aurora, total, expected, missing)


def night_of_hours(first: datetime, hours: int, **counts: int) -> list[OccurrenceRow]:
    return [row(f"{first + timedelta(hours=hour):%Y-%m-%dT%H:00Z}", **counts) for hour in range(hours)]


def axes_of(figure: Figure) -> list[Axes]:
    return [axes for panel in figure.subfigs for axes in panel.get_axes()]


def test_every_count_has_a_colour_of_its_own() -> None:
    assert set(PALETTE) == set(COUNTS)
    assert len(set(PALETTE.values())) == len(COUNTS)


def test_rates_have_honest_denominators() -> None:
    assert clear_sky_rate(row("2025-12-21", arc=3, clear=1, cloudy=96)) == 0.75
    assert total_rate(row("2025-12-21", arc=3, clear=1, cloudy=96)) == 0.03
    assert clear_sky_rate(row("2025-12-21", cloudy=100)) is None
    assert total_rate(row("2025-12-21", missing=100)) is None


def heights(bars: Axes) -> dict[str, list[float]]:
    containers: Any = bars.containers
    return {group.get_label(): [bar.get_height() for bar in group] for group in containers}


def points(axes: Axes) -> list[float]:
    drawn: Any = axes.lines[0].get_ydata()
    return [float(value) for value in drawn]


@pytest.mark.parametrize(
    ("by", "periods"), [("night", ["2025-12-21", "2025-12-23"]), ("month", ["2025-12", "2026-01"])]
)
def test_bars_are_as_high_as_the_counts(by: By, periods: list[str]) -> None:
    rows = [row(periods[0], arc=10, cloudy=50, missing=5), row(periods[1], clear=30, moon=7)]
    rate, bars = axes_of(draw_occurrence(rows, by, LEGEND))
    found = heights(bars)
    assert found["arc"] == [10, 0]
    assert found["cloudy"] == [50, 0]
    assert found["clear"] == [0, 30]
    assert found["missing"][0] == 5
    assert "other" not in found
    rates = points(rate)
    assert [value for value in rates if not math.isnan(value)] == [100.0, 0.0]


def test_a_line_is_not_drawn_over_a_night_of_which_nothing_is_known() -> None:
    rows = [row(f"2025-12-{day}", arc=10) for day in (20, 21, 24)]
    rate, _ = axes_of(draw_occurrence(rows, "night", LEGEND))
    assert [math.isnan(value) for value in points(rate)] == [False, False, True, False]


def test_what_is_missing_is_left_out_where_nobody_knows() -> None:
    _, bars = axes_of(draw_occurrence([row("2025-12-21", arc=10, missing=None)], "night", LEGEND))
    assert "missing" not in heights(bars)


def test_one_night_is_drawn_hour_by_hour() -> None:
    rows = night_of_hours(datetime(2025, 12, 21, 16, tzinfo=UTC), 12, clear=60)
    _, bars = axes_of(draw_occurrence(rows, "hour", LEGEND))
    assert heights(bars)["clear"] == [60] * 12


@pytest.mark.parametrize("dusk", [16, 2, 8])
def test_many_nights_are_a_map_that_does_not_cut_a_night_in_two(dusk: int) -> None:
    """Whatever the longitude: dusk at 16, 2 or 8 UTC."""
    rows = []
    for day in range(5):
        start = datetime(2025, 12, 20, dusk, tzinfo=UTC) + timedelta(days=day)
        rows += night_of_hours(start, 12, arc=15, clear=45)
    shown = axes_of(draw_occurrence(rows, "hour", LEGEND))[0]
    cells: Any = shown.collections[0]
    values = cells.get_array()
    assert values.shape == (24, 5)
    assert values.count() == 5 * 12
    assert set(values.compressed()) == {25.0}
    labels = [text.get_text() for text in shown.get_yticklabels()]
    assert labels[0] == f"{dusk:02d}"
    assert labels[-1] == f"{(dusk + 12) % 24:02d}"


def test_the_title_says_camera_period_number_and_model() -> None:
    rows = [row("2025-12-21", arc=1200), row("2025-12-24", "abisko", clear=7)]
    figure = draw_occurrence(rows, "night", LEGEND)
    titles: list[Any] = [panel._suptitle for panel in figure.subfigs]  # no public way to ask
    text = " ".join(title.get_text() for title in titles)
    for part in ("abisko", "kiruna", "2025-12-21", "n = 1\u2009200 frames", "n = 7 frames", "labelled by first"):
        assert part in text


def test_simulated_frames_are_called_so() -> None:
    figure = draw_occurrence([row("2025-12-21", arc=1)], "night", Legend("first", simulated=True))
    title: Any = figure.subfigs[0]._suptitle
    assert "simulated" in title.get_text()


def test_nothing_to_show_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no frames"):
        plot_occurrence([], "night", tmp_path / "picture.png", LEGEND)
    assert list(tmp_path.iterdir()) == []
