"""What changes between two models, and what to believe of it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import pytest

from auroramon.comparison import changes
from auroramon.errors import StoreError
from auroramon.store.comparison import Comparison, Judged, LabelledFrames, Transition

NIGHT = date(2026, 1, 31)
MADE = datetime(2026, 2, 1, tzinfo=UTC)
ROWS = [
    Transition("kiruna", NIGHT, "arc", "arc", 10),
    Transition("kiruna", NIGHT, "arc", "clear", 2),
    Transition("kiruna", NIGHT + timedelta(days=1), "frost", "frost", 3),
    Transition("abisko", NIGHT, "clear", "discrete", 5),
]


def judged(count: int, a: str, b: str, made: datetime, night: int = 0) -> list[Judged]:
    return [Judged("kiruna", NIGHT + timedelta(days=night), "arc", a, b, made)] * count


def test_parts_add_up_and_aurora_is_counted_for_both() -> None:
    told = changes("a", "b", Comparison(ROWS, LabelledFrames(25, 20, 20), []), ("arc", "discrete", "clear"), MADE)
    assert (told.all.frames, told.all.same, told.all.aurora_a, told.all.aurora_b) == (20, 13, 12, 15)
    assert told.labels == ("arc", "discrete", "clear", "frost")
    assert told.transitions["arc", "clear"] == 2
    assert [(part.of, part.frames, part.same) for part in told.cameras] == [("abisko", 5, 0), ("kiruna", 15, 13)]
    assert [(part.of, part.frames) for part in told.nights] == [("2026-01-31", 17), ("2026-02-01", 3)]
    assert told.accuracy == ()


def test_sums_that_do_not_agree_end_it() -> None:
    with pytest.raises(StoreError, match="21 frames have labels of a and b, but the transitions add up to 20"):
        changes("a", "b", Comparison(ROWS, LabelledFrames(25, 21, 21), []), (), MADE)


def test_words_said_after_both_models_were_made_come_first() -> None:
    before, after = MADE - timedelta(days=1), MADE + timedelta(days=1)
    words = [
        *judged(30, "clear", "arc", before),
        *judged(6, "arc", "clear", after),
        *judged(4, "clear", "arc", after, 1),
    ]
    told = changes("a", "b", Comparison(ROWS, LabelledFrames(25, 20, 20), words), (), MADE)
    fair, every = told.accuracy
    assert (fair.frames, fair.nights, fair.right_a, fair.right_b) == (10, 2, 6, 4)
    assert fair.low <= -0.2 <= fair.high
    assert (every.frames, every.right_a, every.right_b) == (40, 6, 34)
    assert "looks better than it is" in every.of


def test_without_later_words_there_is_no_fair_figure() -> None:
    words = judged(5, "arc", "arc", MADE - timedelta(days=1))
    told = changes("a", "b", Comparison(ROWS, LabelledFrames(25, 20, 20), words), (), MADE)
    assert told.accuracy[0].frames == 0
    assert math.isnan(told.accuracy[0].low)
