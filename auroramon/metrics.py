"""Every Prometheus name of auroramon. Frames of a backfill are never counted here: they are history, not news."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest

from auroramon.sources.watch import WatchState
from auroramon.store.results import Committed, FileAccount
from auroramon.types import UNKNOWN, FileOutcome, Outcome

STAGE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600, 3600)

PARTIAL = "partial"  # labelled, but frames are missing or were duplicates
FAILURES = (Outcome.QUARANTINED.value, Outcome.NOT_READY.value, Outcome.CRASHED.value, PARTIAL)


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
        self.build = Info("auroramon_build", "Version of auroramon.", registry=registry)
        self.model = Info("auroramon_model", "The model in use.", registry=registry)
        self.backend = Info("auroramon_backend", "What runs the network.", registry=registry)
        names = list(cameras)
        for camera in names:
            for label in (*labels, UNKNOWN):
                self.frames.labels(camera, label)
            for outcome in Outcome:
                self.offers.labels(camera, outcome)
            for reason in FAILURES:
                self.failures.labels(camera, reason)
            self.overflows.labels(camera)
            self.reconciled.labels(camera)
            self.latency.labels(camera)

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

    def show_watches(self, states: Iterable[WatchState]) -> None:
        """Show which folders are watched, and how; the counts of a watch become counters here."""
        self.watcher_up.clear()
        for state in states:
            self.watcher_up.labels(state.camera, str(state.folder), state.mode).set(state.up)
            for counter, total in ((self.overflows, state.overflows), (self.reconciled, state.reconciled)):
                told = self._told.get((counter, state.camera), 0)
                counter.labels(state.camera).inc(max(0, total - told))
                self._told[counter, state.camera] = total

    def page(self) -> bytes:
        """Give the text of /metrics."""
        return generate_latest(self.registry)
