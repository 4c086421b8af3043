"""Draws a page of panels with Matplotlib: its own grid, titles, colours, units and names; not Grafana's drawing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deploy.grafana.preview.answers import Answer, Ask, Json, Line, Rows, moment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE, PANEL, EDGE, TEXT, DIM = "#111217", "#181B1F", "#2C3235", "#CCCCDC", "#8E8E99"
CLASSIC = ("#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0")
COLUMN_IN, ROW_IN = 0.66, 0.34  # of Grafana's grid, in inches
HEAD_IN = 0.6


@dataclass(frozen=True)
class Span:
    """A mark over all pictures."""

    start: float
    end: float
    colour: str


@dataclass(frozen=True)
class View:
    """What the panels of a page have in common."""

    start: float
    end: float
    spans: Sequence[Span] = ()


def draw(page: Json, ask: Ask, view: View, said: str) -> Figure:
    """Give the whole page as a figure."""
    from matplotlib.figure import Figure

    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in page["panels"])
    width, height = 24 * COLUMN_IN, rows * ROW_IN + HEAD_IN
    figure = Figure(figsize=(width, height), facecolor=PAGE)
    figure.text(0.12 / width, 1 - 0.22 / height, page["title"], color=TEXT, fontsize=15, va="center", weight="bold")
    figure.text(1 - 0.12 / width, 1 - 0.22 / height, said, color=DIM, fontsize=9, va="center", ha="right")
    for panel in page["panels"]:
        _panel(figure, panel, [ask(target) for target in panel["targets"]], view)
    return figure


def _panel(figure: Figure, panel: Json, answers: Sequence[Answer], view: View) -> None:
    width, height = figure.get_size_inches()
    place, gap = panel["gridPos"], 0.05
    left, top = place["x"] * COLUMN_IN + gap, height - HEAD_IN - place["y"] * ROW_IN - gap
    wide, high = place["w"] * COLUMN_IN - 2 * gap, place["h"] * ROW_IN - 2 * gap
    frame = figure.add_axes((left / width, (top - high) / height, wide / width, high / height), facecolor=PANEL)
    frame.set_xticks([])
    frame.set_yticks([])
    for spine in frame.spines.values():
        spine.set_edgecolor(EDGE)
    figure.text((left + 0.1) / width, (top - 0.15) / height, panel["title"], color=TEXT, fontsize=9.5, va="center")
    lines = [line for answer in answers if not isinstance(answer, Rows) for line in answer]
    tables = [answer for answer in answers if isinstance(answer, Rows)]
    inside: tuple[float, float, float, float]
    if panel["type"] in {"stat", "table"}:
        inside = (left + 0.08, top - high + 0.08, wide - 0.16, high - 0.4)
    else:
        longest = max((len(line.name) for line in lines), default=7)
        names_wide = 0.25 + 0.068 * longest if panel["type"] == "state-timeline" else 0.75
        inside = (left + names_wide, top - high + 0.62, wide - names_wide - 0.15, high - 0.95)
    x, y, w, h = inside
    axes = figure.add_axes((x / width, y / height, w / width, h / height), facecolor="none")
    axes.tick_params(colors=DIM, labelsize=7.5, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if not lines and not any(table.rows for table in tables):
        axes.set_axis_off()
        axes.text(
            0.5, 0.5, panel["fieldConfig"]["defaults"]["noValue"], color=DIM, ha="center", transform=axes.transAxes
        )
        return
    drawn: dict[str, Callable[[Axes, Json, Any, View], None]] = {
        "stat": _stat, "timeseries": _timeseries, "state-timeline": _timeline, "barchart": _bars, "table": _table,
    }  # fmt: skip
    drawn[panel["type"]](axes, panel, tables[0] if tables else lines, view)


def _property(panel: Json, name: str, key: str) -> Any:
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == name:
            for found in override["properties"]:
                if found["id"] == key:
                    return found["value"]
    return None


def _colour(panel: Json, name: str, number: int, value: float | None = None) -> str:
    """Give the colour by mapping, override, threshold or palette, in Grafana's order."""
    defaults = panel["fieldConfig"]["defaults"]
    mapped = _mapping(panel, value)
    if mapped:
        return str(mapped["color"])
    fixed = _property(panel, name, "color")
    if fixed:
        return str(fixed["fixedColor"])
    mode = defaults["color"]["mode"]
    if mode == "fixed":
        return str(defaults["color"]["fixedColor"])
    if mode == "thresholds" and value is not None:
        steps = [s for s in defaults["thresholds"]["steps"] if s["value"] is None or value >= s["value"]]
        return str(steps[-1]["color"])
    return CLASSIC[number % len(CLASSIC)]


