"""How far an embedding lies from the nearest border of a head: what it takes to get another label.

Everything is counted in units of the head's distance: in the space z = F^T x, F F^T being the inverse covariance that
all classes share, the distance to a class mean is a length. The border between two classes is where their logits are
equal. With one covariance for all classes, and with a ridge head, it is a plane in z, and the border of `unknown` is a
sphere about each mean: so no shift of z that is shorter than the room can change the label. With one covariance a class
the border is curved, and the room its distance to first order.

Like in heads.py, sums are taken in a fixed order, so that a batch of N gives exactly what N batches of one give.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.heads import Array, Head, MahalanobisHead, RidgeHead, columns_of, project, sum_of_squares


class Borders:
    """The borders of a head, between its classes and to `unknown`.

    Args:
        head: with K labels and embeddings of width D.
    """

    def __init__(self, head: Head) -> None:
        self._head = head
        # F^-T: a gradient by x, as a row, times it is the gradient by z.
        self._whitening = np.linalg.inv(np.linalg.cholesky(head.tied.precision)).T
        self._steep: Array | None = None  # (K,K) how fast a gap grows with distance; None where it depends on the place
        if isinstance(head, RidgeHead):
            self._steep = self._lengths_between(head.coef)
        elif head.clusters is head.tied:
            self._steep = self._lengths_between(head.tied.means @ head.tied.precision)

    def room(self, embeddings: NDArray[Any], said: NDArray[np.intp] | None = None) -> Array:
        """Give (N,) how far each of the (N,D) embeddings may move before the head no longer says a label.

        Args:
            embeddings: rounded as they are stored before anything else, as heads do.
            said: (N,) positions of labels, K for `unknown`; None for what the head says of them. The room is negative
                where the head says something else.
        """
        logits = self._head.logits(embeddings)
        beyond = self._distance(embeddings, logits) - self._head.threshold
        unknown = ~(beyond <= 0) if said is None else said == len(self._head.labels)
        chosen = logits.argmax(axis=1) if said is None else np.where(unknown, 0, said)
        rows = np.arange(len(logits))
        gaps = logits[rows, chosen][:, None] - logits
        steep = self._steepness(embeddings, chosen)
        lengths = np.divide(gaps, steep, out=np.full_like(gaps, np.inf), where=steep > 0)
        lengths[rows, chosen] = np.inf
        return np.where(unknown, beyond, np.minimum(lengths.min(axis=1), -beyond))

    def said(self, embeddings: NDArray[Any]) -> NDArray[np.intp]:
        """Give (N,) positions of the labels that the head gives (N,D) embeddings, K for `unknown`."""
        found = self._head.judge(embeddings)
        refused = found.refused(self._head.threshold)
        return np.where(refused, len(self._head.labels), found.scores.argmax(axis=1))

    def _distance(self, embeddings: NDArray[Any], logits: Array) -> Array:
        """Give (N,) the distance to the nearest class, of which the logits may be all that is needed."""
        head = self._head
        if isinstance(head, MahalanobisHead) and head.clusters is head.tied:
            squared = logits.T * -2
        else:
            squared = head.tied.squared_distances(columns_of(embeddings, head.width))
        return np.asarray(np.sqrt(squared.min(axis=0)))

    def _steepness(self, embeddings: NDArray[Any], chosen: NDArray[np.intp]) -> Array:
        """Give (N,K) how fast the gap to each class grows with distance."""
        if self._steep is not None:
            return np.asarray(self._steep[chosen])
        head = self._head
        assert isinstance(head, MahalanobisHead)  # noqa: S101 - the others have planes
        columns = columns_of(embeddings, head.width)
        pulls = np.stack([  # (K,D,N): the gradient of -d^2 / 2 by z, of each class
            project(np.ascontiguousarray(-p @ self._whitening), columns - mean[:, None])
            for p, mean in zip(head.clusters.precision, head.clusters.means, strict=True)
        ])  # fmt: skip
        apart = pulls[chosen, :, np.arange(len(chosen))][:, None] - pulls.transpose(2, 0, 1)  # (N,K,D)
        return _length(np.moveaxis(apart, 2, 0))

    def _lengths_between(self, gradients: Array) -> Array:
        """Give (K,K) the lengths by z of the differences of (K,D) gradients by x."""
        by_z = gradients @ self._whitening
        return _length(np.moveaxis(by_z[:, None] - by_z[None], 2, 0))


def _length(rows: Array) -> Array:
    """Give the root of the sum of squares over the first axis."""
    return np.asarray(np.sqrt(sum_of_squares(rows)))
