"""Which frames are trained on and which are judged: at random, as published, by blocks, by nights, by cameras.

Only `blocks`, `nights`, `cameras` and `paper-blocks` keep what belongs together on one side; the others are there to
compare with what has been published, and say of themselves that they leak.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from auroramon.errors import ConfigError
from auroramon.types import LABELS
from train.blocks import Listing, Numbers, blocks_of, near, spread

SplitKind = Literal["random", "published", "blocks", "nights", "cameras", "paper-random", "paper-blocks"]
APART: frozenset[SplitKind] = frozenset({"blocks", "nights", "cameras", "paper-blocks"})
"""Splits that promise that no copy and no neighbour of a training frame is judged."""

PAPER_FOLDS, PAPER_TRAIN, PAPER_HELD, PAPER_PARTS = 4, 500, 100, 6
"""Endo & Matsumoto 2022, table 1: of each class 500 to train, 100 to validate, 100 to judge, four folds. Whole blocks
are dealt out to six parts, because a sixth of the rarest class (614 Moons) is still a hundred."""


class SplitWish(Protocol):
    """What a run file says of its split; `train.runfile.ManifestTable` is one."""

    @property
    def split(self) -> SplitKind: ...
    @property
    def seed(self) -> int: ...
    @property
    def part(self) -> int: ...  # which part, fold or published permutation is judged, from 0
    @property
    def parts(self) -> int: ...
    @property
    def block(self) -> int: ...  # at least so many consecutive frames
    @property
    def gap(self) -> float: ...  # frames this near to a judged one are left out, in units of `position`


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """Four sets of frame numbers; what is in none of them was left out."""

    train: Numbers
    heads: Numbers  # empty unless asked for
    calibrate: Numbers
    evaluate: Numbers
    units: Numbers  # (N,) what belongs together: an interval draws these, not frames
    words: str
    apart: bool  # whether it promises to hold no copy and no neighbour of a training frame


def divide(listing: Listing, wish: SplitWish, heads: bool = False) -> Division:
    """Divide the frames as a run file asks.

    Args:
        listing: the frames.
        wish: how.
        heads: whether a part of their own is kept for the head.

    Raises:
        ConfigError: it cannot be done with these frames; says why.
    """
    _check_labels(listing)
    if wish.split.startswith("paper"):
        found = _paper(listing, wish)
    elif wish.split == "published":
        found = _published(listing, wish)
    else:
        found = _in_parts(listing, wish, heads)
    if found.apart:
        found = _without_neighbours(listing, found, wish.gap)
    _check_classes(listing, found)
    return found


def _check_labels(listing: Listing) -> None:
    missing = [label for k, label in enumerate(LABELS) if k not in listing.targets]
    if missing:
        raise ConfigError(
            f"the manifest has no frame of {' and none of '.join(missing)}: a network is trained on all of "
            f"{', '.join(LABELS)}; to adapt the shipped model to fewer, use `auroramon refit`"
        )


def _units(listing: Listing, wish: SplitWish) -> Numbers:
    if wish.split == "cameras":
        return np.unique(listing.cameras, return_inverse=True)[1]
    if wish.split == "nights":
        if (listing.nights == "").any():
            raise ConfigError("a split by nights needs the night of every frame: fill in the column night or time")
        return np.unique(listing.nights, return_inverse=True)[1]
    if wish.split in APART:
        _check_order(listing)
    return blocks_of(listing, wish.block)


def _check_order(listing: Listing) -> None:
    """Refuse to cut blocks of frames of which nobody knows what stood beside them.

    Raises:
        ConfigError: frames have neither a position nor a block.
    """
    lost = int((np.isnan(listing.positions) & (listing.blocks == "")).sum())
    if lost:
        raise ConfigError(
            f"a split by blocks needs to know which frames are neighbours, and {lost} of {len(listing.targets)} have "
            f"no position: fill in the column position, time or block, or split by nights or cameras"
        )


def _in_parts(listing: Listing, wish: SplitWish, heads: bool) -> Division:
    """Hold one of several parts out, calibrate on the next, train on the others."""
    units = _units(listing, wish)
    least = 4 if heads else 3
    kept = units if wish.split != "random" else np.arange(len(units))
    if wish.part >= wish.parts:
        raise ConfigError(f"part {wish.part} cannot be judged: parts are counted from 0 to {wish.parts - 1}")
    if len(np.unique(kept)) < wish.parts or wish.parts < least:
        raise ConfigError(
            f"a split by {wish.split} into {wish.parts} parts, of which part {wish.part} is judged, cannot be made "
            f"of {len(np.unique(kept))}: each part holds at least one of them, and there are at least {least} parts"
        )
    part = spread(kept, listing.targets, wish.parts, wish.seed)
    judged, calibrating = part == wish.part, part == (wish.part + 1) % wish.parts
    fitting = (part == (wish.part + 2) % wish.parts) & heads
    return Division(
        train=np.flatnonzero(~judged & ~calibrating & ~fitting),
        heads=np.flatnonzero(fitting),
        calibrate=np.flatnonzero(calibrating),
        evaluate=np.flatnonzero(judged),
        units=units,
        words=f"{_words(wish)}, part {wish.part + 1} of {wish.parts}",
        apart=wish.split in APART,
    )


def _published(listing: Listing, wish: SplitWish) -> Division:
    """Take a published permutation: its training part, of which a seventh calibrates, and the rest to judge by."""
    if wish.part >= len(listing.published):
        raise ConfigError(f"the manifest has {len(listing.published)} published splits: there is no {wish.part}")
    flags = listing.published[wish.part]
    rng = np.random.default_rng((wish.seed, wish.part))
    learnt, calibrating = [], []
    for k in np.unique(listing.targets[flags]):
        members = rng.permutation(np.flatnonzero(flags & (listing.targets == k)))
        some = -(-len(members) // 7)
        calibrating.append(members[:some])
        learnt.append(members[some:])
    return Division(
        train=np.sort(np.concatenate(learnt)),
        heads=np.array([], dtype=np.intp),
        calibrate=np.sort(np.concatenate(calibrating)),
        evaluate=np.flatnonzero(~flags),
        units=blocks_of(listing, wish.block),
        words=f"Published random split {wish.part + 1}",
        apart=False,
    )


def _paper(listing: Listing, wish: SplitWish) -> Division:
    """Give a fold of Endo & Matsumoto's sizes; a class with fewer than 700 frames has fewer to train on, none twice."""
    if wish.part >= PAPER_FOLDS:
        raise ConfigError(f"the paper has {PAPER_FOLDS} folds, counted from 0: there is no {wish.part}")
    units, whole = _units(listing, wish), wish.split == "paper-blocks"
    part = spread(units, listing.targets, PAPER_PARTS, wish.seed) if whole else units
    sets: dict[str, list[Numbers]] = {"train": [], "calibrate": [], "evaluate": []}
    for k in range(len(LABELS)):
        members = np.random.default_rng((wish.seed, k)).permutation(np.flatnonzero(listing.targets == k))
        held = min(PAPER_HELD, len(members) // PAPER_PARTS)
        if whole:
            judged = members[part[members] == wish.part][:held]
            calibrating = members[part[members] == wish.part + 1][:held]
            others = members[~np.isin(part[members], (wish.part, wish.part + 1))]
        else:
            chunks = [members[f * held : (f + 1) * held] for f in range(PAPER_FOLDS)]
            judged, calibrating = chunks[wish.part], chunks[(wish.part + 1) % PAPER_FOLDS]
            others = np.setdiff1d(members, np.concatenate([judged, calibrating]))
            others = np.random.default_rng((wish.seed, k, wish.part)).permutation(others)
        if whole:  # neighbours go first, so that the five hundred are drawn from what may be trained on
            close = near(listing, others, np.flatnonzero(np.isin(part, (wish.part, wish.part + 1))), wish.gap)
            others = others[~close]
        for name, numbers in (("train", others[:PAPER_TRAIN]), ("calibrate", calibrating), ("evaluate", judged)):
            sets[name].append(np.sort(numbers))
    nothing = np.array([], dtype=np.intp)
    return Division(
        train=np.concatenate(sets["train"]),
        heads=nothing,
        calibrate=np.concatenate(sets["calibrate"]),
        evaluate=np.concatenate(sets["evaluate"]),
        units=units,
        words=f"{_words(wish)}, fold {wish.part + 1} of {PAPER_FOLDS}",
        apart=whole,
    )


def _words(wish: SplitWish) -> str:
    return {
        "random": "Random split",
        "blocks": f"Blocks of at least {wish.block} consecutive frames",
        "nights": "Nights",
        "cameras": "Cameras",
        "paper-random": "The paper's sizes, drawn at random",
        "paper-blocks": f"The paper's sizes, blocks of at least {wish.block} consecutive frames",
    }[wish.split]


def _without_neighbours(listing: Listing, found: Division, gap: float) -> Division:
    """Leave out of each set what stands too near to a set that is judged or calibrates after it."""
    calibrate = found.calibrate[~near(listing, found.calibrate, found.evaluate, gap)]
    held = np.concatenate([found.evaluate, calibrate])
    heads = found.heads[~near(listing, found.heads, held, gap)]
    later = np.concatenate([held, heads])
    return replace(found, train=found.train[~near(listing, found.train, later, gap)], heads=heads, calibrate=calibrate)


def _check_classes(listing: Listing, found: Division) -> None:
    for name in ("train", "calibrate", "evaluate"):
        missing = set(range(len(LABELS))) - set(listing.targets[getattr(found, name)].tolist())
        if missing:
            raise ConfigError(
                f"{found.words}: no {' and no '.join(LABELS[k] for k in sorted(missing))} is left in the set "
                f"{name}: take another seed, smaller blocks, a smaller gap, or fewer parts"
            )
