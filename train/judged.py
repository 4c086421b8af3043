"""What a bundle says of frames whose label is known: all that a report is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon import gates
from auroramon.bundle import ModelBundle
from auroramon.fit import Examples
from auroramon.preprocess import extract_sky, to_input
from auroramon.sim.scene import UNKNOWN_KINDS
from auroramon.types import LABELS
from train.blocks import Listing, blocks_of, listing_of
from train.conditions import Conditions, conditions_of
from train.embed import Embed, examples
from train.evaluate import Answers, answer
from train.frames import CameraFrames, FrameSet, read_split
from train.leaks import Leaks, checked_leaks
from train.manifest import Manifest, altitudes, read_manifest
from train.origin import Origin, origin_of, units_of
from train.pool import pool_of
from train.runfile import DataTable, Run

Progress = Callable[[int, int], None]

BANK = 2400
"""Frames of the head's cameras that detectors are fitted on."""

BLOCK = 50
"""Frames that belong together at least, where a list of frames names neither nights nor blocks."""


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is known of N judged frames besides their pixels."""

    units: NDArray[np.intp]  # (N,) position in unit_names: what belongs together, drawn by intervals
    unit_names: tuple[str, ...]
    cameras: tuple[str, ...]  # N
    times: tuple[str, ...]  # N, in words; empty where not known
    kinds: tuple[str, ...]  # N, what a frame that is no sky shows; empty for a sky
    conditions: Conditions


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """Frames to be judged, before any model has seen them."""

    frames: FrameSet
    facts: Facts
    origin: Origin
    leaks: Leaks | None  # None where the model learnt from nothing that is listed here
    learnt: Path | None  # folder with the frames that head and detectors are fitted on


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """N frames, what they are and what a bundle says of them, as it would in serving: gates, network, head."""

    subject: Subject
    bundle: ModelBundle
    precision: str
    answers: Answers  # cameras are the units; a gated frame is `unknown`
    raw: NDArray[np.float64]  # (N,K) scores before the temperature
    scores: NDArray[np.float64]  # (N,K) after it
    embeddings: NDArray[np.float32]  # (N,D), of gated frames too
    gated: tuple[str, ...]  # N reasons; empty where no gate refuses
    bank: Examples | None  # what detectors are fitted on


def subject_of_run(folder: Path, run: Run) -> Subject:
    """Give the frames that a run keeps to judge by.

    Raises:
        LeakError: they leak, though the split promised otherwise.
    """
    leaks, frames, origin = checked_leaks(folder), read_split(folder, "evaluate"), origin_of(folder)
    if isinstance(run.data, DataTable):
        kinds = tuple(kind for c in frames.cameras for kind in _simulated_kinds(c))
    else:
        kinds = tuple("no sky" if t >= len(LABELS) else "" for t in frames.targets)
    return Subject(frames, _facts(frames, origin.unit, kinds), origin, leaks, folder)


def subject_of_manifest(path: Path, work: Path, colour: bool, progress: Progress) -> Subject:
    """Give the frames that a list of labelled files names; the caller vouches that no model has learnt from them.

    Args:
        path: the list.
        work: folder for everything that can be made again.
        colour: whether the model looks at colours.
        progress: called with frames read and in all.
    """
    manifest = read_manifest(path)
    listing = listing_of(manifest)
    unit, units = _units_of(listing)
    frames = _frames_of(manifest, work, colour, listing, units, progress)
    simulated = all(row.simulated for row in manifest.rows)
    words = f"All frames of {path.name} (not checked whether the model has learnt from them)"
    origin = Origin(simulated, words, unit, apart=True, digest=manifest.digest)
    kinds = tuple("no sky" if t >= len(LABELS) else "" for t in frames.targets)
    return Subject(frames, _facts(frames, unit, kinds), origin, None, None)


def judge(subject: Subject, bundle: ModelBundle, precision: str, embed: Embed, with_gates: bool = True) -> Judged:
    """Let a bundle judge the frames as it would in serving, or, without gates, network and head alone."""
    spec, count = bundle.preprocess, len(subject.frames)
    reasons, parts, waiting = [], [], []
    for number in range(count):
        counts, disc = subject.frames.frame(number)
        sky = extract_sky(np.asarray(counts), 1.0, disc, spec)
        reasons.append((gates.shape(counts, 1.0) or gates.refuse(np.asarray(counts), sky)) if with_gates else "")
        waiting.append(to_input(sky, spec))
        if len(waiting) == 64 or number == count - 1:
            parts.append(embed(np.stack(waiting)))
            waiting.clear()
    embeddings = np.concatenate(parts)
    answers = answer(bundle.head, embeddings, subject.frames.targets, subject.facts.units)
    gated = np.array([bool(reason) for reason in reasons])
    answers.said[gated] = len(LABELS)
    bank = None
    if subject.learnt is not None:
        own = read_split(subject.learnt, "heads")
        bank = examples(embed, own if len(own) else read_split(subject.learnt, "train"), spec, BANK)
    return Judged(
        subject=subject,
        bundle=bundle,
        precision=precision,
        answers=answers,
        raw=bundle.head.logits(embeddings),
        scores=bundle.head.judge(embeddings).scores,
        embeddings=embeddings,
        gated=tuple(reasons),
        bank=bank,
    )


def _simulated_kinds(camera: CameraFrames) -> list[str]:
    """Give what each simulated frame that is no sky shows: kinds come in turn, by the frame's number (simulate.py)."""
    strange = camera.targets >= len(LABELS)
    return [UNKNOWN_KINDS[n % len(UNKNOWN_KINDS)] if no_sky else "" for n, no_sky in enumerate(strange)]


