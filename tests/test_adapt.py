"""A moved head: nothing moves without labels, everything with many, and a few cannot do harm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from auroramon.adapt import OWN, SHARED, Labelled, adapt
from auroramon.fit import Examples
from auroramon.heads import Clusters, MahalanobisHead, RidgeHead

LABELS = ("arc", "cloudy", "moon")
WIDTH = 5
MEANS = np.eye(3, WIDTH)
PRECISION = np.diag([40.0, 30, 20, 50, 60])


def parent(per_class: bool = False) -> MahalanobisHead:
    tied = Clusters(MEANS, PRECISION)
    clusters = Clusters(MEANS, np.stack([PRECISION * k for k in (1, 2, 3)])) if per_class else tied
    return MahalanobisHead(LABELS, clusters, tied, temperature=1.5, threshold=4.0)


def frames(
    counts: tuple[int, ...], shift: NDArray[np.float64], seed: int = 0, labels: tuple[str, ...] = LABELS
) -> Labelled:
    """Give frames of each class, each of a night of its own, scattered as the parent expects about shifted means."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(counts)), counts)
    means = np.concatenate([MEANS, np.full((1, WIDTH), 0.5)])
    x = means[targets] + shift + rng.standard_normal((len(targets), WIDTH)) / np.sqrt(np.diag(PRECISION))
    return Labelled(Examples(x.astype(np.float16), targets, labels), np.arange(len(targets)))


def test_the_means_are_where_the_model_behind_it_expects_them() -> None:
    """Against the posterior mean of the whole linear Gaussian model, solved at once."""
    labelled = frames((4, 7, 0), np.array([0.2, -0.1, 0, 0, 0.1]))
    x, targets = labelled.examples.rounded(), labelled.examples.targets
    # Unknowns s, d_0, d_1, d_2 in units of C: precision a for s, b for each d, 1 for each frame.
    design = np.zeros((len(x), 4))
    design[:, 0] = 1
    design[np.arange(len(x)), 1 + targets] = 1
    prior = np.diag([SHARED, OWN, OWN, OWN])
    solved = np.linalg.solve(design.T @ design + prior, design.T @ (x - MEANS[targets]))
    head = adapt(parent(), labelled)
    np.testing.assert_allclose(head.tied.means, MEANS + solved[0] + solved[1:], atol=1e-9)


def test_a_class_without_labels_moves_with_the_others_and_by_nothing_else() -> None:
    shift = np.array([0.3, 0.3, 0, 0, 0])
    head = adapt(parent(), frames((200, 200, 0), shift))
    moved = head.tied.means - MEANS
    np.testing.assert_allclose(moved[:2], [shift, shift], atol=0.06)
    np.testing.assert_allclose(moved[2], 0.8 * shift, atol=0.06)


def test_few_labels_move_little() -> None:
    head = adapt(parent(), frames((1, 0, 0), np.full(WIDTH, 1.0)))
    assert np.abs(head.tied.means[1:] - MEANS[1:]).max() < 0.3
    assert (head.temperature, head.threshold) == (1.5, 4.0)


def test_frames_of_one_night_count_less_than_frames_of_many() -> None:
    apart = frames((10, 10, 10), np.full(WIDTH, 0.3))
    together = Labelled(apart.examples, np.zeros(30, dtype=np.intp))
    assert apart.weights().sum() == 30
    assert together.weights().sum() == pytest.approx(30 / 5.5)
    moved = [np.linalg.norm(adapt(parent(), some).tied.means - MEANS) for some in (together, apart)]
    assert moved[0] < moved[1]


def test_a_new_class_is_where_its_frames_are() -> None:
    labels = (*LABELS, "frost")
    labelled = frames((3, 3, 3, 30), np.zeros(WIDTH), labels=labels)
    head = adapt(parent(), labelled)
    assert head.labels == labels
    np.testing.assert_allclose(head.tied.means[3], np.full(WIDTH, 0.5), atol=0.12)
    (said,) = head.predict(np.full((1, WIDTH), 0.5))
    assert said.label == "frost"


def test_a_new_class_without_frames_is_refused() -> None:
    labelled = frames((3, 3, 3), np.zeros(WIDTH), labels=(*LABELS, "frost"))
    with pytest.raises(ValueError, match="'frost' has no frame"):
        adapt(parent(), labelled)


def test_covariances_of_single_classes_stay_and_a_new_class_gets_the_shared_one() -> None:
    labels = (*LABELS, "frost")
    head = adapt(parent(per_class=True), frames((5, 5, 5, 5), np.zeros(WIDTH), labels=labels))
    np.testing.assert_allclose(head.clusters.precision[1], 2 * PRECISION)
    np.testing.assert_allclose(head.clusters.precision[3], PRECISION)
    np.testing.assert_array_equal(head.clusters.means, head.tied.means)


def test_a_ridge_head_becomes_one_of_distances() -> None:
    ridge = RidgeHead(LABELS, np.eye(3, WIDTH), np.zeros(3), Clusters(MEANS, PRECISION), temperature=1, threshold=3)
    assert isinstance(adapt(ridge, frames((5, 5, 5), np.zeros(WIDTH))), MahalanobisHead)


def test_the_size_of_the_scatter_stays_so_that_the_threshold_keeps_its_meaning() -> None:
    labelled = frames((300, 300, 300), np.zeros(WIDTH))
    narrow = Examples(
        ((labelled.examples.rounded() - MEANS[labelled.examples.targets]) * 0.3 + MEANS[labelled.examples.targets]),
        labelled.examples.targets,
        LABELS,
    )
    head = adapt(parent(), Labelled(narrow, labelled.groups))
    before, after = (h.judge(narrow.embeddings).distance.mean() for h in (parent(), head))
    assert after == pytest.approx(before, rel=0.1)


@given(st.tuples(*[st.integers(0, 3)] * 3).filter(any), st.integers(0, 2**32 - 1))
def test_labels_that_agree_with_the_parent_hardly_move_its_borders(counts: tuple[int, ...], seed: int) -> None:
    judged = frames((40, 40, 40), np.zeros(WIDTH), seed=1)
    head = adapt(parent(), frames(counts, np.zeros(WIDTH), seed))
    said = head.judge(judged.examples.embeddings).scores.argmax(axis=1)
    assert (said == judged.examples.targets).mean() > 0.97
