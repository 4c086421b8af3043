"""What labels gained: the parent's head and the moved one, each judged on frames that the moved one has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auroramon.adapt import Labelled, adapt
from auroramon.heads import Head

FOLDS = 10
ROUNDS = 2000  # of the bootstrap
FEW_GROUPS = 5
"""From so many groups on whole groups are drawn for the interval; fewer would make it look narrower than it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A way to hold frames out."""

    by: str  # in words: nights, cameras, stretches of one night
    groups: NDArray[np.intp]  # (N,) frames of one group are never on both sides


@dataclass(frozen=True, slots=True)
class ClassGain:
    """Frames of one class."""

    label: str
    frames: int
    before: int  # right by the parent
    after: int  # right by a head that has not seen them


@dataclass(frozen=True, slots=True)
class Gain:
    """What cross-validation says."""

    split: str  # what was held out, in words
    groups: int
    frames: int
    before: int  # right by the parent
    after: int  # right by heads that have not seen them
    loss_before: float  # mean of -log(probability of the person's label), classes that the parent knows; NaN: none
    loss_after: float
    low: float  # 95 % interval of the gain, part of the frames
    high: float
    drawn: str  # what the bootstrap drew: the groups, or frames where there are few groups
    classes: tuple[ClassGain, ...]

    @property
    def worse(self) -> bool:
        """Whether the moved head gets fewer frames right, and that is more than chance.

        Of thirty frames one or two more or less are chance. It is not if the interval says so, or if the moved head
        also holds the right labels for less likely.
        """
        return self.after < self.before and (self.high < 0 or not self.loss_after < self.loss_before)

    def sentence(self) -> str:
        """Give it for people."""
        gain, points = (self.after - self.before) / self.frames, [100 * self.low, 100 * self.high]
        return (
            f"held out by {self.split} ({self.groups}), n = {self.frames} frames: "
            f"{self.before / self.frames:.1%} before, {self.after / self.frames:.1%} after, "
            f"gain {100 * gain:+.1f} points (95 % interval {points[0]:+.1f} to {points[1]:+.1f}, "
            f"bootstrap over {self.drawn}), log loss {self.loss_before:.3f} before, {self.loss_after:.3f} after"
        )


def measure(parent: Head, labelled: Labelled, split: Split) -> Gain:
    """Move the parent to all groups but some, judge it on these, and go through all of them.

    A new class of which a fold leaves no frame cannot be said there, and counts as wrong.
    """
    targets, labels = labelled.examples.targets, labelled.examples.labels
    known = targets < len(parent.labels)
    before, likely_before = _judged(parent, labelled)
    after, likely_after = np.zeros(len(targets), dtype=bool), np.ones(len(targets))
    folds = _folds(split.groups)
    for fold in np.unique(folds):
        held_out = folds == fold
        after[held_out], likely_after[held_out] = _judged_without(parent, labelled, held_out)
    differences = after.astype(float) - before
    many = len(np.unique(split.groups)) >= FEW_GROUPS
    low, high = _interval(differences, split.groups if many else np.arange(len(targets)))
    return Gain(
        split=split.by,
        groups=len(np.unique(split.groups)),
        frames=len(targets),
        before=int(before.sum()),
        after=int(after.sum()),
        loss_before=_loss(likely_before[known]),
        loss_after=_loss(likely_after[known]),
        low=low,
        high=high,
        drawn=split.by if many else "frames",
        classes=tuple(
            ClassGain(label, int(own.sum()), int(before[own].sum()), int(after[own].sum()))
            for label, own in ((label, targets == k) for k, label in enumerate(labels))
            if own.any()
        ),
    )


def _judged(head: Head, labelled: Labelled) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Say which of the frames a head gets right, and with which probability it gives each its label."""
    targets = labelled.examples.targets
    found = head.judge(labelled.examples.embeddings)
    right = ~found.refused(head.threshold) & (found.scores.argmax(axis=1) == targets)
    sayable = targets < found.scores.shape[1]
    return right, np.where(sayable, found.scores[np.arange(len(targets)), np.where(sayable, targets, 0)], 0.0)


def _loss(likely: NDArray[np.float64]) -> float:
    return float(-np.log(np.maximum(likely, 1e-6)).mean()) if len(likely) else float("nan")


def _folds(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """Give (N,) folds: a group each where there are few, else groups spread over folds, large ones first."""
    names, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    fold_of = np.empty(len(names), dtype=np.intp)
    fold_of[np.argsort(-sizes, kind="stable")] = np.arange(len(names)) % FOLDS
    return fold_of[which]


def _judged_without(
    parent: Head, labelled: Labelled, held_out: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Judge the held-out frames by a head that was moved to all others."""
    rest = labelled.part(~held_out)
    old, classes = len(parent.labels), len(labelled.examples.labels)
    present = [k for k in range(classes) if k < old or (rest.examples.targets == k).any()]
    absent = [k for k in range(classes) if k not in present]
    # Classes that this head cannot know come last, behind all that it can say.
    judged = labelled.part(held_out).only([*present, *absent])
    return _judged(adapt(parent, rest.only(present)) if len(rest.groups) else parent, judged)


def _interval(differences: NDArray[np.float64], groups: NDArray[np.intp]) -> tuple[float, float]:
    """Give the 95 % interval of the mean difference; whole groups are drawn."""
    which = np.unique(groups, return_inverse=True)[1]
    total, count = np.bincount(which, differences), np.bincount(which)
    drawn = np.random.default_rng(0).integers(len(count), size=(ROUNDS, len(count)))
    low, high = np.quantile(total[drawn].sum(axis=1) / count[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)
