"""Labels for frames that are already known: from stored embeddings, by another head. No image is read again.

Millions of frames pass here, so values travel as columns: building an object for each frame costs more than writing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, Table, exists, func, select
from sqlalchemy.sql.elements import ColumnElement

from auroramon.heads import Head, refusal
from auroramon.store.changes import labels_of_files_changed
from auroramon.store.codes import Codes, label_codes
from auroramon.store.encoding import epoch, scaled_column
from auroramon.store.frames import Author, insert_new
from auroramon.store.months import same_frame
from auroramon.store.results import FrameKey
from auroramon.store.schema import SOURCES, cameras, embeddings, frames, labels, models
from auroramon.types import UNKNOWN


@dataclass(frozen=True, slots=True)
class Which:
    """Which frames are meant."""

    since: datetime | None = None  # aware UTC, of the frame
    until: datetime | None = None  # before this
    cameras: tuple[str, ...] = ()  # none: all

    def conditions(self) -> list[ColumnElement[bool]]:
        """Give the conditions on `frames`; none where all are meant."""
        found: list[ColumnElement[bool]] = []
        if self.since is not None:
            found.append(frames.c.time_utc >= epoch(self.since))
        if self.until is not None:
            found.append(frames.c.time_utc < epoch(self.until))
        if self.cameras:
            found.append(frames.c.camera_id.in_(select(cameras.c.id).where(cameras.c.name.in_(self.cameras))))
        return found


ALL_FRAMES = Which()


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingBatch:
    """Frames that wait for labels of another head, in the order of file and index."""

    files: Sequence[int]  # N
    indices: Sequence[int]  # N
    vectors: NDArray[np.float16]  # (N,D)
    times: Sequence[float | None]  # N; of the frames, where the tables are divided by months, else None

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True, slots=True, eq=False)
class JudgedBatch:
    """The columns of `labels` that a head fills in for N frames; everything in them is as it will be stored."""

    frames: EmbeddingBatch
    names: tuple[str, ...]  # that `said` counts in
    said: NDArray[np.intp]  # (N,)
    confidence: list[int | None]  # millionths
    scores: list[bytes]
    distance: list[int | None]  # thousandths
    reasons: list[str | None]


@dataclass(frozen=True, slots=True)
class GateWord:
    """What a gate said of a frame: it stands in front of every head."""

    key: FrameKey
    label_id: int
    reason: str | None
    time: float | None  # of the frame, where the tables are divided by months


def judge(head: Head, batch: EmbeddingBatch) -> JudgedBatch:
    """Let a head judge a batch: the same to the last bit as frame by frame. Needs no database."""
    found = head.judge(batch.vectors)
    best, refused = found.scores.argmax(axis=1), found.refused(head.threshold)
    reasons: list[str | None] = [None] * len(best)
    for place in np.flatnonzero(refused).tolist():
        reasons[place] = refusal(float(found.distance[place]), head.threshold)
    packed, size = found.scores.astype("<f2").tobytes(), 2 * len(head.labels)
    return JudgedBatch(
        frames=batch,
        names=(*head.labels, UNKNOWN),
        said=np.where(refused, len(head.labels), best),
        confidence=scaled_column(found.scores[np.arange(len(best)), best], 1_000_000),
        scores=[packed[start : start + size] for start in range(0, len(packed), size)],
        distance=scaled_column(found.distance, 1000),
        reasons=reasons,
    )


def embeddings_without_label(
    conn: Connection, model: int, which: Which, limit: int, after: FrameKey | None
) -> EmbeddingBatch:
    """Give the next frames, by file and index, that this model has not labelled but its embedder has seen."""
    query = (
        select(embeddings.c.file_id, embeddings.c.frame_index, embeddings.c.vector, embeddings.c.time_utc)
        .where(embeddings.c.embedder_id == _embedder(conn, model))
        .where(~_labelled(conn, embeddings, model))
    )
    rows = conn.execute(_page(conn, query, embeddings, which, limit, after)).all()
    packed = np.frombuffer(b"".join([row[2] for row in rows]), "<f2").astype(np.float16, copy=False)
    vectors = packed.reshape(len(rows) or 1, -1)
    return EmbeddingBatch([row[0] for row in rows], [row[1] for row in rows], vectors, [row[3] for row in rows])


def gate_words_without_label(
    conn: Connection, model: int, which: Which, limit: int, after: FrameKey | None
) -> list[GateWord]:
    """Give the next frames without a label of this model that a gate in front of its embedder refused."""
    embedder = _embedder(conn, model)
    of_embedder = select(models.c.id).where(models.c.embedder_id == embedder)
    query = (
        select(labels.c.file_id, labels.c.frame_index, labels.c.label_id, labels.c.reason, labels.c.time_utc)
        .where(labels.c.confidence.is_(None), labels.c.model_id.in_(of_embedder))
        .where(~_labelled(conn, labels, model), ~_embedded(conn, labels, embedder))
    )
    return [
        GateWord(FrameKey(file_id, index), label_id, reason, time)
        for file_id, index, label_id, reason, time in conn.execute(_page(conn, query, labels, which, limit, after))
    ]


def count_without_label(conn: Connection, model: int, which: Which) -> int:
    """Count the frames that this model has not labelled."""
    query = select(func.count()).select_from(frames).where(~_labelled(conn, frames, model), *which.conditions())
    return int(conn.execute(query).scalar_one())


def add_judged(conn: Connection, codes: Codes, author: Author, judged: JudgedBatch) -> int:
    """Add labels to known frames; where this model has labelled already, nothing changes. Give how many were new."""
    numbers = label_codes(codes, conn, judged.names)
    by_place = [numbers[name] for name in judged.names]
    n = len(judged.frames)
    rows = zip(
        judged.frames.files,
        judged.frames.indices,
        (author.model,) * n,
        (author.run,) * n,
        [by_place[said] for said in judged.said.tolist()],
        judged.confidence,
        judged.scores,
        judged.distance,
        judged.reasons,
        (SOURCES[author.source],) * n,
        judged.frames.times,
        strict=True,
    )
    labels_of_files_changed(conn, judged.frames.files, judged.frames.times)
    return insert_new(conn, labels, list(rows))


def add_gate_words(conn: Connection, author: Author, words: Sequence[GateWord]) -> int:
    """Add what gates said as labels of this model; give how many were new."""
    model, run, source = author.model, author.run, SOURCES[author.source]
    labels_of_files_changed(conn, [word.key.file_id for word in words], [word.time for word in words])
    said = (None, None, None)  # confidence, scores, distance: a gate has none
    rows = [
        (word.key.file_id, word.key.frame_index, model, run, word.label_id, *said, word.reason, source, word.time)
        for word in words
    ]
    return insert_new(conn, labels, rows)


def _embedder(conn: Connection, model: int) -> int:
    return int(conn.execute(select(models.c.embedder_id).where(models.c.id == model)).scalar_one())


def _labelled(conn: Connection, table: Table, model: int) -> ColumnElement[bool]:
    """Whether a model has labelled the frame of a row of `frames`, `embeddings` or `labels`."""
    ours = labels.alias("ours")
    return exists().where(same_frame(conn, ours, table), ours.c.model_id == model)


def _embedded(conn: Connection, table: Table, embedder: int) -> ColumnElement[bool]:
    return exists().where(same_frame(conn, embeddings, table), embeddings.c.embedder_id == embedder)


def _page(
    conn: Connection, query: Select[Any], table: Table, which: Which, limit: int, after: FrameKey | None
) -> Select[Any]:
    """Give the next rows of a query on a table with the key of a frame, in the order of that key."""
    conditions = which.conditions()
    if conditions:  # only then: a lookup in `frames` for each row would cost as much as the rest of the query
        query = query.join(frames, same_frame(conn, frames, table)).where(*conditions)
    if after is not None:
        # Written out, because a comparison of pairs would not use the key on every version of SQLite.
        query = query.where(table.c.file_id >= after.file_id).where(
            (table.c.file_id > after.file_id) | (table.c.frame_index > after.frame_index)
        )
    return query.order_by(table.c.file_id, table.c.frame_index).limit(limit)
