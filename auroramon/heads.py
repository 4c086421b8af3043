"""From embeddings to labels: the Mahalanobis and the ridge head, in NumPy and nothing else.

Both follow Endo & Matsumoto 2022 (Sensors 22, 6666, section 3): a distance to class means, or linear scores on the
embedding. Embeddings are rounded to float16 first, because that is how they are stored: a head then says the same of
a frame whether it comes from the network or, years later, from the database. Sums are taken element by element in a
fixed order (never by BLAS), so that a batch of N gives exactly what N batches of one give.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.types import UNKNOWN, Classification

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """One Gaussian per class.

    Raises:
        ValueError: the shapes do not fit, a value is not finite, or a precision is not positive definite.
    """

    means: Array  # (K,D)
    precision: Array  # inverse covariance: (D,D) shared by all classes, or (K,D,D)
    _factor: Array = field(init=False, repr=False)  # (1 or K, D, D): F with F F^T = precision
    _centres: Array | None = field(init=False, repr=False)  # (E,K) F^T of the means; None where each class has its F

    def __post_init__(self) -> None:
        classes, width = self.means.shape
        if self.precision.shape not in {(width, width), (classes, width, width)}:
            raise ValueError(f"precision {self.precision.shape} does not fit {classes} means of width {width}")
        if not (np.isfinite(self.means).all() and np.isfinite(self.precision).all()):
            raise ValueError("a mean or precision is not finite")
        try:
            factor = np.linalg.cholesky(self.precision.reshape(-1, width, width))
        except np.linalg.LinAlgError as error:
            raise ValueError("a precision is not positive definite") from error
        shared = len(factor) == 1
        centres = project(factor[0], np.ascontiguousarray(self.means.T)) if shared else None
        object.__setattr__(self, "_factor", factor)
        object.__setattr__(self, "_centres", centres)

    def squared_distances(self, columns: Array) -> Array:
        """Give (K,N) squared Mahalanobis distances of (D,N) embeddings to each mean."""
        if self._centres is not None:
            white = project(self._factor[0], columns)
            return sum_of_squares(white[:, None, :] - self._centres[:, :, None])
        per_class = [
            sum_of_squares(project(factor, columns - mean[:, None]))
            for factor, mean in zip(self._factor, self.means, strict=True)
        ]
        return np.stack(per_class)


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a head finds in N embeddings, as arrays."""

    scores: Array  # (N,K) calibrated probabilities
    distance: Array  # (N,) Mahalanobis distance to the nearest class

    def refused(self, threshold: float) -> NDArray[np.bool_]:
        """Say of each of the N which is `unknown`: what is too far from every class, or no number at all."""
        return ~(self.distance <= threshold)


