"""What labels gained, judged only on frames that the moved head has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from auroramon.adapt import Labelled
from auroramon.fit import Examples
from auroramon.gain import Split, measure
from tests.test_adapt import LABELS, MEANS, WIDTH, frames, parent

AWAY = np.array([0.9, 0, -0.9, 0, 0])
"""A camera that shifts every frame: half of the classes are taken for another."""


def by_nights(labelled: Labelled, nights: int) -> Split:
    return Split("nights", np.arange(len(labelled.groups)) % nights)


def test_a_shifted_camera_gains_and_the_interval_says_so() -> None:
    labelled = frames((30, 30, 30), AWAY)
    gain = measure(parent(), labelled, by_nights(labelled, 9))
    assert (gain.frames, gain.groups, gain.drawn) == (90, 9, "nights")
    assert gain.after > gain.before + 10
    assert 0 < gain.low < (gain.after - gain.before) / 90 < gain.high
    assert gain.loss_after < gain.loss_before
    assert not gain.worse
    assert [(one.label, one.frames) for one in gain.classes] == [(label, 30) for label in LABELS]
    assert sum(one.after for one in gain.classes) == gain.after
    assert gain.sentence().startswith("held out by nights (9), n = 90 frames: ")


def test_labels_that_contradict_each_other_gain_nothing() -> None:
    labelled = frames((20, 20, 20), np.zeros(WIDTH))
    wrong = Labelled(
        Examples(labelled.examples.embeddings, (labelled.examples.targets + 1) % 3, LABELS), labelled.groups
    )
    mixed = Labelled(
        Examples(
            np.concatenate([labelled.examples.embeddings, wrong.examples.embeddings]),
            np.concatenate([labelled.examples.targets, wrong.examples.targets]),
            LABELS,
        ),
        np.arange(120),
    )
    gain = measure(parent(), mixed, by_nights(mixed, 6))
    assert gain.before in {59, 60, 61}
    assert gain.after <= 60


def test_a_fold_sees_nothing_of_what_it_judges() -> None:
    """A class that only one night has cannot be learned from the others."""
    labels = (*LABELS, "frost")
    labelled = frames((6, 6, 6, 12), np.zeros(WIDTH), labels=labels)
    nights = np.where(labelled.examples.targets == 3, 0, 1 + np.arange(30) % 3)
    gain = measure(parent(), labelled, Split("nights", nights))
    assert gain.classes[-1].label == "frost"
    assert gain.classes[-1].after == 0
    spread = measure(parent(), labelled, by_nights(labelled, 6))
    assert spread.classes[-1].after > 6
    assert spread.classes[-1].before == 0


def test_with_few_nights_frames_are_drawn_and_it_says_so() -> None:
    labelled = frames((10, 10, 10), AWAY)
    assert measure(parent(), labelled, by_nights(labelled, 2)).drawn == "frames"


def test_many_nights_are_spread_over_ten_folds() -> None:
    labelled = frames((30, 30, 30), AWAY)
    gain = measure(parent(), labelled, by_nights(labelled, 45))
    assert gain.groups == 45
    assert gain.after > gain.before


def test_frames_right_where_the_parent_is_right_have_its_loss() -> None:
    known = Examples(np.repeat(MEANS, 4, axis=0), np.repeat(np.arange(3), 4), LABELS)
    gain = measure(parent(), Labelled(known, np.arange(12)), Split("nights", np.arange(12) % 4))
    assert (gain.before, gain.after) == (12, 12)
    assert gain.loss_before == pytest.approx(gain.loss_after, abs=0.01)
