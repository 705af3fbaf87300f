"""Several stations on one store, a chained audit trail, opposition lists."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds them; what is there stays as it is."""
    op.add_column("seen", sa.Column("claim", sa.String(32)))
    op.add_column("contexts", sa.Column("station", sa.String(36)))
    for column in (
        sa.Column("station", sa.String(36)),
        sa.Column("number", sa.Integer),
        sa.Column("mac", sa.LargeBinary),
    ):
        op.add_column("audit", column)
    op.create_index("audit_chain", "audit", ["station", "number"], unique=True)
    op.create_table(
        "audit_heads",
        sa.Column("station", sa.String(36), primary_key=True),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("before", sa.LargeBinary, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "site",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
    )
    op.create_table(
        "stations",
        sa.Column("station", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "opposition_lists",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("generation", sa.String(32), nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("parts", sa.Integer, nullable=False),
        sa.Column("imported_at", sa.Float, nullable=False),
    )
    op.create_table(
        "opposition_parts",
        sa.Column("generation", sa.String(32), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
