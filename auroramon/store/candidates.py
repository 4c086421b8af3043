"""Frames that a person might label next: what a model said of those that nobody has looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from auroramon.store.months import same_frame
from auroramon.store.relabel import Which
from auroramon.store.results import FrameKey
from auroramon.store.schema import embeddings, frames, labels, models, reviews


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Some frames without a person's word, as one model sees them."""

    keys: Sequence[FrameKey]  # N
    scores: NDArray[np.float16]  # (N,K)
    distances: NDArray[np.float64]  # (N,)
    vectors: NDArray[np.float16]  # (N,D)


def candidates(conn: Connection, model: int, which: Which, batch: int) -> Iterator[Candidates]:
    """Stream the frames that this model labelled and no person did, by file and index."""
    embedder = select(models.c.embedder_id).where(models.c.id == model).scalar_subquery()
    reviewed = select(reviews.c.id).where(
        reviews.c.file_id == frames.c.file_id,
        reviews.c.frame_index == frames.c.frame_index,
        reviews.c.time_utc == frames.c.time_utc,
    )
    query = (
        select(labels.c.file_id, labels.c.frame_index, labels.c.scores, labels.c.distance, embeddings.c.vector)
        .join(frames, same_frame(conn, frames, labels))
        .join(embeddings, same_frame(conn, embeddings, labels) & (embeddings.c.embedder_id == embedder))
        .where(labels.c.model_id == model, labels.c.scores.is_not(None), labels.c.distance.is_not(None))
        .where(~reviewed.exists(), *which.conditions())
        .order_by(labels.c.file_id, labels.c.frame_index)
    )
    for rows in conn.execution_options(yield_per=batch).execute(query).partitions():
        yield Candidates(
            [FrameKey(row[0], row[1]) for row in rows],
            np.frombuffer(b"".join([row[2] for row in rows]), "<f2").reshape(len(rows), -1),
            np.array([row[3] for row in rows]) / 1000,
            np.frombuffer(b"".join([row[4] for row in rows]), "<f2").reshape(len(rows), -1),
        )


def reviewed_vectors(conn: Connection, model: int, which: Which) -> NDArray[np.float16]:
    """Give (N,D) embeddings, by the embedder of this model, of the frames that a person has labelled."""
    embedder = select(models.c.embedder_id).where(models.c.id == model).scalar_subquery()
    query = (
        select(embeddings.c.vector)
        .join(frames, same_frame(conn, frames, embeddings))
        .where(embeddings.c.embedder_id == embedder, *which.conditions())
        .where(
            select(reviews.c.id)
            .where(
                reviews.c.file_id == frames.c.file_id,
                reviews.c.frame_index == frames.c.frame_index,
                reviews.c.time_utc == frames.c.time_utc,
            )
            .exists()
        )
        .order_by(embeddings.c.file_id, embeddings.c.frame_index)
    )
    found = [np.frombuffer(vector, "<f2") for vector in conn.scalars(query)]
    return np.stack(found) if found else np.zeros((0, 0), dtype=np.float16)
