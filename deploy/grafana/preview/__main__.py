"""Draws docs/images/dashboard_*.png: `python -m deploy.grafana.preview`. Needs prometheus and promtool.

Occurrence is asked of a SQLite database with ten made-up weeks, Station of a real Prometheus with one made-up night.
Prometheus cannot replay alerts, so `ALERTS` is worked out here from the alerts' own expressions and hold times; only
the lower threshold at which AuroraOverhead goes on is left out.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auroramon.store import open_store
from deploy.grafana.expand import Choice
from deploy.grafana.preview import answers
from deploy.grafana.preview.draw import Span, View, draw
from deploy.grafana.preview.told import INSTANCE, write_night
from deploy.grafana.preview.weeks import PLACES, Weeks, fill

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ROOT / "docs" / "images"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
RULES = ROOT / "deploy" / "prometheus" / "rules"
CAMERAS = [place[0] for place in PLACES]
STEP_S = 60
NEW_MOON = datetime(2025, 12, 18, 11, tzinfo=UTC)
SEED, NIGHT = 11, 1  # with clouds, aurora, and hours in which a camera stood still
DEPTH = 3  # recording rules that stand on recording rules that stand on recording rules


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        occurrence(Path(scratch))
        station(Path(scratch))


def occurrence(folder: Path) -> None:
    weeks = Weeks(nights=70, cadence_s=300)
    url = f"sqlite:///{folder / 'auroramon.sqlite'}"
    with closing(open_store(url)) as store:
        fill(store, weeks)
    page = json.loads((DASHBOARDS / "occurrence-sqlite.json").read_text())
    start, end = int(weeks.first.timestamp()), int(weeks.last.timestamp())
    said = "70 made-up nights of two cameras; drawn from the dashboard's own queries, not by Grafana"
    figure = draw(page, answers.database(url, Choice(CAMERAS, start, end)), View(start, end), said)
    figure.savefig(IMAGES / "dashboard_occurrence.png", dpi=90)


def station(folder: Path) -> None:
    raw, data = folder / "night.om", folder / "prometheus"
    first, last = write_night(raw, Weeks(first=NEW_MOON, seed=SEED), night=NIGHT)
    promtool("tsdb", "create-blocks-from", "openmetrics", raw, data)
    begin, end = first.timestamp() - 3 * 3600, last.timestamp()
    for _ in range(DEPTH):
        with prometheus(data) as address:
            span = (f"--start={begin:.0f}", f"--end={end:.0f}", f"--eval-interval={STEP_S}s")
            promtool(
                "tsdb", "create-blocks-from", "rules", *span, f"--url=http://{address}", f"--output-dir={data}",
                RULES / "recording.yml",
            )  # fmt: skip
    choice = Choice(CAMERAS, int(first.timestamp()), int(end), interval_s=300, rate_interval_s=300)
    with prometheus(data) as address:
        (folder / "alerts.om").write_text(alerts(address, begin, end))
    promtool("tsdb", "create-blocks-from", "openmetrics", folder / "alerts.om", data)
    page = json.loads((DASHBOARDS / "station.json").read_text())
    with prometheus(data) as address:
        ask = stepped(address, choice)
        spans = [
            Span(start, until, mark["iconColor"])
            for mark in page["annotations"]["list"]
            if not mark["useValueForTime"]
            for line in over_time(ask, mark["expr"], "")
            for start, until in _stretches(line)
        ]
        view = View(choice.start, choice.end, spans)
        figure = draw(
            page, ask, view, "a made-up night of two cameras, asked of a real Prometheus; not drawn by Grafana"
        )
    figure.savefig(IMAGES / "dashboard_station.png", dpi=90)


def stepped(address: str, choice: Choice) -> Any:
    """Ask with a step of a minute, but with that of its intervals where a panel draws bars."""
    fine, coarse = (answers.prometheus(address, choice, step) for step in (STEP_S, choice.interval_s))
    return lambda target: coarse(target) if "interval" in target else fine(target)


def over_time(ask: answers.Ask, expr: str, legend: str) -> list[answers.Line]:
    found = ask({"expr": expr, "legendFormat": legend})
    assert not isinstance(found, answers.Rows)  # noqa: S101 - an expression over time gives series
    return found


def _stretches(line: answers.Line) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for at, value in zip(line.times, line.values, strict=True):
        if value != value:  # noqa: PLR0124 - a gap
            continue
        if found and at - found[-1][1] < 1.5 * STEP_S:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return found


def alerts(address: str, begin: float, end: float) -> str:
    """Give ALERTS as the rules would have written it."""
    import yaml

    ask = answers.prometheus(address, Choice(CAMERAS, int(begin), int(end)), STEP_S)
    lines = []
    for rule in yaml.safe_load((RULES / "alerts.yml").read_text())["groups"][0]["rules"]:
        name, hold, keep = rule["alert"], _seconds(rule.get("for", "0s")), _seconds(rule.get("keep_firing_for", "0s"))
        for line in over_time(ask, rule["expr"], "{{camera}}"):
            labels = {**INSTANCE, "alertname": name, "alertstate": "firing", **rule["labels"]}
            labels |= {"camera": line.name} if line.name else {}
            said = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
            fired = {
                int(at)
                for start, until in _stretches(line)
                if until - start >= hold
                for at in range(int(start + hold), int(until + keep) + 1, STEP_S)
                if at <= end
            }
            lines += [f"ALERTS{{{said}}} 1 {at}" for at in sorted(fired)]
    return "# TYPE ALERTS gauge\n" + "\n".join(lines) + "\n# EOF\n"


def _seconds(text: str) -> float:
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def promtool(*words: str | Path) -> None:
    subprocess.run([shutil.which("promtool") or "promtool", *map(str, words)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603


@contextmanager
def prometheus(data: Path) -> Iterator[str]:
    """Run Prometheus on a folder of data, and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = data.parent / "prometheus.yml"
    config.write_text("global: {}\n")
    words = (f"--config.file={config}", f"--storage.tsdb.path={data}", f"--web.listen-address={address}")
    process = subprocess.Popen(  # noqa: S603 - the words are ours
        [shutil.which("prometheus") or "prometheus", *words, "--storage.tsdb.retention.time=20y", "--log.level=error"]
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
