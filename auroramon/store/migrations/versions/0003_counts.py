"""What is counted once and kept: the frames of each hour, and the files by state.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COUNTS = ("arc", "diffuse", "discrete", "cloudy", "moon", "clear", "unknown", "other")


def upgrade() -> None:
    op.create_table(
        "hours",
        sa.Column("camera_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("night", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due", sa.SmallInteger(), nullable=False),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in _COUNTS),
        sa.Column("total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("dark", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sun_below", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(["camera_id", "night"], ["nights.camera_id", "nights.night"]),
        sa.PrimaryKeyConstraint("camera_id", "night", "hour"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "hours_due",
        "hours",
        ["camera_id", "night", "hour"],
        unique=False,
        sqlite_where=sa.text("due = 1"),
        postgresql_where=sa.text("due = 1"),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("labelled", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    floor = "FLOOR(time_utc / 3600)" if op.get_bind().dialect.name == "postgresql" else "time_utc / 3600"
    op.execute(
        "INSERT INTO hours (camera_id, night, hour, due) "  # noqa: S608 (our own names)
        f"SELECT DISTINCT camera_id, night, CAST({floor} AS INTEGER), 1 FROM frames"
    )
    op.execute(
        "INSERT INTO hours (camera_id, night, hour, due) "
        "SELECT camera_id, night, hour, 1 FROM expected WHERE true ON CONFLICT DO NOTHING"
    )
    states = ", ".join(f"COALESCE(SUM(CASE WHEN state = {code} THEN 1 ELSE 0 END), 0)" for code in range(4))
    op.execute(
        "INSERT INTO account (id, seen, pending, labelled, skipped, quarantined) "  # noqa: S608 (our own names)
        f"SELECT 1, COUNT(*), {states} FROM files"
    )
