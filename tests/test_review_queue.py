"""What to label next: the doubtful, the strange and the new, and each only once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from auroramon.review_queue import Queued, choose
from auroramon.store.candidates import Candidates
from auroramon.store.results import FrameKey

SURE, TORN = (0.98, 0.01, 0.01), (0.49, 0.48, 0.03)
NOTHING = np.zeros((0, 4), dtype=np.float16)


def unit(*values: float) -> NDArray[np.float64]:
    vector = np.array(values, dtype=float)
    return vector / np.linalg.norm(vector)


def frames(*rows: tuple[tuple[float, ...], float, NDArray[np.float64]], first: int = 0) -> Candidates:
    return Candidates(
        [FrameKey(first + k, 0) for k in range(len(rows))],
        np.array([row[0] for row in rows], dtype=np.float16),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows], dtype=np.float16),
    )


def places(chosen: list[Queued]) -> list[int]:
    return [one.key.file_id for one in chosen]


def test_doubtful_and_strange_frames_come_before_sure_ones() -> None:
    found = frames(
        (SURE, 1.0, unit(1, 0, 0, 0)), (TORN, 1.0, unit(0, 1, 0, 0)), (SURE, 9.0, unit(0, 0, 1, 0)),
        (SURE, 1.0, unit(0, 0, 0, 1)),
    )  # fmt: skip
    chosen = choose([found], NOTHING, threshold=5.0, count=4)
    assert set(places(chosen)[:2]) == {1, 2}
    why = {one.key.file_id: one.why for one in chosen}
    assert why == {1: "uncertain", 2: "novel", 0: "diverse", 3: "diverse"}
    torn = next(one for one in chosen if one.key.file_id == 1)
    assert (torn.best, torn.second, torn.distance) == (0, 1, 1.0)
    assert torn.confidence == pytest.approx(0.49, abs=1e-3)


def test_neighbours_of_what_is_listed_or_labelled_wait() -> None:
    alike = unit(1, 0.01, 0, 0)
    found = frames((TORN, 1.0, unit(1, 0, 0, 0)), (TORN, 1.0, alike), (TORN, 1.0, unit(0, 1, 0, 0)))
    assert places(choose([found], NOTHING, 5.0, 3)) == [0, 2, 1]
    labelled = unit(1, 0, 0, 0)[None].astype(np.float16)
    assert places(choose([found], labelled, 5.0, 3))[0] == 2


def test_batches_and_a_small_pool_give_the_same_frames() -> None:
    rng = np.random.default_rng(5)
    rows = [
        (tuple(rng.dirichlet((1, 1, 1)).tolist()), float(rng.gamma(4)), unit(*rng.standard_normal(4)))
        for _ in range(300)
    ]
    whole = choose([frames(*rows)], NOTHING, 8.0, 12)
    parts = [frames(*rows[start : start + 70], first=start) for start in range(0, 300, 70)]
    assert choose(parts, NOTHING, 8.0, 12) == whole
    assert choose([frames(*rows)], NOTHING, 8.0, 12) == whole
    small = choose(parts, NOTHING, 8.0, 12, pool=20)
    assert len(small) == 12
    assert choose([frames(*rows)], NOTHING, 8.0, 12, pool=20) == small


def test_nothing_gives_nothing() -> None:
    assert choose([], NOTHING, 5.0, 3) == []
    assert len(choose([frames((SURE, 1.0, unit(1, 0, 0, 0)))], NOTHING, 5.0, 3)) == 1
