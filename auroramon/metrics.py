"""Every Prometheus name of auroramon. Frames of a backfill are never counted here: they are history, not news."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import generate_latest

from auroramon.ports import Backend
from auroramon.sky import dark_seconds, sun_altitude
from auroramon.sources.watch import WatchState
from auroramon.store.results import CameraPlace, CameraStatus, Committed, FileAccount
from auroramon.types import UNKNOWN, FileOutcome, Health, Outcome

STAGE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600, 3600)

PARTIAL = "partial"  # labelled, but frames are missing or were duplicates
FAILURES = (Outcome.QUARANTINED.value, Outcome.NOT_READY.value, Outcome.CRASHED.value, PARTIAL)
SILENCE = timedelta(hours=24)  # a camera that was silent for longer needs no exact figure


class Metrics:
    """The counters and gauges of one daemon, on a registry of its own.

    Args:
        registry: where the metrics are registered; a fresh one per test.
        cameras: names whose counters exist from the start, at 0, so that a rate has a beginning.
        labels: labels of the model; `unknown` is added.
    """

    def __init__(self, registry: CollectorRegistry, cameras: Iterable[str], labels: Sequence[str]) -> None:
        self.registry = registry
        self._newest: dict[str, float] = {}
        self._told: dict[tuple[Counter, str], int] = {}
        self._watches: Callable[[], Iterable[WatchState]] = tuple
        self._watched: set[tuple[str, str, str]] = set()
        self._placed: set[str] = set()
        self._disks: set[str] = set()
        self._copies: dict[Path, Callable[[], float | None]] = {}
        self._refreshing = Lock()  # two scrapes at once must not count an overflow twice
        self.frames = Counter(
            "auroramon_frames_classified_total", "Frames labelled and committed, by camera and label.",
            ["camera", "label"], registry=registry,
        )  # fmt: skip
        self.offers = Counter(
            "auroramon_files_processed_total", "Offers of files ended, by camera and outcome.",
            ["camera", "outcome"], registry=registry,
        )  # fmt: skip
        self.failures = Counter(
            "auroramon_file_failures_total", "Files that gave fewer labels than frames this time, by reason.",
            ["camera", "reason"], registry=registry,
        )  # fmt: skip
        self.files = Gauge(
            "auroramon_files", "Files in the database, by state; seen is counted by itself.", ["state"],
            registry=registry,
        )  # fmt: skip
        self.backlog = Gauge("auroramon_backlog_files", "Files that wait for their labels.", registry=registry)
        self.quarantine = Gauge("auroramon_quarantine_files", "Files in quarantine.", registry=registry)
        self.last_frame = Gauge(
            "auroramon_last_frame_timestamp_seconds", "Start of the newest labelled exposure, Unix time in seconds.",
            ["camera"], registry=registry,
        )  # fmt: skip
        self.stage = Histogram(
            "auroramon_stage_duration_seconds", "Time one file spent in one stage, seconds.", ["stage"],
            buckets=STAGE_BUCKETS, registry=registry,
        )  # fmt: skip
        self.latency = Histogram(
            "auroramon_file_latency_seconds", "From the arrival of a complete file to its committed labels, seconds.",
            ["camera"], buckets=LATENCY_BUCKETS, registry=registry,
        )  # fmt: skip
        self.watcher_up = Gauge(
            "auroramon_watcher_up", "1 while the folder is watched, 0 while it is away.", ["camera", "folder", "mode"],
            registry=registry,
        )  # fmt: skip
        self.overflows = Counter(
            "auroramon_watcher_overflows_total", "Times the kernel dropped events of a folder.", ["camera"],
            registry=registry,
        )  # fmt: skip
        self.reconciled = Counter(
            "auroramon_reconciled_files_total", "Files that only a listing found.", ["camera"], registry=registry
        )
        self.store_failures = Counter(
            "auroramon_database_failures_total", "Transactions that failed and were kept for later.", registry=registry
        )
        self.publications = Counter(
            "auroramon_publications_total", "News of events, by where they went and what became of them.",
            ["to", "result"], registry=registry,
        )  # fmt: skip
        self.sun = Gauge(
            "auroramon_camera_sun_altitude_degrees", "Altitude of the Sun's centre, degrees, without refraction.",
            ["camera"], registry=registry,
        )  # fmt: skip
        self.dark = Gauge(
            "auroramon_camera_dark", "1 while the Sun is so low that frames are expected, else 0.", ["camera"],
            registry=registry,
        )  # fmt: skip
        self.dark_silence = Gauge(
            "auroramon_camera_dark_silence_seconds",
            "Seconds of darkness since the newest labelled exposure began, at most 86400.",
            ["camera"], registry=registry,
        )  # fmt: skip
        self.cadence = Gauge(
            "auroramon_camera_cadence_seconds", "Seconds from frame to frame, as configured.", ["camera"],
            registry=registry,
        )  # fmt: skip
        self.disk_free = Gauge(
            "auroramon_disk_free_bytes", "Bytes that are free on the disk of a folder.", ["folder"], registry=registry
        )
        self.disk_size = Gauge(
            "auroramon_disk_size_bytes", "Size in bytes of the disk of a folder.", ["folder"], registry=registry
        )
        self.last_copy = Gauge(
            "auroramon_backup_last_timestamp_seconds",
            "When the newest copy of the database was made, Unix time in seconds.", ["folder"], registry=registry,
        )  # fmt: skip
        self.problems = Gauge(
            "auroramon_health_problems", "Problems that /healthz tells of, by number.", registry=registry
        )
        self.fallback = Gauge(
            "auroramon_backend_fallback", "1 while the network runs on the CPU although a GPU was asked for, else 0.",
            registry=registry,
        )  # fmt: skip
        self.switches = Counter(
            "auroramon_backend_switches_total", "Times another backend took over, by the one that did.", ["to"],
            registry=registry,
        )  # fmt: skip
        for to in ("onnx", "onnx-cuda", "tensorrt"):
            self.switches.labels(to)
        self.build = Info("auroramon_build", "Version of auroramon.", registry=registry)
        self.model = Info("auroramon_model", "The model in use.", registry=registry)
        self.backend = Info("auroramon_backend", "What runs the network.", registry=registry)
        ProcessCollector(registry=registry)
        self.begin_counting(cameras, labels)

    def begin_counting(self, cameras: Iterable[str], labels: Sequence[str]) -> None:
        """Show 0 where nothing was counted yet; also for cameras that join later."""
        for camera in cameras:
            for label in (*labels, UNKNOWN):
                self.frames.labels(camera, label)
            for outcome in Outcome:
                self.offers.labels(camera, outcome)
            for reason in FAILURES:
                self.failures.labels(camera, reason)
            self.overflows.labels(camera)
            self.reconciled.labels(camera)
            self.latency.labels(camera)

    def show_backend(self, backend: Backend) -> None:
        """Show what runs the network now."""
        self.backend.info({"backend": backend.name, "precision": backend.precision, "device": backend.device})
        self.fallback.set(backend.fallback)

    def count_commit(self, outcomes: Iterable[FileOutcome], done: Committed) -> None:
        """Count what a commit changed: every file once, and only frames that had no label before."""
        for outcome in outcomes:
            for stage, seconds in outcome.seconds.items():
                self.stage.labels(stage).observe(seconds)
        for file in done.files:
            camera, word = file.file.camera, file.outcome.value
            self.offers.labels(camera, word).inc()
            if word in FAILURES:
                self.failures.labels(camera, word).inc()
            elif file.outcome is Outcome.LABELLED and file.reason:
                self.failures.labels(camera, PARTIAL).inc()
        for (camera, label), frames in done.counts().items():
            self.frames.labels(camera, label).inc(frames)
        for record in done.records:
            camera, begun = record.info.camera, record.info.time.timestamp()
            if begun > self._newest.get(camera, 0.0):
                self._newest[camera] = begun
                self.last_frame.labels(camera).set(begun)

    def show_account(self, account: FileAccount) -> None:
        """Show how many files are in which state; `seen` is counted by itself."""
        for state in fields(account):
            self.files.labels(state.name).set(getattr(account, state.name))
        self.backlog.set(account.pending)
        self.quarantine.set(account.quarantined)

    def show_newest(self, cameras: Iterable[CameraStatus]) -> None:
        """Take over from the database when each camera was last seen, so that a restart hides no silence."""
        for camera in cameras:
            if camera.last_frame is not None:
                self._newest[camera.camera] = camera.last_frame.timestamp()
                self.last_frame.labels(camera.camera).set(self._newest[camera.camera])

    def show_cameras(self, places: Iterable[CameraPlace], clock: Callable[[], datetime]) -> None:
        """Show Sun and cadence of these cameras; each figure is computed when it is asked for."""
        for name in self._placed:
            for gauge in (self.sun, self.dark, self.dark_silence, self.cadence):
                _drop(gauge, name)
        places = tuple(places)
        self._placed = {place.name for place in places}
        for place in places:
            if place.cadence_s is not None:
                self.cadence.labels(place.name).set(place.cadence_s)
            self._show_sun(place, clock)

    def _show_sun(self, place: CameraPlace, clock: Callable[[], datetime]) -> None:
        latitude, longitude, limit = place.latitude, place.longitude, place.sun_below_deg
        if latitude is None or longitude is None:
            return
        self.sun.labels(place.name).set_function(lambda: sun_altitude(clock(), latitude, longitude))
        if limit is None:
            return
        of, until, seconds = clock(), clock(), 0.0  # the newest frame, and what was counted since until when

        def silence() -> float:
            nonlocal of, until, seconds
            now, newest = clock(), datetime.fromtimestamp(self._newest.get(place.name, 0.0), UTC)
            if now <= newest:
                return 0.0
            # Anew also after a clock that was wrong: of the years since 2000 the Sun would be sought for a minute.
            if of != newest or not now - SILENCE <= until <= now:
                of, until, seconds = newest, max(newest, now - SILENCE), 0.0
            if until < now:  # only what is new since the last scrape: a day of Sun positions would cost 5 ms
                seconds += sum(dark_seconds(until, now, latitude, longitude, limit).values())
                until = now
            return min(seconds, SILENCE.total_seconds())

        self.dark.labels(place.name).set_function(lambda: float(sun_altitude(clock(), latitude, longitude) < limit))
        self.dark_silence.labels(place.name).set_function(silence)

    def follow(self, watches: Callable[[], Iterable[WatchState]], health: Callable[[], Health]) -> None:
        """Ask these whenever the page is read: a loop that hangs must not hide that it does."""
        self._watches = watches
        self.problems.set_function(lambda: len(health().problems))

    def watch_disk(self, folder: Path) -> None:
        """Show how full the disk of this folder is."""
        self._disks.add(str(folder))

    def watch_copies(self, folder: Path, last_made: Callable[[], float | None]) -> None:
        """Show when the newest copy in this folder was made, Unix time in seconds; nothing until there is one."""
        self._copies[folder] = last_made

    def _show_copies(self) -> None:
        for folder, last_made in self._copies.items():
            with suppress(OSError):  # what is known stays, and grows old: a folder that is away takes no copies either
                if (newest := last_made()) is not None:
                    self.last_copy.labels(str(folder)).set(newest)

    def show_watches(self, states: Iterable[WatchState]) -> None:
        """Show which folders are watched, and how; the counts of a watch become counters here."""
        seen = set()
        for state in states:
            key = (state.camera, str(state.folder), state.mode)
            seen.add(key)
            self.watcher_up.labels(*key).set(state.up)
            for counter, total in ((self.overflows, state.overflows), (self.reconciled, state.reconciled)):
                told = self._told.get((counter, state.camera), 0)
                counter.labels(state.camera).inc(max(0, total - told))
                self._told[counter, state.camera] = total
        for key in self._watched - seen:
            _drop(self.watcher_up, *key)
        self._watched = seen

    def _show_disks(self) -> None:
        """Measure local disks only: a network mount that hangs would take the page with it."""
        local = {folder for _, folder, mode in self._watched if mode == "inotify"}
        for folder in self._disks | local:
            try:
                disk = os.statvfs(folder)
            except OSError:  # the folder is away, which its watch tells
                _drop(self.disk_free, folder)
                _drop(self.disk_size, folder)
                continue
            self.disk_free.labels(folder).set(disk.f_bavail * disk.f_frsize)
            self.disk_size.labels(folder).set(disk.f_blocks * disk.f_frsize)

    def page(self) -> bytes:
        """Give the text of /metrics."""
        with self._refreshing:
            self.show_watches(self._watches())
            self._show_disks()
            self._show_copies()
        return generate_latest(self.registry)


def _drop(gauge: Gauge, *values: str) -> None:
    """Show a series no more; one that is not shown anyway is no mistake."""
    with suppress(KeyError):
        gauge.remove(*values)
