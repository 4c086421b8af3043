"""Heads and their calibration from embeddings: the only module that imports scikit-learn.

Training uses it for the first head of a model, a station for a new head on the embeddings it has stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import MissingPartError
from auroramon.heads import Array, Clusters, Head, MahalanobisHead, RidgeHead

Covariance = Literal["tied", "class"]

ACCEPTED = 0.99
"""Part of the held-out known frames that the default threshold accepts."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Embeddings whose label is known.

    Raises:
        ValueError: the arrays do not fit together.
    """

    embeddings: NDArray[Any]  # (N,D)
    targets: NDArray[np.intp]  # (N,) position in labels
    labels: tuple[str, ...]  # K

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or self.targets.shape != self.embeddings.shape[:1]:
            raise ValueError(f"{self.embeddings.shape} embeddings and {self.targets.shape} targets do not fit together")

    def rounded(self) -> Array:
        """Give the embeddings as a head will see them: float16, because they are stored so."""
        return self.embeddings.astype(np.float16).astype(np.float64)


def fit_mahalanobis(examples: Examples, covariance: Covariance) -> MahalanobisHead:
    """Fit class means and shrunk covariances (Ledoit & Wolf 2004); temperature 1 and no threshold yet.

    Raises:
        ValueError: a class has fewer than two examples.
        MissingPartError: scikit-learn is not installed.
    """
    tied = _fit_tied(examples)
    clusters = tied if covariance == "tied" else _fit_per_class(examples, tied.means)
    return MahalanobisHead(examples.labels, clusters=clusters, tied=tied, temperature=1.0, threshold=np.inf)


def fit_ridge(examples: Examples, alpha: float) -> RidgeHead:
    """Fit scikit-learn's RidgeClassifier; temperature 1 and no threshold yet.

    Raises:
        ValueError: a class has fewer than two examples.
        MissingPartError: scikit-learn is not installed.
    """
    tied = _fit_tied(examples)
    model = _scikit_learn("linear_model").RidgeClassifier(alpha=alpha)
    model.fit(examples.rounded(), examples.targets)
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    if len(examples.labels) == 2:  # scikit-learn keeps one score for two classes
        coef, intercept = np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
    return RidgeHead(examples.labels, coef, intercept, tied=tied, temperature=1.0, threshold=np.inf)


def calibrate(head: Head, held_out: Examples, accepted: float = ACCEPTED) -> Head:
    """Set temperature and threshold on frames that neither the network nor the head has seen.

    The temperature minimises the negative log likelihood (Guo et al. 2017, section 4.2); the threshold is the distance
    within which `accepted` of the frames lie.
    """
    return replace(head, temperature=fit_temperature(head, held_out), threshold=fit_threshold(head, held_out, accepted))


def fit_temperature(head: Head, held_out: Examples) -> float:
    """Give the temperature of least negative log likelihood, between 1/1000 and 1000.

    The likelihood is concave in 1/T, so it falls away from its one summit in log T as well: a golden section finds it.
    """
    logits = head.logits(held_out.embeddings)
    logits -= logits.max(axis=1, keepdims=True)
    right = logits[np.arange(len(logits)), held_out.targets]

    def loss(log_temperature: float) -> float:
        t = np.exp(log_temperature)
        return float(np.mean(np.log(np.exp(logits / t).sum(axis=1)) - right / t))

    return float(np.exp(_golden_section(loss, np.log(1e-3), np.log(1e3))))


def fit_threshold(head: Head, held_out: Examples, accepted: float) -> float:
    """Give the distance within which this part of the frames lies."""
    distance = head.judge(held_out.embeddings).distance
    return float(np.quantile(distance, accepted, method="higher"))


def _golden_section(loss: Callable[[float], float], low: float, high: float) -> float:
    """Give the place of the only minimum of a function, to 1e-5."""
    part = (np.sqrt(5) - 1) / 2
    left, right = high - part * (high - low), low + part * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-5:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - part * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + part * (high - low)
            at_right = loss(right)
    return (low + high) / 2


def _fit_tied(examples: Examples) -> Clusters:
    x, means = examples.rounded(), _class_means(examples)
    return Clusters(means, _shrunk_precision(x - means[examples.targets]))


def _fit_per_class(examples: Examples, means: Array) -> Clusters:
    x = examples.rounded()
    residuals = [x[examples.targets == k] - mean for k, mean in enumerate(means)]
    return Clusters(means, np.stack([_shrunk_precision(r) for r in residuals]))


def _class_means(examples: Examples) -> Array:
    x = examples.rounded()
    counts = np.bincount(examples.targets, minlength=len(examples.labels))
    for label, count in zip(examples.labels, counts, strict=True):
        if count < 2:
            raise ValueError(f"label '{label}' has {count} examples, at least 2 are needed")
    return np.stack([x[examples.targets == k].mean(axis=0) for k in range(len(examples.labels))])


def shrunk_covariance(residuals: Array) -> Array:
    """Give the (D,D) covariance of (N,D) deviations from means that are known (Ledoit & Wolf 2004).

    Raises:
        MissingPartError: scikit-learn is not installed.
    """
    return np.asarray(_scikit_learn("covariance").LedoitWolf(assume_centered=True).fit(residuals).covariance_)


def _shrunk_precision(residuals: Array) -> Array:
    model = _scikit_learn("covariance").LedoitWolf(assume_centered=True).fit(residuals)
    return np.asarray((model.precision_ + model.precision_.T) / 2, dtype=np.float64)


def _scikit_learn(part: Literal["covariance", "linear_model"]) -> Any:
    try:
        from sklearn import covariance, linear_model
    except ImportError as error:
        raise MissingPartError("fitting a head needs scikit-learn: pip install 'auroramon[refit]'") from error
    return {"covariance": covariance, "linear_model": linear_model}[part]