def _mapping(panel: Json, value: float | None) -> Json | None:
    maps = panel["fieldConfig"]["defaults"]["mappings"]
    if not maps or value is None or math.isnan(value):
        return None
    found: Json | None = maps[0]["options"].get(f"{value:g}")
    return found


def shown(panel: Json, name: str, value: Any) -> str:
    """Write a value with its unit."""
    defaults = panel["fieldConfig"]["defaults"]
    if value is None:
        return str(defaults["noValue"])
    if isinstance(value, str):
        return value
    mapped = _mapping(panel, float(value))
    if mapped:
        return str(mapped["text"])
    return _with_unit(float(value), _property(panel, name, "unit") or defaults["unit"], defaults.get("decimals"))


def _with_unit(number: float, unit: str, decimals: int | None) -> str:
    power = min(4, int(math.log(max(abs(number), 1), 1024)))
    plain = f"{number:,.0f}".replace(",", " ") if decimals == 0 or number == int(number) else f"{number:g}"
    return {
        "percent": f"{number:.{decimals or 0}f} %",
        "percentunit": f"{100 * number:.{decimals or 0}f} %",
        "s": _duration(number),
        "bytes": f"{number / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}",
        "degree": f"{number:.{decimals or 0}f}°",
    }.get(unit, plain)


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1000:.3g} ms" if seconds else "0 s"


def _stat(axes: Axes, panel: Json, answer: Any, view: View) -> None:
    axes.set_axis_off()
    if isinstance(answer, Rows):
        tiles = list(zip(answer.columns, answer.rows[0], strict=True))
    else:
        tiles = [(line.name, line.values[-1]) for line in answer]
    solid = panel["options"]["colorMode"] != "value"
    for number, (name, value) in enumerate(tiles):
        numeric = None if value is None or isinstance(value, str) else float(value)
        colour = _colour(panel, name, number, numeric)
        centre = (number + 0.5) / len(tiles)
        if solid:
            axes.axvspan(number / len(tiles) + 0.005, (number + 1) / len(tiles) - 0.005, color=colour)
        ink = _ink(colour) if solid else colour
        size = 20 if len(tiles) < 3 else 17
        axes.text(centre, 0.52, shown(panel, name, value), color=ink, fontsize=size, ha="center", va="center")
        if len(tiles) > 1 or panel["options"]["textMode"] == "value_and_name":
            axes.text(centre, 0.12, name, color=ink if solid else DIM, fontsize=9, ha="center", va="center")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _ink(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#111217" if 0.3 * red + 0.59 * green + 0.11 * blue > 130 else "#FFFFFF"


def _timeseries(axes: Axes, panel: Json, lines: Sequence[Line], view: View) -> None:
    from matplotlib.ticker import LogLocator

    defaults = panel["fieldConfig"]["defaults"]
    custom = defaults["custom"]
    bars = custom["drawStyle"] == "bars"
    bottom: dict[float, float] = {}
    for span in view.spans:
        axes.axvspan(moment(span.start), moment(span.end), color=span.colour, alpha=0.12, linewidth=0)  # type: ignore[arg-type]
    for number, line in enumerate(lines):
        colour = _colour(panel, line.name, number)
        times: Any = [moment(at) for at in line.times]
        if bars:
            step = np.min(np.diff(line.times)) if len(line.times) > 1 else 86400.0
            values = np.nan_to_num(line.values)
            base = [bottom.get(at, 0.0) for at in line.times]
            edge = custom["barAlignment"] != 0
            wide = (1.0 if edge else 0.85) * step / 86400
            hollow = _property(panel, line.name, "custom.fillOpacity") == 0
            fill = "none" if hollow else colour
            axes.bar(
                times, values, -wide if edge else wide, base, align="edge" if edge else "center", color=fill,
                label=line.name, edgecolor=colour, linewidth=0.6 if hollow else 0.2,
            )  # fmt: skip
            bottom.update({at: low + high for at, low, high in zip(line.times, base, values, strict=True)})
        else:
            mark = "o" if custom["showPoints"] == "always" else ""
            axes.plot(times, line.values, f"{mark}-", color=colour, label=line.name, linewidth=1.3, markersize=2.5)
            if custom["fillOpacity"]:
                axes.fill_between(times, 0, line.values, color=colour, alpha=custom["fillOpacity"] / 150, linewidth=0)
    if custom.get("thresholdsStyle"):
        for step in defaults["thresholds"]["steps"][1:]:
            axes.axhline(step["value"], color=step["color"], linestyle="--", linewidth=0.8)
    if custom.get("scaleDistribution"):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.minorticks_off()
    elif "min" in defaults:
        axes.set_ylim(bottom=defaults["min"], top=defaults.get("max"))
    if not bars or custom["barAlignment"]:
        axes.set_xlim(moment(view.start), moment(view.end))  # type: ignore[arg-type]
    _time_axis(axes)
    _value_axis(axes, panel)


def _time_axis(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]


def _value_axis(axes: Axes, panel: Json) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_formatter(lambda value, _: shown(panel, "", value))
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["unit"] == "short" and defaults.get("decimals") == 0:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.grid(axis="y", color=EDGE, linewidth=0.6)
    axes.set_axisbelow(True)
    _legend(axes, *axes.get_legend_handles_labels())


def _legend(axes: Axes, handles: Sequence[Any], labels: Sequence[str]) -> None:
    axes.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(-0.02, 0), bbox_transform=axes.transAxes, ncols=9,
        frameon=False, fontsize=7.5, labelcolor=TEXT, handlelength=1.0, columnspacing=1.0, borderaxespad=2.0,
    )  # fmt: skip


