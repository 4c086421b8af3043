"""Files as a station offers them and outcomes as a labeller gives them, without pixels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from auroramon.store import Store
from auroramon.store.accounts import recount
from auroramon.store.results import CameraPlace, Committed, ModelRow, Source
from auroramon.types import (
    LABELS,
    Classification,
    FileOutcome,
    FileStat,
    FrameInfo,
    LabelRecord,
    Outcome,
    TimeSource,
)

NOW = datetime(2026, 1, 31, 22, 0, tzinfo=UTC)
KIRUNA = CameraPlace("kiruna", "KRN", latitude=67.84, longitude=20.41, cadence_s=60.0, sun_below_deg=-6.0)


def stat(name: str, size: int = 1000, mtime: int = 0, camera: str = "kiruna") -> FileStat:
    return FileStat(f"/data/kiruna/2026/01/31/{name}", size, 1_769_000_000_000_000_000 + mtime, camera)


def record(
    path: str,
    index: int = 0,
    time: datetime = NOW,
    *,
    label: str = "arc",
    camera: str = "kiruna",
    channel: str = "",
    time_source: TimeSource = "header",
    sun: float | None = -30.0,
) -> LabelRecord:
    best = LABELS.index(label) if label in LABELS else 0
    scores = tuple(0.75 if place == best else 0.05 for place in range(6))
    embedding = np.zeros(16, np.float16)
    embedding[(best + index) % 16] = 1.0
    refused = label == "unknown"
    return LabelRecord(
        FrameInfo(path, index, camera, time, time_source, channel),
        Classification(label, 0.75, scores, 3.25, "distance 3.2 is beyond 3.0" if refused else ""),
        embedding,
        sun,
        12.34,
        0.5,
    )


def labelled(file: FileStat, *records: LabelRecord, reason: str = "") -> FileOutcome:
    return FileOutcome(file, Outcome.LABELLED, reason, records or (record(file.path),))


def stack(file: FileStat, start: datetime = NOW, frames: int = 3, **how: str) -> FileOutcome:
    """A minute file: frames three seconds apart."""
    return labelled(
        file,
        *(
            record(file.path, index, start + timedelta(seconds=3 * index), **how)  # type: ignore[arg-type]
            for index in range(frames)
        ),
    )


def model_row(name: str = "oath-1", embedder: str = "embedder-a", created: datetime = NOW) -> ModelRow:
    return ModelRow(name, f"digest of {name}", embedder, LABELS, 7.5, created)


class Station:
    """A store with a camera, a model and a run."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.register_cameras([KIRUNA])
        self.model = store.register_model(model_row())
        self.run = store.start_run("run", NOW, host="station", pid=100)

    def commit(
        self, *outcomes: FileOutcome, now: datetime = NOW, run: int = 0, model: int = 0, source: Source = "live"
    ) -> Committed:
        return self.store.commit(run or self.run, outcomes, model=model or self.model, source=source, now=now)

    def words(self, *outcomes: FileOutcome) -> Sequence[tuple[Outcome, str]]:
        return [(file.outcome, file.reason) for file in self.commit(*outcomes).files]

    def labels(self) -> list[tuple[str, int, str, str]]:
        return [(row.path.rpartition("/")[2], row.frame_index, row.label, row.model) for row in self.store.labels()]

    def account(self) -> tuple[int, int, int, int]:
        """(labelled, skipped, quarantined, pending), after checking that they add up to what was seen."""
        counted = self.store.account()
        states = (counted.labelled, counted.skipped, counted.quarantined, counted.pending)
        assert counted.seen == sum(states)
        with self.store._db.reading() as conn:
            assert recount(conn) == counted, "what is kept is not what is there"
        return states
