"""The charts of a report as SVG that takes its colours from the page: so it suits light, dark and paper."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from auroramon.types import LABELS, UNKNOWN
from train.frames import TARGETS
from train.judged import Judged
from train.report.numbers import Bin, Calibration, Coverage, Part, embedding_map, risk_curve

COLOURS = {
    "--ink": "#010101", "--faint": "#020202", "--accent": "#030303", "--second": "#040404",
    **{f"--{label}": f"#1010{n:02x}" for n, label in enumerate(TARGETS, start=16)},
}  # fmt: skip
"""Names of the page's colours, and what stands for them while a chart is drawn."""

MARKS = dict(zip(TARGETS, ("o", "s", "^", "D", "v", "P", "x"), strict=True))

STYLE: dict[str, Any] = {
    "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif", "axes.spines.top": False,
    "axes.spines.right": False, "axes.linewidth": 0.8, "xtick.major.width": 0.8, "ytick.major.width": 0.8,
    "text.color": COLOURS["--ink"], "axes.labelcolor": COLOURS["--ink"], "axes.edgecolor": COLOURS["--ink"],
    "xtick.color": COLOURS["--ink"], "ytick.color": COLOURS["--ink"], "legend.frameon": False, "legend.fontsize": 8.5,
    "axes.titlesize": 9.5, "axes.titlelocation": "left",
}  # fmt: skip


@contextmanager
def _chart(name: str, width: float, height: float, parts: int = 1) -> Iterator[tuple[Any, list[str]]]:
    """Give the axes to draw on; afterwards the list holds the SVG. Sizes in inches."""
    out: list[str] = []
    settings: Any = {**STYLE, "svg.hashsalt": name}
    with mpl.rc_context(settings):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        axes = canvas.subplots(1, parts)
        yield axes, out
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    out.append(_for_page(buffer.getvalue(), name))


