"""Which folders a backfill has listed whole: a listing that was cut off goes on behind them.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "listed_folders",
        sa.Column("listing", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("listed_ns", sa.BigInteger(), nullable=False),
        sa.Column("below", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("listing", "path"),
        sqlite_with_rowid=False,
    )
