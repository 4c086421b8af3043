"""A simulated night tells its story in order, and neighbouring frames show the same sky."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import numpy as np
import pytest

from auroramon.sim.camera import standard_camera
from auroramon.sim.night import night
from auroramon.types import LABELS

START = datetime(2026, 1, 10, 17, tzinfo=UTC)
CAMERA = standard_camera("demo")


@pytest.fixture(scope="module")
def frames() -> list:
    return list(night(1, CAMERA, START, hours=10, cadence_s=360, size=96))


def test_a_night_shows_every_class(frames: list) -> None:
    labels = [label for _, label, _ in frames]
    assert set(labels) == set(LABELS)
    assert all(frame.label == label for _, label, frame in frames)


def test_the_story_runs_from_clear_to_moon(frames: list) -> None:
    labels = [label for _, label, _ in frames]
    order = [labels.index(label) for label in ("clear", "arc", "discrete", "diffuse", "cloudy", "moon")]
    assert order == sorted(order)


def test_frames_are_a_cadence_apart(frames: list) -> None:
    times = [time for time, _, _ in frames]
    assert times[0] == START
    assert len(times) == 100
    assert {b - a for a, b in pairwise(times)} == {timedelta(seconds=360)}


def test_neighbouring_frames_show_the_same_sky() -> None:
    def alike(cadence_s: float) -> float:
        run = [frame.pixels.ravel() for _, _, frame in islice(night(2, CAMERA, START, 10, cadence_s, 64), 20)]
        return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairwise(run)]))

    assert alike(3.0) > 0.95
    assert alike(3.0) > alike(1800.0) + 0.1


def test_the_same_seed_plays_the_same_night_and_another_seed_another() -> None:
    def first(seed: int) -> list[np.ndarray]:
        return [frame.pixels for _, _, frame in night(seed, CAMERA, START, 1, 1800, 64)]

    assert all(np.array_equal(a, b) for a, b in zip(first(3), first(3), strict=True))
    assert not np.array_equal(first(3)[0], first(4)[0])


def test_a_start_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        next(night(1, CAMERA, START.replace(tzinfo=None)))


def test_no_arc_and_no_diffuse_aurora_of_a_night_is_burnt_out() -> None:
    for seed in range(4):
        frames = night(seed, standard_camera("s", seed), START, 10, 1200, 96)
        burnt = [frame.truth["saturated"] for _, label, frame in frames if label in ("arc", "diffuse")]
        assert np.mean(burnt) < 0.05
