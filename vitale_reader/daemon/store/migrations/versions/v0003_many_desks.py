"""Readers of other desks: who is there, who asks, how it goes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the three tables of several desks."""
    op.create_table(
        "site_desks",
        sa.Column("station", sa.String(36), primary_key=True),
        sa.Column("incarnation", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("beat_at", sa.Float, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "site_requests",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("asked_by", sa.String(32), nullable=False),
        sa.Column("asked_at", sa.Float, nullable=False),
        sa.Column("ends_at", sa.Float, nullable=False),
        sa.Column("taken_by", sa.String(32)),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary),
    )
    op.create_table(
        "site_steps",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("request", sa.String(36), sa.ForeignKey("site_requests.id", ondelete="CASCADE"), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("site_steps_request", "site_steps", ["request"])
