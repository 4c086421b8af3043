"""Which frames a person should label next: those from which a model would learn most.

Useful is a frame of which the model is not sure (its two best classes are close: margin sampling, Scheffer et al. 2001)
or which lies far from all classes (a form, a camera or a fault that it does not know). Frames of one minute are alike,
so the list is built one by one, each time with the frame that is useful and unlike those listed or labelled before
(farthest-first, Gonzalez 1985, weighted by usefulness). No dice: the same database gives the same list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auroramon.store.candidates import Candidates
from auroramon.store.results import FrameKey

Array = NDArray[np.float64]
Why = Literal["uncertain", "novel", "diverse"]

POOL = 20_000
"""The most useful frames of an archive that are compared with each other."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A frame to be labelled."""

    key: FrameKey
    best: int  # place of the best class in the scores
    second: int
    confidence: float  # score of the best class, 0..1
    distance: float  # to the nearest class
    why: Why  # what counted most: a small margin, a large distance, or that it is unlike all before it


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """Frames in the order of their keys."""

    keys: tuple[FrameKey, ...]  # N
    scores: Array  # (N,K)
    distances: Array  # (N,)
    vectors: Array  # (N,D)

    def useful(self, threshold: float) -> Array:
        """Give (N,) usefulness, 0 to 2: what is unsure or far counts most, and nothing counts 0."""
        return 0.05 + np.maximum(self.doubt(), self.strangeness(threshold))

    def doubt(self) -> Array:
        """Give (N,) 1 where two classes score alike, 0 where one has it all."""
        two = np.sort(self.scores, axis=1)[:, -2:]
        return np.asarray(1 - (two[:, 1] - two[:, 0]))

    def strangeness(self, threshold: float) -> Array:
        """Give (N,) 1 at the threshold and beyond, falling fast within it."""
        return np.asarray(np.minimum(self.distances / threshold, 1.0) ** 4)

    def part(self, places: NDArray[np.intp]) -> _Pool:
        keys = tuple(self.keys[place] for place in places.tolist())
        return _Pool(keys, self.scores[places], self.distances[places], self.vectors[places])


def choose(
    found: Iterable[Candidates], labelled: NDArray[np.float16], threshold: float, count: int, pool: int = POOL
) -> list[Queued]:
    """Give the frames to label next, the most useful first.

    Args:
        found: frames that nobody has labelled, in the order of their keys.
        labelled: (M,D) embeddings of frames that a person has labelled; M may be 0.
        threshold: distance beyond which the model says `unknown`.
        count: how many.
        pool: how many of the most useful are compared with each other.
    """
    best: _Pool | None = None
    for some in found:
        best = _best(_joined(best, some), threshold, pool)
    return [] if best is None else _spread(best, labelled.astype(np.float64), threshold, count)


def _joined(before: _Pool | None, some: Candidates) -> _Pool:
    scores, distances, vectors = some.scores.astype(np.float64), some.distances, some.vectors.astype(np.float64)
    if before is None:
        return _Pool(tuple(some.keys), scores, distances, vectors)
    return _Pool(
        (*before.keys, *some.keys),
        np.concatenate([before.scores, scores]),
        np.concatenate([before.distances, distances]),
        np.concatenate([before.vectors, vectors]),
    )


def _best(pool: _Pool, threshold: float, most: int) -> _Pool:
    """Keep the most useful, in the order of their keys; of equals the earlier."""
    if len(pool.keys) <= most:
        return pool
    return pool.part(np.sort(np.argsort(-pool.useful(threshold), kind="stable")[:most]))


def _spread(pool: _Pool, labelled: Array, threshold: float, count: int) -> list[Queued]:
    """Take one frame after the other: useful, and far from those taken and labelled."""
    useful = pool.useful(threshold)
    away = np.full(len(useful), 2.0)  # distance of unit vectors to the nearest taken or labelled; 2 is opposite
    for vector in labelled:
        away = np.minimum(away, np.linalg.norm(pool.vectors - vector, axis=1))
    taken: list[Queued] = []
    left = np.ones(len(useful), dtype=bool)
    for _ in range(min(count, len(useful))):
        place = int(np.argmax(np.where(left, useful * away, -1.0)))  # of equals the earlier
        taken.append(_queued(pool, place, threshold))
        left[place] = False
        away = np.minimum(away, np.linalg.norm(pool.vectors - pool.vectors[place], axis=1))
    return taken


def _queued(pool: _Pool, place: int, threshold: float) -> Queued:
    order = np.argsort(-pool.scores[place], kind="stable")
    doubt, strange = float(pool.doubt()[place]), float(pool.strangeness(threshold)[place])
    why: Why = "diverse" if max(doubt, strange) < 0.5 else "novel" if strange >= doubt else "uncertain"
    best, second = int(order[0]), int(order[1]) if len(order) > 1 else int(order[0])
    confidence = float(pool.scores[place, best])
    return Queued(pool.keys[place], best, second, confidence, float(pool.distances[place]), why)
