"""Heads against slow references, and what a person gets from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import softmax

from auroramon.heads import Clusters, Head, MahalanobisHead, RidgeHead

LABELS = ("arc", "cloudy", "moon")
WIDTH = 5


def stored(rng: np.random.Generator, count: int) -> np.ndarray:
    """Unit vectors that float16 holds exactly enough for a reference: rounded before they are used."""
    x = rng.normal(size=(count, WIDTH))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16).astype(np.float64)


def random_precision(rng: np.random.Generator) -> np.ndarray:
    root = rng.normal(size=(WIDTH, WIDTH))
    return root @ root.T + 0.1 * np.eye(WIDTH)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def tied(rng: np.random.Generator) -> Clusters:
    return Clusters(rng.normal(size=(3, WIDTH)), random_precision(rng))


@pytest.fixture(params=["tied", "class", "ridge"])
def head(request: pytest.FixtureRequest, rng: np.random.Generator, tied: Clusters) -> Head:
    if request.param == "ridge":
        coef, intercept = rng.normal(size=(3, WIDTH)), rng.normal(size=3)
        return RidgeHead(LABELS, coef, intercept, tied=tied, temperature=0.7, threshold=4.0)
    per_class = Clusters(tied.means, np.stack([random_precision(rng) for _ in LABELS]))
    clusters = tied if request.param == "tied" else per_class
    return MahalanobisHead(LABELS, clusters=clusters, tied=tied, temperature=2.5, threshold=4.0)


def reference_scores(head: Head, x: np.ndarray) -> np.ndarray:
    if isinstance(head, RidgeHead):
        return softmax((head.coef @ x + head.intercept) / head.temperature)
    precision = head.clusters.precision
    each = precision if precision.ndim == 3 else [precision] * 3
    d = np.array([mahalanobis(x, mean, p) for mean, p in zip(head.clusters.means, each, strict=True)])
    return softmax(-(d**2) / (2 * head.temperature))


def test_scores_and_distance_equal_the_slow_reference(head: Head, rng: np.random.Generator) -> None:
    x = stored(rng, 40)
    for row, said in zip(x, head.predict(x), strict=True):
        np.testing.assert_allclose(said.scores, reference_scores(head, row), rtol=1e-9, atol=1e-12)
        nearest = min(mahalanobis(row, mean, head.tied.precision) for mean in head.tied.means)
        assert said.distance == pytest.approx(nearest, rel=1e-9)
        assert said.confidence == max(said.scores)


def test_the_label_is_the_best_score_within_the_threshold_and_unknown_beyond(
    head: Head, rng: np.random.Generator
) -> None:
    near, far = 0, 0
    for said in head.predict(stored(rng, 200)):
        if said.distance <= head.threshold:
            near += 1
            assert said.label == LABELS[int(np.argmax(said.scores))]
            assert said.reason == ""
        else:
            far += 1
            assert said.label == "unknown"
            assert said.reason == f"distance {said.distance:.2f} is beyond 4.00"
            assert sum(said.scores) == pytest.approx(1)
    assert near > 0
    assert far > 0


@pytest.mark.parametrize("size", [1, 2, 3, 7, 31, 64])
def test_a_batch_gives_the_same_bits_as_single_frames(head: Head, rng: np.random.Generator, size: int) -> None:
    x = stored(rng, 64).astype(np.float32)
    together = head.judge(x)
    for start in range(0, 64, size):
        part = head.judge(x[start : start + size])
        np.testing.assert_array_equal(part.scores, together.scores[start : start + size])
        np.testing.assert_array_equal(part.distance, together.distance[start : start + size])


def test_a_fresh_embedding_and_the_stored_one_get_the_same_label(head: Head, rng: np.random.Generator) -> None:
    fresh = (stored(rng, 50) + rng.uniform(-1e-4, 1e-4, size=(50, WIDTH))).astype(np.float32)
    assert head.predict(fresh) == head.predict(fresh.astype(np.float16))


def test_no_embeddings_give_no_labels(head: Head) -> None:
    assert head.predict(np.zeros((0, WIDTH), dtype=np.float32)) == []


def test_an_embedding_that_is_no_number_is_unknown(head: Head) -> None:
    (said,) = head.predict(np.full((1, WIDTH), np.nan, dtype=np.float32))
    assert said.label == "unknown"


def test_the_wrong_width_is_refused(head: Head) -> None:
    with pytest.raises(ValueError, match=r"embeddings \(2, 4\) do not have the width 5"):
        head.predict(np.zeros((2, 4), dtype=np.float32))


def test_heads_that_make_no_sense_are_refused(tied: Clusters) -> None:
    with pytest.raises(ValueError, match="2 labels for 3 classes"):
        MahalanobisHead(("arc", "moon"), clusters=tied, tied=tied, temperature=1, threshold=1)
    with pytest.raises(ValueError, match="'unknown'"):
        MahalanobisHead(("arc", "moon", "unknown"), clusters=tied, tied=tied, temperature=1, threshold=1)
    with pytest.raises(ValueError, match="temperature 0"):
        MahalanobisHead(LABELS, clusters=tied, tied=tied, temperature=0, threshold=1)
    with pytest.raises(ValueError, match="coefficients"):
        RidgeHead(LABELS, np.zeros((2, WIDTH)), np.zeros(3), tied=tied, temperature=1, threshold=1)
    with pytest.raises(ValueError, match="not positive definite"):
        Clusters(np.zeros((3, WIDTH)), -np.eye(WIDTH))
    with pytest.raises(ValueError, match="does not fit"):
        Clusters(np.zeros((3, WIDTH)), np.eye(WIDTH + 1))
    with pytest.raises(ValueError, match="not finite"):
        Clusters(np.full((3, WIDTH), np.nan), np.eye(WIDTH))
