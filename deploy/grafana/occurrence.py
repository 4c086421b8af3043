"""The Occurrence page: how often there was aurora, and of what one knows. Everything comes from the database."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.grafana import sql
from deploy.grafana.looks import (
    BARS,
    CENTRED_BARS,
    COLOURS,
    MISSING,
    POINTS,
    SERIES,
    TABLE,
    bar_chart,
    stat,
)
from deploy.grafana.model import BLUE, GREEN, RED, YELLOW, Dashboard, Panel, Query, Step, Variable

BAR_COLOURS = {**COLOURS, "missing": MISSING}
RATE_LINE = {**POINTS, "lineWidth": 1}
BRIGHT = "#FF8C3A"  # of every rate: the hue of the plots, for a dark page


def occurrence(dialect: sql.Dialect) -> Dashboard:
    """Give the page for one kind of database."""
    words = sql.Words(dialect)
    return Dashboard(
        uid=f"auroramon-occurrence-{dialect}",
        title=f"Auroramon: occurrence ({'SQLite' if dialect == 'sqlite' else 'PostgreSQL'})",
        description="How often there was aurora, by the time of the exposure, with every denominator.",
        source=dialect,
        rows=(_totals(), *_nights(words), _day(), _sky(words), *_tables(words)),
        variables=(Variable("camera", "Camera", sql.CHOICE),),
        since="now-6M",
    )


def _totals() -> Sequence[Panel]:
    return (
        Panel(
            "stat", "In these nights", "Frames with labels, the parts that show aurora, and what is missing of what was"
            " expected. Coverage is known where a camera's cadence and position are configured.",
            [Query(sql.totals(), table=True)], 24, 4, no_value="not known", decimals=0, colour_by="fixed",
            steps=(Step(None, "#CCCCDC"),), options=stat(),
            units={"aurora of clear sky": "percent", "aurora of all frames": "percent", "coverage": "percent"},
            colours={"aurora of clear sky": BRIGHT, "aurora of all frames": BRIGHT, "coverage": BLUE},
        ),
    )  # fmt: skip


def _nights(words: sql.Words) -> Sequence[Sequence[Panel]]:
    return (
        (
            Panel(
                "timeseries", "Frames by night", "What each night's frames show, and the frames that did not come.",
                [Query(sql.by_night(words))], 24, 9, minimum=0, decimals=0, no_value="no frame in these nights",
                custom=CENTRED_BARS, options=SERIES, colours=BAR_COLOURS, hollow=("missing",),
            ),
        ),
        (
            Panel(
                "timeseries", "Aurora by night", "Aurora / (aurora + clear), and aurora / all frames.",
                [Query(sql.rate_by_night(words))], 16, 8, unit="percent", minimum=0, maximum=100, decimals=0,
                no_value="no frame in these nights", custom=RATE_LINE, options=SERIES,
                colours={"of clear sky": BRIGHT, "of all frames": COLOURS["cloudy"]},
            ),
            Panel(
                "timeseries", "Coverage by night", "Frames that came, of those expected while the Sun was down.",
                [Query(sql.coverage_by_night(words))], 8, 8, unit="percent", minimum=0, maximum=100, decimals=0,
                no_value="cadence or position not set", custom=RATE_LINE, options=SERIES, colours={"coverage": BLUE},
            ),
        ),
    )  # fmt: skip


def _day() -> Sequence[Panel]:
    return (
        Panel(
            "barchart", "Frames by hour of the day", "What the frames of each hour of UTC show.",
            [Query(sql.by_hour_of_day(), table=True)], 14, 9, minimum=0, decimals=0, no_value="no frame",
            custom={"fillOpacity": 100, "lineWidth": 1}, options=bar_chart("hour (UTC)"), colours=BAR_COLOURS,
            hollow=("missing",),
        ),
        Panel(
            "barchart", "Aurora by hour of the day", "Aurora / (aurora + clear) in each hour of UTC.",
            [Query(sql.rate_by_hour_of_day(), table=True)], 10, 9, unit="percent", minimum=0, maximum=100, decimals=0,
            no_value="no clear sky", custom={"fillOpacity": 100, "lineWidth": 0},
            options=bar_chart("hour (UTC)", "none"), colours={"aurora of clear sky": BRIGHT},
        ),
    )  # fmt: skip


def _sky(words: sql.Words) -> Sequence[Panel]:
    return (
        Panel(
            "barchart", "Frames by month", "What the frames of each month's nights show.",
            [Query(sql.by_month(words), table=True)], 8, 9, minimum=0, decimals=0, no_value="no frame",
            custom={"fillOpacity": 100, "lineWidth": 1}, options=bar_chart("month"), colours=BAR_COLOURS,
            hollow=("missing",),
        ),
        Panel(
            "barchart", "Frames by Moon", "What the frames show, in percent, by whether the Moon was up and how full.",
            [Query(sql.by_moon(), table=True)], 8, 9, unit="percent", minimum=0, maximum=100, decimals=0,
            no_value="no frame", custom={"fillOpacity": 100, "lineWidth": 0}, options=bar_chart("Moon"),
            colours=COLOURS,
        ),
        Panel(
            "barchart", "Aurora by Moon", "Aurora / (aurora + clear), by whether the Moon was up and how full.",
            [Query(sql.rate_by_moon(), table=True)], 8, 9, unit="percent", minimum=0, maximum=100, decimals=0,
            no_value="no clear sky", custom={"fillOpacity": 100, "lineWidth": 0}, options=bar_chart("Moon", "none"),
            colours={"aurora of clear sky": BRIGHT},
        ),
    )  # fmt: skip


def _tables(words: sql.Words) -> Sequence[Sequence[Panel]]:
    percent = dict.fromkeys(("coverage", "aurora of clear sky", "aurora of all frames"), "percent")
    return (
        (
            Panel(
                "timeseries", "Aurora hour by hour", "Frames that show aurora, in each hour."
                " Choose a camera above to see it alone.",
                [Query(sql.by_hour(words))], 24, 7, minimum=0, decimals=0, no_value="no frame",
                custom=BARS, options=SERIES, colours={name: COLOURS[name] for name in ("discrete", "arc", "diffuse")},
            ),
        ),
        (
            Panel(
                "table", "By camera, with every denominator",
                "Expected frames are dark seconds over the cadence; empty where cadence or position is not set.",
                [Query(sql.by_camera(), table=True)], 24, 5, decimals=0, no_value="", options=TABLE, colour_by="fixed",
                steps=(Step(None, "#CCCCDC"),), units=percent,
                custom={"align": "auto", "cellOptions": {"type": "color-text"}},
                colours={**{name: c for name, c in COLOURS.items() if name != "other"}, "aurora of clear sky": BRIGHT},
            ),
        ),
        (
            Panel(
                "table", "Why frames are unknown", "What gates and model refused, by kind of reason.",
                [Query(sql.refused(), table=True)], 12, 7, decimals=0, no_value="none", options=TABLE,
                colour_by="fixed", steps=(Step(None, "#CCCCDC"),), custom={"align": "auto"},
            ),
            Panel(
                "table", "Every file", "seen = labelled + skipped + quarantined + pending, over all time. An empty"
                " camera: files that lie in no camera's folder.",
                [Query(sql.files(), table=True)], 12, 7, decimals=0, no_value="none", options=TABLE,
                colour_by="fixed", steps=(Step(None, "#CCCCDC"),),
                custom={"align": "auto", "cellOptions": {"type": "color-text"}},
                colours={"labelled": GREEN, "pending": YELLOW, "quarantined": RED},
            ),
        ),
    )  # fmt: skip
