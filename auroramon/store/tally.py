"""How many frames each model labelled."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from auroramon.store.schema import labels


def label_counts(conn: Connection) -> dict[int, int]:
    """Give the number of labels by the number of their model; reads the whole table of labels."""
    query = select(labels.c.model_id, func.count()).group_by(labels.c.model_id)
    return {int(model): int(count) for model, count in conn.execute(query)}
