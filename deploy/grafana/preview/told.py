"""What Prometheus would have kept of a made-up night: the real metrics class, asked once a minute of made-up time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from auroramon.metrics import Metrics
from auroramon.sources.watch import WatchState
from auroramon.store.results import Committed, FileAccount, FileResult
from auroramon.types import LABELS, Classification, FileOutcome, FileStat, FrameInfo, Health, LabelRecord, Outcome
from deploy.grafana.preview.weeks import MODEL, Seen, Weeks, frames

INSTANCE = {"job": "auroramon", "instance": "station:9750"}
MINUTE = timedelta(minutes=1)
Series = dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[float, float]]]


class Told:
    """Collects the samples of made-up minutes, and writes them as a file that promtool reads."""

    def __init__(self, weeks: Weeks) -> None:
        self._now = weeks.first
        self._rng = np.random.default_rng(weeks.seed)
        self._metrics = Metrics(CollectorRegistry(), [place.name for place in weeks.places()], LABELS)
        self._metrics.show_cameras(weeks.places(), lambda: self._now)
        self._metrics.build.info({"version": "0.1.0"})
        self._metrics.model.info({"name": MODEL, "digest": "made up"})
        self._metrics.backend.info({"backend": "onnx", "precision": "int8", "device": "CPU, 2 threads"})
        self._cameras = [place.name for place in weeks.places()]
        self._kinds: dict[str, str] = {}
        self._series: Series = defaultdict(list)
        self._quarantined = self._free = 0.0

    def live(self, first: datetime, last: datetime, seen: Sequence[Seen]) -> None:
        """Go from minute to minute; count each frame in the minute of its exposure."""
        due: dict[datetime, list[Seen]] = defaultdict(list)
        for frame in seen:
            if first <= frame.time < last:
                due[frame.time.replace(second=0, microsecond=0)].append(frame)
        begun, self._now, self._free = first, first, 61e9
        while self._now < last:
            for frame in due[self._now]:
                self._count(frame)
            self._minute(self._now - begun)
            self._metrics.page()
            self._keep(begun.timestamp())
            self._now += MINUTE

    def _count(self, frame: Seen) -> None:
        info = FrameInfo("", 0, frame.camera, frame.time, "header")
        record = LabelRecord(info, Classification(frame.label, 0.9, (), 1.0), None, None, None, None)
        file = FileStat("", 1, 1, frame.camera)
        seconds = {
            "read": 0.001 + self._rng.exponential(0.0004), "prepare": 0.002 + self._rng.exponential(0.0005),
            "embed": 0.006 + self._rng.exponential(0.001), "classify": 0.0004,
        }  # fmt: skip
        outcome = FileOutcome(file, Outcome.LABELLED, "", (record,), seconds)
        done = Committed((FileResult(file, Outcome.LABELLED, ""),), (record,))
        if self._rng.random() < 0.004:
            outcome = FileOutcome(file, Outcome.QUARANTINED, "breaks off")
            done = Committed((FileResult(file, Outcome.QUARANTINED, "breaks off"),), ())
            self._quarantined += 1
        self._metrics.count_commit([outcome], done)
        self._metrics.latency.labels(frame.camera).observe(sum(seconds.values()) + self._rng.lognormal(-4.5, 0.6))

    def _minute(self, since: timedelta) -> None:
        """Tell of what is not counted: the watch, the disk, and a backlog while the database was locked."""
        hours = since / timedelta(hours=1)
        away = 10.2 < hours < 11.0
        folders = {name: Path(f"/data/{name}") for name in self._cameras}
        states = [
            WatchState(name, folder, not (away and name == self._cameras[0]), "inotify", "", 0, 1, 0, 0, 0.1)
            for name, folder in folders.items()
        ]
        self._metrics.follow(lambda: states, lambda: Health(("a folder is away",) if away else ()))
        locked = 5.5 < hours < 5.8
        backlog = round((hours - 5.5) * 60 * 6) if locked else int(self._rng.random() < 0.1)
        if locked:
            self._metrics.store_failures.inc(30)
        quarantined = round(self._quarantined)
        self._metrics.show_account(FileAccount(9000 + backlog, 9000 - quarantined, 0, quarantined, backlog))
        self._free -= 9e6 * self._rng.random()

    def _keep(self, started: float) -> None:
        at = self._now.timestamp()
        for family in self._metrics.registry.collect():
            if family.name.startswith("process_") or family.name.startswith("auroramon_disk"):
                continue
            self._kinds[family.name] = family.type
            for sample in family.samples:
                self._series[sample.name, _labels(sample.labels)].append((at, sample.value))
        for name, labels, value in (
            ("up", {}, 1.0),
            ("process_start_time_seconds", {}, started),
            ("process_resident_memory_bytes", {}, 1.62e8 + 4e6 * self._rng.random()),
            ("auroramon_disk_free_bytes", {"folder": "/var/lib/auroramon"}, self._free),
        ):
            self._kinds[name] = "gauge"
            self._series[name, _labels(labels)].append((at, value))

    def write(self, file: Path) -> None:
        """Write every sample in OpenMetrics, one family after the other."""
        families: dict[str, list[str]] = defaultdict(list)
        for (name, labels), samples in self._series.items():
            family = max((known for known in self._kinds if name.startswith(known)), key=len)
            said = ",".join(f'{key}="{value}"' for key, value in labels)
            families[family] += [f"{name}{{{said}}} {value!r} {at:.0f}" for at, value in samples]
        with file.open("w") as text:
            for family, lines in families.items():
                text.write(f"# TYPE {family} {self._kinds[family]}\n" + "\n".join(lines) + "\n")
            text.write("# EOF\n")


def _labels(own: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({**own, **INSTANCE}.items()))


def write_night(file: Path, weeks: Weeks, night: int) -> tuple[datetime, datetime]:
    """Write what was told from one noon to the end of its night, and give the time to be shown."""
    first = weeks.first + timedelta(days=night)
    last = first + timedelta(hours=18, minutes=30)
    told = Told(weeks)
    told.live(first, last, list(frames(weeks)))
    told.write(file)
    return (last - timedelta(hours=18)).astimezone(UTC), last - MINUTE
