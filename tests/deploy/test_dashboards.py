"""The dashboards: up to date, understood by Grafana's own model, readable, and every question of theirs is answered."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine

from auroramon.plots import PALETTE
from auroramon.store import open_store
from deploy.grafana.__main__ import DASHBOARDS, FOLDER, written
from deploy.grafana.expand import Choice
from deploy.grafana.looks import COLOURS
from tests.conftest import ROOT
from tests.deploy.conftest import WEEK

PAGES = {name: json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in DASHBOARDS}
PANELS = [(name, panel) for name, page in PAGES.items() for panel in page["panels"]]
CHOICE = Choice(["kiruna", "abisko"], int(WEEK.first.timestamp()), int(WEEK.last.timestamp()))


def name_of(value: object) -> str:
    return value["title"] if isinstance(value, dict) else str(value).removesuffix(".json")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_file_is_what_the_code_writes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == written(name), "call `python -m deploy.grafana`"


def lost(mine: Any, theirs: Any, place: str = "") -> Iterator[str]:
    """Give what Grafana's model does not know or understands otherwise."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key, value in mine.items():
            yield from [f"{place}/{key}"] if key not in theirs else lost(value, theirs[key], f"{place}/{key}")
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for number, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            yield from lost(one, other, f"{place}[{number}]")
    elif mine != theirs:
        yield f"{place}: {mine!r} became {theirs!r}"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_grafanas_own_model_knows_every_key(name: str) -> None:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    theirs = json.loads(JSONEncoder().encode(Dashboard.from_json(PAGES[name])))
    unknown = {place.rpartition("/")[2] for place in lost(PAGES[name], theirs)}
    # What the plugin of Prometheus adds to an annotation is not in the model of the dashboard.
    assert unknown <= {"step", "titleFormat", "useValueForTime"}


@pytest.mark.parametrize(("page", "panel"), PANELS, ids=name_of)
def test_a_panel_says_what_it_shows_in_which_unit_and_what_an_empty_one_means(page: str, panel: dict[str, Any]) -> None:
    assert panel["description"].endswith((".", "`"))
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert "noValue" in panel["fieldConfig"]["defaults"]
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_fill_the_grid_without_overlap_and_the_most_urgent_come_first(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    places = [panel["gridPos"] for panel in PAGES[name]["panels"]]
    for place in places:
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert [(p["y"], p["x"]) for p in places] == sorted((p["y"], p["x"]) for p in places)
    assert len({panel["id"] for panel in PAGES[name]["panels"]}) == len(places)


def test_classes_have_the_colours_of_the_plots() -> None:
    assert {label for label in PALETTE if PALETTE[label] != COLOURS[label]} == {"clear", "other"}

    def hue(colour: str) -> float:
        red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        return colorsys.rgb_to_hls(red, green, blue)[0]

    assert hue(COLOURS["clear"]) == pytest.approx(hue(PALETTE["clear"]), abs=0.02)


SQL = [(name, panel) for name, panel in PANELS if name.startswith("occurrence")]


@pytest.mark.parametrize(("page", "panel"), SQL, ids=name_of)
def test_every_statement_gives_rows(page: str, panel: dict[str, Any], week: Callable[[str], str]) -> None:
    dialect = page.removesuffix(".json").removeprefix("occurrence-")
    for target in panel["targets"]:
        text = target["rawQueryText" if dialect == "sqlite" else "rawSql"]
        columns, rows = asked(week(dialect), CHOICE.sql(text))
        assert rows
        assert all(any(row[number] is not None for row in rows) for number in range(len(columns))), columns
        named = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
        if "metric" not in columns:
            assert named <= set(columns)
        by_time = target.get("queryType") == "time series" or target.get("format") == "time_series"
        assert by_time == ("time" in columns)
        x_column = panel["options"].get("xField")
        assert x_column is None or x_column == columns[0]
        if dialect == "sqlite":  # the plugin keeps whole numbers only where the first row has one
            for number in range(len(columns)):
                kinds = {type(row[number]) for row in rows if row[number] is not None}
                assert len(kinds) == 1, columns[number]


def asked(url: str, statement: str) -> tuple[list[str], list[Any]]:
    """Ask as a plugin does: without parameters."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with closing(engine.raw_connection()) as conn:
            cursor = conn.cursor()
            cursor.execute(statement)
            return [column[0] for column in cursor.description], list(cursor.fetchall())
    finally:
        engine.dispose()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_choice_of_cameras_lists_them(dialect: str, week: Callable[[str], str]) -> None:
    text = PAGES[f"occurrence-{dialect}.json"]["templating"]["list"][1]["query"]
    assert asked(week(dialect), text)[1] == [("abisko",), ("kiruna",)]


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_totals_are_those_of_the_store(dialect: str, week: Callable[[str], str]) -> None:
    page = PAGES[f"occurrence-{dialect}.json"]
    panel = next(panel for panel in page["panels"] if panel["title"].startswith("By camera"))
    target = panel["targets"][0]
    columns, rows = asked(week(dialect), CHOICE.sql(target["rawQueryText" if dialect == "sqlite" else "rawSql"]))
    with closing(open_store(week(dialect), create=False)) as store:
        nights = store.occurrence("night")
    for row in rows:
        said = dict(zip(columns, row, strict=True))
        own = [night for night in nights if night.camera == said["camera"]]
        aurora, clear = sum(night.aurora for night in own), sum(night.counts["clear"] for night in own)
        assert said["frames"] == sum(night.total for night in own)
        assert said["missing"] == sum(night.missing or 0 for night in own)
        assert float(said["aurora of clear sky"]) == pytest.approx(100 * aurora / (aurora + clear))
        assert said["frames"] == said["aurora"] + sum(
            said[label] for label in ("clear", "cloudy", "moon", "unknown", "other")
        )


def test_a_camera_with_a_quote_in_its_name_breaks_no_statement(sqlite_week: str) -> None:
    panel = PAGES["occurrence-sqlite.json"]["panels"][0]
    odd = Choice(["o'brien"], 0, 2_000_000_000)
    assert asked(sqlite_week, odd.sql(panel["targets"][0]["rawQueryText"]))[1][0][0] is None


def test_sources_and_dashboards_are_provisioned_under_the_names_that_dashboards_use() -> None:
    folder = ROOT / "deploy" / "grafana" / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "auroramon.yaml").read_text())["datasources"]
    used = {page["templating"]["list"][0]["current"]["value"] for page in PAGES.values()}
    kinds = {page["templating"]["list"][0]["query"] for page in PAGES.values()}
    assert {source["uid"] for source in sources} == used
    assert {source["type"] for source in sources} == kinds
    providers = yaml.safe_load((folder / "dashboards" / "auroramon.yaml").read_text())["providers"]
    assert [provider["type"] for provider in providers] == ["file"]