def _facts(frames: FrameSet, unit: str, kinds: tuple[str, ...]) -> Facts:
    cameras = [c.origin or c.camera for c in frames.cameras for _ in range(len(c.targets))]
    units, named = units_of(frames, unit)
    times = tuple(_time(p) for c in frames.cameras for p in _positions(c))
    return Facts(units, named, tuple(cameras), times, kinds, conditions_of(frames))


def _positions(camera: CameraFrames) -> list[float]:
    return [np.nan] * len(camera.targets) if camera.positions is None else [float(p) for p in camera.positions]


def _time(position: float) -> str:
    """Give a position in words: seconds since 1970 as a time, small numbers as a number in a series."""
    if not np.isfinite(position):
        return ""
    if position < 1e8:
        return f"no. {position:g}"
    return datetime.fromtimestamp(position, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _units_of(listing: Listing) -> tuple[str, NDArray[np.intp]]:
    """Say what belongs together in a list: nights where all are named, else cameras, else blocks."""
    if (listing.nights != "").all() and len(np.unique(listing.nights)) > 1:
        return "night", np.unique(listing.nights, return_inverse=True)[1].astype(np.intp)
    if len(np.unique(listing.cameras)) > 1:
        return "camera", np.unique(listing.cameras, return_inverse=True)[1].astype(np.intp)
    return "block", blocks_of(listing, BLOCK)


def _frames_of(
    manifest: Manifest, work: Path, colour: bool, listing: Listing, units: NDArray[np.intp], progress: Progress
) -> FrameSet:
    pool = pool_of(work, manifest, colour, progress)
    keys = [(row.camera, *pool.shapes[n].tolist()) for n, row in enumerate(manifest.rows)]
    sets = []
    for camera, *shape in sorted(set(keys)):
        some = np.array([n for n, key in enumerate(keys) if key == (camera, *shape)], dtype=np.intp)
        sets.append(CameraFrames(
            camera=camera,
            pixels=pool.pixels(*shape),
            targets=listing.targets[some],
            discs=pool.discs[some],
            groups=units[some],
            taken=pool.places[some],
            positions=listing.positions[some],
            digests=pool.digests[some],
            origin=camera,
            sun=altitudes([manifest.rows[n].sun for n in some]),
            moon=altitudes([manifest.rows[n].moon for n in some]),
        ))  # fmt: skip
    return FrameSet(tuple(sets))
