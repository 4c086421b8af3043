"""The figures of a report, against scikit-learn and by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from auroramon.types import LABELS
from train.cards import as_json, report_tables
from train.evaluate import Answers, auroc, calibration_error, report
from train.frames import CameraFrames, FrameSet
from train.origin import units_of


def answers(count: int = 600, seed: int = 0) -> Answers:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 7, count)
    closed = np.where(rng.random(count) < 0.7, targets % 6, rng.integers(0, 6, count))
    distance = rng.normal(3, 1, count) + 2 * (targets == 6)
    said = np.where(distance < 4.5, closed, 6)
    return Answers(targets, said, closed, rng.uniform(0.3, 1, count), distance, rng.integers(0, 5, count))


def test_figures_equal_scikit_learn() -> None:
    given = answers()
    found = report(given, tuple("abcde"), "made up")
    known = given.targets < 6
    true, said = given.targets[known], given.said[known]
    assert found.frames == known.sum()
    assert found.accuracy.value == pytest.approx((true == said).mean())
    recalls = [(said[true == k] == k).mean() for k in range(6)]
    assert found.balanced_accuracy.value == pytest.approx(np.mean(recalls))
    f1 = f1_score(true, said, labels=range(6), average=None)
    assert [c.f1 for c in found.classes] == pytest.approx(f1)
    assert found.strange_auroc == pytest.approx(roc_auc_score(~known, given.distance))
    assert balanced_accuracy_score(true, given.closed[known]) > found.balanced_accuracy.value
    assert [c.label for c in found.classes] == list(LABELS)
    assert sum(c.frames for c in found.by_camera) == found.frames
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high


def test_aurora_against_none() -> None:
    # arc said diffuse is still aurora; discrete refused is missed; clear said arc is a false alarm
    targets = np.array([0, 2, 5, 5, 3])
    said = np.array([1, 6, 0, 5, 3])
    five = np.full(5, 0.9)
    found = report(Answers(targets, said, said % 6, five, five, np.zeros(5, dtype=int)), ("a",), "made up")
    assert found.aurora_recall.value == pytest.approx(1 / 2)
    assert found.false_alarms.value == pytest.approx(1 / 3)
    assert found.refused_known == pytest.approx(1 / 5)


def test_one_unit_has_no_interval_and_nothing_has_no_figure() -> None:
    targets = np.array([5, 5, 3, 6])
    four = np.full(4, 0.9)
    found = report(Answers(targets, targets, targets % 6, four, four, np.zeros(4, dtype=int)), ("a",), "One night")
    assert str(found.accuracy) == "100.0 %"
    assert str(found.balanced_accuracy) == "100.0 %"
    assert str(found.aurora_recall) == "-"
    assert "| aurora recall (any of its three labels) | - |" in report_tables(
        found, "night", apart=True, simulated=False
    )
    assert "bootstrap over nights: none of one alone" in report_tables(found, "night", apart=True, simulated=False)
    values = json.loads(as_json(found), parse_constant=pytest.fail)
    assert (values["aurora_recall"]["value"], values["accuracy"]["low"]) == (None, None)


def test_a_night_is_one_unit_over_all_its_cameras_and_shapes() -> None:
    def camera(origin: str, side: int, night: int) -> CameraFrames:
        pixels = np.zeros((2, side, side), dtype=np.uint16)
        return CameraFrames(f"{origin}~{night}", pixels, np.zeros(2, dtype=int), np.ones((2, 3)), np.full(2, night),
                            origin=origin)  # fmt: skip

    frames = FrameSet((camera("a", 8, 3), camera("a", 9, 3), camera("b", 8, 3), camera("b", 8, 7)))
    units, names = units_of(frames, "night")
    assert (units.tolist(), names) == ([0] * 6 + [1] * 2, ("night 3", "night 7"))
    units, names = units_of(frames, "camera")
    assert (units.tolist(), names) == ([0] * 4 + [1] * 4, ("a", "b"))


def test_what_leaks_says_so_before_any_figure() -> None:
    text = report_tables(report(answers(), tuple("abcde"), "Random split"), "block", apart=False, simulated=True)
    assert text.startswith("**This split leaks")
    assert "Random split (simulated skies): " in text
    assert "leaks" not in report_tables(
        report(answers(), tuple("abcde"), "Blocks"), "block", apart=True, simulated=False
    )


def test_ties_count_half_in_the_auroc() -> None:
    assert auroc(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == pytest.approx(0.875)
    assert np.isnan(auroc(np.array([1.0]), np.array([])))


def test_confidence_that_is_always_right_has_no_error() -> None:
    assert calibration_error(np.full(10, 1.0), np.ones(10, dtype=bool)) == 0
    assert calibration_error(np.full(10, 0.8), np.arange(10) < 5) == pytest.approx(0.3)
