"""What changes from one model to another, counted from their labels of the same frames; every sum is checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from auroramon.errors import StoreError
from auroramon.store.comparison import Comparison, Judged, Transition
from auroramon.types import AURORA_LABELS

ROUNDS = 2000


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often two models say the same, in all or of one camera or night."""

    of: str  # camera or night; empty: all
    frames: int
    same: int
    aurora_a: int  # frames that A calls arc, diffuse or discrete
    aurora_b: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often two models say what a person says."""

    of: str  # which frames, in words
    frames: int
    nights: int  # of one camera each
    right_a: int
    right_b: int
    low: float  # 95 % interval of the difference B - A, part of the frames; NaN without frames
    high: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What changes from model A to model B."""

    a: str
    b: str
    labelled_a: int
    labelled_b: int
    all: Agreement  # of frames that both labelled
    labels: tuple[str, ...]  # those that occur, in the order of the models
    transitions: dict[tuple[str, str], int]  # (label of A, label of B) -> frames
    cameras: tuple[Agreement, ...]
    nights: tuple[Agreement, ...]
    accuracy: tuple[Accuracy, ...]  # on frames that people labelled, what leaks least first; empty without any


def changes(a: str, b: str, found: Comparison, order: Sequence[str], since: datetime) -> Changes:
    """Work out what changes.

    Args:
        a: name of the older model.
        b: name of the newer one.
        found: what the store counted.
        order: of labels.
        since: when the younger of both was made: no model was fitted on what people said later.

    Raises:
        StoreError: the sums do not agree: the database is damaged, or this program is wrong.
    """
    rows = found.transitions
    transitions: Counter[tuple[str, str]] = Counter()
    for row in rows:
        transitions[row.a, row.b] += row.frames
    used = {label for pair in transitions for label in pair}
    result = Changes(
        a=a,
        b=b,
        labelled_a=found.labelled.a,
        labelled_b=found.labelled.b,
        all=_agreement("", rows),
        labels=(*(label for label in order if label in used), *sorted(used - set(order))),
        transitions=dict(transitions),
        cameras=_by(rows, lambda row: row.camera),
        nights=_by(rows, lambda row: row.night.isoformat()),
        accuracy=_accuracies(found.judged, since),
    )
    _check_sums(result, found.labelled.both)
    return result


def _check_sums(found: Changes, both: int) -> None:
    sums = {
        "transitions": sum(found.transitions.values()),
        "cameras": sum(part.frames for part in found.cameras),
        "nights": sum(part.frames for part in found.nights),
    }
    for name, total in sums.items():
        if total != both:
            raise StoreError(f"{both} frames have labels of {found.a} and {found.b}, but the {name} add up to {total}")


def _by(rows: Iterable[Transition], key: Callable[[Transition], str]) -> tuple[Agreement, ...]:
    parts: dict[str, list[Transition]] = {}
    for row in rows:
        parts.setdefault(key(row), []).append(row)
    return tuple(_agreement(name, parts[name]) for name in sorted(parts))


def _agreement(of: str, rows: Iterable[Transition]) -> Agreement:
    frames = same = aurora_a = aurora_b = 0
    for row in rows:
        frames += row.frames
        same += row.frames * (row.a == row.b)
        aurora_a += row.frames * (row.a in AURORA_LABELS)
        aurora_b += row.frames * (row.b in AURORA_LABELS)
    return Agreement(of, frames, same, aurora_a, aurora_b)


def _accuracies(judged: Sequence[Judged], since: datetime) -> tuple[Accuracy, ...]:
    if not judged:
        return ()
    later = [row for row in judged if row.made > since]
    return (
        _accuracy("labelled by people after both models were made", later),
        _accuracy("labelled by people at any time (a model fitted on some of them looks better than it is)", judged),
    )


def _accuracy(of: str, judged: Sequence[Judged]) -> Accuracy:
    right_a, right_b = ([getattr(row, model) == row.human for row in judged] for model in "ab")
    nights = sorted({(row.camera, row.night) for row in judged})
    low = high = float("nan")
    if judged:
        place = {night: k for k, night in enumerate(nights)}
        which = np.array([place[row.camera, row.night] for row in judged])
        difference = np.array(right_b, dtype=float) - np.array(right_a, dtype=float)
        total, count = np.bincount(which, difference), np.bincount(which)
        drawn = np.random.default_rng(0).integers(len(count), size=(ROUNDS, len(count)))
        quantiles = np.quantile(total[drawn].sum(axis=1) / count[drawn].sum(axis=1), [0.025, 0.975])
        low, high = (float(quantile) for quantile in quantiles)
    return Accuracy(of, len(judged), len(nights), sum(right_a), sum(right_b), low, high)
