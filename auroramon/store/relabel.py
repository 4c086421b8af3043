"""Labels for frames that are already known: from stored embeddings, by another head or threshold."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, exists, select

from auroramon.store.codes import Codes, label_codes
from auroramon.store.encoding import unpack
from auroramon.store.frames import Author, insert_new, label_values
from auroramon.store.results import FrameKey, NewLabel, Source, StoredEmbedding
from auroramon.store.schema import cameras, embeddings, frames, labels, models


def embeddings_without_label(conn: Connection, model: int, limit: int, after: FrameKey | None) -> list[StoredEmbedding]:
    """Give the next frames, by file and index, that this model has not labelled but its embedder has seen."""
    embedder = conn.scalar(select(models.c.embedder_id).where(models.c.id == model))
    ours = (
        select(labels.c.model_id)
        .where(labels.c.file_id == embeddings.c.file_id)
        .where(labels.c.frame_index == embeddings.c.frame_index)
        .where(labels.c.model_id == model)
    )
    query = (
        select(embeddings.c.file_id, embeddings.c.frame_index, cameras.c.name, embeddings.c.vector)
        .join(frames, (frames.c.file_id == embeddings.c.file_id) & (frames.c.frame_index == embeddings.c.frame_index))
        .join(cameras, cameras.c.id == frames.c.camera_id)
        .where(embeddings.c.embedder_id == embedder)
        .where(~exists(ours))
        .order_by(embeddings.c.file_id, embeddings.c.frame_index)
        .limit(limit)
    )
    if after is not None:
        # Written out, because a comparison of pairs would not use the key on every version of SQLite.
        query = query.where(embeddings.c.file_id >= after.file_id).where(
            (embeddings.c.file_id > after.file_id) | (embeddings.c.frame_index > after.frame_index)
        )
    return [
        StoredEmbedding(FrameKey(file_id, index), camera, unpack(vector))
        for file_id, index, camera, vector in conn.execute(query)
    ]


def add_labels(conn: Connection, codes: Codes, run: int, new: Sequence[NewLabel], *, model: int, source: Source) -> int:
    """Add labels of a model to known frames; where it has labelled already, nothing changes. Give how many were new."""
    author = Author(model, run, source)
    numbers = label_codes(codes, conn, {item.classification.label for item in new})
    return insert_new(
        conn,
        labels,
        [label_values((item.key.file_id, item.key.frame_index), item.classification, numbers, author) for item in new],
    )
