"""The unit of work: files in, outcomes out. No database, no metrics, no network.

read -> which camera, when -> gates -> preprocess -> embed -> classify. Frames of several files share a batch of the
network; what comes out for a frame depends on that frame alone, so live and archive agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from auroramon import gates, places
from auroramon.bundle import ModelBundle
from auroramon.cameras import Cameras
from auroramon.config import CameraSettings
from auroramon.disc import find_disc
from auroramon.errors import ConfigError, FrameError, MissingPartError, NotReadyError
from auroramon.masks import load_mask
from auroramon.ports import Backend
from auroramon.preprocess import extract_sky, to_input
from auroramon.readers import read_frames
from auroramon.sky import SunMoon, sun_moon
from auroramon.times import time_of
from auroramon.types import (
    GONE,
    UNKNOWN,
    Classification,
    Disc,
    FileOutcome,
    FileStat,
    FrameInfo,
    LabelRecord,
    Outcome,
    RawFrame,
)

STAGES = ("read", "prepare", "embed", "classify")
NOTHING = float("nan")


@dataclass(slots=True)
class _Slot:
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
class _Draft:
    """One file on its way."""

    file: FileStat
    slots: list[_Slot] = field(default_factory=list)
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


@dataclass(slots=True)
class _Waiting:
    """A frame whose input waits for the network."""

    draft: _Draft
    slot: _Slot
    pixels: NDArray[np.float32]  # (C,S,S)


@dataclass(frozen=True)
class Labeller:
    """Labels files with one model.

    `batch` is the number of frames given to the network at once; it changes the speed, never the labels.
    """

    bundle: ModelBundle
    backend: Backend
    cameras: Cameras
    batch: int

    def __call__(self, files: Sequence[FileStat]) -> list[FileOutcome]:
        """Label every frame of the files; one outcome a file, in the order given."""
        drafts = [_Draft(file) for file in files]
        waiting: list[_Waiting] = []
        take_begun = _nothing  # a batch on a GPU runs while the next one is read and prepared here
        for draft in drafts:
            for ready in self._prepare(draft):
                waiting.append(ready)
                if len(waiting) == self.batch:
                    take_begun()
                    take_begun, waiting = self._begin(waiting), []
        take_begun()
        if waiting:
            self._begin(waiting)()
        for draft in drafts:
            self._classify(draft)
        return [draft.finished() for draft in drafts]

    def _prepare(self, draft: _Draft) -> Iterator[_Waiting]:
        """Read a file and give what the network shall see; the rest is written into the draft."""
        disc: Disc | None = None
        camera: CameraSettings | None = None
        for raw in self._read(draft):
            with draft.timed("prepare"):
                # A stack names its station in its first header only, and a file is of one camera.
                camera = camera or self.cameras.of_frame(draft.file, raw)
                disc = _disc_of(camera, raw, disc)
                try:
                    slot, pixels = self._look(draft.file, camera, raw, disc)
                except ConfigError as error:  # a mask of another size: the file waits until somebody mends it
                    draft.outcome, draft.reason = Outcome.NOT_READY, str(error)
                    return
                except FrameError as error:  # no source of time that the camera trusts has one
                    draft.end(error)
                    return
                draft.slots.append(slot)
            if pixels is not None:
                yield _Waiting(draft, slot, pixels)

    @staticmethod
    def _read(draft: _Draft) -> Iterator[RawFrame]:
        """Read the frames of a file; its errors become the draft's outcome."""
        try:
            frames = read_frames(places.place(draft.file.path))
            while True:
                with draft.timed("read"):
                    raw = next(frames, None)
                if raw is None:
                    break
                yield raw
            if not draft.slots:
                draft.outcome, draft.reason = Outcome.QUARANTINED, "holds no frame"
        except FrameError as error:
            draft.end(error)
        except places.out_of_reach(NotReadyError, MissingPartError) as error:
            gone = isinstance(error.__cause__, FileNotFoundError)
            draft.outcome, draft.reason = (Outcome.SKIPPED, GONE) if gone else (Outcome.NOT_READY, str(error))

    def _look(
        self, file: FileStat, camera: CameraSettings, raw: RawFrame, disc: Disc
    ) -> tuple[_Slot, NDArray[np.float32] | None]:
        """Place a frame in time, and prepare it unless a gate refuses it."""
        when = time_of(raw, file.path, file.mtime_ns, camera.time_from, camera.time_pattern, camera.utc_offset_hours)
        info = FrameInfo(file.path, raw.index, camera.name, when.time, when.source, raw.channel)
        place = None
        if camera.latitude is not None and camera.longitude is not None:
            place = sun_moon(when.time, camera.latitude, camera.longitude)
        refusal = gates.daylight(place.sun_altitude, camera.sun_below_deg) if place else ""
        refusal = refusal or gates.shape(raw.pixels, raw.pixel_aspect)
        if refusal:
            return _Slot(info, place, refusal), None
        mask = load_mask(camera.mask, raw.pixels.shape[:2]) if camera.mask else None
        sky = extract_sky(raw.pixels, raw.pixel_aspect, disc, self.bundle.preprocess, camera.channel, mask)
        refusal = gates.refuse(raw.pixels, sky)
        return _Slot(info, place, refusal), None if refusal else to_input(sky, self.bundle.preprocess)

    def _begin(self, waiting: Sequence[_Waiting]) -> Callable[[], None]:
        """Begin to embed a batch, and give what waits for it and writes it into its drafts."""
        begun = perf_counter()
        answer = self.backend.start(np.stack([item.pixels for item in waiting]))
        spent = perf_counter() - begun

        def take() -> None:
            begun = perf_counter()
            embeddings = answer()
            share = (spent + perf_counter() - begun) / len(waiting)
            for item, embedding in zip(waiting, embeddings, strict=True):
                item.slot.embedding = embedding
                item.draft.seconds["embed"] += share

        return take

    def _classify(self, draft: _Draft) -> None:
        embedded = [(slot, slot.embedding) for slot in draft.slots if slot.embedding is not None]
        if not embedded:
            return
        with draft.timed("classify"):
            said = self.bundle.head.predict(np.stack([embedding for _, embedding in embedded]))
            for (slot, _), classification in zip(embedded, said, strict=True):
                slot.classification = classification


def _nothing() -> None:
    """Wait for nothing: no batch has begun."""


def _disc_of(camera: CameraSettings, raw: RawFrame, of_file: Disc | None) -> Disc:
    """Give the disc of a frame: the camera's, else the one found in the first frame of the file.

    It is found again in every file, from nothing but that file: a disc remembered from other files would make a
    label depend on the order in which files come.
    """
    if camera.disc != "auto":
        return Disc(camera.disc.x, camera.disc.y, camera.disc.radius, "configured")
    return of_file or find_disc(raw.pixels, raw.pixel_aspect)
