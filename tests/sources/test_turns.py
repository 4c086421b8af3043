"""One folder is listed at a time, each gets its turn, and one that hangs holds nobody up."""

from __future__ import annotations

import pytest

from auroramon.sources import turns
from auroramon.sources.turns import PATIENCE_S, Turns


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
    shared.give("a")
    assert shared.take("b")


def test_turns_go_round_however_quickly_one_asks_again(clock: Clock) -> None:
    shared, had = Turns(), []
    for _ in range(30):
        for who in ("a", "a", "a", "b", "c"):
            if shared.take(who):
                had.append(who)
                assert not any(shared.take(other) for other in "abc" if other != who), "all others wait meanwhile"
                shared.give(who)
    assert {who: had.count(who) for who in "abc"} == {who: pytest.approx(len(had) / 3, abs=1) for who in "abc"}
    assert len(had) > 30


def test_one_that_hangs_loses_its_turn_and_may_come_back(clock: Clock) -> None:
    shared = Turns()
    assert shared.take("hung")
    clock.now += PATIENCE_S / 2
    assert not shared.take("a")
    clock.now += PATIENCE_S
    assert shared.take("a")
    shared.give("hung")  # it answers at last, and must not give back what is another's
    assert not shared.take("b")
    shared.give("a")
    assert shared.take("b")


def test_one_that_does_not_ask_any_more_is_not_waited_for(clock: Clock) -> None:
    shared = Turns()
    assert shared.take("a")
    assert not shared.take("gone")
    shared.give("a")
    assert not shared.take("a"), "the one that waits is first"
    clock.now += 1.0
    assert shared.take("a")
