"""What the network sees in training is what it will see in serving, varied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from auroramon.preprocess import extract_sky, to_input
from auroramon.types import Disc
from train.augment import plain_input, varied_input
from train.data import BalancedBatches, plain_batches
from train.frames import FrameSet, kept_counts, read_split
from train.runfile import Run


@pytest.fixture
def train_frames(frames: Path) -> FrameSet:
    return read_split(frames, "train")


def still(run: Run) -> Run:
    """A run whose dice have one side."""
    spec = run.preprocess
    table = run.augment.model_copy(update={
        "turn": False, "shift": 0.0, "scale": (1.0, 1.0), "gamma": (0.0, 0.0), "blur": 0.0, "noise": 0.0,
        "wedge": 0.0, "gradient": 0.0, "low_percentile": (spec.low_percentile, spec.low_percentile),
        "high_percentile": (spec.high_percentile, spec.high_percentile),
    })  # fmt: skip
    return run.model_copy(update={"augment": table})


def test_cached_frames_are_prepared_as_in_serving(run: Run, train_frames: FrameSet) -> None:
    spec = run.preprocess.spec()
    (inputs,) = plain_batches(train_frames, np.array([0, 5, 30]), spec, 8)
    for number, found in zip((0, 5, 30), inputs, strict=True):
        counts, disc = train_frames.frame(number)
        np.testing.assert_array_equal(found, to_input(extract_sky(counts, 1.0, disc, spec), spec))


def test_without_variation_a_frame_is_seen_as_it_is(run: Run, train_frames: FrameSet) -> None:
    spec, counts, disc = run.preprocess.spec(), *train_frames.frame(7)
    table = still(run).augment
    varied = varied_input(counts, disc, spec, table, np.random.default_rng(0))
    plain = plain_input(counts, disc, spec)
    # Counts below the darkest percentile are cut off first; the rest is the same to rounding.
    assert np.abs(varied[0] - plain[0]).mean() < 0.02
    assert np.abs(varied - plain).max() < 0.5


def test_a_variation_follows_from_its_dice_and_differs_between_them(run: Run, train_frames: FrameSet) -> None:
    spec, counts, disc = run.preprocess.spec(), *train_frames.frame(7)
    one, again, other = (
        varied_input(counts, disc, spec, run.augment, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).mean() > 0.1
    assert one.dtype == np.float32
    assert np.isfinite(one).all()


@pytest.mark.parametrize("seed", range(20))
def test_nothing_from_beyond_a_cut_frame_is_seen(run: Run, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(200, 900, (40, 30)).astype(np.uint16)
    spec = replace(run.preprocess.spec(), mean=(0.0, 0.0), std=(1.0, 1.0))
    table = still(run).augment.model_copy(update={"turn": True})
    disc = Disc(15, 20, 20, origin="configured")
    found = varied_input(counts, disc, spec, table, np.random.default_rng(seed))
    seen = varied_input(np.full_like(counts, 500), disc, spec, table, np.random.default_rng(seed))
    # What the camera never saw is 0 in both planes, wherever the turn has put it
    lost = (found[1] == 0).mean() - (1 - np.pi / 4)
    assert 0.05 < lost < 0.2
    assert np.isfinite(seen).all()


def test_flat_and_saturated_frames_are_varied_without_harm(run: Run) -> None:
    for counts in (np.zeros((32, 32), np.uint16), np.full((32, 32), 65535, np.uint16)):
        found = varied_input(
            counts, Disc(16, 16, 15, origin="configured"), run.preprocess.spec(), run.augment, np.random.default_rng(0)
        )
        assert np.isfinite(found).all()


def test_batches_are_balanced_and_see_every_frame_of_a_balanced_set(train_frames: FrameSet) -> None:
    targets = train_frames.targets
    known = train_frames.only(range(6))
    sampler = BalancedBatches(targets, batch=12, seed=1, size=32)
    batches = list(sampler)
    assert len(batches) == len(sampler) == len(known) // 12
    for batch in batches:
        assert np.bincount(targets[[number for _, _, number, _ in batch]]).tolist() == [2] * 6
    seen = sorted(number for batch in batches for _, _, number, _ in batch)
    assert seen == known.tolist()
    sampler.epoch = 1
    assert list(sampler) != batches


def test_each_batch_has_frames_that_are_no_sky_where_a_run_wants_them(train_frames: FrameSet) -> None:
    targets = train_frames.targets
    for batch in BalancedBatches(targets, batch=12, seed=1, size=32, strange=4):
        assert np.bincount(targets[[number for _, _, number, _ in batch]]).tolist() == [2] * 6 + [4]


def test_no_sky_wanted_where_there_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no sky, but there are none"):
        BalancedBatches(np.arange(6), batch=12, seed=1, size=32, strange=1)


def test_a_class_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="no training frames"):
        BalancedBatches(np.array([0, 1, 2, 3, 4]), batch=12, seed=1, size=32)


def colour_frame(rgb: tuple[int, int, int]) -> tuple[NDArray[np.uint16], Disc]:
    """A frame of one colour with a bright spot of another, and its disc."""
    counts = np.tile(np.array((9000, 9000, 9000), dtype=np.uint16), (96, 96, 1))
    counts[40:56, 40:56] = rgb
    return counts, Disc(48, 48, 46, "configured")


def green_run(run: Run, **varied: float) -> Run:
    recipe = {"channels": ("stretched", "equalised", "green"), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    run = still(run.model_copy(update={"preprocess": run.preprocess.model_copy(update=recipe)}))
    return run.model_copy(update={"augment": run.augment.model_copy(update=varied)})


def test_a_colour_frame_keeps_its_green_when_it_is_varied(run: Run) -> None:
    counts, disc = colour_frame((12000, 30000, 12000))
    coloured = green_run(run, turn=True, shift=0.02, blur=1.5, noise=0.02, gradient=0.1, wedge=0.5, cast=0.08)
    spec = coloured.preprocess.spec()
    for seed in range(20):
        seen = varied_input(counts, disc, spec, coloured.augment, np.random.default_rng(seed))
        green = seen[2] * 0.25 + 0.5
        assert green[15:17, 15:17].min() > 0.6, "the spot in the middle is green, however it is turned"
        assert abs(np.median(green) - 0.5) < 0.1
    plain = varied_input(counts, disc, spec, green_run(run).augment, np.random.default_rng(0))
    served = plain_input(counts, disc, spec)
    assert np.abs(plain - served)[:2].mean() < 0.02


def test_some_looks_at_a_colour_frame_are_in_grey(run: Run) -> None:
    counts, disc = colour_frame((12000, 30000, 12000))
    table = green_run(run, colourless=0.5)
    spec = table.preprocess.spec()
    greens = [varied_input(counts, disc, spec, table.augment, np.random.default_rng(k))[2] for k in range(40)]
    grey = [bool((plane == 0).all()) for plane in greens]
    assert 8 < sum(grey) < 32


def test_eight_bit_colour_keeps_its_fractions() -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    pixels[..., 1] = 10
    assert kept_counts(pixels, "luma")[0, 0] == round(10 * 0.587 * 257)
    assert kept_counts(pixels, "green")[0, 0] == 2570
    assert kept_counts(pixels, "luma", colour=True).tolist() == np.multiply(pixels, 257, dtype=np.uint16).tolist()
    assert kept_counts(pixels, "green", colour=True).shape == (4, 4)
    grey = np.full((4, 4), 40000, dtype=np.uint16)
    np.testing.assert_array_equal(kept_counts(grey, "luma"), grey)
