"""The unit of work: files in, outcomes out. No database, no metrics, no network.

read -> which camera, when -> gates -> preprocess -> embed -> classify. Frames of several files share a batch of the
network; what comes out for a frame depends on that frame alone, so live and archive agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from auroramon import gates, places
from auroramon.bundle import ModelBundle
from auroramon.cameras import Cameras
from auroramon.config import CameraSettings
from auroramon.disc import find_disc
from auroramon.drafts import Draft, Slot
from auroramon.errors import ConfigError, FrameError, MissingPartError, NotReadyError
from auroramon.masks import load_mask
from auroramon.ports import Backend
from auroramon.preprocess import extract_skies, to_inputs
from auroramon.readers import read_frames
from auroramon.readers.runs import runs
from auroramon.sky import sun_moon
from auroramon.times import time_of
from auroramon.types import GONE, Disc, FileOutcome, FileStat, FrameInfo, Outcome, RawFrame


@dataclass(slots=True)
class _Waiting:
    """A frame whose input waits for the network."""

    draft: Draft
    slot: Slot
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
        drafts = [Draft(file) for file in files]
        waiting: list[_Waiting] = []
        take_begun = _nothing  # a batch on a GPU runs while the next one is read and prepared here
        try:
            for draft in drafts:
                for ready in self._prepare(draft):
                    waiting.append(ready)
                    if len(waiting) == self.batch:
                        begun, take_begun = take_begun, _nothing
                        begun()
                        take_begun, waiting = self._begin(waiting), []
        finally:
            take_begun()
        if waiting:
            self._begin(waiting)()
        for draft in drafts:
            self._classify(draft)
        return [draft.finished() for draft in drafts]

    def _prepare(self, draft: Draft) -> Iterator[_Waiting]:
        """Read a file and give what the network shall see; the rest is written into the draft."""
        discs: dict[tuple[int, ...], Disc] = {}  # by the size of a frame
        camera: CameraSettings | None = None
        for run in self._read(draft):
            with draft.timed("prepare"):
                # A stack names its station in its first header only, and a file is of one camera.
                camera = camera or self.cameras.of_frame(draft.file, run[0])
                size = run[0].pixels.shape[:2]
                disc = discs[size] = _disc_of(camera, run[0], discs.get(size))
                ready = self._look(draft, camera, run, disc)
            yield from ready
            if draft.reason:
                return

    @staticmethod
    def _read(draft: Draft) -> Iterator[Sequence[RawFrame]]:
        """Read the frames of a file; its errors become the draft's outcome."""
        try:
            yield from runs(_timed(draft, read_frames(places.place(draft.file.path))))
            if not draft.slots:
                draft.outcome, draft.reason = Outcome.QUARANTINED, "holds no frame"
        except FrameError as error:
            draft.end(error)
        except places.out_of_reach(NotReadyError, MissingPartError) as error:
            gone = isinstance(error.__cause__, FileNotFoundError)
            draft.outcome, draft.reason = (Outcome.SKIPPED, GONE) if gone else (Outcome.NOT_READY, str(error))

    def _look(self, draft: Draft, camera: CameraSettings, run: Sequence[RawFrame], disc: Disc) -> Sequence[_Waiting]:
        """Place frames in time, and prepare those that no gate refuses; the draft says what ended it early."""
        placed: list[tuple[RawFrame, Slot]] = []
        fault: FrameError | None = None  # no source of time that the camera trusts has one
        for raw in run:
            try:
                placed.append((raw, _placed(draft.file, camera, raw)))
            except FrameError as error:
                fault = error
                break
        try:
            ready = self._inputs(draft, camera, [one for one in placed if not one[1].refusal], disc)
        except ConfigError as error:  # a mask of another size: the file waits until somebody mends it
            draft.outcome, draft.reason = Outcome.NOT_READY, str(error)
            return ()
        draft.slots += [slot for _, slot in placed]
        if fault is not None:
            draft.end(fault)
        return ready

    def _inputs(
        self, draft: Draft, camera: CameraSettings, placed: Sequence[tuple[RawFrame, Slot]], disc: Disc
    ) -> Sequence[_Waiting]:
        """Give the inputs of the frames of a run that show a sky, and write into the slots of others why not."""
        if not placed:
            return ()
        frames, aspect, spec = [raw.pixels for raw, _ in placed], placed[0][0].pixel_aspect, self.bundle.preprocess
        mask = load_mask(camera.mask, frames[0].shape[:2]) if camera.mask else None
        skies = extract_skies(frames, aspect, disc, spec, camera.channel, mask)
        for (_, slot), reason in zip(placed, gates.refuse_each(frames, skies), strict=True):
            slot.refusal = reason
        good = [k for k, (_, slot) in enumerate(placed) if not slot.refusal]
        inputs = to_inputs(skies.some(good), spec)
        return [_Waiting(draft, placed[k][1], pixels) for k, pixels in zip(good, inputs, strict=True)]

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

    def _classify(self, draft: Draft) -> None:
        embedded = [(slot, slot.embedding) for slot in draft.slots if slot.embedding is not None]
        if not embedded:
            return
        with draft.timed("classify"):
            said = self.bundle.head.predict(np.stack([embedding for _, embedding in embedded]))
            for (slot, _), classification in zip(embedded, said, strict=True):
                slot.classification = classification


def _nothing() -> None:
    """Wait for nothing: no batch has begun."""


def _timed(draft: Draft, frames: Iterator[RawFrame]) -> Iterator[RawFrame]:
    while True:
        with draft.timed("read"):
            raw = next(frames, None)
        if raw is None:
            return
        yield raw


def _placed(file: FileStat, camera: CameraSettings, raw: RawFrame) -> Slot:
    """Say when and where a frame was taken, and refuse it where that, or its shape, says enough."""
    when = time_of(raw, file.path, file.mtime_ns, camera.time_from, camera.time_pattern, camera.utc_offset_hours)
    info = FrameInfo(file.path, raw.index, camera.name, when.time, when.source, raw.channel)
    place = None
    if camera.latitude is not None and camera.longitude is not None:
        place = sun_moon(when.time, camera.latitude, camera.longitude)
    refusal = gates.daylight(place.sun_altitude, camera.sun_below_deg) if place else ""
    return Slot(info, place, refusal or gates.shape(raw.pixels, raw.pixel_aspect))


def _disc_of(camera: CameraSettings, raw: RawFrame, of_file: Disc | None) -> Disc:
    """Give the disc of a frame: the camera's, else the one found in the first frame of its size in the file.

    It is found again in every file, from nothing but that file: a disc remembered from other files would make a
    label depend on the order in which files come.
    """
    if camera.disc != "auto":
        return Disc(camera.disc.x, camera.disc.y, camera.disc.radius, "configured")
    return of_file or find_disc(raw.pixels, raw.pixel_aspect)
