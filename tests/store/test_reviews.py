"""A person's word: kept beside earlier ones, above every model, and bound to its frame."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from auroramon.store import Store
from auroramon.store.relabel import Which
from auroramon.store.reviews import FoundFrame, NewReview
from auroramon.types import Classification
from tests.store.station import NOW, Station, labelled, model_row, record, stack, stat


@pytest.fixture
def night(station: Station) -> Station:
    """Two files of three frames, a minute apart."""
    files = [stat(f"{number}.pgm", mtime=number) for number in range(2)]
    station.commit(*(stack(file, NOW + timedelta(minutes=place)) for place, file in enumerate(files)))
    return station


def frame(store: Store, name: str = "0.pgm", index: int = 0) -> FoundFrame:
    return store.frames_of_file(stat(name).path)[index]


def shown(store: Store) -> list[tuple[str, str]]:
    return [(row.label, row.model) for row in store.labels()]


def test_a_frame_is_found_by_file_and_by_camera_and_time(night: Station) -> None:
    store = night.store
    assert [found.key.frame_index for found in store.frames_of_file(stat("1.pgm").path)] == [0, 1, 2]
    (found,) = store.frames_at("kiruna", NOW + timedelta(minutes=1, seconds=3))
    assert (found.path, found.key.frame_index, found.camera) == (stat("1.pgm").path, 1, "kiruna")
    assert store.frames_at("kiruna", NOW + timedelta(seconds=1)) == []
    assert store.frames_at("abisko", NOW) == []
    assert store.frames_of_file("/no/such/file.png") == []
    assert store.frames_of([found.key, frame(store).key]) == [found, frame(store)]


def test_the_newest_word_is_shown_above_every_model_and_no_model_changes_it(night: Station) -> None:
    store = night.store
    store.add_reviews([NewReview(frame(store), "moon", "anna", "low in the west")], NOW)
    assert shown(store)[0] == ("moon", "human")
    newer = store.register_model(model_row("oath-2", created=NOW + timedelta(days=1)))
    night.commit(labelled(stat("0.pgm"), record(stat("0.pgm").path, label="diffuse")), model=newer)
    store.promote_model("oath-2", NOW + timedelta(days=1))
    assert shown(store)[0] == ("moon", "human")
    store.add_reviews([NewReview(frame(store), "clear", "ben")], NOW + timedelta(days=2))
    assert shown(store)[0] == ("clear", "human")
    assert [(row.label, row.reviewer, row.current) for row in store.reviews()] == [
        ("moon", "anna", False),
        ("clear", "ben", True),
    ]


def test_saying_it_again_adds_nothing(night: Station) -> None:
    store = night.store
    words = [NewReview(frame(store), "moon", "anna"), NewReview(frame(store, index=1), "clear", "anna")]
    assert store.add_reviews(words, NOW) == words
    assert store.add_reviews(words, NOW + timedelta(days=1)) == []
    corrected = replace(words[0], label="cloudy")
    assert store.add_reviews([corrected, words[1]], NOW + timedelta(days=1)) == [corrected]
    assert len(list(store.reviews())) == 3


def test_a_new_class_can_be_said(night: Station) -> None:
    store = night.store
    assert "frost" not in store.known_labels()
    store.add_reviews([NewReview(frame(store), "frost")], NOW)
    assert "frost" in store.known_labels()
    assert shown(store)[0] == ("frost", "human")
    assert store.occurrence("night")[0].counts["other"] == 1


def test_labelled_frames_come_with_what_the_network_saw(night: Station) -> None:
    store = night.store
    gate = Classification("unknown", float("nan"), (), float("nan"), "daylight")
    refused = replace(record(stat("day.png").path, 0, NOW + timedelta(hours=1)), classification=gate, embedding=None)
    night.commit(labelled(stat("day.png"), refused))
    words = [NewReview(frame(store), "arc"), NewReview(frame(store, "1.pgm", 2), "moon")]
    store.add_reviews([*words, NewReview(frame(store, "day.png"), "clear")], NOW)
    found = store.reviewed_frames("embedder-a")
    assert [(one.label, one.camera, one.refused) for one in found] == [
        ("arc", "kiruna", False),
        ("moon", "kiruna", False),
        ("clear", "kiruna", True),
    ]
    assert found[0].vector is not None
    np.testing.assert_array_equal(found[0].vector, np.eye(16)[0])
    assert found[2].vector is None
    other = store.reviewed_frames("embedder-b")
    assert [(one.vector, one.refused) for one in other[:2]] == [(None, False)] * 2
    assert len(store.reviewed_frames("embedder-a", Which(since=NOW + timedelta(minutes=1)))) == 2


def test_candidates_are_the_frames_that_nobody_has_labelled(night: Station) -> None:
    store = night.store
    store.add_reviews([NewReview(frame(store), "arc")], NOW)
    (found,) = store.candidates(night.model)
    assert len(found.keys) == 5
    assert found.scores.shape == (5, 6)
    assert found.distances.tolist() == [3.25] * 5
    assert found.vectors.shape == (5, 16)
    assert store.reviewed_vectors(night.model).shape == (1, 16)
    assert len(list(store.candidates(night.model, batch=2))) == 3
    assert list(store.candidates(night.model, Which(cameras=("abisko",)))) == []


def test_a_word_stays_with_its_frame_when_another_takes_its_place(night: Station) -> None:
    store = night.store
    store.add_reviews([NewReview(frame(store), "moon")], NOW)
    file = stat("0.pgm", size=77)
    store.offer([file], NOW)
    store.claim(night.run, 9, NOW)
    night.commit(labelled(file, record(file.path, 0, NOW + timedelta(hours=5), label="cloudy")))
    assert ("cloudy", "oath-1") in shown(store)
    assert "human" not in {model for _, model in shown(store)}
    assert list(store.reviews()) == []


def test_the_model_that_speaks_goes_on_speaking(night: Station) -> None:
    store = night.store
    assert store.keep_speaking(NOW) == "oath-1"
    assert store.keep_speaking(NOW) is None
    newer = store.register_model(model_row("oath-2", created=NOW + timedelta(days=1)))
    night.commit(labelled(stat("0.pgm"), record(stat("0.pgm").path, label="diffuse")), model=newer)
    assert shown(store)[0] == ("arc", "oath-1")


def test_nobody_speaks_in_an_empty_database(station: Station) -> None:
    assert station.store.keep_speaking(NOW) is None
