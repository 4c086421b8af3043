"""A real Prometheus on the real daemon, with faults injected, for as long as it takes to see each of them."""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from prometheus_client import CollectorRegistry

from auroramon.metrics import Metrics
from auroramon.server import StatusServer
from auroramon.types import LABELS, Health
from tests.conftest import ROOT
from tests.daemon import daemon, get, wait_until
from tests.deploy.programs import Prometheus, free_port, running_prometheus
from tests.skies import START, write_png
from tests.tiny import write_tiny_bundle

DEPLOY = ROOT / "deploy" / "prometheus"
AURORA_SEEDS = (2, 3, 9, 10, 11, 13, 14, 16, 17, 22, 24, 25, 28, 29)  # skies that the tiny model calls arc or diffuse
CAMERAS = ("overhead", "iced", "ahead", "away", "broken")
STARTS = 4  # of the daemon: three restarts in an hour are told of

INJECTED = {
    "AuroramonTargetDown": "a target on a port where nobody listens",
    "AuroramonRestarting": "the daemon is killed and started three times",
    "AuroramonUnhealthy": "a folder is removed",
    "AuroramonWatcherDown": "a folder is removed",
    "AuroramonNoNewFrames": "the newest frames are of last winter, and the Sun counts as down",
    "AuroramonFramesMissing": "the cadence is configured as ten frames a second",
    "AuroramonFilesFailing": "files that hold no image",
    "AuroramonQuarantineGrowing": "files that hold no image",
    "AuroramonMostlyUnknown": "flat frames",
    "AuroramonClockAhead": "a frame of the next hour",
    "AuroramonDatabaseFailing": "no file of the daemon may grow, as on a full disk",
    "AuroraOverhead": "frames that the model calls aurora",
    "AuroramonBackendFallback": "set on a second metrics page: there is no GPU to lose",
    "AuroramonBacklogGrowing": "set on a second metrics page: half an hour of too many files",
    "AuroramonNewsLost": "set on a second metrics page: news that no broker took",
    "AuroramonSlowLabels": "set on a second metrics page: files that waited for minutes",
    "AuroramonDiskLow": "set on a second metrics page: a disk of this machine would have to fill up",
    "AuroramonBackupOld": "set on a second metrics page: a copy of last week",
    "AuroramonDiskFilling": "set on a second metrics page: a disk of this machine would have to fill up",
}
"""What makes the expression of each alert give data in the test."""


@dataclass(frozen=True)
class Station:
    """What is running."""

    prometheus: Prometheus
    daemon: str  # host:port


def write_config(folder: Path, model: Path, listen: str) -> Path:
    """Configure cameras for which it is always dark: every Sun stands lower than 90 degrees."""
    lines = [f'[database]\nurl = "sqlite:///{folder}/labels.db"\n[server]\nlisten = "{listen}"\n']
    lines.append(f'[model]\npath = "{model}"\n[watch]\nsettle_s = 0.2\nreconcile_s = 1.0\n')
    for name in CAMERAS:
        (folder / name).mkdir()
        lines.append(f'[[camera]]\nname = "{name}"\nfolder = "{folder / name}"\nlatitude = 67.84\nlongitude = 20.41\n')
        lines.append("cadence_s = 0.1\nsun_below_deg = -90\n")
    config = folder / "auroramon.toml"
    config.write_text("".join(lines))
    return config


def write_prometheus_config(folder: Path, targets: list[str]) -> Path:
    """Take the configuration as it is delivered, with these targets, and a quicker pace."""
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "rules" / "*.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    del config["alerting"]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


def write_flat(folder: Path, time: datetime) -> None:
    new = folder / "new.tmp"
    Image.fromarray(np.full((64, 64), 12, np.uint8)).save(new, "PNG")
    new.rename(folder / f"{time:%Y%m%d_%H%M%S}_flat.png")


