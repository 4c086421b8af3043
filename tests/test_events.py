"""An event lasts more than two frames, and one doubtful frame neither makes nor cuts one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auroramon.events import EventRules, NightEvent, Sighting, derive

RULES = EventRules({"arc": 0.5, "diffuse": 0.6, "discrete": 0.5}, frames=3, gap_s=600.0)
KINDS = {"a": "arc", "d": "diffuse", "D": "discrete", ".": "clear", "c": "cloudy", "?": "unknown"}


def night(frames: str, *, every: float = 60.0, confidence: float = 0.9) -> list[Sighting]:
    """One frame a minute, by letters: a arc, d diffuse, D discrete, . clear, c cloudy, ? refused."""
    return [
        Sighting(every * place, KINDS[letter], None if letter == "?" else confidence)
        for place, letter in enumerate(frames)
    ]


def spans(frames: str, rules: EventRules = RULES) -> list[tuple[int, int, bool]]:
    """Give first and last frame of each event, and whether it is over."""
    return [(int(e.begun / 60), int(e.ended / 60), e.over) for e in derive(night(frames), rules)]


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        ("......", []),
        ("..aa..", []),  # two frames are none
        ("..aaa...", [(2, 4, True)]),
        ("..aaa", [(2, 4, False)]),
        ("..aaa..", [(2, 4, False)]),  # two frames do not end it
        ("..aaa.a..a...", [(2, 9, True)]),
        ("a.a.a.a.a", []),
        ("..adD...", [(2, 4, True)]),  # any aurora
        ("..aaaccc", [(2, 4, True)]),  # clouds end it as well
        ("..a?a?a.?.?.", [(2, 6, True)]),  # refused frames say nothing
        ("??????", []),
        ("aaa...aaa...", [(0, 2, True), (6, 8, True)]),
    ],
)
def test_on_and_off_take_three_frames(frames: str, found: list[tuple[int, int, bool]]) -> None:
    assert spans(frames) == found


def test_a_gap_ends_an_event_and_frames_across_it_are_not_consecutive() -> None:
    first, second = night("aaa"), [replace(s, time=s.time + 3600) for s in night("aa")]
    assert [(event.ended, event.over) for event in derive(first + second, RULES)] == [(120.0, True)]


def test_each_class_has_its_threshold() -> None:
    assert derive(night("aaa", confidence=0.55), RULES)
    assert not derive(night("ddd", confidence=0.55), RULES)


def test_an_event_says_what_it_was_mostly_and_how_sure() -> None:
    seen = night("aaDDD...")
    seen[3] = replace(seen[3], confidence=0.97)
    assert derive(seen, RULES) == [NightEvent(0.0, 240.0, True, "discrete", 0.97, 5)]


@given(st.text("aD.c?", max_size=60), st.integers(1, 5))
def test_events_are_apart_and_hold_enough_frames(frames: str, least: int) -> None:
    rules = replace(RULES, frames=least)
    found = derive(night(frames), rules)
    for event in found:
        assert event.frames >= least
    for one, next_one in pairwise(found):
        assert one.over
        between = frames[int(one.ended / 60) + 1 : int(next_one.begun / 60)].replace("?", "")
        assert len(between) >= least
        assert not set(between[-1:]) & {"a", "D"}


@given(st.text("aD.c", max_size=60), st.data())
def test_frames_that_were_refused_change_nothing(frames: str, data: st.DataObject) -> None:
    seen = night(frames)
    at = data.draw(st.integers(0, len(seen)))
    time = seen[at - 1].time + 1 if at else 0.0
    assert derive([*seen[:at], Sighting(time, "unknown", None), *seen[at:]], RULES) == derive(seen, RULES)
