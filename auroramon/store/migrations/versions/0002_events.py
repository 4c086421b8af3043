"""Events: when there was aurora.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("rules"),
    )
    op.create_table(
        "event_nights",
        sa.Column("camera_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("night", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("derived", sa.Integer(), nullable=True),
        sa.Column("rules_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["camera_id", "night"], ["nights.camera_id", "nights.night"]),
        sa.ForeignKeyConstraint(["rules_id"], ["event_rules.id"]),
        sa.PrimaryKeyConstraint("camera_id", "night"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("camera_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("night", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("begun", sa.Float(precision=53), autoincrement=False, nullable=False),
        sa.Column("ended", sa.Float(precision=53), nullable=False),
        sa.Column("is_over", sa.SmallInteger(), nullable=False),
        sa.Column("label_id", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Integer(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("rules_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["camera_id", "night"], ["nights.camera_id", "nights.night"]),
        sa.ForeignKeyConstraint(["label_id"], ["label_names.id"]),
        sa.ForeignKeyConstraint(["rules_id"], ["event_rules.id"]),
        sa.PrimaryKeyConstraint("camera_id", "night", "begun"),
        sqlite_with_rowid=False,
    )
