"""The database of labels: `open_store` gives a `Store` to write to, `read_store` one to ask; SQLite or PostgreSQL."""

from auroramon.store.store import Store, in_parts, open_store, read_store

__all__ = ["Store", "in_parts", "open_store", "read_store"]
