"""Frames that are worked on together come out as each would alone, to the last bit, and as the slow recipe says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from auroramon import gates
from auroramon.errors import FrameError
from auroramon.preprocess import InputChannel, PreprocessSpec, extract_skies, extract_sky, to_inputs
from auroramon.readers.runs import RUN_BYTES, runs
from auroramon.types import Disc, RawFrame
from tests import slow

SIDE = 200


def picture(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Give a picture in counts that passes all gates, or that one of them is for."""
    yy, xx = np.mgrid[:SIDE, :SIDE] / SIDE
    phase, width = rng.uniform(0, 6), rng.uniform(0.03, 0.3)
    sky = 300 + 400 * np.exp(-(((yy - 0.5 - 0.1 * np.sin(6 * xx + phase)) / width) ** 2))
    lines = 400 + 300 * np.sin(2 * np.pi * xx / width)
    noisy = rng.normal(0, 6, (SIDE, SIDE))
    kinds = {
        "sky": sky + noisy,
        "faint": 300 + 5 * yy + noisy,
        "flat": np.full_like(sky, round(phase * 100)),
        "dark": 500 + noisy,
        "quiet": 500 + yy / 2,
        "columns": lines + noisy,
        "rows": lines.T + noisy,
        "torn": sky[np.arange(SIDE)[:, None], (np.arange(SIDE) + rng.integers(0, SIDE, (SIDE, 1))) % SIDE],
        "lamp": np.where(xx + yy < 1.5, 60000, sky + noisy),
        "moon": sky + 40000 * np.exp(-((xx - phase / 6) ** 2 + (yy - 0.5) ** 2) / 0.002),
    }
    return kinds[kind]


KINDS = ["sky", "faint", "flat", "dark", "quiet", "columns", "rows", "torn", "lamp", "moon"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=6),
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.booleans(),
    st.sampled_from([32, 63, 64, 96, 128]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_frames_together_give_what_the_slow_recipe_gives_each(
    kinds: list[str], number: type, colour: bool, size: int, masked: bool, holes: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frames: list[NDArray[Any]] = []
    for kind in kinds:
        counts = picture(kind, rng)
        if number is not np.float32:
            counts = np.clip(counts / (4 if number is np.uint8 else 1), 0, np.iinfo(number).max)
        elif holes and rng.random() < 0.5:
            counts[rng.integers(0, SIDE, 40), rng.integers(0, SIDE, 40)] = rng.choice([np.nan, np.inf, -np.inf])
        cast = np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.5, 1.0)])
        frames.append((counts[..., None] * cast).astype(number) if colour else counts.astype(number))
    mask = rng.random((SIDE, SIDE)) > 0.001 if masked else None
    disc = Disc(*(float(v) for v in rng.uniform(80, 120, 3)), "configured")
    channels: tuple[InputChannel, ...] = ("stretched", "equalised", "green")
    spec = PreprocessSpec(size, 0.9, 0.5, 99.5, channels, (0.3, 0.4, 0.5), (0.3, 0.35, 0.1))
    skies = extract_skies(frames, 1.0, disc, spec, "luma", mask)
    inputs, reasons = to_inputs(skies, spec), gates.refuse_each(frames, skies)
    for k, frame in enumerate(frames):
        alone = extract_sky(frame, 1.0, disc, spec, "luma", mask)
        assert np.array_equal(alone.grey, skies.grey[k], equal_nan=True)
        assert np.array_equal((alone.low, alone.high), slow.ends(alone.grey, alone.valid, spec), equal_nan=True)
        assert inputs[k].tobytes() == slow.to_input(alone, spec).tobytes()
        assert reasons[k] == slow.refuse(frame, alone)
        assert reasons[k] == gates.refuse(frame, alone)


def test_the_pictures_meet_every_gate() -> None:
    """Without this, the test above could compare nothing but skies that pass."""
    spec = PreprocessSpec(96, 0.9, 0.5, 99.5, ("stretched",), (0.0,), (1.0,))
    frames = [np.clip(picture(kind, np.random.default_rng(1)), 0, 65535).astype(np.uint16) for kind in KINDS]
    skies = extract_skies(frames, 1.0, Disc(100, 100, 100, "configured"), spec)
    said = {
        kind: reason.partition(":")[0] for kind, reason in zip(KINDS, gates.refuse_each(frames, skies), strict=True)
    }
    assert (said["sky"], said["moon"]) == ("", "")
    assert {said[kind] for kind in KINDS} == {"", "flat", "no light", "saturated", "no sky image"}


def frame(index: int, shape: tuple[int, ...] = (4, 4), kind: type = np.uint16, aspect: float = 1.0) -> RawFrame:
    return RawFrame(index, np.zeros(shape, kind), pixel_aspect=aspect)


def test_a_run_holds_frames_of_one_shape_type_and_aspect() -> None:
    frames = [
        frame(0), frame(1), frame(2, (4, 5)), frame(3, (4, 5)), frame(4, (4, 5), np.uint8),
        frame(5, (4, 5), np.uint8, 0.5), frame(6),
    ]  # fmt: skip
    assert [[raw.index for raw in run] for run in runs(iter(frames))] == [[0, 1], [2, 3], [4], [5], [6]]
    assert list(runs(iter(()))) == []


def test_a_run_is_bounded_in_memory_and_read_no_further_than_one_frame() -> None:
    side = 1000  # 2 MB each
    given: list[int] = []

    def read() -> Iterator[RawFrame]:
        for k in range(6):
            given.append(k)
            yield frame(k, (side, side))

    sizes = []
    for run in runs(read()):
        sizes.append(len(run))
        assert sum(raw.pixels.nbytes for raw in run) <= RUN_BYTES
        assert len(given) <= sum(sizes) + 1
    assert sizes == [2, 2, 2]
    assert [len(run) for run in runs(iter([frame(0, (2000, 2000)), frame(1, (2000, 2000))]))] == [1, 1]


def test_a_file_that_breaks_off_gives_its_good_frames_first() -> None:
    def broken() -> Iterator[RawFrame]:
        yield frame(0)
        yield frame(1)
        raise FrameError("broken here")

    given = runs(broken())
    assert [raw.index for raw in next(given)] == [0, 1]
    with pytest.raises(FrameError, match="broken here"):
        next(given)
