"""An index in which a page of the outbox is found and read in its order.

Tokens that end in the same second have an order, too.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Makes the index anew, with the column by which tokens of one second are told apart."""
    op.drop_index("outbox_client", "outbox")
    op.create_index("outbox_client", "outbox", ["client_id", "exp", "jti"])
