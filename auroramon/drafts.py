"""A file on its way from its first byte to its outcome, with its frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import FrameError
from auroramon.sky import SunMoon
from auroramon.types import (
    UNKNOWN,
    Classification,
    FileOutcome,
    FileStat,
    FrameInfo,
    LabelRecord,
    Outcome,
)

STAGES = ("read", "prepare", "embed", "classify")
NOTHING = float("nan")


@dataclass(slots=True)
class Slot:
    """One frame on its way."""

    info: FrameInfo
    sun_moon: SunMoon | None
    refusal: str  # a gate's reason, or ""
    embedding: NDArray[np.float32] | None = None
    classification: Classification | None = None

    def record(self) -> LabelRecord:
        said = self.classification or Classification(UNKNOWN, NOTHING, (), NOTHING, self.refusal)
        return LabelRecord(
            info=self.info,
            classification=said,
            embedding=None if self.embedding is None else self.embedding.astype(np.float16),
            sun_altitude=self.sun_moon.sun_altitude if self.sun_moon else None,
            moon_altitude=self.sun_moon.moon_altitude if self.sun_moon else None,
            moon_phase=self.sun_moon.moon_phase if self.sun_moon else None,
        )


@dataclass(slots=True)
class Draft:
    """One file on its way."""

    file: FileStat
    slots: list[Slot] = field(default_factory=list)
    outcome: Outcome = Outcome.LABELLED
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        begun = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += perf_counter() - begun

    def end(self, error: FrameError) -> None:
        """Note that nothing more comes of this file; what came before stays."""
        self.reason = str(error)
        self.outcome = Outcome.LABELLED if self.slots else Outcome.QUARANTINED

    def finished(self) -> FileOutcome:
        records = tuple(slot.record() for slot in self.slots) if self.outcome is Outcome.LABELLED else ()
        return FileOutcome(self.file, self.outcome, self.reason, records, self.seconds)
