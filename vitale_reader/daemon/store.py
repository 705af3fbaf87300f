"""The station's database: its tables, and one thread that does all the work on it.

SQLite in WAL mode with ``synchronous=NORMAL``: a commit survives the death of the process at any instruction; a power
cut can undo the last commits, never tear one (docs/adr/0005). One schema and one code path, through SQLAlchemy Core.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import DatabaseError, IntegrityError, SQLAlchemyError

from vitale_protocol.errors import StoreUnavailable

__all__ = ["Store", "audit", "clients", "contexts", "metadata", "outbox", "seen"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

metadata = MetaData()

#: Paired clients. Secrets are kept as digests only.
clients = Table(
    "clients",
    metadata,
    Column("client_id", String(100), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("scopes", String(500), nullable=False),
    Column("transports", String(200), nullable=False),
    Column("origins", String(10_000), nullable=False),
    Column("certificate_sha256", String(64), unique=True),
    Column("credential_sha256", String(64), unique=True),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)

#: Tokens that their client has not acknowledged, sealed. At most one token for one presentation and client.
outbox = Table(
    "outbox",
    metadata,
    Column("jti", String(36), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("presentation", String(36), nullable=False),
    Column("exp", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("presentation", "client_id"),
    Index("outbox_client", "client_id", "exp"),
    Index("outbox_exp", "exp"),
)

#: Strings of apCVs that were used, by their keyed digest: ``reserved`` before they are resolved, ``used`` with a token.
seen = Table(
    "seen",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("state", String(10), nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("seen_expires_at", "expires_at"),
)

#: apCV contexts that clients hold, sealed, by the keyed digest of their names.
contexts = Table(
    "contexts",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("notice_at", Float, nullable=False),
    Column("noticed", Boolean, nullable=False),
    Column("ends_at", Float, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("contexts_ends_at", "ends_at"),
)

#: Who asked for what, when, with which outcome; never about whom.
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
    Index("audit_at", "at"),
)


class Store:
    """The database behind one thread; ``open`` and ``close`` act, ``run`` does a piece of work in a transaction."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._engine = create_engine(f"sqlite:///{file}", hide_parameters=True)
        event.listen(self._engine, "connect", _prepare)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Opens or creates the database; one that is corrupt is set aside, and said so in the log.

        Raises:
            StoreUnavailable: it cannot be opened or created.
        """
        await self._in_thread(self._open)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Does ``work`` in one transaction, in the store's thread; all of it or nothing.

        Raises:
            StoreUnavailable: the database does not take it.
            IntegrityError: a constraint of the tables refuses it.
        """
        return await self._in_thread(lambda: self._transact(work))

    async def close(self) -> None:
        """Closes the database; work begun before is done first."""
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        try:
            self._create()
        except DatabaseError as error:
            self._close()
            if not self._file.exists() or not _is_corrupt(error):
                raise StoreUnavailable(f"cannot open the store: {type(error.orig).__name__}") from error
            self._set_aside()
            self._create()
        except OSError as error:
            raise StoreUnavailable(f"cannot make the store: {error.strerror}") from error

    def _create(self) -> None:
        # Its journal files take over the mode of the database.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self._connection = self._engine.connect()
        with self._connection.begin():
            metadata.create_all(self._connection)
            result = self._connection.execute(text("PRAGMA quick_check(1)")).scalar()
        if result != "ok":
            raise DatabaseError("quick_check", None, Exception("malformed"))

    def _set_aside(self) -> None:
        aside = self._file.with_name(f"{self._file.name}.corrupt-{int(time.time())}")
        self._file.rename(aside)
        for suffix in ("-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        logger.error("the store was corrupt; it is set aside as %s and a new one is begun", aside.name)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with self._connection.begin():
                return work(self._connection)
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            self._close()
            raise StoreUnavailable(type(error).__name__) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()


def _prepare(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _is_corrupt(error: DatabaseError) -> bool:
    """SQLITE_CORRUPT and SQLITE_NOTADB, by the words of sqlite3 (no code before Python 3.11's ``sqlite_errorcode``)."""
    said = str(error.orig)
    return any(words in said for words in ("malformed", "not a database"))
