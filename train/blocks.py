"""Frames in their order, and what belongs together: runs of a label, blocks, parts that hold whole units."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import ConfigError
from train.frames import TARGETS
from train.manifest import Manifest

Numbers = NDArray[np.intp]

ROUNDS = 50  # of dealing units out to parts; the most even one is kept


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """What a splitter knows of N frames."""

    targets: Numbers  # (N,) position in TARGETS
    cameras: NDArray[np.str_]  # (N,)
    nights: NDArray[np.str_]  # (N,) empty where unknown
    blocks: NDArray[np.str_]  # (N,) empty where none is named
    positions: NDArray[np.float64]  # (N,) NaN where unknown
    published: NDArray[np.bool_]  # (P,N) whether the published split P trains on a frame


def listing_of(manifest: Manifest) -> Listing:
    """Give what the rows of a manifest say.

    Raises:
        ConfigError: some rows name more published splits than others.
    """
    rows = manifest.rows
    widths = {len(row.published) for row in rows}
    if len(widths) > 1:
        raise ConfigError(f"{manifest.path}: the column published must be of one length in all lines")
    return Listing(
        targets=np.array([TARGETS.index(row.label) for row in rows], dtype=np.intp),
        cameras=np.array([row.camera for row in rows]),
        nights=np.array([row.night for row in rows]),
        blocks=np.array([row.block for row in rows]),
        positions=np.array([np.nan if row.position is None else row.position for row in rows]),
        published=np.array([[flag == "1" for flag in row.published] for row in rows], dtype=np.bool_).T,
    )


def blocks_of(listing: Listing, least: int) -> Numbers:
    """Give the (N,) block of each frame: named ones as they are, else consecutive frames, runs of a label never cut.

    A block ends where a run of one label ends after `least` frames, and with its camera and night.
    """
    order = _in_time(listing)
    keys = np.stack([listing.cameras[order], listing.nights[order], listing.blocks[order]])
    new_place = np.concatenate([[True], (keys[:, 1:] != keys[:, :-1]).any(axis=0)])
    new_label = np.concatenate([[True], np.diff(listing.targets[order]) != 0])
    named = listing.blocks[order] != ""
    starts: list[int] = []
    for at in np.flatnonzero(new_place | (new_label & ~named)):
        if new_place[at] or at - starts[-1] >= least:
            starts.append(int(at))
    _join_short_ends(starts, new_place, len(order), least)
    blocks = np.empty(len(order), dtype=np.intp)
    blocks[order] = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
    return blocks


def _join_short_ends(starts: list[int], new_place: NDArray[np.bool_], count: int, least: int) -> None:
    """Let the last frames of a night belong to the block before them, where they are fewer than a block."""
    ends = [*starts[1:], count]
    for at, end in zip(reversed(starts[:]), reversed(ends), strict=True):
        last_of_its_place = end == count or new_place[end]
        if last_of_its_place and end - at < least and not new_place[at]:
            starts.remove(at)


def label_runs(listing: Listing) -> Numbers:
    """Give the (N,) run of consecutive frames of one label and camera to which each frame belongs."""
    return blocks_of(replace(listing, blocks=np.full(len(listing.targets), "")), 1)


def _in_time(listing: Listing) -> Numbers:
    """Give the frames camera by camera, by position; those without one in the order of the manifest."""
    return np.lexsort((np.arange(len(listing.targets)), listing.positions, listing.nights, listing.cameras))


def spread(units: Numbers, targets: Numbers, parts: int, seed: int) -> Numbers:
    """Give the (N,) part of each frame: whole units, dealt out so that every part has its share of every class."""
    names, unit = np.unique(units, return_inverse=True)
    counts = np.zeros((len(names), len(TARGETS)))
    np.add.at(counts, (unit, targets), 1)
    present = counts.sum(axis=0) > 0
    counts = counts[:, present] / (counts[:, present].sum(axis=0) / parts)
    if len(names) > 20 * parts * present.sum():  # many small units need no search for the best deal
        return _dealt_by_class(unit, counts, parts, seed)[unit]
    best, best_least = np.zeros(len(names), dtype=np.intp), -1.0
    for turn in range(ROUNDS):
        rng = np.random.default_rng((seed, turn))
        load, chosen = np.zeros((parts, counts.shape[1])), np.zeros(len(names), dtype=np.intp)
        for number in np.argsort(-counts.max(axis=1) * rng.uniform(0.6, 1.4, len(names))):
            worse = ((load + counts[number]) ** 2 - load**2).sum(axis=1)
            chosen[number] = int(np.argmin(worse))
            load[chosen[number]] += counts[number]
        if load.min() > best_least:
            best, best_least = chosen, float(load.min())
    return best[unit]


def _dealt_by_class(unit: Numbers, counts: NDArray[np.float64], parts: int, seed: int) -> Numbers:
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(counts), dtype=np.intp)
    main = counts.argmax(axis=1)
    for k in range(counts.shape[1]):
        members = rng.permutation(np.flatnonzero(main == k))
        chosen[members] = (np.arange(len(members)) + k) % parts
    return chosen


def near(listing: Listing, numbers: Numbers, held: Numbers, gap: float) -> NDArray[np.bool_]:
    """Say which frames stand within the gap of a held one of the same camera."""
    near = np.zeros(len(numbers), dtype=np.bool_)
    for camera in np.unique(listing.cameras[held]):
        own = listing.cameras[numbers] == camera
        near[own] = within(
            listing.positions[numbers[own]], listing.positions[held[listing.cameras[held] == camera]], gap
        )
    return near


def within(positions: NDArray[np.float64], held: NDArray[np.float64], gap: float) -> NDArray[np.bool_]:
    """Say which positions are at most `gap` from a held one; unknown positions are near to nothing."""
    known = np.sort(held[np.isfinite(held)])
    if len(known) == 0:
        return np.zeros(len(positions), dtype=np.bool_)
    place = np.searchsorted(known, positions)
    before, after = known[np.maximum(place - 1, 0)], known[np.minimum(place, len(known) - 1)]
    close: NDArray[np.bool_] = np.minimum(np.abs(positions - before), np.abs(after - positions)) <= gap
    return close
