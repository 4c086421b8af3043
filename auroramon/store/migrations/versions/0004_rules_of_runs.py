"""Which thresholds were in force when a label was written: each run refers to its rules.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # In one statement: SQLite cannot add a reference to a column that is there.
    op.execute("ALTER TABLE runs ADD COLUMN rules_id INTEGER REFERENCES event_rules (id)")
