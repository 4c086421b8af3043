"""Answers to the questions of a panel, in the two shapes in which a panel shows them."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import create_engine

from deploy.grafana.expand import Choice

Json = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A series over time, or one value of now."""

    name: str
    times: Sequence[float]  # seconds since 1970
    values: Sequence[float]  # NaN: a gap


@dataclass(frozen=True)
class Rows:
    """A table as it was answered."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


Answer = list[Line] | Rows
Ask = Callable[[Json], Answer]


def prometheus(address: str, choice: Choice, step_s: int) -> Ask:
    """Ask a running Prometheus."""

    def fetch(what: str, parameters: Mapping[str, Any]) -> list[Json]:
        url = f"http://{address}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            found: list[Json] = json.load(answer)["data"]["result"]
        return found

    def ask(target: Json) -> Answer:
        expr = choice.promql(target["expr"])
        if target.get("instant"):
            found = fetch("query", {"query": expr, "time": choice.end})
            if target["format"] == "table":
                columns = sorted({key for one in found for key in one["metric"]})
                rows = [[*(one["metric"].get(key, "") for key in columns), float(one["value"][1])] for one in found]
                return Rows([*columns, "Value"], rows)
            return [Line(_legend(target, one), [choice.end], [float(one["value"][1])]) for one in found]
        asked = {"query": expr, "start": choice.start, "end": choice.end, "step": step_s}
        return [_line(_legend(target, one), one["values"], step_s) for one in fetch("query_range", asked)]

    return ask


def _legend(target: Json, found: Json) -> str:
    form = target.get("legendFormat", "__auto")
    return re.sub(r"\{\{(\w+)\}\}", lambda label: str(found["metric"].get(label[1], "")), form).strip()


def _line(name: str, samples: Sequence[Sequence[Any]], step_s: float) -> Line:
    """Give a series with a gap where Prometheus had nothing to say."""
    times: list[float] = []
    values: list[float] = []
    for at, value in samples:
        if times and at - times[-1] > 1.5 * step_s:
            times.append(times[-1] + step_s)
            values.append(float("nan"))
        times.append(float(at))
        values.append(float(value))
    return Line(name, times, values)


def database(url: str, choice: Choice) -> Ask:
    """Ask a database; a column `time` makes series of the others, as Grafana does."""

    def ask(target: Json) -> Answer:
        engine = create_engine(url)
        with closing(engine.raw_connection()) as conn:
            cursor = conn.cursor()
            cursor.execute(choice.sql(target.get("rawQueryText") or target["rawSql"]))
            columns = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
        engine.dispose()
        return _series(columns, rows) if "time" in columns else Rows(columns, rows)

    return ask


def _series(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Line]:
    at = columns.index("time")
    metric = columns.index("metric") if "metric" in columns else None
    found: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        for number, column in enumerate(columns):
            if number in {at, metric}:
                continue
            name = column if metric is None else str(row[metric])
            times, values = found.setdefault(name, ([], []))
            times.append(float(row[at]))
            values.append(float("nan") if row[number] is None else float(row[number]))
    return [Line(name, times, values) for name, (times, values) in found.items()]


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
