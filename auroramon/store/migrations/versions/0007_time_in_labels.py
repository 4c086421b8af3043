"""The frame's time beside its labels and embeddings, for databases that are divided by months; NULL in all others.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    there = " IF NOT EXISTS" if op.get_bind().dialect.name == "postgresql" else ""
    kind = "DOUBLE PRECISION" if there else "FLOAT"
    for table in ("labels", "embeddings"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN{there} time_utc {kind}")  # NULL: no row is written anew
