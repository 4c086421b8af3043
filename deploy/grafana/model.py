"""Panels and dashboards in Grafana's JSON model, as far as ours use it (Grafana 10.4 and newer)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Source = Literal["prometheus", "sqlite", "postgresql"]
Kind = Literal["stat", "timeseries", "state-timeline", "barchart", "table"]

PLUGINS: Mapping[Source, str] = {
    "prometheus": "prometheus",
    "sqlite": "frser-sqlite-datasource",
    "postgresql": "grafana-postgresql-datasource",
}

COLUMNS = 24  # of Grafana's grid
GREEN, YELLOW, RED, BLUE = "#56A64B", "#F2CC0C", "#E02F44", "#5794F2"


@dataclass(frozen=True)
class Query:
    """One question to the source of a dashboard."""

    text: str  # PromQL or SQL
    legend: str = ""  # of a series, with {{label}}
    instant: bool = False  # one moment instead of the whole range
    table: bool = False  # rows as they come, instead of series over time
    interval: str = ""  # least width of $__interval


@dataclass(frozen=True)
class Step:
    """From this value on, this colour."""

    value: float | None  # None: from the beginning
    colour: str


@dataclass(frozen=True)
class Panel:
    """One picture on a dashboard."""

    kind: Kind
    title: str
    description: str  # what is shown, and what would be wrong
    queries: Sequence[Query]
    width: int  # of COLUMNS
    height: int  # about 3.8 cm each eight
    unit: str = "short"
    no_value: str = "no data"
    minimum: float | None = None
    maximum: float | None = None
    decimals: int | None = None
    steps: Sequence[Step] = (Step(None, BLUE),)
    colour_by: Literal["palette", "thresholds", "fixed"] = "palette"
    colours: Mapping[str, str] = field(default_factory=dict)  # name of a series or column -> colour
    names: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # value -> text and colour
    hollow: Sequence[str] = ()  # series drawn as an outline
    units: Mapping[str, str] = field(default_factory=dict)  # column -> unit, where it differs
    custom: Mapping[str, Any] = field(default_factory=dict)  # how the kind draws a field
    options: Mapping[str, Any] = field(default_factory=dict)  # how the kind draws the panel
    hidden: Sequence[str] = ()  # columns that a table does not show
    renamed: Mapping[str, str] = field(default_factory=dict)  # column -> heading


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a dashboard."""

    name: str
    label: str
    query: str


@dataclass(frozen=True)
class Annotation:
    """Marks on every picture over time."""

    name: str
    query: str
    colour: str
    title: str
    step: str = "60s"
    time_is_value: bool = False  # the value is the moment, in milliseconds


@dataclass(frozen=True)
class Dashboard:
    """A page of panels; the order of rows is the order on a telephone."""

    uid: str
    title: str
    description: str
    source: Source
    rows: Sequence[Sequence[Panel]]
    variables: Sequence[Variable]
    since: str  # of the time range at first
    refresh: str = ""
    annotations: Sequence[Annotation] = ()

    def json(self) -> Json:
        """Give the file that Grafana reads."""
        return {
            "annotations": {"list": [_annotation(self.source, mark) for mark in self.annotations]},
            "description": self.description,
            "editable": True,
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,  # a cross hair through all panels
            "links": [_link()],
            "panels": self._panels(),
            "refresh": self.refresh,
            "schemaVersion": 38,
            "style": "dark",  # the night goes on
            "tags": ["auroramon"],
            "templating": {"list": [_source_choice(self.source), *(_choice(self.source, v) for v in self.variables)]},
            "time": {"from": self.since, "to": "now"},
            "timepicker": {},
            "timezone": "utc",
            "title": self.title,
            "uid": self.uid,
            "version": 1,
            "weekStart": "",
        }

    def _panels(self) -> list[Json]:
        panels: list[Json] = []
        y = 0
        for row in self.rows:
            x = 0
            for panel in row:
                place = {"h": panel.height, "w": panel.width, "x": x, "y": y}
                panels.append(_panel(self.source, panel, len(panels) + 1, place))
                x += panel.width
            if x != COLUMNS:
                raise ValueError(f"{row[0].title}: the row is {x} of {COLUMNS} columns wide")
            y += max(panel.height for panel in row)
        return panels


def _source(source: Source) -> Json:
    return {"type": PLUGINS[source], "uid": "${datasource}"}


