"""What a split promises, on the published OATH labels and on made-up ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auroramon.errors import ConfigError
from auroramon.types import LABELS
from tests.train.oath_folder import rows_of
from train.blocks import Listing, blocks_of, label_runs, listing_of, spread, within
from train.manifest import Manifest
from train.oath_layout import read_classes, read_permutations
from train.splits import Division, SplitKind, divide


@dataclass(frozen=True)
class Wish:
    split: SplitKind
    part: int = 0
    parts: int = 5
    block: int = 100
    gap: float = 10.0
    seed: int = 1


def listing(labels: list[str], **more: object) -> Listing:
    return listing_of(Manifest(Path("made_up.csv"), rows_of(labels, **more)))


@pytest.fixture(scope="session")
def oath(real_data: Path) -> Listing:
    """The 5,824 published labels and the five published permutations."""
    images = read_classes(real_data / "oath")
    found = listing([image.label for image in images], camera="oath")
    orders = read_permutations(real_data / "oath", len(images))
    published = np.zeros(orders.shape, dtype=np.bool_)
    for flags, order in zip(published, orders, strict=True):
        flags[order[:4076]] = True
    return replace(found, published=published)


def sets(found: Division) -> list[np.ndarray]:
    return [found.train, found.heads, found.calibrate, found.evaluate]


def sizes(listing: Listing, numbers: np.ndarray) -> list[int]:
    return np.bincount(listing.targets[numbers], minlength=6).tolist()


def test_the_published_labels_are_those_of_the_paper(oath: Listing) -> None:
    assert sizes(oath, np.arange(5824)) == [774, 1102, 1400, 852, 614, 1082]
    assert len(np.unique(label_runs(oath))) == 285


@pytest.mark.parametrize("split", ["random", "published", "blocks", "paper-random", "paper-blocks"])
@pytest.mark.parametrize("part", [0, 3])
def test_sets_share_no_frame_and_hold_every_class(oath: Listing, split: SplitKind, part: int) -> None:
    found = divide(oath, Wish(split, part))
    together = np.concatenate(sets(found))
    assert len(together) == len(set(together.tolist())) <= 5824
    for numbers in (found.train, found.calibrate, found.evaluate):
        assert min(sizes(oath, numbers)) > 0
    assert (divide(oath, Wish(split, part)).evaluate == found.evaluate).all()


@pytest.mark.parametrize("split", ["blocks", "paper-blocks"])
@pytest.mark.parametrize("part", range(4))
def test_blocks_cut_no_run_and_keep_ten_images_between_learnt_and_judged(
    oath: Listing, split: SplitKind, part: int
) -> None:
    found = divide(oath, Wish(split, part))
    assert found.apart
    runs = label_runs(oath)
    learnt = np.concatenate([found.train, found.calibrate])
    assert not set(runs[learnt].tolist()) & set(runs[found.evaluate].tolist())
    assert not set(runs[found.train].tolist()) & set(runs[found.calibrate].tolist())
    assert np.abs(learnt[:, None] - found.evaluate[None, :]).min() > 10


def test_five_parts_of_blocks_judge_every_image_once_in_nearly_even_parts(oath: Listing) -> None:
    found = [divide(oath, Wish("blocks", part)) for part in range(5)]
    assert sorted(np.concatenate([d.evaluate for d in found]).tolist()) == list(range(5824))
    assert all(1000 < len(d.evaluate) < 1350 for d in found)
    assert all(len(d.train) > 2900 for d in found)
    blocks = blocks_of(oath, 100)
    assert len(np.unique(blocks)) == 47
    assert np.bincount(blocks).min() >= 100


def test_a_published_split_judges_the_last_three_tenths_of_its_permutation(oath: Listing) -> None:
    found = divide(oath, Wish("published", 2))
    assert len(found.evaluate) == 1748
    assert len(found.train) + len(found.calibrate) == 4076
    assert (np.sort(found.evaluate) == np.flatnonzero(~oath.published[2])).all()
    assert not found.apart


def test_the_paper_has_614_moons_so_fewer_are_trained_on_and_none_is_used_twice(oath: Listing) -> None:
    folds = [divide(oath, Wish("paper-random", part)) for part in range(4)]
    for found in folds:
        assert sizes(oath, found.train) == [500, 500, 500, 500, 414, 500]
        assert sizes(oath, found.calibrate) == sizes(oath, found.evaluate) == [100] * 6
    judged = np.concatenate([found.evaluate for found in folds])
    assert len(set(judged.tolist())) == 2400


def test_the_paper_in_blocks_keeps_its_sizes_as_far_as_blocks_allow(oath: Listing) -> None:
    for part in range(4):
        found = divide(oath, Wish("paper-blocks", part))
        assert all(90 <= n <= 100 for n in sizes(oath, found.evaluate))
        assert all(300 < n <= 500 for n in sizes(oath, found.train))


def test_cameras_and_nights_are_whole(tmp_path: Path) -> None:
    labels = list(LABELS) * 20
    found = listing(labels)
    cameras = np.array([f"camera{n // 6 % 5}" for n in range(120)])
    nights = np.array([f"2026-01-{1 + n // 12:02d}" for n in range(120)])
    given = replace(found, cameras=cameras, nights=nights, positions=np.arange(120) * 100.0)
    for split, key in (("cameras", cameras), ("nights", nights)):
        divided = divide(given, Wish(split, parts=5))  # type: ignore[arg-type]
        assert not set(key[divided.train]) & set(key[divided.evaluate])
        assert not set(key[divided.calibrate]) & set(key[divided.evaluate])
    with pytest.raises(ConfigError, match="needs the night of every frame"):
        divide(found, Wish("nights"))


def test_a_head_can_have_a_part_of_its_own() -> None:
    given = listing(list(LABELS) * 100)
    found = divide(given, Wish("random"), heads=True)
    assert [len(part) for part in sets(found)] == pytest.approx([240, 120, 120, 120], abs=6)
    assert len(divide(given, Wish("random")).heads) == 0


def test_what_cannot_be_divided_is_refused_with_the_reason() -> None:
    sorted_by_class = listing([label for label in LABELS for _ in range(20)])
    with pytest.raises(ConfigError, match=r"no .* is left in the set"):
        divide(sorted_by_class, Wish("blocks", block=20, gap=0))
    with pytest.raises(ConfigError, match="cannot be made of 1"):
        divide(sorted_by_class, Wish("cameras"))
    with pytest.raises(ConfigError, match="there is no 4"):
        divide(sorted_by_class, Wish("paper-random", part=4))
    with pytest.raises(ConfigError, match="has 0 published splits"):
        divide(sorted_by_class, Wish("published"))


def test_blocks_of_frames_in_no_known_order_are_refused_for_their_neighbours_cannot_be_told() -> None:
    given = listing(list(LABELS) * 100)
    lost = replace(given, positions=np.where(np.arange(600) < 7, np.nan, given.positions))
    for split in ("blocks", "paper-blocks"):
        with pytest.raises(ConfigError, match="7 of 600 have no position: fill in the column position, time or block"):
            divide(lost, Wish(split, block=20, gap=0))  # type: ignore[arg-type]
    assert not divide(lost, Wish("random")).apart
    named = replace(lost, blocks=np.array([f"{n // 20}" for n in range(600)]))
    assert divide(named, Wish("blocks", gap=0)).apart


def test_a_class_that_nobody_labelled_is_named() -> None:
    with pytest.raises(ConfigError, match=r"has no frame of moon and none of clear: .* use `auroramon refit`"):
        divide(listing([label for label in LABELS if label not in {"moon", "clear"}] * 50), Wish("random"))


def test_named_blocks_stay_as_they_are_named() -> None:
    given = listing(list(LABELS) * 4)
    named = replace(given, blocks=np.array(["a"] * 7 + ["b"] * 17))
    assert np.bincount(blocks_of(named, 2)).tolist() == [7, 17]


@given(
    st.lists(st.tuples(st.sampled_from(LABELS), st.integers(1, 9)), min_size=1, max_size=30),
    st.integers(1, 25),
)
@settings(max_examples=50, deadline=None)
def test_blocks_hold_whole_runs_in_order_and_are_long_enough(runs: list[tuple[str, int]], least: int) -> None:
    labels = [label for label, count in runs for _ in range(count)]
    given_ = listing(labels)
    blocks = blocks_of(given_, least)
    assert (np.diff(blocks) >= 0).all()
    for run in np.unique(label_runs(given_)):
        assert len(np.unique(blocks[label_runs(given_) == run])) == 1
    counts = np.bincount(blocks)
    assert len(counts) == 1 or counts.min() >= least


@given(st.integers(2, 6), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_units_are_dealt_out_whole(parts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(40), rng.integers(1, 8, 40))
    part = spread(units, rng.integers(0, 6, len(units)), parts, seed)
    for unit in range(40):
        assert len(np.unique(part[units == unit])) == 1
    assert set(part.tolist()) == set(range(parts))


def test_near_means_within_the_gap_and_unknown_is_near_to_nothing() -> None:
    positions = np.array([0.0, 4.9, 5.0, 10.0, 15.1, np.nan])
    assert within(positions, np.array([10.0, np.nan]), 5.0).tolist() == [False, False, True, True, False, False]
    assert not within(positions, np.array([np.nan]), 5.0).any()
