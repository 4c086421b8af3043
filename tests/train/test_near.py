"""How near is near: measured on frames that teach nothing else, and enough for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auroramon.borders import Borders
from tests.test_borders import Kind, some_head
from train.near import KEPT, measure_near, served

FRAMES = 1500


def two_graphs(seed: int, rounding: float) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings as float32 and int8 give them: some frames are rounded ten times as much as others."""
    rng = np.random.default_rng(seed)
    exact = rng.normal(size=(FRAMES, 5)).astype(np.float32)
    size = rounding * 10 ** rng.uniform(-0.5, 0.5, (FRAMES, 1))
    return exact, (exact + size * rng.normal(size=exact.shape)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(["tied", "ridge", "class"]), seed=st.integers(0, 10**6), rounding=st.floats(0, 0.3))
def test_so_many_calibration_frames_keep_the_label_of_float32(kind: Kind, seed: int, rounding: float) -> None:
    head, (exact, quick) = some_head(kind, seed), two_graphs(seed, rounding)
    near = measure_near(head, exact, quick)
    assert served(head, exact, quick, near).same.mean() >= KEPT


def test_on_other_frames_most_labels_that_int8_changes_come_back_at_the_price_of_a_few_frames() -> None:
    head = some_head("tied", 5)
    near = measure_near(head, *two_graphs(1, 0.01))
    exact, quick = two_graphs(2, 0.01)
    alone, found = served(head, exact, quick, -1.0), served(head, exact, quick, near)
    assert not alone.twice.any()
    assert alone.same.mean() < 0.998
    assert found.same.mean() >= KEPT
    assert 0.01 < found.twice.mean() < 0.1
    far = Borders(head).room(quick) > near
    np.testing.assert_array_equal(found.twice, ~far)


@pytest.mark.parametrize("kind", ["tied", "ridge", "class"])
def test_graphs_that_give_the_same_need_no_second_look(kind: Kind) -> None:
    exact, _ = two_graphs(1, 0)
    head = some_head(kind, 5)
    assert measure_near(head, exact, exact) == 0
    assert measure_near(head, exact[:1], exact[:1]) == 0
    assert not served(head, exact, exact, 0.0).twice.any()


def test_what_int8_makes_no_number_of_is_looked_at_again_whatever_is_measured() -> None:
    head, (exact, quick) = some_head("tied", 5), two_graphs(1, 0.01)
    near = measure_near(head, exact, quick)
    quick[7] = np.nan
    assert measure_near(head, exact, quick) <= near
    found = served(head, exact, quick, near)
    assert found.twice[7]
    assert found.same[7]


def test_the_largest_change_counts_where_there_are_few_frames() -> None:
    head, (exact, quick) = some_head("tied", 5), two_graphs(1, 0.05)
    few = measure_near(head, exact[:30], quick[:30])
    assert served(head, exact[:30], quick[:30], few).same.all()