@dataclass(frozen=True, slots=True, eq=False)
class MahalanobisHead:
    """The class whose mean is nearest, in units of the spread of the classes."""

    labels: tuple[str, ...]  # K
    clusters: Clusters  # what the scores come from: tied or per class
    tied: Clusters  # what the distance comes from; the same object where the scores are tied
    temperature: float  # divides -d^2 / 2
    threshold: float  # distance beyond which a frame is `unknown`

    def __post_init__(self) -> None:
        _check_head(self.labels, self.tied, self.temperature, self.threshold)
        if self.clusters.means.shape != self.tied.means.shape:
            raise ValueError("the two sets of class means differ in shape")

    @property
    def width(self) -> int:
        """D, the length of an embedding."""
        return int(self.tied.means.shape[1])

    def logits(self, embeddings: NDArray[Any]) -> Array:
        """Give (N,K) -d^2 / 2 of (N,D) embeddings: what the temperature divides."""
        return self.clusters.squared_distances(columns_of(embeddings, self.width)).T / -2

    def judge(self, embeddings: NDArray[Any]) -> Judgement:
        """Give scores and distances of (N,D) embeddings.

        Raises:
            ValueError: the embeddings do not have this head's width.
        """
        columns = columns_of(embeddings, self.width)
        squared = self.clusters.squared_distances(columns)
        tied = squared if self.clusters is self.tied else self.tied.squared_distances(columns)
        return Judgement(_softmax(squared / (-2 * self.temperature)), np.sqrt(tied.min(axis=0)))

    def predict(self, embeddings: NDArray[Any]) -> list[Classification]:
        """Give the label of each of the (N,D) embeddings; `unknown` beyond the threshold, scores kept."""
        return _classify(self.judge(embeddings), self.labels, self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class RidgeHead:
    """Linear scores, as scikit-learn's RidgeClassifier finds them."""

    labels: tuple[str, ...]  # K
    coef: Array  # (K,D)
    intercept: Array  # (K,)
    tied: Clusters  # what the distance comes from
    temperature: float  # divides the scores
    threshold: float  # distance beyond which a frame is `unknown`

    def __post_init__(self) -> None:
        _check_head(self.labels, self.tied, self.temperature, self.threshold)
        if self.coef.shape != self.tied.means.shape or self.intercept.shape != self.coef.shape[:1]:
            raise ValueError(f"coefficients {self.coef.shape} do not fit {len(self.labels)} labels")
        if not (np.isfinite(self.coef).all() and np.isfinite(self.intercept).all()):
            raise ValueError("a coefficient is not finite")

    @property
    def width(self) -> int:
        """D, the length of an embedding."""
        return int(self.coef.shape[1])

    def logits(self, embeddings: NDArray[Any]) -> Array:
        """Give the (N,K) linear scores of (N,D) embeddings: what the temperature divides."""
        return self._linear(columns_of(embeddings, self.width)).T

    def _linear(self, columns: Array) -> Array:
        return project(np.ascontiguousarray(self.coef.T), columns) + self.intercept[:, None]

    def judge(self, embeddings: NDArray[Any]) -> Judgement:
        """Give scores and distances of (N,D) embeddings.

        Raises:
            ValueError: the embeddings do not have this head's width.
        """
        columns = columns_of(embeddings, self.width)
        linear = self._linear(columns)
        distance = np.sqrt(self.tied.squared_distances(columns).min(axis=0))
        return Judgement(_softmax(linear / self.temperature), distance)

    def predict(self, embeddings: NDArray[Any]) -> list[Classification]:
        """Give the label of each of the (N,D) embeddings; `unknown` beyond the threshold, scores kept."""
        return _classify(self.judge(embeddings), self.labels, self.threshold)


Head = MahalanobisHead | RidgeHead


def _check_head(labels: tuple[str, ...], tied: Clusters, temperature: float, threshold: float) -> None:
    if len(set(labels)) != len(labels) or UNKNOWN in labels or len(labels) != tied.means.shape[0]:
        raise ValueError(f"{len(labels)} labels for {tied.means.shape[0]} classes, or a label twice, or '{UNKNOWN}'")
    if tied.precision.ndim != 2:
        raise ValueError("the distance needs one precision shared by all classes")
    if not (np.isfinite(temperature) and temperature > 0 and threshold > 0):
        raise ValueError(f"temperature {temperature} and threshold {threshold} must be positive")


def columns_of(embeddings: NDArray[Any], width: int) -> Array:
    """Give (D,N) float64 of (N,D) embeddings, rounded as they are stored."""
    if embeddings.ndim != 2 or embeddings.shape[1] != width:
        raise ValueError(f"embeddings {embeddings.shape} do not have the width {width} of the head")
    return np.ascontiguousarray(embeddings.astype(np.float16).T, dtype=np.float64)


def project(matrix: Array, columns: Array) -> Array:
    """Give matrix^T columns, summed in the order of D whatever N is: (D,E) and (D,N) to (E,N)."""
    total = np.zeros((matrix.shape[1], columns.shape[1]))
    for row, column in zip(matrix, columns, strict=True):
        total += row[:, None] * column[None, :]
    return total


def sum_of_squares(rows: Array) -> Array:
    """Sum the squares over the first axis, in its order."""
    total = np.zeros(rows.shape[1:])
    for row in rows:
        total += row * row
    return total


def _softmax(logits: Array) -> Array:
    """Give the (N,K) softmax of (K,N) logits."""
    power = np.exp(logits - logits.max(axis=0))
    total = np.zeros(power.shape[1])
    for row in power:
        total += row
    return np.ascontiguousarray((power / total).T)


def refusal(distance: float, threshold: float) -> str:
    """Say why a frame is `unknown`."""
    return f"distance {distance:.2f} is beyond {threshold:.2f}"


def _classify(found: Judgement, labels: tuple[str, ...], threshold: float) -> list[Classification]:
    best = found.scores.argmax(axis=1).tolist()
    rows, distances = found.scores.tolist(), found.distance.tolist()
    result = []
    for row, k, distance, refused in zip(rows, best, distances, found.refused(threshold).tolist(), strict=True):
        label, reason = (UNKNOWN, refusal(distance, threshold)) if refused else (labels[k], "")
        result.append(Classification(label, row[k], tuple(row), distance, reason))
    return result
