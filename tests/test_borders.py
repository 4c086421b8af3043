"""How far an embedding may move before its label changes: no further, and not as far for nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auroramon.borders import Borders
from auroramon.heads import Clusters, Head, MahalanobisHead, RidgeHead
from auroramon.types import UNKNOWN

LABELS = ("arc", "cloudy", "moon")
WIDTH = 5
Kind = Literal["tied", "ridge", "class"]


def random_precision(rng: np.random.Generator) -> np.ndarray:
    root = rng.normal(size=(WIDTH, WIDTH))
    return root @ root.T + 0.1 * np.eye(WIDTH)


def some_head(kind: Kind, seed: int) -> Head:
    rng = np.random.default_rng(seed)
    tied = Clusters(rng.normal(size=(3, WIDTH)), random_precision(rng))
    if kind == "ridge":
        coef, intercept = rng.normal(size=(3, WIDTH)), rng.normal(size=3)
        return RidgeHead(LABELS, coef, intercept, tied=tied, temperature=0.7, threshold=2.5)
    each = Clusters(tied.means, np.stack([random_precision(rng) for _ in LABELS]))
    return MahalanobisHead(LABELS, tied if kind == "tied" else each, tied, temperature=2.5, threshold=2.5)


def stored(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=(count, WIDTH)).astype(np.float16).astype(np.float32)


def labels(head: Head, embeddings: np.ndarray) -> list[str]:
    return [one.label for one in head.predict(embeddings)]


@settings(deadline=None)
@given(kind=st.sampled_from(["tied", "ridge"]), seed=st.integers(0, 10**6), size=st.floats(0, 0.5))
def test_a_shift_shorter_than_the_room_changes_no_label(kind: Kind, seed: int, size: float) -> None:
    head, rng = some_head(kind, seed), np.random.default_rng(seed + 1)
    before = stored(rng, 30)
    after = (before + size * rng.normal(size=before.shape)).astype(np.float16).astype(np.float32)
    white = (after.astype(float) - before) @ np.linalg.cholesky(head.tied.precision)
    held = np.linalg.norm(white, axis=1) < Borders(head).room(before) * (1 - 1e-9) - 1e-9
    same = np.array(labels(head, before)) == np.array(labels(head, after))
    assert same[held].all()


def shifted(head: Head, embedding: np.ndarray, by: float) -> str:
    """Give the label at the end of the shift in z that changes it soonest, found by trying directions."""
    factor = np.linalg.inv(np.linalg.cholesky(head.tied.precision))
    turns = np.random.default_rng(0).normal(size=(20000, 2))
    turns *= by / np.linalg.norm(turns, axis=1, keepdims=True)
    said = set(labels(head, (embedding + turns @ factor).astype(np.float32)))
    return " ".join(sorted(said))


@pytest.mark.parametrize("kind", ["tied", "ridge", "class"])
def test_the_room_ends_where_the_label_does(kind: Kind) -> None:
    """On a plane, where all directions can be tried: two classes, one precision or two, and the edge of both."""
    tied = Clusters(np.array([[1.0, 0.0], [-1.0, 0.5]]), np.array([[40.0, 10.0], [10.0, 30.0]]))
    each = Clusters(tied.means, np.stack([tied.precision, tied.precision * 1.3]))
    rest = {"temperature": 1.0, "threshold": 7.0}
    head: Head = MahalanobisHead(LABELS[:2], tied if kind == "tied" else each, tied, **rest)
    if kind == "ridge":
        coef = np.array([[2.0, 1.0], [-1.0, 0.3]])
        head = RidgeHead(LABELS[:2], coef, np.array([0.1, -0.1]), tied=tied, **rest)
    near_border, near_edge, outside = np.array([0.1, 0.2]), np.array([1.9, 0.4]), np.array([2.4, 0.6])
    for place in (near_border, near_edge, outside):
        (room,) = Borders(head).room(place[None])
        (said,) = labels(head, place[None])
        part = 0.25 if kind == "class" else 0.02  # a curved border is measured to first order
        assert shifted(head, place, room * (1 - part)) == said
        assert shifted(head, place, room * (1 + part)) != said
    assert [labels(head, p[None])[0] == UNKNOWN for p in (near_border, near_edge, outside)] == [False, False, True]


@settings(deadline=None)
@given(kind=st.sampled_from(["tied", "ridge", "class"]), seed=st.integers(0, 10**6))
def test_the_room_of_a_label_is_negative_exactly_where_the_head_says_another(kind: Kind, seed: int) -> None:
    head, rng = some_head(kind, seed), np.random.default_rng(seed + 1)
    embeddings, borders = stored(rng, 30), Borders(some_head(kind, seed))
    said = borders.said(embeddings)
    assert [(*LABELS, UNKNOWN)[k] for k in said] == labels(head, embeddings)
    guessed = rng.integers(0, len(LABELS) + 1, 30)
    room = borders.room(embeddings, guessed)
    clear = np.abs(room) > 1e-9
    np.testing.assert_array_equal((room > 0)[clear], (guessed == said)[clear])
    np.testing.assert_array_equal(borders.room(embeddings, said), borders.room(embeddings))


@pytest.mark.parametrize("kind", ["tied", "ridge", "class"])
def test_a_batch_gives_the_bits_of_its_frames_one_by_one(kind: Kind) -> None:
    borders, embeddings = Borders(some_head(kind, 3)), stored(np.random.default_rng(4), 33)
    together = borders.room(embeddings)
    assert np.isfinite(together).all()
    for size in (1, 2, 7):
        parts = [borders.room(embeddings[k : k + size]) for k in range(0, len(embeddings), size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)
    assert borders.room(embeddings[:0]).shape == (0,)


@pytest.mark.parametrize("kind", ["tied", "ridge", "class"])
def test_what_is_no_number_has_no_room(kind: Kind) -> None:
    room = Borders(some_head(kind, 3)).room(np.array([[np.nan] * WIDTH, [0.1] * WIDTH]))
    assert np.isnan(room[0])
    assert np.isfinite(room[1])


def test_classes_that_lie_on_each_other_have_no_border() -> None:
    tied = Clusters(np.array([[0.5, 0.5], [0.5, 0.5]]), np.eye(2))
    head = MahalanobisHead(LABELS[:2], tied, tied, temperature=1.0, threshold=3.0)
    (room,) = Borders(head).room(np.array([[0.5, 1.5]]))
    assert room == pytest.approx(2.0)
