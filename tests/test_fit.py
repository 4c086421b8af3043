"""Fitted heads against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import RidgeClassifier

from auroramon.fit import Examples, calibrate, fit_mahalanobis, fit_ridge, fit_temperature
from auroramon.heads import Head

LABELS = ("arc", "cloudy", "moon")


def examples(seed: int, count: int = 300, spread: float = 0.4, labels: tuple[str, ...] = LABELS) -> Examples:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, len(labels), count)
    x = 0.5 * np.eye(6)[targets] + rng.normal(size=(count, 6)) * spread * np.linspace(0.2, 1, 6)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Examples(x.astype(np.float16), targets, labels)


def test_tied_mahalanobis_is_ledoit_wolf_on_what_is_left_after_the_class_means() -> None:
    known = examples(1)
    head = fit_mahalanobis(known, "tied")
    x = known.embeddings.astype(np.float64)
    means = np.stack([x[known.targets == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(head.tied.means, means)
    covariance = LedoitWolf(assume_centered=True).fit(x - means[known.targets]).covariance_
    np.testing.assert_allclose(head.tied.precision, np.linalg.inv(covariance), rtol=1e-6)
    assert head.clusters is head.tied


def test_per_class_mahalanobis_keeps_the_tied_distance() -> None:
    known = examples(1)
    head = fit_mahalanobis(known, "class")
    assert head.clusters.precision.shape == (3, 6, 6)
    np.testing.assert_array_equal(
        head.judge(known.embeddings).distance, fit_mahalanobis(known, "tied").judge(known.embeddings).distance
    )


@pytest.mark.parametrize("labels", [LABELS, ("arc", "cloudy")])
def test_ridge_labels_as_scikit_learn_does(labels: tuple[str, ...]) -> None:
    known, new = examples(1, labels=labels), examples(2, labels=labels)
    head = fit_ridge(known, alpha=0.5)
    model = RidgeClassifier(alpha=0.5).fit(known.embeddings.astype(np.float64), known.targets)
    assert [c.label for c in head.predict(new.embeddings)] == [
        labels[k] for k in model.predict(new.embeddings.astype(np.float64))
    ]


@pytest.mark.parametrize("head", [fit_mahalanobis(examples(1), "tied"), fit_ridge(examples(1), 1.0)])
def test_the_temperature_is_where_the_likelihood_is_best(head: Head) -> None:
    held_out = examples(3, spread=0.8)
    logits = head.logits(held_out.embeddings)

    def loss(log_t: float) -> float:
        z = logits / np.exp(log_t)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        return -float(z[np.arange(len(z)), held_out.targets].mean())

    best = minimize_scalar(loss, bounds=(-6, 6), method="bounded", options={"xatol": 1e-6})
    assert np.log(fit_temperature(head, held_out)) == pytest.approx(best.x, abs=1e-3)


def test_calibrated_heads_accept_the_asked_part_of_the_held_out_frames() -> None:
    held_out = examples(4, count=1000)
    head = calibrate(fit_mahalanobis(examples(1), "tied"), held_out)
    accepted = sum(said.label != "unknown" for said in head.predict(held_out.embeddings))
    assert 990 <= accepted < 1000


def test_a_label_without_examples_is_named() -> None:
    known = Examples(np.eye(6)[:4], np.array([0, 0, 1, 1]), LABELS)
    with pytest.raises(ValueError, match="label 'moon' has 0 examples"):
        fit_mahalanobis(known, "tied")
    with pytest.raises(ValueError, match="label 'moon' has 0 examples"):
        fit_ridge(known, 1.0)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        Examples(np.eye(6), np.zeros(5, dtype=np.intp), LABELS)
