"""The first schema.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_LABELS = ("arc", "diffuse", "discrete", "cloudy", "moon", "clear", "unknown")


def upgrade() -> None:
    op.create_table(
        "cameras",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), server_default="", nullable=False),
        sa.Column("latitude", sa.Float(precision=53), nullable=True),
        sa.Column("longitude", sa.Float(precision=53), nullable=True),
        sa.Column("cadence_s", sa.Float(precision=53), nullable=True),
        sa.Column("sun_below_deg", sa.Float(precision=53), nullable=True),
        sa.Column("watched_from", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "embedders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "folders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("path"),
    )
    op.create_table(
        "label_names",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("code_version", sa.Text(), server_default="", nullable=False),
        sa.Column("backend", sa.Text(), server_default="", nullable=False),
        sa.Column("precision", sa.Text(), server_default="", nullable=False),
        sa.Column("settings_digest", sa.Text(), server_default="", nullable=False),
        sa.Column("started", sa.Float(precision=53), nullable=False),
        sa.Column("ended", sa.Float(precision=53), nullable=True),
        sa.Column("heartbeat", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("folder_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("camera_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("crashes", sa.SmallInteger(), nullable=False),
        sa.Column("rewritten", sa.SmallInteger(), nullable=False),
        sa.Column("not_before", sa.Float(precision=53), nullable=True),
        sa.Column("claimed_by", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["camera_id"],
            ["cameras.id"],
        ),
        sa.ForeignKeyConstraint(
            ["claimed_by"],
            ["runs.id"],
        ),
        sa.ForeignKeyConstraint(
            ["folder_id"],
            ["folders.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("folder_id", "name"),
    )
    op.create_index(
        "files_claimed",
        "files",
        ["claimed_by"],
        unique=False,
        sqlite_where=sa.text("claimed_by IS NOT NULL"),
        postgresql_where=sa.text("claimed_by IS NOT NULL"),
    )
    op.create_index(
        "files_pending",
        "files",
        ["mtime_ns"],
        unique=False,
        sqlite_where=sa.text("state = 0"),
        postgresql_where=sa.text("state = 0"),
    )
    op.create_index(
        "files_quarantined",
        "files",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 3"),
        postgresql_where=sa.text("state = 3"),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("embedder_id", sa.Integer(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Float(precision=53), nullable=True),
        sa.Column("created", sa.Float(precision=53), nullable=False),
        sa.Column("promoted_at", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(
            ["embedder_id"],
            ["embedders.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "nights",
        sa.Column("camera_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("night", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("filled_until", sa.Float(precision=53), nullable=True),
        sa.ForeignKeyConstraint(
            ["camera_id"],
            ["cameras.id"],
        ),
        sa.PrimaryKeyConstraint("camera_id", "night"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "duplicates",
        sa.Column("file_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("original_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["files.id"],
        ),
        sa.ForeignKeyConstraint(
            ["original_id"],
            ["files.id"],
        ),
        sa.PrimaryKeyConstraint("file_id", "original_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_duplicates_original_id"), "duplicates", ["original_id"], unique=False)
    op.create_table(
        "expected",
        sa.Column("camera_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("night", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("frames", sa.Float(precision=53), nullable=False),
        sa.Column("sun_below", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["camera_id", "night"],
            ["nights.camera_id", "nights.night"],
        ),
        sa.PrimaryKeyConstraint("camera_id", "night", "hour"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "frames",
        sa.Column("file_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("frame_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("camera_id", sa.Integer(), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("time_utc", sa.Float(precision=53), nullable=False),
        sa.Column("twin", sa.SmallInteger(), nullable=True),
        sa.Column("time_source", sa.SmallInteger(), nullable=False),
        sa.Column("night", sa.Integer(), nullable=False),
        sa.Column("sun", sa.SmallInteger(), nullable=True),
        sa.Column("moon", sa.SmallInteger(), nullable=True),
        sa.Column("moon_phase", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["camera_id"],
            ["cameras.id"],
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
        ),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["files.id"],
        ),
        sa.PrimaryKeyConstraint("file_id", "frame_index"),
        sa.UniqueConstraint("camera_id", "time_utc", "channel_id", "twin"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("frame_index", sa.Integer(), nullable=False),
        sa.Column("time_utc", sa.Float(precision=53), nullable=False),
        sa.Column("label_id", sa.Integer(), nullable=False),
        sa.Column("reviewer", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("made_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["files.id"],
        ),
        sa.ForeignKeyConstraint(
            ["label_id"],
            ["label_names.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("reviews_frame", "reviews", ["file_id", "frame_index"], unique=False)
    op.create_table(
        "embeddings",
        sa.Column("file_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("frame_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("embedder_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["embedder_id"],
            ["embedders.id"],
        ),
        sa.ForeignKeyConstraint(
            ["file_id", "frame_index"],
            ["frames.file_id", "frames.frame_index"],
        ),
        sa.PrimaryKeyConstraint("file_id", "frame_index", "embedder_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "labels",
        sa.Column("file_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("frame_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("label_id", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Integer(), nullable=True),
        sa.Column("scores", sa.LargeBinary(), nullable=True),
        sa.Column("distance", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("source", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id", "frame_index"],
            ["frames.file_id", "frames.frame_index"],
        ),
        sa.ForeignKeyConstraint(
            ["label_id"],
            ["label_names.id"],
        ),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["models.id"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
        ),
        sa.PrimaryKeyConstraint("file_id", "frame_index", "model_id"),
        sqlite_with_rowid=False,
    )
    op.bulk_insert(
        sa.table("label_names", sa.column("id", sa.Integer), sa.column("name", sa.Text)),
        [{"id": code, "name": name} for code, name in enumerate(_LABELS, start=1)],
    )
    if op.get_bind().dialect.name == "postgresql":
        # Rows with given numbers do not move the sequence that numbers the next ones.
        op.execute(f"SELECT setval(pg_get_serial_sequence('label_names', 'id'), {len(_LABELS)})")