@contextmanager
def faulty_page() -> Iterator[tuple[Metrics, str]]:
    """Serve a metrics page of its own, with faults that no test can bring about in seconds."""
    metrics = Metrics(CollectorRegistry(), ["faulty"], LABELS)
    metrics.fallback.set(1)
    metrics.backlog.set(200)
    metrics.publications.labels("mqtt", "failed")
    metrics.last_copy.labels("/copies").set((datetime.now(UTC) - timedelta(days=7)).timestamp())
    metrics.disk_size.labels("/filling").set(1e12)
    metrics.disk_free.labels("/filling").set(2e9)
    server = StatusServer("127.0.0.1:0", metrics.page, lambda: Health(()))
    try:
        yield metrics, server.address
    finally:
        server.close()


def worsen(metrics: Metrics) -> None:
    metrics.backlog.inc(50)
    metrics.disk_free.labels("/filling").dec(2e8)
    metrics.latency.labels("faulty").observe(300)
    metrics.publications.labels("mqtt", "failed").inc()


@contextmanager
def station(folder: Path) -> Iterator[Station]:
    """Run daemon and Prometheus until every injected fault is in the data."""
    listen = f"127.0.0.1:{free_port()}"
    config = write_config(folder, write_tiny_bundle(folder / "model" / "tiny").folder, listen)
    with ExitStack() as stack:
        metrics, faulty = stack.enter_context(faulty_page())
        targets = [listen, faulty, f"127.0.0.1:{free_port()}"]
        prometheus = stack.enter_context(
            running_prometheus(write_prometheus_config(folder, targets), folder / "prometheus")
        )
        process = _restarted(stack, config, listen, prometheus)
        _make_files(folder)
        hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
        counted = "sum(auroramon_frames_classified_total)"

        def seen(expr: str, least: float) -> bool:
            worsen(metrics)
            time.sleep(0.2)  # more often than a scrape would be of no use
            found = prometheus.query(expr)
            return bool(found) and float(found[0]["value"][1]) >= least

        wait_until(lambda: seen(counted, len(AURORA_SEEDS) + 41), "all frames are counted")
        shutil.rmtree(folder / "away")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, hard))
        write_png(folder / "broken", 1)
        wait_until(lambda: seen("max(increase(auroramon_database_failures_total[5m]))", 1), "the database refused")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        wait_until(lambda: seen("max(delta(auroramon_quarantine_files[6h]))", 10.5), "the quarantine has grown")
        wait_until(lambda: seen("count(auroramon_watcher_up == 0)", 1), "the folder is away")
        wait_until(lambda: seen("max(camera:auroramon_frames_expected:1h)", 10), "frames were due")
        wait_until(lambda: seen('max(ALERTS{alertstate="firing"})', 1), "an alert fires")
        wait_until(lambda: seen("max(deriv(auroramon_backlog_files[30m]))", 1), "the backlog grows")
        yield Station(prometheus, listen)


def _restarted(stack: ExitStack, config: Path, listen: str, prometheus: Prometheus) -> subprocess.Popen[bytes]:
    """Start the daemon several times, and let each life be seen."""
    born = f'process_start_time_seconds{{instance="{listen}"}}'
    for life in range(STARTS):
        process = stack.enter_context(daemon(config))
        started = f"1 + changes({born}[1h])"
        wait_until(
            lambda started=started, life=life: any(  # type: ignore[misc]
                float(found["value"][1]) > life for found in prometheus.query(started)
            ),
            f"life {life} is seen",
        )
        if life < STARTS - 1:
            process.kill()
            process.wait(30)
    return process


def _make_files(folder: Path) -> None:
    for seed in AURORA_SEEDS:
        write_png(folder / "overhead", seed)
    for number in range(40):
        write_flat(folder / "iced", START + timedelta(minutes=number))
    write_flat(folder / "ahead", datetime.now(UTC) + timedelta(hours=1))
    for number in range(12):
        (folder / "broken" / f"{number}.png").write_bytes(b"no image")


def page_of(station: Station) -> str:
    return get(station.daemon, "/metrics")[1]
