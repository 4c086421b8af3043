"""Pictures of occurrence, for a paper or a wall: Matplotlib, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import MissingPartError
from auroramon.store.results import By, OccurrenceRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

PALETTE: Mapping[str, str] = {
    "discrete": "#D55E00", "arc": "#009E73", "diffuse": "#56B4E9", "clear": "#1F2F54", "moon": "#F0E442",
    "cloudy": "#A8A8A8", "unknown": "#CC79A7", "other": "#000000",
}  # fmt: skip
"""From the bottom of a bar to its top. The colours of Okabe & Ito (2008), which differ for colour-blind eyes as well;
`clear` is darkened, so that neighbours differ in brightness too."""

FEW_NIGHTS = 2
"""Up to so many nights are shown hour by hour as bars; more as a map of nights and hours."""

_MISSING: Mapping[str, Any] = {"facecolor": "white", "edgecolor": "#808080", "hatch": "////", "linewidth": 0.4}
_HIDDEN = "#BDBDBD"
_HOUR = timedelta(hours=1)
_FORMATS: Mapping[By, str] = {"hour": "%Y-%m-%d %H:%M", "night": "%Y-%m-%d", "month": "%Y-%m"}
_MATPLOTLIB = "pictures need Matplotlib: pip install 'auroramon[plots]'"


@dataclass(frozen=True, slots=True)
class Legend:
    """What the title says beside the counts."""

    model: str  # whose labels are shown
    simulated: bool = False  # the frames come from the simulated sky


def clear_sky_rate(row: OccurrenceRow) -> float | None:
    """Give aurora / (aurora + clear), the part of the frames with a sky to be seen; None where there was none."""
    seen = row.aurora + row.counts["clear"]
    return row.aurora / seen if seen else None


def total_rate(row: OccurrenceRow) -> float | None:
    """Give aurora / total, the part of all labelled frames; None where there are none."""
    return row.aurora / row.total if row.total else None


def plot_occurrence(rows: Sequence[OccurrenceRow], by: By, file: Path, legend: Legend) -> None:
    """Write a PNG with one row of panels a camera.

    Raises:
        MissingPartError: Matplotlib is not installed.
        ValueError: there is nothing to show.
        OSError: the file cannot be written.
    """
    figure = draw_occurrence(rows, by, legend)
    new = file.with_name(f".{file.name}.new")
    figure.savefig(new, format="png", dpi=150)
    new.replace(file)


def draw_occurrence(rows: Sequence[OccurrenceRow], by: By, legend: Legend) -> Figure:
    """Give the figure itself; see `plot_occurrence`."""
    rows = [row for row in rows if row.total or row.missing]  # the rest is daylight
    if not rows:
        raise ValueError("there are no frames to show")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPartError(_MATPLOTLIB) from error
    cameras = {name: [row for row in rows if row.camera == name] for name in sorted({row.camera for row in rows})}
    maps = by == "hour" and max(len(_nights(own, _cut(own))) for own in cameras.values()) > FEW_NIGHTS
    height = 4.6 if maps else 4.4
    figure = Figure(figsize=(10, 0.7 + height * len(cameras)), layout="constrained")
    panels = figure.subfigures(len(cameras), 1, squeeze=False)[:, 0]
    for panel, (camera, own) in zip(panels, cameras.items(), strict=True):
        panel.suptitle(_title(camera, own, by, legend), fontsize=10)
        if maps:
            _map(panel, own)
        else:
            rate, bars = panel.subplots(2, 1, sharex=True, height_ratios=(1, 2.4))
            _bars(rate, bars, own, by)
    return figure


def _title(camera: str, rows: Sequence[OccurrenceRow], by: By, legend: Legend) -> str:
    begin, end = _start(rows[0]), _start(rows[-1]) + (_HOUR if by == "hour" else timedelta(0))
    first, last = (f"{moment:{_FORMATS[by]}}" for moment in (begin, end))
    unit = {"hour": "hours (UTC)", "night": "nights", "month": "months"}[by]
    labelled = f"{sum(row.total for row in rows):,}".replace(",", "\u2009")  # a thin space
    source = "simulated frames" if legend.simulated else "frames"
    return f"Aurora at {camera}\n{unit} {first} to {last}   n = {labelled} {source}, labelled by {legend.model}"


def _start(row: OccurrenceRow) -> datetime:
    """Give the beginning of a period, or the date of a night at 00 UTC."""
    text = row.period if len(row.period) != 7 else f"{row.period}-01"
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _bars(rate: Axes, bars: Axes, rows: Sequence[OccurrenceRow], by: By) -> None:
    """Draw counts of every class as stacked bars, and the rate of aurora above."""
    from matplotlib.ticker import MaxNLocator

    width = {"hour": _HOUR, "night": timedelta(days=1), "month": timedelta(days=30)}[by]
    starts: Any = [_start(row) + (width / 2 if by == "hour" else timedelta(0)) for row in rows]
    bottom = np.zeros(len(rows))
    broad = 0.9 * (width / timedelta(days=1))  # Matplotlib counts days
    for label, colour in PALETTE.items():
        counts = np.array([row.counts[label] for row in rows], dtype=float)
        if counts.any() or label != "other":
            bars.bar(starts, counts, width=broad, bottom=bottom, color=colour, label=label, linewidth=0)
        bottom += counts
    if any(row.missing is not None for row in rows):
        missing = np.array([row.missing or np.nan for row in rows], dtype=float)
        bars.bar(starts, missing, width=broad, bottom=bottom, label="missing", **_MISSING)
        bottom += np.nan_to_num(missing)
    bars.set_ylim(0, 1.04 * max(bottom.max(), 1))
    bars.yaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))  # half a frame is none
    bars.set_ylabel(f"frames per {by}")
    bars.legend(loc="upper left", bbox_to_anchor=(1.005, 1.0), frameon=False, fontsize=8, reverse=True)
    rates = np.array([np.nan if value is None else 100 * value for value in map(clear_sky_rate, rows)])
    rate.plot(*_broken(starts, rates, 1.6 * width), "o-", color="#B04A00", markersize=3, linewidth=0.8)
    rate.set_ylim(-4, 104)
    rate.set_ylabel("aurora, % of\nclear-sky frames")
    rate.grid(axis="y", linewidth=0.4, color="#D0D0D0")
    _time_axis(bars, starts[0] - width / 2, starts[-1] + width / 2, by)
    for axes in (rate, bars):
        axes.spines[["top", "right"]].set_visible(False)


def _broken(starts: Sequence[datetime], rates: NDArray[np.float64], most: timedelta) -> tuple[Any, list[float]]:
    """Give the points of a line that breaks where a period is absent, instead of bridging it."""
    at, values = [starts[0]], [float(rates[0])]
    for start, value in zip(starts[1:], rates[1:], strict=True):
        if start - at[-1] > most:
            at.append(at[-1] + most / 2)
            values.append(float("nan"))
        at.append(start)
        values.append(float(value))
    return at, values


def _time_axis(axes: Axes, first: datetime, last: datetime, by: By) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    margin = max((last - first) * 0.01, _HOUR / 4)
    axes.set_xlim((first - margin, last + margin))  # type: ignore[arg-type]  # Matplotlib takes datetimes
    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    months = ["%b", "%b\n%Y", "%d\n%b", "%H:%M\n%b %d", "%H:%M", "%H:%M"]  # at the beginning of a year, a month, ...
    formatter = ConciseDateFormatter(locator, zero_formats=months, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel({"hour": "time (UTC)", "night": "night (date of the noon before it)", "month": "month"}[by])


def _cut(rows: Sequence[OccurrenceRow]) -> int:
    """Give the hour of the day (UTC) at which a row of the map begins: the middle of the longest time without frames.

    No longitude is needed for it, and it lies in the daytime of any place but in the polar night.
    """
    used = np.zeros(24, dtype=bool)
    for row in rows:
        used[_start(row).hour] = True
    if used.all() or not used.any():
        return 12
    best, middle = 0, 12
    for start in range(24):
        length = 0
        while length < 24 and not used[(start + length) % 24]:
            length += 1
        if length > best:
            best, middle = length, (start + length // 2) % 24
    return middle


def _nights(rows: Sequence[OccurrenceRow], cut: int) -> list[date]:
    """Give every night from the first to the last."""
    found = [(_start(row) - cut * _HOUR).date() for row in rows]
    first = min(found)
    return [first + timedelta(days=number) for number in range((max(found) - first).days + 1)]


def _map(panel: SubFigure, rows: Sequence[OccurrenceRow]) -> None:
    """Draw nights across and hours upward: how often aurora was seen where there was a sky to see."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    axes: Axes = panel.subplots()
    cut = _cut(rows)
    nights = _nights(rows, cut)
    rate = np.full((24, len(nights)), np.nan)
    hidden, missing = np.zeros_like(rate, dtype=bool), np.zeros_like(rate, dtype=bool)
    for row in rows:
        start = _start(row) - cut * _HOUR
        at = start.hour, (start.date() - nights[0]).days
        seen = clear_sky_rate(row)
        rate[at] = np.nan if seen is None else 100 * seen
        hidden[at] = bool(row.total) and seen is None
        missing[at] = not row.total and bool(row.missing)
    edges: Any = [datetime.combine(night, time(), UTC) - timedelta(hours=12) for night in nights]
    edges.append(edges[-1] + timedelta(days=1))
    shown = axes.pcolormesh(edges, np.arange(25), rate, cmap="viridis", vmin=0, vmax=100)
    grey = ListedColormap([_HIDDEN])
    axes.pcolormesh(edges, np.arange(25), np.where(hidden, 1.0, np.nan), cmap=grey)
    gaps = np.ma.masked_array(np.ones_like(rate), ~missing)
    axes.pcolor(edges, np.arange(25), gaps, **{**_MISSING, "facecolor": "none"})
    bar = panel.colorbar(shown, ax=axes, pad=0.01, aspect=30)
    bar.set_label("aurora, % of clear-sky frames")
    used = np.flatnonzero((np.isfinite(rate) | hidden | missing).any(axis=1))
    low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 24)
    ticks = np.arange(low, high + 1, 2 if high - low > 8 else 1)
    axes.set_ylim(low, high)
    axes.set_yticks(ticks, [f"{(tick + cut) % 24:02d}" for tick in ticks])
    axes.set_ylabel("hour of the day (UTC)")
    _time_axis(axes, edges[0], edges[-1], "night")
    keys = [Patch(facecolor=_HIDDEN, label="no clear sky: clouds, Moon or unknown")] if hidden.any() else []
    keys += [Patch(label="all frames missing", **_MISSING)] if missing.any() else []
    if keys:
        panel.legend(handles=keys, loc="outside lower right", ncols=len(keys), frameon=False, fontsize=8)
