"""Seals of rows, heads of the tables that decide who gets in, reasons in the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds columns and a table; what is there is sealed by ``bringing_forward``, which has the keys."""
    for table in ("site", "stations", "clients", "outbox", "seen", "contexts", "opposition_lists"):
        op.add_column(table, sa.Column("seal", sa.LargeBinary))
    op.add_column("audit", sa.Column("reason", sa.String(500)))
    op.create_table(
        "table_heads",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("rows", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
