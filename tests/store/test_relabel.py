"""Another head labels what is stored: the same as frame by frame, once, and nothing else is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from auroramon.heads import Clusters, MahalanobisHead
from auroramon.store.frames import Author, label_values
from auroramon.store.relabel import EmbeddingBatch, GateWord, Which, judge
from auroramon.store.schema import LABEL_CODES
from auroramon.types import LABELS, Classification, LabelRecord
from tests.store.station import NOW, Station, labelled, model_row, record, stack, stat


def new_head(threshold: float = 1.3, seed: int = 0) -> MahalanobisHead:
    means = np.random.default_rng(seed).standard_normal((len(LABELS), 16)) * 0.3
    clusters = Clusters(means, np.eye(16))
    return MahalanobisHead(LABELS, clusters, clusters, temperature=0.2, threshold=threshold)


def gated(given: LabelRecord) -> LabelRecord:
    said = Classification("unknown", float("nan"), (), float("nan"), "daylight: the Sun is at 3.0°")
    return replace(given, classification=said, embedding=None)


@pytest.fixture
def night(station: Station) -> Station:
    """Three minutes of three frames; of the first minute's second frame a gate thought little."""
    files = [stat(f"{number}.pgm", mtime=number) for number in range(3)]
    outcomes = [stack(file, NOW + timedelta(minutes=place)) for place, file in enumerate(files)]
    first = list(outcomes[0].records)
    first[1] = gated(first[1])
    station.commit(replace(outcomes[0], records=tuple(first)), *outcomes[1:])
    return station


def test_a_batch_is_stored_as_its_frames_would_be_one_by_one() -> None:
    rng = np.random.default_rng(3)
    vectors = (rng.standard_normal((500, 16)) * rng.uniform(0.1, 2, (500, 1))).astype(np.float16)
    vectors[7] = np.nan
    head, author = new_head(), Author(2, 3, "relabel")
    batch = judge(head, EmbeddingBatch(range(500), [0] * 500, vectors, [None] * 500))
    names = [LABEL_CODES[batch.names[place]] for place in batch.said]
    columns = (names, batch.confidence, batch.scores, batch.distance, batch.reasons)
    for number, (said, *stored) in enumerate(zip(head.predict(vectors), *columns, strict=True)):
        wanted = label_values((number, 0), said, LABEL_CODES, author)
        assert tuple(stored) == wanted[4:9]
    assert 10 < sum(reason is not None for reason in batch.reasons) < 490


def test_a_new_head_labels_every_stored_embedding_once(night: Station) -> None:
    store, head = night.store, new_head()
    number = store.register_model(model_row("new head", "embedder-a"))
    steps = 0
    assert store.count_without_label(number) == 9
    for batch in store.embeddings_without_label(number, batch=3):
        judged = judge(head, batch)
        assert store.add_judged(night.run, judged, model=number) == len(batch)
        assert store.add_judged(night.run, judged, model=number) == 0
        steps += 1
    assert steps == 3
    assert list(store.embeddings_without_label(number, batch=3)) == []
    assert store.count_without_label(number) == 1
    store.promote_model("new head", NOW)
    rows = [row for row in store.labels() if row.model == "new head"]
    assert len(rows) == 8
    assert {row.source for row in rows} == {"relabel"}


def test_what_a_gate_refused_stays_refused_with_its_reason(night: Station) -> None:
    store = night.store
    number = store.register_model(model_row("new head", "embedder-a"))
    (words,) = store.gate_words_without_label(number, batch=5)
    assert [word.reason for word in words] == ["daylight: the Sun is at 3.0°"]
    assert isinstance(words[0], GateWord)
    assert store.add_gate_words(night.run, words, model=number) == 1
    assert store.add_gate_words(night.run, words, model=number) == 0
    store.promote_model("new head", NOW)
    (row,) = [row for row in store.labels() if row.model == "new head"]
    assert (row.label, row.confidence, row.reason) == ("unknown", None, "daylight: the Sun is at 3.0°")
    assert list(store.gate_words_without_label(number)) == []


def test_embeddings_of_another_network_are_left_alone(night: Station) -> None:
    other = night.store.register_model(model_row("other embedder", "embedder-b"))
    assert list(night.store.embeddings_without_label(other)) == []
    assert list(night.store.gate_words_without_label(other)) == []
    assert night.store.count_without_label(other) == 9


def test_frames_are_chosen_by_time_and_camera(night: Station) -> None:
    elsewhere = stat("abisko.png", camera="abisko")
    night.commit(labelled(elsewhere, record(elsewhere.path, 0, NOW, camera="abisko")))
    number = night.store.register_model(model_row("new head", "embedder-a"))

    def found(which: Which) -> int:
        return sum(len(batch) for batch in night.store.embeddings_without_label(number, which, batch=2))

    assert found(Which()) == 9
    assert found(Which(cameras=("abisko",))) == 1
    assert found(Which(since=NOW + timedelta(minutes=1))) == 6
    assert found(Which(until=NOW + timedelta(minutes=1), cameras=("kiruna",))) == 2
    assert night.store.count_without_label(number, Which(until=NOW + timedelta(minutes=1))) == 4


def test_a_new_class_gets_its_own_name(night: Station) -> None:
    clusters = Clusters(np.zeros((2, 16)), np.eye(16))
    head = MahalanobisHead(("frost", "arc"), clusters, clusters, temperature=1, threshold=9)
    number = night.store.register_model(model_row("with frost", "embedder-a"))
    for batch in night.store.embeddings_without_label(number):
        night.store.add_judged(night.run, judge(head, batch), model=number)
    night.store.promote_model("with frost", NOW)
    assert {row.label for row in night.store.labels() if row.model == "with frost"} == {"frost"}
