"""The pictures of the dashboards can be drawn anew."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.grafana.__main__ import FOLDER
from deploy.grafana.expand import Choice
from deploy.grafana.preview import answers
from deploy.grafana.preview.draw import View, draw, shown
from deploy.grafana.preview.told import Told
from deploy.grafana.preview.weeks import Weeks, frames
from tests.conftest import ROOT
from tests.deploy.conftest import WEEK
from tests.deploy.programs import program


def test_every_panel_of_the_occurrence_page_is_drawn_with_its_title(sqlite_week: str) -> None:
    page = json.loads((FOLDER / "occurrence-sqlite.json").read_text(encoding="utf-8"))
    start, end = int(WEEK.first.timestamp()), int(WEEK.last.timestamp())
    ask = answers.database(sqlite_week, Choice(["kiruna", "abisko"], start, end))
    figure = draw(page, ask, View(start, end), "made up")
    assert {panel["title"] for panel in page["panels"]} <= {text.get_text() for text in figure.texts}
    assert len(figure.axes) == 2 * len(page["panels"])


def test_what_is_made_up_is_understood_by_promtool(tmp_path: Path) -> None:
    weeks = Weeks(nights=1, cadence_s=600)
    begin = weeks.first + timedelta(hours=8)
    told = Told(weeks)
    told.live(begin, begin + timedelta(minutes=30), list(frames(weeks)))
    told.write(tmp_path / "night.om")
    words = ("tsdb", "create-blocks-from", "openmetrics", tmp_path / "night.om", tmp_path / "data")
    subprocess.run([program("promtool", "prometheus"), *words], check=True, stdout=subprocess.DEVNULL)
    assert list((tmp_path / "data").glob("*/chunks"))


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("percentunit", 0.316, "32 %"), ("percent", 31.6, "32 %"), ("s", 0.0124, "12.4 ms"), ("s", 5400, "1.5 h"),
        ("s", 0, "0 s"), ("bytes", 5e9, "4.66 GiB"), ("degree", -12.4, "-12°"), ("short", 26460, "26 460"),
        ("short", None, "nothing"),
    ],
)  # fmt: skip
def test_values_are_written_with_their_unit(unit: str, value: float | None, text: str) -> None:
    panel = {"fieldConfig": {"defaults": {"unit": unit, "mappings": [], "noValue": "nothing"}, "overrides": []}}
    assert shown(panel, "", value) == text


def test_the_pictures_lie_where_the_document_shows_them() -> None:
    document = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    for name in ("dashboard_station.png", "dashboard_occurrence.png"):
        assert f"images/{name}" in document
        assert (ROOT / "docs" / "images" / name).read_bytes().startswith(b"\x89PNG")
