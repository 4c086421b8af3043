"""The rules for Prometheus: valid, each alert proven both ways, and explained."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from auroramon.store.schema import LABEL_CODES
from auroramon.types import AURORA_LABELS
from tests.conftest import ROOT
from tests.deploy.programs import program

DEPLOY = ROOT / "deploy" / "prometheus"
TESTS = sorted((DEPLOY / "tests").glob("*_test.yml"))
MONITORING = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")


def rules() -> list[dict[str, Any]]:
    groups = [
        group for file in (DEPLOY / "rules").glob("*.yml") for group in yaml.safe_load(file.read_text())["groups"]
    ]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def promtool(*words: str | Path) -> None:
    done = subprocess.run([program("promtool", "prometheus"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", DEPLOY / "prometheus.yml")


@pytest.mark.parametrize("file", TESTS, ids=lambda file: str(file.stem))
def test_rules_do_what_their_tests_say(file: Path) -> None:
    promtool("test", "rules", file)


def proven() -> tuple[dict[str, int], dict[str, int]]:
    """Count for each alert the test groups in which it fires, and those in which it only must not."""
    fires, silent = dict.fromkeys(ALERTS, 0), dict.fromkeys(ALERTS, 0)
    for file in TESTS:
        for test in yaml.safe_load(file.read_text())["tests"]:
            expected: dict[str, list[bool]] = {}
            for case in test.get("alert_rule_test", ()):
                expected.setdefault(case["alertname"], []).append(bool(case["exp_alerts"]))
            for alert, seen in expected.items():
                (fires if any(seen) else silent)[alert] += 1
    return fires, silent


def test_the_document_says_how_many_tests_there_are() -> None:
    histories = [test for file in TESTS for test in yaml.safe_load(file.read_text())["tests"]]
    expectations = sum(len(test.get("alert_rule_test", ())) for test in histories)
    said = f"The {len(ALERTS)} alerts are proven by promtool in {len(histories)} made-up histories with {expectations} "
    assert said in MONITORING


def test_each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_must_not() -> None:
    fires, silent = proven()
    assert len(ALERTS) == 19
    assert {alert for alert, count in fires.items() if not count} == set()
    assert {alert for alert, count in silent.items() if not count} == set()


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_an_alert_says_what_happened_what_to_do_and_where_to_read_on(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    summary = rule["annotations"]["summary"]
    assert summary.endswith((".", "?"))
    assert len(summary) < 220
    assert re.search(r"[;:] ", summary), "what to do is missing"
    assert rule["annotations"]["runbook_url"] == f"docs/monitoring.md#{alert.lower()}"
    assert f"\n### {alert}\n" in MONITORING


def test_only_alerts_that_exist_are_explained_and_inhibited() -> None:
    assert set(re.findall(r"^### (Aurora\w+)$", MONITORING, re.MULTILINE)) == set(ALERTS)
    manager = (ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"Aurora(?:mon|Over)\w+", manager)) <= set(ALERTS)


def test_rules_know_the_labels_and_their_numbers() -> None:
    texts = {rule.get("record", rule.get("alert")): rule["expr"] for rule in rules()}
    said = re.findall(r'(\d) \+ 0 \* \(\S+\{label="(\w+)"\}', texts["camera:auroramon_sky_code:5m"])
    assert {label: int(code) for code, label in said} == LABEL_CODES
    for text in texts.values():
        for labels in re.findall(r'label=~"(arc[a-z|]+)"', text):
            assert set(labels.split("|")) - {"clear"} == AURORA_LABELS


def test_the_example_for_alertmanager_is_valid() -> None:
    amtool = program("amtool", "prometheus-alertmanager")
    file = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    done = subprocess.run([amtool, "check-config", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=AuroraOverhead", "severity=info"), "observers"),
        (("alertname=AuroramonTargetDown", "severity=critical"), "technician"),
        (("alertname=AuroramonDiskFilling", "severity=warning"), "technician"),
    ],
)
def test_aurora_goes_to_observers_and_faults_to_the_technician(labels: tuple[str, ...], receiver: str) -> None:
    file = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    amtool = program("amtool", "prometheus-alertmanager")
    words = (amtool, "config", "routes", "test", f"--config.file={file}", f"--verify.receivers={receiver}", *labels)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