def _timeline(axes: Axes, panel: Json, lines: Sequence[Line], view: View) -> None:
    from matplotlib.patches import Patch

    used: dict[str, str] = {}
    for number, line in enumerate(lines):
        step = float(np.min(np.diff(line.times))) if len(line.times) > 1 else 60.0
        for start, end, value in _runs(line, step):
            colour = _colour(panel, line.name, number, value)
            used[shown(panel, line.name, value)] = colour
            begin: Any = moment(start)
            axes.barh(-number, (end - start) / 86400, left=begin, height=0.8, color=colour, linewidth=0)
    axes.set_yticks([-number for number in range(len(lines))], [line.name for line in lines], color=TEXT)
    axes.set_ylim(-len(lines) + 0.45, 0.55)
    axes.set_xlim(moment(view.start), moment(view.end))  # type: ignore[arg-type]
    _time_axis(axes)
    _legend(axes, [Patch(color=colour) for colour in used.values()], list(used))


def _runs(line: Line, step: float) -> list[tuple[float, float, float]]:
    """Give the stretches over which a series keeps its value."""
    runs: list[tuple[float, float, float]] = []
    for at, value in zip(line.times, line.values, strict=True):
        if math.isnan(value):
            continue
        if runs and runs[-1][2] == value and abs(runs[-1][1] - at) < step / 2:
            runs[-1] = (runs[-1][0], at + step, value)
        else:
            runs.append((at, at + step, value))
    return runs


def _bars(axes: Axes, panel: Json, answer: Rows, view: View) -> None:
    names = [str(row[0]) for row in answer.rows]
    places = np.arange(len(names))
    bottom = np.zeros(len(names))
    for number, column in enumerate(answer.columns[1:], start=1):
        values = np.array([float(row[number] or 0) for row in answer.rows])
        colour = _colour(panel, column, number)
        hollow = _property(panel, column, "custom.fillOpacity") == 0
        axes.bar(
            places, values, 0.85, bottom, color="none" if hollow else colour, label=column, linewidth=0.8,
            edgecolor=colour if hollow else "none",
        )  # fmt: skip
        bottom += values
    axes.set_xticks(places, names)
    defaults = panel["fieldConfig"]["defaults"]
    axes.set_ylim(defaults.get("min"), defaults.get("max"))
    _value_axis(axes, panel)


def _table(axes: Axes, panel: Json, answer: Rows, view: View) -> None:
    axes.set_axis_off()
    change: Json = next((t["options"] for t in panel.get("transformations", ())), {})
    kept = [n for n, name in enumerate(answer.columns) if not change.get("excludeByName", {}).get(name)]
    wide = [max(len(answer.columns[n]), *(len(shown(panel, answer.columns[n], row[n])) for row in answer.rows)) + 2 for n in kept]  # fmt: skip  # noqa: E501
    starts = np.concatenate(([0], np.cumsum(wide)[:-1])) / sum(wide)
    inches = axes.get_window_extent().height / axes.figure.dpi
    line_high = 0.24 / inches
    for place, n in zip(starts, kept, strict=True):
        name = answer.columns[n]
        heading = change.get("renameByName", {}).get(name, name)
        axes.text(place, 1, heading, color="#6E9FFF", fontsize=8.5, va="top")
        for number, row in enumerate(answer.rows[: int(1 / line_high) - 1], start=1):
            value = float(row[n]) if not isinstance(row[n], str | None) else None
            colour = _colour(panel, name, n, value)
            axes.text(
                place, 1 - 1.15 * number * line_high, shown(panel, name, row[n]), color=colour, fontsize=8.5, va="top"
            )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
