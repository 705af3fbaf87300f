"""The tables of version 0.1."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates the first tables."""
    op.create_table(
        "clients",
        sa.Column("client_id", sa.String(100), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("scopes", sa.String(500), nullable=False),
        sa.Column("transports", sa.String(200), nullable=False),
        sa.Column("origins", sa.String(10_000), nullable=False),
        sa.Column("certificate_sha256", sa.String(64), unique=True),
        sa.Column("credential_sha256", sa.String(64), unique=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("revoked_at", sa.Float),
    )
    op.create_table(
        "outbox",
        sa.Column("jti", sa.String(36), primary_key=True),
        sa.Column("client_id", sa.String(100), nullable=False),
        sa.Column("presentation", sa.String(36), nullable=False),
        sa.Column("exp", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("presentation", "client_id"),
    )
    op.create_index("outbox_client", "outbox", ["client_id", "exp"])
    op.create_index("outbox_exp", "outbox", ["exp"])
    op.create_table(
        "seen",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("seen_expires_at", "seen", ["expires_at"])
    op.create_table(
        "contexts",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("client_id", sa.String(100), nullable=False),
        sa.Column("notice_at", sa.Float, nullable=False),
        sa.Column("noticed", sa.Boolean, nullable=False),
        sa.Column("ends_at", sa.Float, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("contexts_ends_at", "contexts", ["ends_at"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("client_id", sa.String(100)),
        sa.Column("action", sa.String(50), nullable=False),
        sa.Column("outcome", sa.String(50), nullable=False),
        sa.Column("medium", sa.String(30)),
        sa.Column("reader", sa.String(200)),
        sa.Column("jti", sa.String(36)),
    )
    op.create_index("audit_at", "audit", ["at"])
