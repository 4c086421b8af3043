"""The frozen values that travel between the stages. Only NumPy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

GONE = "gone before it was read"
"""Reason of a file that was skipped because it vanished; seen again, it is offered again."""

TimeSource = Literal["header", "exif", "name", "mtime"]

LABELS: tuple[str, ...] = ("arc", "diffuse", "discrete", "cloudy", "moon", "clear")
"""The classes of the OATH data set (`clear` is its "no aurora"), in its order."""

AURORA_LABELS: frozenset[str] = frozenset({"arc", "diffuse", "discrete"})
UNKNOWN = "unknown"
"""The label of a frame that the gates or the model refuse. Never a class of a model."""


class Outcome(StrEnum):
    """How one offer of a file ended. The first three are states of the file."""

    LABELLED = "labelled"
    SKIPPED = "skipped"
    QUARANTINED = "quarantined"
    NOT_READY = "not_ready"
    CRASHED = "crashed"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One exposure as a reader finds it, before anybody decided which camera and time it belongs to."""

    index: int  # position in the file, from 0
    pixels: NDArray[Any]  # (H,W) or (H,W,3), native counts, uint8, uint16 or float32
    header_time: datetime | None = None  # start of exposure, aware UTC, from the file's own header
    exif_time: datetime | None = None  # EXIF DateTimeOriginal; naive unless EXIF gives an offset
    site: str = ""  # site code in the header, lower case
    imager: str = ""  # imager id in the header, lower case
    channel: str = ""  # filter or wavelength, where the header names one
    pixel_aspect: float = 1.0  # width / height of a pixel; already 1.0 for square frames


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """Which frame this is."""

    path: str  # as offered
    index: int  # position in the file, from 0
    camera: str
    time: datetime  # start of exposure, aware UTC
    time_source: TimeSource
    channel: str = ""

    def __post_init__(self) -> None:
        if self.time.utcoffset() is None:
            raise ValueError(f"{self.path}: the time of frame {self.index} has no time zone")


@dataclass(frozen=True, slots=True)
class Frame:
    """One exposure of one camera; the pixels are read-only."""

    info: FrameInfo
    pixels: NDArray[Any]  # (H,W) or (H,W,3), native counts
    pixel_aspect: float = 1.0  # width / height of a pixel

    def __post_init__(self) -> None:
        self.pixels.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Disc:
    """The circle of sky in a frame, in pixels of a frame whose pixels have been made square.

    `x` counts from the left edge of the leftmost column after scaling columns by the pixel aspect, `y` from the
    upper edge of the top row; a 256x256 frame filled by its sky has x = y = 128 and radius 128.
    """

    x: float
    y: float
    radius: float  # horizon, or the edge of what the lens shows
    origin: Literal["configured", "found", "whole"]  # `whole`: no disc was found, the whole frame is used


@dataclass(frozen=True, slots=True)
class Classification:
    """What the model, or a gate in front of it, says of one frame."""

    label: str  # one of the model's labels, or `unknown`
    confidence: float  # calibrated probability of the best class, 0..1; NaN where a gate refused
    scores: tuple[float, ...]  # calibrated probability of each class in the model's order; empty where a gate refused
    distance: float  # Mahalanobis distance to the nearest class; NaN where a gate refused
    reason: str = ""  # why the label is `unknown`; empty otherwise


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """One labelled frame, as a store takes it: no pixels."""

    info: FrameInfo
    classification: Classification
    embedding: NDArray[np.float16] | None  # (D,) unit norm; None where a gate refused
    sun_altitude: float | None  # degrees; None without a position
    moon_altitude: float | None  # degrees
    moon_phase: float | None  # illuminated fraction, 0..1


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file as it lay on the disk when it was offered."""

    path: str
    size: int  # bytes
    mtime_ns: int
    camera: str = ""  # configured camera whose folder it was found in; empty where the header must say


@dataclass(frozen=True, slots=True)
class DoneFile(FileStat):
    """A file as the ledger has it, of which nothing is left to do."""


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """A folder of which every file was listed, as it was just before."""

    path: str  # absolute, without a closing slash
    mtime_ns: int  # of the folder: another one once a name in it comes, goes or changes
    listed_ns: int  # when that was, by the clock of this machine
    below: tuple[str, ...]  # names of the folders in it that belong to the listing


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file: the unit in which work is committed."""

    file: FileStat
    outcome: Outcome
    reason: str = ""
    records: tuple[LabelRecord, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)  # stage -> seconds of this file's share


def sentence(path: str, reason: str) -> str:
    """Give a reason with the full path of its file in front, once: readers begin theirs with the file's name."""
    name = path.rpartition("/")[2]
    if reason.startswith(f"{name}:"):
        return path + reason[len(name) :]
    return reason if reason.startswith(path) else f"{path}: {reason}"


@dataclass(frozen=True, slots=True)
class Health:
    """How the daemon is, for /healthz and for whoever keeps it alive."""

    problems: tuple[str, ...]  # sentences; empty while all is well

    @property
    def ok(self) -> bool:
        return not self.problems
