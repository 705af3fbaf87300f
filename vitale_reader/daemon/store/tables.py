"""The tables of the store, the same on SQLite and on PostgreSQL.

``seal`` is a keyed hash over the whole of a row (``row_seals``). A writer of the database without the key cannot add,
change or swap a row that is believed. A removed row, or an older one put back, is detected by ``table_heads`` where it
decides who gets in. Of a row that lives for minutes, an older one is bounded by its expiry. ``seal`` is nullable for
rows of versions before only.

Whoever changes them writes a migration (in ``migrations`` beside this module) and moves ``REVISION``. A test compares
what the migrations make with what is declared here.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    literal_column,
)

__all__ = [
    "HIGHEST",
    "LATEST",
    "MEBIBYTE",
    "REVISION",
    "ROWID",
    "SealedBytes",
    "audit",
    "audit_heads",
    "clients",
    "contexts",
    "metadata",
    "opposition_lists",
    "opposition_parts",
    "outbox",
    "revision",
    "seen",
    "site",
    "site_desks",
    "site_requests",
    "site_steps",
    "stations",
    "table_heads",
]

#: The revision of the migrations that makes these tables.
REVISION = "0005"

#: A number that somebody else put above it is no reason to run out of them, of which PostgreSQL has 2³¹.
HIGHEST = 2_000_000_000

#: By this SQLite finds a row whatever somebody has put into it.
ROWID = literal_column("rowid", Integer)

#: Epoch seconds of the year 9999. What stands in the store from then on, or is no number, is no time of a desk.
LATEST = 253_370_764_800.0

#: A sealed value is a message of the wire at most.
MEBIBYTE = 1_048_576


class SealedBytes(LargeBinary):
    """Sealed bytes, of which so many are read at most.

    What is longer was not written by a desk, and does not open.
    """

    def __init__(self, most: int = MEBIBYTE) -> None:
        super().__init__()
        self.most = most

    def column_expression(self, colexpr: ColumnElement[Any]) -> ColumnElement[Any]:
        """Returns what is selected in place of the column."""
        cut = func.substr(colexpr, literal_column("1"), literal_column(str(self.most + 1)))
        return func.coalesce(cut, colexpr, type_=self)  # of no bytes at all, SQLite cuts nothing


metadata = MetaData()

#: Alembic's own table, declared so that a start need not load Alembic to see that there is nothing to do.
revision = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))

#: What each sealed table holds: its revision, and the seal of every row by its key.
table_heads = Table(
    "table_heads",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("rows", SealedBytes(16 * MEBIBYTE), nullable=False),
    Column("seal", SealedBytes(), nullable=False),
)

#: What the daemons of one store agree on: ``key`` is a keyed digest that tells whether they hold the same site key.
site = Table(
    "site",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("value", String(200), nullable=False),
    Column("seal", SealedBytes()),
)

#: The stations that share the store. Sealed are the public keys of their tokens, and the certificate of the authority
#: of the clients they pair: whoever can write to the database only cannot add one that is believed.
stations = Table(
    "stations",
    metadata,
    Column("station", String(36), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("sealed", SealedBytes(), nullable=False),
    Column("seal", SealedBytes()),
)

#: Paired clients. Secrets are kept as digests only.
clients = Table(
    "clients",
    metadata,
    Column("client_id", String(100), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("scopes", String(500), nullable=False),
    Column("transports", String(200), nullable=False),
    # The key of a page with its site, in JSON; empty for others, and where a desk of a version before wrote the row.
    Column("origins", String(10_000), nullable=False, default=""),
    Column("certificate_sha256", String(64), unique=True),
    Column("credential_sha256", String(64), unique=True),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
    Column("seal", SealedBytes()),
)

#: Tokens that their client has not acknowledged, sealed. At most one token for one presentation and client.
outbox = Table(
    "outbox",
    metadata,
    Column("jti", String(36), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("presentation", String(36), nullable=False),
    Column("exp", Integer, nullable=False),
    Column("sealed", SealedBytes(), nullable=False),
    Column("seal", SealedBytes()),
    UniqueConstraint("presentation", "client_id"),
    # A page is read in its order, and from any place on.
    Index("outbox_client", "client_id", "exp", "jti"),
    Index("outbox_exp", "exp"),
)

#: Strings of apCVs that were used, by their keyed digest: ``reserved`` before they are resolved, ``used`` with a token.
#: ``claim`` tells two presentations of one string apart.
seen = Table(
    "seen",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("state", String(10), nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("claim", String(32)),
    Column("seal", SealedBytes()),
    Index("seen_expires_at", "expires_at"),
)

#: apCV contexts that clients hold at a station, sealed, by the keyed digest of their names.
contexts = Table(
    "contexts",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("notice_at", Float, nullable=False),
    Column("noticed", Boolean, nullable=False),
    Column("ends_at", Float, nullable=False),
    Column("sealed", SealedBytes(), nullable=False),
    Column("station", String(36)),
    Column("seal", SealedBytes()),
    Index("contexts_ends_at", "ends_at"),
)

#: Who asked for what, when, with which outcome; never about whom. The rows of a station are a chain: ``mac`` is a keyed
#: hash over the row and the ``mac`` of the row before.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("client_id", String(100)),
    Column("action", String(50), nullable=False),
    Column("outcome", String(50), nullable=False),
    Column("medium", String(30)),
    Column("reader", String(200)),
    Column("jti", String(36)),
    Column("station", String(36)),
    Column("number", Integer),
    Column("mac", SealedBytes()),
    # Why an administrator let a broken trail go on; of no other act.
    Column("reason", String(500)),
    Index("audit_chain", "station", "number", unique=True),
    Index("audit_at", "at"),
)

#: Where the chain of a station begins and ends; ``seal`` is a keyed hash over the rest.
audit_heads = Table(
    "audit_heads",
    metadata,
    Column("station", String(36), primary_key=True),
    Column("first", Integer, nullable=False),
    Column("before", SealedBytes(), nullable=False),
    Column("last", Integer, nullable=False),
    Column("mac", SealedBytes(), nullable=False),
    Column("seal", SealedBytes(), nullable=False),
)

#: The opposition lists of a site, and how far their import has come.
opposition_lists = Table(
    "opposition_lists",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("generation", String(32), nullable=False),
    Column("entries", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("imported_at", Float, nullable=False),
    Column("seal", SealedBytes()),
)

#: Keyed digests of card serials, sorted, sealed piece by piece: not even their digests can be read in the store.
opposition_parts = Table(
    "opposition_parts",
    metadata,
    Column("generation", String(32), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("sealed", SealedBytes(), nullable=False),
)

#: The desks that serve now: when they last said so, by the database's clock. Sealed is what they are and have.
site_desks = Table(
    "site_desks",
    metadata,
    Column("station", String(36), primary_key=True),
    Column("incarnation", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("beat_at", Float, nullable=False),
    Column("sealed", SealedBytes(), nullable=False),
)

#: Requests for readers of other desks, from when they are asked until their answer has arrived. ``asked_by`` and
#: ``taken_by`` are incarnations of desks; ``answer`` is sealed for the one that asked.
site_requests = Table(
    "site_requests",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("asked_by", String(32), nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("ends_at", Float, nullable=False),
    Column("taken_by", String(32)),
    Column("sealed", SealedBytes(), nullable=False),
    Column("answer", SealedBytes()),
)

#: How such requests get on, until whoever asked has read it.
site_steps = Table(
    "site_steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("request", String(36), ForeignKey("site_requests.id", ondelete="CASCADE"), nullable=False),
    Column("sealed", SealedBytes(), nullable=False),
    Index("site_steps_request", "request"),
)
