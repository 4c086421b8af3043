"""What goes into the store and comes out of it: frozen values, never a row or a tuple of five."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from auroramon.events import EventRules
from auroramon.types import FileStat, LabelRecord, Outcome

Source = Literal["live", "backfill", "relabel"]
By = Literal["hour", "night", "month"]


@dataclass(frozen=True, slots=True)
class CameraPlace:
    """What the store must know of a camera to tell nights and to count what is missing."""

    name: str
    site: str = ""
    latitude: float | None = None  # degrees north
    longitude: float | None = None  # degrees east
    cadence_s: float | None = None  # seconds from frame to frame
    sun_below_deg: float | None = None  # the camera runs while the Sun is lower than this


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model as the store knows it."""

    name: str
    digest: str  # of the whole bundle: two bundles of one name are two models
    embedder_digest: str  # embeddings of equal embedders may be shared
    labels: tuple[str, ...]  # the order of the scores
    threshold: float | None  # Mahalanobis distance beyond which a frame is `unknown`
    created: datetime  # aware UTC
    promoted_at: datetime | None = None  # aware UTC
    id: int = 0  # given by the store


@dataclass(frozen=True, slots=True)
class Offered:
    """How an offer went, in files of the offer."""

    new: int
    changed: int  # size or mtime differ from the last offer: will be done again
    known: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """Files that this run has to work on now; nobody else will get them."""

    fresh: tuple[FileStat, ...]
    suspects: tuple[FileStat, ...]  # a worker died with these in hand before: each alone, in a process of its own
    known: int  # done, or named before: in this offer, or to this run; those in others' hands or not due are in none


@dataclass(frozen=True, slots=True)
class FileResult:
    """How one file ended once its outcome was committed."""

    file: FileStat
    outcome: Outcome  # the word for metrics: `known` where somebody else had already done it
    reason: str


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit changed. Committing the same outcomes again gives no new records."""

    files: tuple[FileResult, ...]  # in the order given
    records: tuple[LabelRecord, ...]  # newly labelled frames, duplicates left out
    reopened: frozenset[int] = frozenset()  # numbers of files that were copies of a rewritten one, and became pending

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Count the newly labelled frames by (camera, label)."""
        return Counter((record.info.camera, record.classification.label) for record in self.records)


@dataclass(frozen=True, slots=True)
class FileAccount:
    """Every file by its state. `seen` is counted by itself: seen = labelled + skipped + quarantined + pending."""

    seen: int
    labelled: int
    skipped: int
    quarantined: int
    pending: int

    @property
    def adds_up(self) -> bool:
        """Say whether no file is lost and none counted twice."""
        return self.seen == self.labelled + self.skipped + self.quarantined + self.pending

    def __str__(self) -> str:
        equals = "=" if self.adds_up else "but"
        return (
            f"{self.seen} files seen {equals} {self.labelled} labelled + {self.skipped} skipped + "
            f"{self.quarantined} quarantined + {self.pending} pending"
        )


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A file that is left alone until its content changes or somebody says `quarantine retry`."""

    path: str
    camera: str
    reason: str
    since: datetime  # aware UTC


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """The newest frame of a camera and its open work."""

    camera: str
    last_frame: datetime | None  # start of exposure, aware UTC
    pending: int  # files


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One line of `labels_current`."""

    path: str
    frame_index: int
    camera: str
    channel: str
    time: datetime  # start of exposure, aware UTC
    time_source: str
    night: date
    label: str
    confidence: float | None  # 0..1; None where a gate refused, 1 where a person said it
    distance: float | None
    model: str  # `human` where a person said it
    scores: Mapping[str, float]  # probability of each class; empty where a gate refused
    sun_altitude: float | None  # degrees
    moon_altitude: float | None  # degrees
    moon_phase: float | None  # 0..1
    reason: str
    source: str
    run: int


@dataclass(frozen=True, slots=True)
class OccurrenceRow:
    """Frames of one camera in one hour, night or month, with every denominator."""

    camera: str
    period: str  # 2026-01-31T22:00Z, 2026-01-31 or 2026-01
    counts: Mapping[str, int]  # arc, diffuse, discrete, cloudy, moon, clear, unknown, other
    aurora: int  # arc + diffuse + discrete
    total: int
    expected: int | None  # None: the cadence or the position is unknown
    missing: int | None


@dataclass(frozen=True, slots=True)
class FrameKey:
    """A frame as the store finds it again."""

    file_id: int
    frame_index: int


@dataclass(frozen=True, slots=True)
class AuroraEvent:
    """When a camera saw aurora without a break."""

    camera: str
    night: date
    begun: datetime  # start of its first frame of aurora, aware UTC
    ended: datetime  # start of its last
    over: bool  # frames without aurora, or a gap, came after it
    label: str  # the kind that most of its frames show
    confidence: float  # the highest of these frames, 0..1
    frames: int  # of aurora
    rules: EventRules  # that it was found by
