"""The frames of each hour also by Moon and by why they are unknown, for what a dashboard asks of a season.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hour_kinds",
        sa.Column("camera_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("night", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("moon", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("label_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["camera_id", "night", "hour"], ["hours.camera_id", "hours.night", "hours.hour"]),
        sa.ForeignKeyConstraint(["label_id"], ["label_names.id"]),
        sa.PrimaryKeyConstraint("camera_id", "night", "hour", "moon", "label_id", "why"),
        sqlite_with_rowid=False,
    )
    op.execute("UPDATE hours SET due = 1")  # counted again in the background; until then the views count themselves
