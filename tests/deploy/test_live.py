"""Every expression of rules and dashboards gives data on a real Prometheus that watches the real daemon."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.__main__ import FOLDER
from deploy.grafana.expand import Choice
from tests.daemon import wait_until
from tests.deploy.live import CAMERAS, INJECTED, Station, page_of, station
from tests.deploy.programs import program
from tests.deploy.test_rules import ALERTS, rules

PAGE = json.loads((FOLDER / "station.json").read_text(encoding="utf-8"))
CHOICE = Choice((*CAMERAS, "faulty"), 0, 0, interval_s=60, rate_interval_s=60)


def dashboard_expressions() -> dict[str, str]:
    """Give the expressions of panels, annotations and variables, by where they stand."""
    found = {
        f"panel {panel['title']} {target['refId']}": CHOICE.promql(target["expr"])
        for panel in PAGE["panels"]
        for target in panel["targets"]
    }
    found |= {f"annotation {mark['name']}": CHOICE.promql(mark["expr"]) for mark in PAGE["annotations"]["list"]}
    for variable in PAGE["templating"]["list"][1:]:
        matched = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        assert matched
        found[f"variable {variable['name']}"] = f"group by ({matched[2]}) ({CHOICE.promql(matched[1])})"
    return found


EXPRESSIONS = {
    **{f"alert {name}": rule["expr"] for name, rule in ALERTS.items()},
    **{f"record {rule['record']}": rule["record"] for rule in rules() if "record" in rule},
    **{f"rule {rule['record']}": rule["expr"] for rule in rules() if "record" in rule},
    **dashboard_expressions(),
}

pytestmark = pytest.mark.timeout(600)  # the first test waits until four lives of a daemon and every fault are seen


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    program("prometheus", "prometheus")
    folder: Path = tmp_path_factory.mktemp("station")
    with station(folder) as found:
        yield found


def test_it_is_said_how_each_alert_is_provoked() -> None:
    assert set(INJECTED) == set(ALERTS)


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_an_expression_gives_data(running: Station, where: str) -> None:
    # A scrape that a busy machine misses leaves the present empty for a moment.
    wait_until(lambda: bool(running.prometheus.query(EXPRESSIONS[where])), EXPRESSIONS[where], timeout=20)


def test_no_rule_fails(running: Station) -> None:
    with urllib.request.urlopen(f"http://{running.prometheus.address}/api/v1/rules", timeout=10) as answer:
        groups: list[dict[str, Any]] = json.load(answer)["data"]["groups"]
    known = [rule for group in groups for rule in group["rules"]]
    assert len(known) == len(rules())
    assert [(rule["name"], rule["lastError"]) for rule in known if rule["health"] != "ok"] == []


def test_every_metric_of_ours_is_used_or_left_out_on_purpose(running: Station) -> None:
    used = "\n".join(EXPRESSIONS.values())
    told = {line.split()[2] for line in page_of(running).splitlines() if line.startswith("# TYPE auroramon_")}
    # For the curious: all states of files, what the watch had to repair, how often a GPU came and went.
    unused = {name for name in told if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", used)}
    assert unused == {
        "auroramon_files", "auroramon_reconciled_files_total", "auroramon_watcher_overflows_total",
        "auroramon_backend_switches_total",
    }  # fmt: skip


def test_the_station_page_tells_a_daemon_that_runs_from_one_that_does_not_answer(running: Station) -> None:
    panel = PAGE["panels"][0]
    words = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    found = running.prometheus.query(CHOICE.promql(panel["targets"][0]["expr"]))
    shown = {row["metric"]["instance"]: words[row["value"][1]]["text"] for row in found}
    assert shown[running.daemon] == "runs"
    assert sorted(shown.values()) == ["no answer", "runs", "runs"]  # at one of the three nobody listens
