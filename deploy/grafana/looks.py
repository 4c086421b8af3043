"""How our panels look: the colours of the classes, and how each kind draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auroramon.plots import PALETTE
from auroramon.store.schema import LABEL_CODES

COLOURS: Mapping[str, str] = {**PALETTE, "clear": "#4568BA", "other": "#E6E6E6"}
"""Those of the plots; `clear` keeps its hue and is lifted, and `other` is turned over, to be seen on a dark page."""
MISSING = "#C8C8C8"  # an outline, as the plots draw it
LABELS = tuple(COLOURS)
"""From the bottom of a bar to its top, as in the plots."""

SKY: Mapping[str, tuple[str, str]] = {str(code): (label, COLOURS[label]) for label, code in LABEL_CODES.items()}
"""What the numbers of `camera:auroramon_sky_code:5m` mean."""

_LEGEND: Mapping[str, Any] = {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}
_TOOLTIP: Mapping[str, Any] = {"mode": "multi", "sort": "desc"}
SERIES: Mapping[str, Any] = {"legend": _LEGEND, "tooltip": _TOOLTIP}
TIMELINE: Mapping[str, Any] = {
    "alignValue": "left", "legend": _LEGEND, "mergeValues": True, "rowHeight": 0.85, "showValue": "auto",
    "tooltip": {"mode": "single", "sort": "none"},
}  # fmt: skip
TABLE: Mapping[str, Any] = {"cellHeight": "sm", "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False}, "showHeader": True}  # fmt: skip  # noqa: E501
LINE: Mapping[str, Any] = {
    "drawStyle": "line", "fillOpacity": 8, "lineInterpolation": "linear", "lineWidth": 2, "showPoints": "never",
    "spanNulls": False, "stacking": {"group": "A", "mode": "none"},
}  # fmt: skip
POINTS: Mapping[str, Any] = {**LINE, "fillOpacity": 0, "lineWidth": 1, "pointSize": 5, "showPoints": "always"}
BARS: Mapping[str, Any] = {
    "drawStyle": "bars", "barAlignment": -1, "fillOpacity": 100, "lineWidth": 0, "showPoints": "never",
    "stacking": {"group": "A", "mode": "normal"},
}  # fmt: skip
CENTRED_BARS: Mapping[str, Any] = {**BARS, "barAlignment": 0, "barWidthFactor": 0.8, "lineWidth": 1}
STATES: Mapping[str, Any] = {"fillOpacity": 100, "lineWidth": 0}
LIMIT: Mapping[str, Any] = {"thresholdsStyle": {"mode": "dashed"}}  # draws the thresholds of an alert


def stat(background: bool = False, name_too: bool = False, graph: bool = False) -> dict[str, Any]:
    """Give the options of a large number; `background` colours the whole tile."""
    return {
        "colorMode": "background_solid" if background else "value", "graphMode": "area" if graph else "none",
        "justifyMode": "auto", "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "value_and_name" if name_too else "auto",
    }  # fmt: skip


def bar_chart(x: str, stacking: str = "normal") -> dict[str, Any]:
    """Give the options of bars over a column of names."""
    return {
        "barRadius": 0, "barWidth": 0.9, "fullHighlight": False, "groupWidth": 0.7, "legend": _LEGEND,
        "orientation": "vertical", "showValue": "never", "stacking": stacking, "tooltip": _TOOLTIP, "xField": x,
        "xTickLabelRotation": 0, "xTickLabelSpacing": 100,
    }  # fmt: skip
