"""Two models side by side: counts that add up, frames that changed, and what people say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from auroramon.store.comparison import LabelledFrames
from auroramon.store.relabel import Which
from auroramon.store.reviews import NewReview
from tests.store.station import NOW, Station, labelled, model_row, record, stat

FIRST = ("arc", "arc", "diffuse", "clear", "unknown")
SECOND = ("arc", "diffuse", "diffuse", "moon")


@pytest.fixture
def two(station: Station) -> tuple[Station, int]:
    """Five frames of two nights, labelled by one model; four of them by another."""
    newer = station.store.register_model(model_row("oath-2", "embedder-b", NOW + timedelta(days=1)))
    for model, labels in ((station.model, FIRST), (newer, SECOND)):
        for number, label in enumerate(labels):
            file = stat(f"{number}.png")
            time = NOW + timedelta(hours=9 * number)
            station.store.claim_files(station.run, [file], NOW, model=model)
            station.commit(labelled(file, record(file.path, 0, time, label=label)), model=model)
    return station, newer


def test_transitions_add_up_to_the_frames_that_both_labelled(two: tuple[Station, int]) -> None:
    station, newer = two
    found = station.store.compare(station.model, newer)
    assert found.labelled == LabelledFrames(5, 4, 4)
    assert sum(row.frames for row in found.transitions) == 4
    pairs = [(row.a, row.b) for row in found.transitions]
    assert sorted(pairs) == [("arc", "arc"), ("arc", "diffuse"), ("clear", "moon"), ("diffuse", "diffuse")]
    assert {row.camera for row in found.transitions} == {"kiruna"}
    assert len({row.night for row in found.transitions}) == 2
    assert found.judged == []


def test_frames_that_changed_are_listed_with_what_a_person_says(two: tuple[Station, int]) -> None:
    station, newer = two
    store = station.store
    store.add_reviews([NewReview(store.frames_of_file(stat("3.png").path)[0], "moon")], NOW)
    changed = list(store.changed(station.model, newer))
    assert [(frame.path, frame.a, frame.b, frame.human) for frame in changed] == [
        (stat("1.png").path, "arc", "diffuse", None),
        (stat("3.png").path, "clear", "moon", "moon"),
    ]
    assert changed[0].a_confidence == 0.75
    (judged,) = store.compare(station.model, newer).judged
    assert (judged.human, judged.a, judged.b, judged.made) == ("moon", "clear", "moon", NOW)


def test_a_choice_of_frames_counts_only_these(two: tuple[Station, int]) -> None:
    station, newer = two
    found = station.store.compare(station.model, newer, Which(until=NOW + timedelta(hours=10)))
    assert found.labelled == LabelledFrames(2, 2, 2)
    assert sum(row.frames for row in found.transitions) == 2
    assert len(list(station.store.changed(station.model, newer, Which(cameras=("abisko",))))) == 0
