"""How good a model is on frames of cameras that it has never seen, with intervals over the cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auroramon.heads import Head, Judgement
from auroramon.types import AURORA_LABELS, LABELS, UNKNOWN

ROUNDS = 1000
"""Bootstrap rounds; cameras are drawn, because frames of one camera are alike."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval; NaN where there is nothing to judge by, its bounds where one unit is judged."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "-"
        if math.isnan(self.low):
            return f"{100 * self.value:.1f} %"
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f}-{100 * self.high:.1f})"


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class, with `unknown` counted as a miss."""

    label: str
    frames: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class CameraFigure:
    """One camera of the evaluation set."""

    camera: str
    frames: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a head makes of the evaluation set. `unknown` is a wrong answer for a frame that has a class."""

    split: str  # in words
    frames: int
    cameras: int
    accuracy: Figure
    balanced_accuracy: Figure
    aurora_recall: Figure  # frames with aurora that got one of its three labels
    false_alarms: Figure  # frames without aurora that got one
    closed_accuracy: float  # of the best class, whatever the distance
    refused_known: float  # part of the frames with a class that are `unknown`
    refused_strange: float  # part of the frames that are no sky that are `unknown`; NaN where there are none
    strange: int
    strange_auroc: float  # of the distance, strange against known; NaN where there are none
    calibration_error: float  # expected calibration error of the confidence, 15 bins
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows: true class; columns: classes, then `unknown`
    by_camera: tuple[CameraFigure, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The evaluation set and what the head said of it."""

    targets: NDArray[np.intp]  # (N,) class, or len(LABELS) for what is no sky
    said: NDArray[np.intp]  # (N,) class, or len(LABELS) for `unknown`
    closed: NDArray[np.intp]  # (N,) best class
    confidence: NDArray[np.float64]  # (N,)
    distance: NDArray[np.float64]  # (N,)
    cameras: NDArray[np.intp]  # (N,)


def answer(
    head: Head, embeddings: NDArray[np.float32], targets: NDArray[np.intp], cameras: NDArray[np.intp]
) -> Answers:
    """Let a head judge the evaluation set."""
    found: Judgement = head.judge(embeddings)
    closed = found.scores.argmax(axis=1)
    said = np.where(found.distance <= head.threshold, closed, len(LABELS))
    return Answers(targets, said, closed, found.scores.max(axis=1), found.distance, cameras)


def report(answers: Answers, names: tuple[str, ...], split: str) -> Report:
    """Work out the figures.

    Args:
        answers: of one head.
        names: of the cameras.
        split: what was held out, in words.
    """
    known = answers.targets < len(LABELS)
    true, said, cameras = answers.targets[known], answers.said[known], answers.cameras[known]
    aurora = np.array([label in AURORA_LABELS for label in (*LABELS, UNKNOWN)])
    right = (true == said).astype(float)
    alarm = aurora[said].astype(float)
    rng = np.random.default_rng(0)
    drawn = [rng.choice(np.unique(cameras), len(np.unique(cameras))) for _ in range(ROUNDS)]
    confusion = np.zeros((len(LABELS), len(LABELS) + 1), dtype=int)
    np.add.at(confusion, (true, said), 1)
    strange_distance = answers.distance[~known]
    return Report(
        split=split,
        frames=len(true),
        cameras=len(np.unique(cameras)),
        accuracy=_figure(right, cameras, drawn),
        balanced_accuracy=_balanced(right, true, cameras, drawn),
        aurora_recall=_figure(alarm[aurora[true]], cameras[aurora[true]], drawn),
        false_alarms=_figure(alarm[~aurora[true]], cameras[~aurora[true]], drawn),
        closed_accuracy=float((answers.closed[known] == true).mean()),
        refused_known=float((said == len(LABELS)).mean()),
        refused_strange=float((answers.said[~known] == len(LABELS)).mean()) if (~known).any() else float("nan"),
        strange=int((~known).sum()),
        strange_auroc=auroc(answers.distance[known], strange_distance),
        calibration_error=calibration_error(answers.confidence[known], answers.closed[known] == true),
        classes=tuple(_class_figures(confusion, k) for k in range(len(LABELS))),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        by_camera=tuple(
            CameraFigure(names[c], int((cameras == c).sum()), float(right[cameras == c].mean()))
            for c in np.unique(cameras)
        ),
    )


def auroc(known: NDArray[np.float64], strange: NDArray[np.float64]) -> float:
    """Give the probability that a strange frame is farther away than a known one (ties count half)."""
    if len(known) == 0 or len(strange) == 0:
        return float("nan")
    ordered = np.sort(known)
    below = np.searchsorted(ordered, strange, side="left") + np.searchsorted(ordered, strange, side="right")
    return float(below.mean() / 2 / len(known))


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """Give the expected calibration error (Guo et al. 2017, equation 3) with equal bins."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(float(right[place == b].mean() - confidence[place == b].mean())) * (place == b).mean()
            for b in np.unique(place)]  # fmt: skip
    return float(sum(gaps))


def _figure(values: NDArray[np.float64], cameras: NDArray[np.intp], drawn: list[NDArray[np.intp]]) -> Figure:
    """Give the mean of a value per frame, with an interval over the cameras."""
    if len(np.unique(cameras)) < 2:
        return _without_interval(values)
    size = int(max(d.max() for d in drawn)) + 1
    total = np.bincount(cameras, weights=values, minlength=size)
    count = np.bincount(cameras, minlength=size)
    means = [total[d].sum() / max(count[d].sum(), 1) for d in drawn]
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(float(values.mean()), float(low), float(high))


def _without_interval(values: NDArray[np.float64]) -> Figure:
    """One camera alone says nothing of how far others differ, and no frames say nothing at all."""
    return Figure(float(values.mean()) if len(values) else math.nan, math.nan, math.nan)


def _balanced(
    right: NDArray[np.float64], true: NDArray[np.intp], cameras: NDArray[np.intp], drawn: list[NDArray[np.intp]]
) -> Figure:
    """Give the mean recall over the classes."""
    classes = np.unique(true)
    if len(np.unique(cameras)) < 2:
        return _without_interval(np.array([right[true == k].mean() for k in classes]))
    size = int(max(d.max() for d in drawn)) + 1
    hit = np.stack([np.bincount(cameras[true == k], weights=right[true == k], minlength=size) for k in classes])
    count = np.stack([np.bincount(cameras[true == k], minlength=size) for k in classes])
    rounds = [float((hit[:, d].sum(axis=1) / np.maximum(count[:, d].sum(axis=1), 1)).mean()) for d in drawn]
    low, high = np.quantile(rounds, [0.025, 0.975])
    return Figure(float((hit.sum(axis=1) / count.sum(axis=1)).mean()), float(low), float(high))


def _class_figures(confusion: NDArray[np.int_], k: int) -> ClassFigures:
    hits, frames, named = int(confusion[k, k]), int(confusion[k].sum()), int(confusion[:, k].sum())
    precision, recall = hits / max(named, 1), hits / max(frames, 1)
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return ClassFigures(LABELS[k], frames, precision, recall, f1)
