"""The database of labels: `open_store` gives a `Store`, on SQLite or PostgreSQL."""

from auroramon.store.store import Store, in_parts, open_store

__all__ = ["Store", "in_parts", "open_store"]
