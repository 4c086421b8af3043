"""One folder is listed at a time, each gets its turn, and one that hangs holds nobody up."""

from __future__ import annotations

import itertools

import pytest

from auroramon.sources import turns
from auroramon.sources.turns import PATIENCE_S, TERM_S, Turns


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        self.now += 1e-6
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    return clock


def test_only_one_has_a_turn(clock: Clock) -> None:
    shared = Turns()
    assert shared.take("a")
    assert not shared.take("b")
    shared.give("a", ended=False)
    assert shared.take("a"), "its term lasts"
    assert not shared.take("b")
    shared.give("a", ended=True)
    assert shared.take("b")


def test_turns_go_round_term_by_term_however_quickly_one_asks_again(clock: Clock) -> None:
    shared, had = Turns(), []
    for _ in range(3000):
        clock.now += TERM_S / 50
        for who in ("a", "a", "a", "b", "c"):
            if shared.take(who):
                had.append(who)
                assert not any(shared.take(other) for other in "abc" if other != who), "all others wait meanwhile"
                shared.give(who, ended=False)
    changes = sum(one != next_one for one, next_one in itertools.pairwise(had))
    assert {who: pytest.approx(60 / 3, abs=2) for who in "abc"} == {
        who: sum(1 for k, one in enumerate(had) if one == who and (k == 0 or had[k - 1] != who)) for who in "abc"
    }
    assert changes == pytest.approx(60, abs=3), "one change a term"


def test_one_that_hangs_loses_its_turn_and_may_come_back(clock: Clock) -> None:
    shared = Turns()
    assert shared.take("hung")
    clock.now += PATIENCE_S / 2
    assert not shared.take("a")
    clock.now += PATIENCE_S
    assert shared.take("a")
    shared.give("hung", ended=False)  # it answers at last, and must not give back what is another's
    assert not shared.take("b")
    shared.give("a", ended=True)
    assert shared.take("b")


def test_one_that_does_not_ask_any_more_is_not_waited_for(clock: Clock) -> None:
    shared = Turns()
    assert shared.take("a")
    clock.now += TERM_S
    assert not shared.take("gone")
    shared.give("a", ended=False)
    assert not shared.take("a"), "the one that waits is first"
    clock.now += 1.0
    assert shared.take("a")
