"""Moves a head to a station: a few labelled frames shift all classes together, and each class by itself a little.

The model behind it. A frame x of class k at a station lies about the class mean m_k of the parent, moved by what the
station's camera does to all frames (s) and to this class (d_k):

    x = m_k + s + d_k + e,    e ~ N(0, C),  s ~ N(0, C/a),  d_k ~ N(0, C/b)

with C the covariance within the classes. So a and b count in frames: a class with n labelled frames moves by the part
n / (n + b) of what its frames ask beyond s, and s itself is shrunk by a. Where nothing is labelled, nothing moves but
s; with more and more labels the means become those of the station. C takes some of the shape of the covariance
of the labelled frames, which weigh as many frames as they are against `COVARIANCE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auroramon.fit import Examples, shrunk_covariance
from auroramon.heads import Array, Clusters, Head, MahalanobisHead

SHARED = 5.0
"""a: how many labelled frames weigh as much as the belief that this camera shifts nothing."""

OWN = 10.0
"""b: the same for the shift of one class against the others."""

COVARIANCE = 1000.0
"""Frames that the parent's covariance counts as."""

ALIKE = 0.5
"""Correlation of labelled frames of one class and night: ten neighbours say no more than two strangers would."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Frames that a person labelled, as the network sees them."""

    examples: Examples  # its labels: those of the parent, then new ones
    groups: NDArray[np.intp]  # (N,) number of the camera and night

    def part(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Labelled:
        """Give some of them."""
        known = self.examples
        some = Examples(known.embeddings[chosen], known.targets[chosen], known.labels)
        return Labelled(some, self.groups[chosen])

    def only(self, classes: Sequence[int]) -> Labelled:
        """Give the same frames with these classes alone, numbered anew; no frame may be of another class."""
        known = self.examples
        number = {k: place for place, k in enumerate(classes)}
        targets = np.array([number[k] for k in known.targets.tolist()], dtype=np.intp)
        return Labelled(Examples(known.embeddings, targets, tuple(known.labels[k] for k in classes)), self.groups)

    def weights(self) -> Array:
        """Give (N,) what each frame counts: m alike frames count as m / (1 + (m - 1) ALIKE) (Kish's design effect)."""
        pairs = np.stack([self.groups, self.examples.targets], axis=1)
        _, which, sizes = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
        return np.asarray(1 / (1 + (sizes[which.ravel()] - 1) * ALIKE))


def adapt(parent: Head, labelled: Labelled) -> MahalanobisHead:
    """Give the parent's head, moved to where the labelled frames are; temperature and threshold stay.

    A ridge head gives a Mahalanobis head with its means and covariance. A new class has the mean of its frames.

    Raises:
        ValueError: a new class has no frame.
        MissingPartError: scikit-learn is not installed.
    """
    known = labelled.examples
    x, weights, old = known.rounded(), labelled.weights(), len(parent.labels)
    means = np.concatenate([parent.tied.means, _new_means(x, weights, known, old)])
    centred = x - means[known.targets]
    member = np.eye(len(known.labels))[known.targets] * weights[:, None]
    counts, sums = member.sum(axis=0), member.T @ centred
    moved = means + _shifts(counts[:old], sums[:old], len(known.labels))
    tied = Clusters(moved, _mixed_precision(parent.tied.precision, x - moved[known.targets], weights.sum()))
    clusters = tied
    if isinstance(parent, MahalanobisHead) and parent.clusters is not parent.tied:
        fresh = np.repeat(parent.tied.precision[None], len(known.labels) - old, axis=0)
        clusters = Clusters(moved, np.concatenate([parent.clusters.precision, fresh]))
    return MahalanobisHead(
        known.labels, clusters=clusters, tied=tied, temperature=parent.temperature, threshold=parent.threshold
    )


def _new_means(x: Array, weights: Array, known: Examples, old: int) -> Array:
    """Give the means of the classes that the parent does not have."""
    found = []
    for k in range(old, len(known.labels)):
        own = known.targets == k
        if not own.any():
            raise ValueError(f"the new class '{known.labels[k]}' has no frame")
        found.append(np.average(x[own], axis=0, weights=weights[own]))
    return np.array(found).reshape(len(found), x.shape[1])


def _shifts(counts: Array, sums: Array, classes: int) -> Array:
    """Give (classes,D) s + d_k, from the (K,) counts and (K,D) sums of x - m_k; a new class has nothing to be moved by.

    Both are posterior means. The mean residual r_k of n frames is N(s, C/b + C/n), so it tells of s with the weight
    w_k = n b / (n + b), and s = sum w_k r_k / (a + sum w_k); then d_k = n / (n + b) (r_k - s).
    """
    r = sums / np.maximum(counts, 1e-12)[:, None]
    w = counts * OWN / (counts + OWN)
    s = (w[:, None] * r).sum(axis=0) / (SHARED + w.sum())
    d = (counts / (counts + OWN))[:, None] * (r - s)
    shifts = np.zeros((classes, sums.shape[1]))
    shifts[: len(counts)] = s + d
    return shifts


def _mixed_precision(parent: Array, residuals: Array, n: float) -> Array:
    """Give the precision of parent and labelled frames together, which count as n.

    Only its shape is learned: its size stays such that the labelled frames lie as far away as before, because few
    frames, and those a person picked for being hard, must move neither confidence nor threshold.
    """
    if len(residuals) < 2 or not residuals.any():
        return parent
    covariance = (COVARIANCE * np.linalg.inv(parent) + n * shrunk_covariance(residuals)) / (COVARIANCE + n)
    precision = np.linalg.inv(covariance)
    before, after = (np.einsum("nd,de,ne->", residuals, p, residuals) for p in (parent, precision))
    return np.asarray((precision + precision.T) / 2 * (before / after))
