"""The week at a glance: what went wrong, what fired, what was labelled, and the memory of the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import matplotlib as mpl
import matplotlib.dates as mdates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auroramon.types import AURORA_LABELS
from benchmarks.week.plan import Fault
from benchmarks.week.run import Outcome

FAULT, FIRED = "#777777", "#c0392b"
LETTER = timedelta(minutes=45)  # the width of a small letter in this figure, so that names need not meet


def draw(outcome: Outcome, file: Path) -> None:
    """Write the picture."""
    mpl.rcParams["timezone"] = "UTC"
    figure = Figure(figsize=(11, 9), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(5, 1.6, 1.2))
    faults = [fault for fault in outcome.faults if fault.kind not in {"aurora", "none"}]
    alerts = sorted({firing.alert for firing in outcome.fired}, reverse=True)
    for row, alert in enumerate(alerts):
        for firing in outcome.fired:
            if firing.alert == alert:
                top.plot([firing.begin, firing.end], [row, row], color=FIRED, linewidth=5, solid_capstyle="butt")
                top.plot([firing.begin], [row], "|", color=FIRED, markersize=9)
    for fault in faults:
        top.axvspan(fault.begin, max(fault.end, fault.begin), color=FAULT, alpha=0.25)
        top.axvline(fault.begin, color=FAULT, linewidth=0.6)
    top.set_yticks(range(len(alerts)), [alert.removeprefix("Auroramon") for alert in alerts], fontsize=8)
    rows = _write_names(top, faults, len(alerts) - 0.2, outcome.end)
    top.set_ylim(-0.7, len(alerts) + 0.75 * rows)
    top.set_title(
        f"A simulated week of ten cameras, {outcome.speed} times as fast as life: faults (grey) and alerts that fired",
        fontsize=10,
    )
    shown: dict[str, list[tuple[object, float]]] = {}
    for labels, values in outcome.counted:
        kind = (
            "aurora" if labels["label"] in AURORA_LABELS else "unknown" if labels["label"] == "unknown" else "no aurora"
        )
        for exact, count in values:
            at = exact.replace(minute=0, second=0, microsecond=0)
            shown.setdefault(kind, []).append((at, count))
    for kind, colour in (("unknown", "#bbbbbb"), ("no aurora", "#34495e"), ("aurora", "#27ae60")):
        total: dict[object, float] = {}
        for at, count in shown.get(kind, ()):
            total[at] = total.get(at, 0.0) + count
        middle.plot(sorted(total), [total[at] for at in sorted(total)], color=colour, label=kind, linewidth=1.2)  # type: ignore[type-var]
    middle.set_ylabel("frames in the hour", fontsize=8)
    middle.legend(fontsize=7, loc="upper right")
    for life in sorted({life for _, life, _ in outcome.memory}):
        points = [(at, mb) for at, number, mb in outcome.memory if number == life]
        bottom.plot([at for at, _ in points], [mb for _, mb in points], color="#2471a3", linewidth=1)
    bottom.set_ylabel("resident MB", fontsize=8)
    bottom.set_ylim(0)
    bottom.xaxis.set_major_locator(mdates.DayLocator())
    bottom.xaxis.set_major_formatter(mdates.DateFormatter("%a %d"))
    file.parent.mkdir(exist_ok=True)
    bottom.set_xlim(outcome.begin, outcome.end)
    figure.savefig(file, dpi=110)


def _write_names(axes: Axes, faults: Sequence[Fault], above: float, end: datetime) -> int:
    """Write each fault's name in the lowest row where nothing stands yet, and give the number of rows."""
    taken: list[datetime] = []  # by row: up to where it is written on
    for fault in faults:
        name = fault.what.partition(",")[0].partition(":")[0][:50]
        begin = min(fault.begin, end - len(name) * LETTER)
        row = next((row for row, until in enumerate(taken) if until < begin), len(taken))
        taken[row : row + 1] = [begin + (len(name) + 2) * LETTER]
        axes.text(mdates.date2num(begin), above + 0.75 * row, name, fontsize=6, color="#333333")
    return len(taken)
