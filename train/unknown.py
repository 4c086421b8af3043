"""How well frames that are no night sky are told from skies: detectors on the embedding, and the gates before them.

Compared are the distance of the bundle and others that NumPy can compute from the same embedding: Mahalanobis with
one covariance a class or one for all, empirical or shrunk (Lee et al. 2018; Ledoit & Wolf 2004), relative Mahalanobis
(Ren et al. 2021), the k-th nearest neighbour (Sun et al. 2022), and the maximum softmax (Hendrycks & Gimpel 2017).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import EmpiricalCovariance, LedoitWolf
from sklearn.neighbors import NearestNeighbors

from auroramon.fit import Examples
from auroramon.heads import Array
from auroramon.types import LABELS
from train.cards import LEAKS, SIMULATED
from train.evaluate import auroc
from train.judged import Judged

ACCEPTANCE = 0.95
"""Part of the known frames that is accepted where the false positive rate is read off."""

NEIGHBOURS = (1, 10, 50)
ROUNDS = 200  # of the bootstrap
ALL = "all"


@dataclass(frozen=True, slots=True)
class Cell:
    """One detector on one kind of frames that are no sky, against all that are."""

    kind: str
    frames: int
    auroc: float
    fpr95: float  # part of these frames that is accepted where 95 % of the skies are


@dataclass(frozen=True, slots=True)
class Detection:
    """One detector on all kinds."""

    detector: str
    cells: tuple[Cell, ...]  # the kinds, then all together
    low: float  # 95 % interval of the AUROC over all, bootstrap over units
    high: float


@dataclass(frozen=True, slots=True)
class Refusals:
    """What becomes of one kind of frames in serving; the gate of daylight sees those whose Sun is known."""

    kind: str  # a class, or what a frame that is no sky shows
    frames: int
    gated: float  # part refused by a gate
    refused: float  # part refused by a gate or by the distance
    reasons: tuple[tuple[str, int], ...]  # what the gates said, most frequent first


@dataclass(frozen=True, slots=True)
class UnknownReport:
    """Everything about frames that are no sky."""

    split: str  # what was held out, in words
    simulated: bool
    apart: bool  # no copy or neighbour of a learnt frame is judged
    known: int  # frames with a class
    strange: int
    units: int
    without_sun: int | None  # frames whose Sun is not known, which no gate of daylight sees; None without gates
    detections: tuple[Detection, ...]  # the bundle's own first
    refusals: tuple[Refusals, ...]  # classes first, then kinds
    threshold: float  # of the bundle's distance


Score = Callable[[NDArray[np.float32]], Array]
"""(N,D) embeddings to (N,) how strange they are."""


def unknown_report(judged: Judged, with_gates: bool = True) -> UnknownReport | None:
    """Compare the detectors, and count what gates and threshold refuse; None where every frame is a sky."""
    kinds = np.array(judged.subject.facts.kinds)
    strange = judged.answers.targets >= len(LABELS)
    if not strange.any() or strange.all():
        return None
    names = tuple(dict.fromkeys(kinds[strange].tolist()))
    rng = np.random.default_rng(0)
    drawn = [rng.choice(judged.answers.cameras.max() + 1, judged.answers.cameras.max() + 1) for _ in range(ROUNDS)]
    scores = [("the bundle's distance", judged.answers.distance)]
    scores += [("maximum softmax", 1 - judged.scores.max(axis=1))]
    if judged.bank is not None:
        rounded = judged.embeddings.astype(np.float16).astype(np.float32)
        scores += [(name, score(rounded)) for name, score in detectors(judged.bank)]
    origin = judged.subject.origin
    return UnknownReport(
        split=origin.split,
        simulated=origin.simulated,
        apart=origin.apart,
        known=int((~strange).sum()),
        strange=int(strange.sum()),
        units=len(np.unique(judged.answers.cameras)),
        without_sun=int(np.isnan(judged.subject.facts.conditions.sun).sum()) if with_gates else None,
        detections=tuple(_detection(n, s, strange, kinds, names, judged.answers.cameras, drawn) for n, s in scores),
        refusals=_refusals(judged, kinds, names),
        threshold=judged.bundle.head.threshold,
    )


def detectors(bank: Examples) -> list[tuple[str, Score]]:
    """Fit every detector that needs known embeddings."""
    x, classes = bank.rounded(), range(len(bank.labels))
    means = np.stack([x[bank.targets == k].mean(axis=0) for k in classes])
    residuals = x - means[bank.targets]
    found: list[tuple[str, Score]] = []
    for words, fit in (("empirical", EmpiricalCovariance), ("Ledoit-Wolf", LedoitWolf)):
        one = fit(assume_centered=True).fit(residuals).precision_
        each = [fit(assume_centered=True).fit(residuals[bank.targets == k]).precision_ for k in classes]
        found.append((f"Mahalanobis, one covariance, {words}", _nearest(means, [one] * len(means))))
        found.append((f"Mahalanobis, one a class, {words}", _nearest(means, each)))
    tied = LedoitWolf(assume_centered=True).fit(residuals).precision_
    everything = LedoitWolf().fit(x)
    near, far = _nearest(means, [tied] * len(means)), _nearest(x.mean(axis=0)[None], [everything.precision_])
    found.append(("relative Mahalanobis", lambda e: near(e) - far(e)))
    for k in NEIGHBOURS:
        if k < len(x):
            found.append((f"nearest neighbour, k = {k}", _neighbour(x, k)))
    return found


def _nearest(means: Array, precisions: Sequence[Array]) -> Score:
    def score(embeddings: NDArray[np.float32]) -> Array:
        off = [embeddings - mean for mean in means]
        squared = [np.einsum("nd,de,ne->n", o, p, o) for o, p in zip(off, precisions, strict=True)]
        nearest: Array = np.min(squared, axis=0)
        return nearest

    return score


def _neighbour(bank: Array, k: int) -> Score:
    index = NearestNeighbors(n_neighbors=k).fit(bank)

    def score(embeddings: NDArray[np.float32]) -> Array:
        distances: Array = index.kneighbors(embeddings)[0][:, -1]
        return distances

    return score


def _detection(
    name: str, scores: Array, strange: NDArray[np.bool_], kinds: NDArray[np.str_], names: tuple[str, ...],
    units: NDArray[np.intp], drawn: list[NDArray[np.intp]],
) -> Detection:  # fmt: skip
    known = scores[~strange]
    cells = [_cell(kind, known, scores[strange & (kinds == kind)]) for kind in names]
    members = [np.flatnonzero(units == unit) for unit in range(units.max() + 1)]
    rounds = []
    for draw in drawn:
        rows = np.concatenate([members[unit] for unit in draw])
        rounds.append(auroc(scores[rows][~strange[rows]], scores[rows][strange[rows]]))
    low, high = np.nanquantile(rounds, [0.025, 0.975])
    return Detection(name, (*cells, _cell(ALL, known, scores[strange])), float(low), float(high))


def _cell(kind: str, known: Array, strange: Array) -> Cell:
    limit = np.quantile(known, ACCEPTANCE)
    return Cell(kind, len(strange), auroc(known, strange), float((strange <= limit).mean()))


def _refusals(judged: Judged, kinds: NDArray[np.str_], names: tuple[str, ...]) -> tuple[Refusals, ...]:
    targets, said = judged.answers.targets, judged.answers.said
    gated = np.array([bool(reason) for reason in judged.gated])
    groups = [(label, targets == k) for k, label in enumerate(LABELS)]
    groups += [("all known", targets < len(LABELS))]
    groups += [(kind, (targets >= len(LABELS)) & (kinds == kind)) for kind in names]
    groups += [("all that is no sky", targets >= len(LABELS))]
    found = []
    for name, own in groups:
        if own.any():
            words = Counter(judged.gated[n].split(":")[0] for n in np.flatnonzero(own & gated))
            parts = float(gated[own].mean()), float((said[own] >= len(LABELS)).mean())
            found.append(Refusals(name, int(own.sum()), *parts, tuple(words.most_common())))
    return tuple(found)


def sun_words(without: int | None, frames: int) -> str:
    """Say how many frames the gate of daylight did not see; None: there were no gates."""
    if without is None:
        return "No gate was asked."
    if not without:
        return f"The gate of daylight knew the Sun's altitude of all {frames} frames."
    return (
        f"The gate of daylight did not see {without} of {frames} frames: where the Sun stood is not known of them. "
        "Serving refuses them by day, where it knows the camera's place."
    )


def unknown_tables(report: UnknownReport) -> str:
    """Give the comparison as Markdown."""
    kinds = report.detections[0].cells
    words = f"{report.split}{SIMULATED if report.simulated else ''}"
    first = (
        f"{words}: {report.strange} frames that are no sky against {report.known} that are, of {report.units} units; "
        "AUROC / part accepted where 95 % of the skies are (FPR95); no gates."
    )
    second = (
        f"Refused in serving, by a gate alone, and by a gate or a distance beyond {report.threshold:.2f}. "
        f"{sun_words(report.without_sun, report.known + report.strange)}"
    )
    lines = [
        *([] if report.apart else [LEAKS, ""]),
        first,
        "",
        f"| detector | {' | '.join(f'{c.kind} (n = {c.frames})' for c in kinds)} | interval of all |",
        f"|---{'|---' * (len(kinds) + 1)}|",
    ]
    for d in report.detections:
        cells = " | ".join(f"{c.auroc:.3f} / {c.fpr95:.2f}" for c in d.cells)
        lines.append(f"| {d.detector} | {cells} | {d.low:.3f}-{d.high:.3f} |")
    lines += [
        "",
        second,
        "",
        "| frames | n | by a gate | by either | what the gates said |",
        "|---|---|---|---|---|",
    ]
    for r in report.refusals:
        said = ", ".join(f"{word} {count}" for word, count in r.reasons)
        lines.append(f"| {r.kind} | {r.frames} | {100 * r.gated:.1f} % | {100 * r.refused:.1f} % | {said} |")
    return "\n".join(lines) + "\n"