def _for_page(svg: str, name: str) -> str:
    """Take the colours from the page, and make every id the chart's own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for variable, colour in COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)


def reliability(calibration: Calibration) -> str:
    """Draw accuracy against confidence, before and after the temperature, with the frames in each bin."""
    with _chart("reliability", 7.6, 3.5, parts=2) as (axes, out):
        for place, (words, bins, error, loss) in enumerate((
            ("Before: temperature 1", calibration.before, calibration.error_before, calibration.loss_before),
            (f"After: temperature {calibration.temperature:.2f}", calibration.after, calibration.error_after,
             calibration.loss_after),
        )):  # fmt: skip
            _reliability(axes[place], bins, f"{words}\nECE {100 * error:.1f} points, log loss {loss:.3f}")
        axes[0].set_ylabel("part that is right")
    return out[0]


def _reliability(axis: Any, bins: Sequence[Bin], title: str) -> None:
    total = sum(b.frames for b in bins)
    x, y = [b.confidence for b in bins], [b.accuracy for b in bins]
    axis.plot([0, 1], [0, 1], color=COLOURS["--faint"], lw=1, ls="--", zorder=1)
    # Bars along the floor: how many of the frames are in each bin, on the same scale
    axis.bar(x, [b.frames / total for b in bins], width=0.05, color=COLOURS["--faint"], alpha=0.5, zorder=1)
    axis.vlines(x, x, y, color=COLOURS["--second"], lw=1.6, zorder=2)
    axis.plot(x, y, "o-", color=COLOURS["--accent"], ms=4, lw=1.2, zorder=3)
    axis.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", aspect="equal", title=title)


def risk_coverage(judged: Judged, coverage: Sequence[Coverage]) -> str:
    """Draw the accuracy of the surest part of the frames, with intervals where the table has them."""
    with _chart("coverage", 4.9, 3.1) as (axis, out):
        curve = risk_curve(judged)
        part = np.arange(1, len(curve) + 1) / len(curve)
        some = np.unique(np.linspace(min(20, len(curve) - 1), len(curve) - 1, 400).astype(int))
        axis.plot(part[some], curve[some], color=COLOURS["--accent"], lw=1.6)
        x = [c.coverage for c in coverage]
        y = np.array([c.accuracy.value for c in coverage])
        low = np.nan_to_num(y - [c.accuracy.low for c in coverage]).clip(0)
        high = np.nan_to_num([c.accuracy.high for c in coverage] - y).clip(0)
        axis.errorbar(x, y, [low, high], fmt="o", color=COLOURS["--accent"], ms=4, lw=1, capsize=2.5)
        axis.set(xlim=(0, 1.03), xlabel="coverage: part of the frames kept, surest first", ylabel="accuracy of these")
        axis.set_ylim(max(0.0, float(min(curve[some].min(), (y - low).min())) - 0.03), 1.005)
        axis.grid(axis="y", color=COLOURS["--faint"], alpha=0.35, lw=0.6)
    return out[0]


def parts_chart(name: str, parts: Sequence[Part], overall: float, axis_words: str) -> str:
    """Draw the accuracy of each part with its interval, and how many frames it has."""
    with _chart(name, 7.2, 0.62 + 0.235 * len(parts)) as (axis, out):
        for row, part in enumerate(parts):
            figure = part.accuracy
            if np.isfinite(figure.low):
                axis.plot([figure.low, figure.high], [row, row], color=COLOURS["--accent"], lw=1.4)
            axis.plot(figure.value, row, "o", color=COLOURS["--accent"], ms=5)
        axis.axvline(overall, color=COLOURS["--faint"], lw=1, ls="--", zorder=0)
        axis.set(ylim=(len(parts) - 0.4, -0.6), xlim=(0, 1.02), xlabel=axis_words)
        axis.set_yticks(range(len(parts)), [f"{p.name}  (n = {p.frames:,})" for p in parts])
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", color=COLOURS["--faint"], alpha=0.35, lw=0.6)
        axis.spines["left"].set_visible(False)
    return out[0]


def distances(judged: Judged) -> str:
    """Draw how far frames lie from their nearest class, those that are a sky and those that are none."""
    with _chart("distances", 7.2, 2.7) as (axis, out):
        distance, strange = judged.answers.distance, judged.answers.targets >= len(LABELS)
        threshold = judged.bundle.head.threshold
        edges = np.linspace(0, max(float(np.quantile(distance, 0.995)), threshold * 1.2), 46)
        for rows, colour, words in (
            (~strange, "--accent", f"skies (n = {(~strange).sum():,})"),
            (strange, "--second", f"no sky (n = {strange.sum():,})"),
        ):
            if rows.any():
                weights = np.full(int(rows.sum()), 1 / rows.sum())
                axis.hist(np.minimum(distance[rows], edges[-1]), edges, weights=weights, color=COLOURS[colour],
                          alpha=0.55, label=words)  # fmt: skip
        axis.axvline(threshold, color=COLOURS["--ink"], lw=1)
        axis.annotate(
            f" threshold {threshold:.2f}", (threshold, 0.92), xycoords=("data", "axes fraction"), fontsize=8.5
        )
        axis.set(xlabel="Mahalanobis distance to the nearest class", ylabel="part of the frames", xlim=(0, edges[-1]))
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return out[0]


def embedding_chart(judged: Judged) -> str:
    """Draw the map of the embedding: one point a frame, the class by colour and mark."""
    places, explained = embedding_map(judged)
    with _chart("map", 7.2, 4.6) as (axis, out):
        for k, label in enumerate(TARGETS):
            rows = np.flatnonzero(judged.answers.targets == k)
            if not len(rows):
                continue
            some: NDArray[np.float64] = places[_few(rows)]
            axis.plot(
                some[:, 0], some[:, 1], MARKS[label], color=COLOURS[f"--{label}"], ms=3.2, mew=0.6, alpha=0.6, ls="",
                label=f"{label} ({len(rows):,})", fillstyle="full" if label == UNKNOWN else "none",
            )  # fmt: skip
        axis.set(xlabel=f"first axis ({100 * explained[0]:.0f} % of the variance)",
                 ylabel=f"second axis ({100 * explained[1]:.0f} %)", aspect="equal")  # fmt: skip
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.8)
    return out[0]


def _few(rows: NDArray[np.intp], most: int = 400) -> NDArray[np.intp]:
    """Give at most so many of the rows, spread evenly: more points make the page slow and show no more."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).round().astype(np.intp)]
