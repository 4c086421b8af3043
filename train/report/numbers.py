"""Every figure of a report, as values: the page shows them, report.json holds them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from auroramon.types import AURORA_LABELS, LABELS, UNKNOWN
from train.evaluate import Figure, Report, calibration_error
from train.evaluate import report as head_figures
from train.frames import TARGETS
from train.judged import Judged
from train.unknown import UnknownReport, unknown_report

BINS = 15  # of the reliability diagram
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
NEIGHBOURS = (1, 5, 10)
ERRORS, STRANGE_ERRORS = 30, 10
SUN = (-90.0, -18.0, -15.0, -12.0, -9.0, 90.0)
"""Degrees: night by astronomers' reckoning, and the twilight in which cameras still run."""
MOON = (-91.0, -0.8, 10.0, 30.0, 90.0)
"""Degrees: below the horizon, low, half up, high."""


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of some of the frames."""

    name: str
    frames: int
    units: int
    accuracy: Figure
    aurora_recall: float  # NaN where there is no aurora
    false_alarms: float  # NaN where there is nothing but aurora
    refused: float  # part that is `unknown`


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram."""

    confidence: float  # mean
    accuracy: float
    frames: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far confidence means what it says, of the best class."""

    temperature: float
    before: tuple[Bin, ...]
    after: tuple[Bin, ...]
    error_before: float  # expected calibration error, 15 bins
    error_after: float
    loss_before: float  # mean negative log likelihood
    loss_after: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """The surest frames only."""

    coverage: float  # part of the frames with a class
    confidence: float  # least among them
    accuracy: Figure


@dataclass(frozen=True, slots=True)
class Recall:
    """Whether the class of a frame is among that of its nearest neighbours in other units."""

    k: int
    recall: float


@dataclass(frozen=True, slots=True)
class Wrong:
    """One frame that got a wrong label."""

    number: int  # in the set
    truth: str
    said: str
    confidence: float
    camera: str
    time: str  # in words; empty where not known
    kind: str  # what it shows, where it is no sky
    sun: float | None  # degrees
    moon: float | None  # degrees; -90 without a Moon


@dataclass(frozen=True, slots=True)
class Numbers:
    """A whole report."""

    bundle: str
    bundle_digest: str
    precision: str
    simulated: bool
    split: str
    apart: bool  # no copy or neighbour of a learnt frame is judged
    copies: int | None  # judged frames that were learnt from; None: not checked
    neighbours: int | None
    unit: str
    units: int
    cameras: int
    head: Report  # accuracy, classes, confusion (rows: truth), aurora against none
    gated: float  # part of the frames with a class that a gate refused
    by_camera: tuple[Part, ...]
    by_sun: tuple[Part, ...]
    by_moon: tuple[Part, ...]
    without_conditions: int  # frames with a class of which Sun and Moon are not known
    without_sun: int | None  # frames, those that are no sky too, whose Sun the gates do not know; None without gates
    frames: int  # all that were judged, those that are no sky too
    calibration: Calibration
    coverage: tuple[Coverage, ...]
    risk_area: float  # mean error over all coverages (area under the risk-coverage curve)
    retrieval: tuple[Recall, ...]
    explained: tuple[float, float]  # part of the variance on the two axes of the map
    wrong: tuple[Wrong, ...]  # the surest, of frames with a class
    errors: int  # in all
    mistaken: tuple[Wrong, ...]  # the surest labels of frames that are no sky
    mistakes: int  # in all
    unknown: UnknownReport | None


def numbers_of(judged: Judged, with_gates: bool = True) -> Numbers:
    """Work out every figure; it is said where no gate was asked."""
    subject, answers = judged.subject, judged.answers
    known = answers.targets < len(LABELS)
    wrong, mistaken = wrong_frames(judged, known), wrong_frames(judged, ~known)
    _, explained = embedding_map(judged)
    curve = risk_curve(judged)
    return Numbers(
        bundle=judged.bundle.name,
        bundle_digest=judged.bundle.digest,
        precision=judged.precision,
        simulated=subject.origin.simulated,
        split=subject.origin.split,
        apart=subject.origin.apart,
        copies=None if subject.leaks is None else subject.leaks.copies,
        neighbours=None if subject.leaks is None else subject.leaks.neighbours,
        unit=subject.origin.unit,
        units=len(np.unique(answers.cameras[known])),
        cameras=len({c for c, k in zip(subject.facts.cameras, known, strict=True) if k}),
        head=head_figures(answers, subject.facts.unit_names, subject.origin.split),
        gated=float(np.array([bool(r) for r in judged.gated])[known].mean()),
        by_camera=_by_camera(judged, known),
        by_sun=_by_band(judged, subject.facts.conditions.sun, SUN, known),
        by_moon=_by_band(judged, subject.facts.conditions.moon, MOON, known),
        without_conditions=int(np.isnan(subject.facts.conditions.sun[known]).sum()),
        without_sun=int(np.isnan(subject.facts.conditions.sun).sum()) if with_gates else None,
        frames=len(answers.targets),
        calibration=_calibration(judged, known),
        coverage=_coverages(judged),
        risk_area=float(1 - curve.mean()) if len(curve) else math.nan,
        retrieval=_retrieval(judged, known),
        explained=explained,
        wrong=tuple(_describe(judged, n) for n in wrong[:ERRORS].tolist()),
        errors=len(wrong),
        mistaken=tuple(_describe(judged, n) for n in mistaken[:STRANGE_ERRORS].tolist()),
        mistakes=len(mistaken),
        unknown=unknown_report(judged, with_gates),
    )


def wrong_frames(judged: Judged, among: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Give those of some frames that have a wrong label, the surest first; `unknown` is no wrong label, but none."""
    answers = judged.answers
    bad = np.flatnonzero(among & (answers.said != answers.targets) & (answers.said < len(LABELS)))
    return bad[np.argsort(-answers.confidence[bad], kind="stable")]


