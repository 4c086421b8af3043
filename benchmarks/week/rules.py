"""The rules as they are delivered, for a Prometheus whose day is as short as the simulated one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from benchmarks.week.clock import Clock

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d+)(ms|s|m|h|d)")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_AHEAD = re.compile(r"(predict_linear\([^\[]*\[[^\]]*\],\s*)([\d *]+)\)")


def scaled(duration: str, speed: int) -> str:
    """Give a duration divided by the speed.

    Raises:
        ValueError: it is no duration, or no whole number of milliseconds is left.
    """
    if not re.fullmatch(rf"({_PART.pattern})+", duration):
        raise ValueError(f"{duration!r} is no duration")
    ms = sum(int(number) * UNITS_MS[unit] for number, unit in _PART.findall(duration))
    if ms % speed:
        raise ValueError(f"{duration} at {speed} times the speed is no whole number of milliseconds")
    return f"{ms // speed}ms"


def expression(expr: str, clock: Clock) -> str:
    """Give an expression of rules in which every duration, and the clock, runs by simulated time."""

    def brackets(found: re.Match[str]) -> str:
        return "[" + ":".join(scaled(part, clock.speed) for part in found[1].split(":")) + "]"

    expr = _AHEAD.sub(rf"\g<1>(\g<2>) / {clock.speed})", _BRACKETS.sub(brackets, expr))
    now = f"({clock.begin.timestamp():.3f} + (time() - {clock.anchor_epoch:.3f}) * {clock.speed})"
    return expr.replace("time()", now)


def scaled_rules(file: Path, clock: Clock) -> dict[str, Any]:
    """Give a file of rules with every duration in it divided by the speed; nothing else is changed."""
    rules: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = expression(rule["expr"], clock)
            for key in ("for", "keep_firing_for"):
                if key in rule:
                    rule[key] = scaled(rule[key], clock.speed)
    return rules


def alerts() -> list[str]:
    """Give the names of all alerts that are delivered."""
    found = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(RULES.glob("*.yml"))]
    return [rule["alert"] for file in found for group in file["groups"] for rule in group["rules"] if "alert" in rule]


def write_configuration(folder: Path, clock: Clock, every: str, targets: list[str]) -> Path:
    """Write rules and configuration of a Prometheus that asks these targets; `every` is simulated."""
    for file in RULES.glob("*.yml"):
        text = yaml.safe_dump(scaled_rules(file, clock))
        (folder / f"scaled_{file.name}").write_text(text, encoding="utf-8")
    pace = scaled(every, clock.speed)
    config = {
        "global": {"scrape_interval": pace, "scrape_timeout": pace, "evaluation_interval": pace},
        "rule_files": [str(folder / "scaled_*.yml")],
        "scrape_configs": [{"job_name": "auroramon", "static_configs": [{"targets": targets}]}],
    }
    written = folder / "prometheus.yml"
    written.write_text(yaml.safe_dump(config), encoding="utf-8")
    return written
