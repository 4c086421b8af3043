"""Every Prometheus name of auroramon. Frames of a backfill are never counted here: they are history, not news."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest

from auroramon.types import UNKNOWN, FileOutcome, LabelRecord, Outcome

STAGE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600, 3600)

CUT_OFF = "cut_off"
FAILURES = (Outcome.QUARANTINED.value, Outcome.NOT_READY.value, Outcome.CRASHED.value, CUT_OFF)


class Metrics:
    """The counters and gauges of one daemon, on a registry of its own.

    Args:
        registry: where the metrics are registered; a fresh one per test.
        cameras: names whose counters exist from the start, at 0, so that a rate has a beginning.
        labels: labels of the model; `unknown` is added.
    """

    def __init__(self, registry: CollectorRegistry, cameras: Iterable[str], labels: Sequence[str]) -> None:
        self.registry = registry
        self.frames = Counter(
            "auroramon_frames_classified_total", "Frames labelled and committed, by camera and label.",
            ["camera", "label"], registry=registry,
        )  # fmt: skip
        self.offers = Counter(
            "auroramon_files_processed_total", "Offers of files ended, by camera and outcome.",
            ["camera", "outcome"], registry=registry,
        )  # fmt: skip
        self.failures = Counter(
            "auroramon_file_failures_total", "Files that broke off or gave no label this time, by reason.",
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

    def count(self, file: FileOutcome, newly_labelled: Iterable[LabelRecord]) -> None:
        """Count one file after its commit; only frames that were not labelled before count."""
        camera = file.records[0].info.camera if file.records else file.file.camera
        self.offers.labels(camera, file.outcome.value).inc()
        if file.outcome.value in FAILURES:
            self.failures.labels(camera, file.outcome.value).inc()
        elif file.outcome is Outcome.LABELLED and file.reason:
            self.failures.labels(camera, CUT_OFF).inc()
        for stage, seconds in file.seconds.items():
            self.stage.labels(stage).observe(seconds)
        for record in newly_labelled:
            self.frames.labels(record.info.camera, record.classification.label).inc()

    def page(self) -> bytes:
        """Give the text of /metrics."""
        return generate_latest(self.registry)