def risk_curve(judged: Judged) -> NDArray[np.float64]:
    """Give the accuracy of the 1, 2, ... N surest frames with a class; what is refused comes last, as a miss."""
    answers = judged.answers
    known = answers.targets < len(LABELS)
    order = np.argsort(-_sureness(judged)[known], kind="stable")
    right = (answers.said[known] == answers.targets[known])[order]
    curve: NDArray[np.float64] = np.cumsum(right) / np.arange(1, len(right) + 1)
    return curve


def embedding_map(judged: Judged) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Give (N,2) places of all frames on the two main axes of those with a class, and the variance that these hold."""
    known = judged.answers.targets < len(LABELS)
    model = PCA(n_components=2, svd_solver="full").fit(judged.embeddings[known])
    first, second = model.explained_variance_ratio_.tolist()
    return model.transform(judged.embeddings).astype(np.float64), (first, second)


def _sureness(judged: Judged) -> NDArray[np.float64]:
    return np.where(judged.answers.said < len(LABELS), judged.answers.confidence, -1.0)


def _interval(values: NDArray[np.float64], units: NDArray[np.intp]) -> Figure:
    """Give a mean with its 95 % bootstrap interval over units; NaN bounds where there is one unit."""
    if not len(values):
        return Figure(math.nan, math.nan, math.nan)
    _, own = np.unique(units, return_inverse=True)
    total, count = np.bincount(own, weights=values), np.bincount(own)
    if len(count) < 2:
        return Figure(float(values.mean()), math.nan, math.nan)
    drawn = np.random.default_rng(0).integers(0, len(count), (1000, len(count)))
    low, high = np.quantile(total[drawn].sum(axis=1) / count[drawn].sum(axis=1), [0.025, 0.975])
    return Figure(float(values.mean()), float(low), float(high))


def _part(judged: Judged, name: str, rows: NDArray[np.bool_]) -> Part:
    answers = judged.answers
    true, said, units = answers.targets[rows], answers.said[rows], answers.cameras[rows]
    aurora = np.array([label in AURORA_LABELS for label in (*LABELS, UNKNOWN)])
    alarm = aurora[said]
    return Part(
        name=name,
        frames=int(rows.sum()),
        units=len(np.unique(units)),
        accuracy=_interval((true == said).astype(float), units),
        aurora_recall=float(alarm[aurora[true]].mean()) if aurora[true].any() else math.nan,
        false_alarms=float(alarm[~aurora[true]].mean()) if (~aurora[true]).any() else math.nan,
        refused=float((said == len(LABELS)).mean()),
    )


def _by_camera(judged: Judged, known: NDArray[np.bool_]) -> tuple[Part, ...]:
    cameras = np.array(judged.subject.facts.cameras)
    return tuple(_part(judged, str(name), known & (cameras == name)) for name in np.unique(cameras[known]))


def _by_band(
    judged: Judged, altitude: NDArray[np.float64], edges: tuple[float, ...], known: NDArray[np.bool_]
) -> tuple[Part, ...]:
    parts = []
    for low, high in pairwise(edges):
        rows = known & (altitude >= low) & (altitude < high)
        if rows.any():
            parts.append(_part(judged, _band(low, high, edges), rows))
    return tuple(parts)


def _band(low: float, high: float, edges: tuple[float, ...]) -> str:
    if low == edges[0]:
        return "below the horizon, or none" if high > -2 else f"below {_degrees(high)}"
    return f"above {_degrees(low)}" if high == edges[-1] else f"{_degrees(low)} to {_degrees(high)}"


def _degrees(value: float) -> str:
    return f"{value:g}°".replace("-", "−")


def _calibration(judged: Judged, known: NDArray[np.bool_]) -> Calibration:
    targets = judged.answers.targets[known]
    logits = judged.raw[known] - judged.raw[known].max(axis=1, keepdims=True)
    plain = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scaled = judged.scores[known]
    right = judged.answers.closed[known] == targets
    rows = np.arange(len(targets))
    return Calibration(
        temperature=judged.bundle.head.temperature,
        before=_bins(plain.max(axis=1), right),
        after=_bins(scaled.max(axis=1), right),
        error_before=calibration_error(plain.max(axis=1), right),
        error_after=calibration_error(scaled.max(axis=1), right),
        loss_before=float(-np.log(np.maximum(plain[rows, targets], 1e-300)).mean()),
        loss_after=float(-np.log(np.maximum(scaled[rows, targets], 1e-300)).mean()),
    )


def _bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(float(confidence[place == b].mean()), float(right[place == b].mean()), int((place == b).sum()))
        for b in np.unique(place)
    )


def _coverages(judged: Judged) -> tuple[Coverage, ...]:
    answers = judged.answers
    known = np.flatnonzero(answers.targets < len(LABELS))
    sure = _sureness(judged)[known]
    order = known[np.argsort(-sure, kind="stable")]
    found = []
    for part in COVERAGES:
        rows = order[: max(1, round(part * len(order)))]
        right = (answers.said[rows] == answers.targets[rows]).astype(float)
        found.append(
            Coverage(part, max(0.0, float(_sureness(judged)[rows[-1]])), _interval(right, answers.cameras[rows]))
        )
    return tuple(found)


def _retrieval(judged: Judged, known: NDArray[np.bool_]) -> tuple[Recall, ...]:
    """Look for the nearest frames of other units: those of its own night or camera are no feat."""
    x, targets = judged.embeddings[known], judged.answers.targets[known]
    units = judged.answers.cameras[known]
    if len(np.unique(units)) < 2:
        return ()
    most = max(NEIGHBOURS)
    hits = np.zeros((len(x), most), dtype=np.bool_)
    for start in range(0, len(x), 512):
        rows = np.arange(start, min(start + 512, len(x)))
        near = x[rows] @ x.T
        near[units[rows][:, None] == units[None, :]] = -np.inf
        best = np.argsort(-near, axis=1, kind="stable")[:, :most]
        hits[rows, : best.shape[1]] = targets[best] == targets[rows][:, None]
    return tuple(Recall(k, float(hits[:, :k].any(axis=1).mean())) for k in NEIGHBOURS)


def _describe(judged: Judged, number: int) -> Wrong:
    facts, answers = judged.subject.facts, judged.answers
    sun, moon = float(facts.conditions.sun[number]), float(facts.conditions.moon[number])
    return Wrong(
        number=number,
        truth=TARGETS[answers.targets[number]],
        said=TARGETS[answers.said[number]],
        confidence=float(answers.confidence[number]),
        camera=facts.cameras[number],
        time=facts.times[number],
        kind=facts.kinds[number],
        sun=None if math.isnan(sun) else sun,
        moon=None if math.isnan(moon) else moon,
    )