def _source_choice(source: Source) -> Json:
    uid = f"auroramon-{source}"
    return {
        "current": {"selected": True, "text": uid, "value": uid}, "hide": 0, "includeAll": False, "label": "Source",
        "multi": False, "name": "datasource", "options": [], "query": PLUGINS[source], "refresh": 1, "regex": "",
        "skipUrlSync": False, "type": "datasource",
    }  # fmt: skip


def _choice(source: Source, variable: Variable) -> Json:
    query: Any = variable.query
    if source == "prometheus":
        query = {"query": variable.query, "refId": f"{variable.name}-choice"}
    chosen: Json = {
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "datasource": _source(source),
        "hide": 0, "includeAll": True, "label": variable.label, "multi": True,
        "name": variable.name, "options": [], "query": query, "refresh": 2, "regex": "", "skipUrlSync": False,
        "sort": 1, "type": "query",
    }  # fmt: skip
    if source == "prometheus":
        chosen["allValue"] = ".*"  # also for what has no camera
    return chosen


def _link() -> Json:
    return {
        "asDropdown": False, "icon": "external link", "includeVars": True, "keepTime": False, "tags": ["auroramon"],
        "targetBlank": False, "title": "Other pages", "tooltip": "", "type": "dashboards", "url": "",
    }  # fmt: skip


def _annotation(source: Source, mark: Annotation) -> Json:
    return {
        "datasource": _source(source), "enable": True, "expr": mark.query, "hide": False, "iconColor": mark.colour,
        "name": mark.name, "step": mark.step, "titleFormat": mark.title,
        "useValueForTime": "on" if mark.time_is_value else False,
    }  # fmt: skip


def _panel(source: Source, panel: Panel, number: int, place: Json) -> Json:
    found: Json = {
        "datasource": _source(source),
        "description": panel.description,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "gridPos": place,
        "id": number,
        "options": dict(panel.options),
        "targets": [_target(source, query, "ABCDEFGH"[place]) for place, query in enumerate(panel.queries)],
        "title": panel.title,
        "type": panel.kind,
    }
    if panel.hidden or panel.renamed:
        choice = {"excludeByName": dict.fromkeys(panel.hidden, True), "indexByName": {}, "renameByName": panel.renamed}
        found["transformations"] = [{"id": "organize", "options": choice}]
    return found


def _defaults(panel: Panel) -> Json:
    mode = {"palette": "palette-classic", "thresholds": "thresholds", "fixed": "fixed"}[panel.colour_by]
    colour: Json = {"mode": mode}
    if panel.colour_by == "fixed":
        colour["fixedColor"] = panel.steps[0].colour
    defaults: Json = {
        "color": colour,
        "custom": dict(panel.custom),
        "mappings": _mappings(panel.names),
        "noValue": panel.no_value,
        "thresholds": {"mode": "absolute", "steps": [{"color": s.colour, "value": s.value} for s in panel.steps]},
        "unit": panel.unit,
    }
    for key, value in (("min", panel.minimum), ("max", panel.maximum), ("decimals", panel.decimals)):
        if value is not None:
            defaults[key] = value
    return defaults


def _mappings(names: Mapping[str, tuple[str, str]]) -> list[Json]:
    if not names:
        return []
    entries = {value: {"text": t, "color": c, "index": i} for i, (value, (t, c)) in enumerate(names.items())}
    return [{"type": "value", "options": entries}]


def _overrides(panel: Panel) -> list[Json]:
    fixed = {name: {"mode": "fixed", "fixedColor": colour} for name, colour in panel.colours.items()}
    found = [_override(name, "color", colour) for name, colour in fixed.items()]
    found += [_override(name, "unit", unit) for name, unit in panel.units.items()]
    found += [_override(name, "custom.fillOpacity", 0) for name in panel.hollow]
    return found


def _override(name: str, key: str, value: Any) -> Json:
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": key, "value": value}]}


def _target(source: Source, query: Query, ref: str) -> Json:
    target: Json = {"datasource": _source(source), "refId": ref}
    if source == "prometheus":
        target |= {
            "editorMode": "code", "expr": query.text, "format": "table" if query.table else "time_series",
            "instant": query.instant, "legendFormat": query.legend or "__auto", "range": not query.instant,
        }  # fmt: skip
        if query.interval:
            target["interval"] = query.interval
    elif source == "sqlite":
        target |= {
            "queryText": query.text, "queryType": "table" if query.table else "time series",
            "rawQueryText": query.text, "timeColumns": ["time"],
        }  # fmt: skip
    else:
        target |= {
            "editorMode": "code", "format": "table" if query.table else "time_series", "rawQuery": True,
            "rawSql": query.text,
        }  # fmt: skip
    return target
