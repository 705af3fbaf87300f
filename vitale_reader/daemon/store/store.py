"""The station's database, a SQLite file of its own or the PostgreSQL of a site: opening it, and work in transactions.

One schema and one code path, through SQLAlchemy Core; no work runs in the event loop's thread.

- SQLite: one thread, one connection, WAL mode with ``synchronous=NORMAL``. A commit survives the death of the process
  at any instruction. A power cut can undo the last commits, never tear one (docs/adr/0005).
- PostgreSQL: a few connections. Whoever does not answer within the limits here is away: callers are told at once, and
  for ``RECONNECT`` seconds nobody tries again (docs/adr/0015).
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, IntegrityError, SQLAlchemyError

from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable
from vitale_protocol.extras import missing
from vitale_reader.daemon.store.schema import prepare

__all__ = ["Database", "Need", "Store"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Connections of one daemon to the PostgreSQL of its site: each is a process of the server.
CONNECTIONS = 4

#: Seconds to reach the server, milliseconds for a statement and for a lock, seconds that a caller waits in all.
CONNECT, STATEMENT, LOCK, PATIENCE = 2, 2_000, 1_500, 5.0

#: Seconds that a new version may take to change the tables of a site.
MIGRATION = 300.0

#: Seconds for which a server that was away is not asked again.
RECONNECT = 1.0

#: How often a transaction is begun anew that the server ended in favour of another one (PostgreSQL, appendix A).
TRIES = 5
YIELDED = {"40001", "40P01"}


#: Where a piece of work may be done while the database of a site is away: in the station's spool, there only if the
#: site is not strict about what guards against replay, or nowhere.
Need = Literal["any", "guard", "site"]


class Database(Protocol):
    """A store, as those who keep something in it see it."""

    @property
    def shared(self) -> bool:
        """True if other stations use it as well."""
        ...

    @property
    def degraded(self) -> bool:
        """True if what is kept now is not known to the other stations of the site."""
        ...

    async def run(self, work: Callable[[Connection], T], *, needs: Need = "any") -> T:
        """Does ``work`` in one transaction; all of it or nothing. It may be begun more than once.

        Raises:
            StoreUnavailable: the database does not take it, or is not there.
            IntegrityError: a constraint of the tables refuses it.
        """
        ...

    async def mirror(self, work: Callable[[Connection], object]) -> None:
        """Writes down at the station, too, what it is to know while the database of its site is away."""
        ...


class Store:
    """The database; ``open`` and ``close`` act, ``run`` does a piece of work in a transaction.

    Args:
        place: the file of SQLite, or the URL of PostgreSQL.
        reading: only to look, for as long as it takes: the work of others, in other processes, is not held up.
    """

    def __init__(self, place: Path | str, *, reading: bool = False) -> None:
        self._file = place if isinstance(place, Path) else None
        self._reading = reading
        self._engine = (
            _sqlite(place, reading=reading) if isinstance(place, Path) else _postgresql(place, reading=reading)
        )
        self._threads = ThreadPoolExecutor(1 if self._file else CONNECTIONS, thread_name_prefix="store")
        self._away_until = 0.0

    @property
    def shared(self) -> bool:
        """True if other stations use it as well."""
        return self._file is None

    async def open(self) -> None:
        """Opens or creates the database; a SQLite file that is corrupt is set aside, and said so in the log.

        Raises:
            StoreUnavailable: it cannot be opened or created.
        """
        file = self._file
        if file is None:
            await self._in_thread(lambda: self._transact(prepare), MIGRATION)
        else:
            await self._in_thread(lambda: self._open_file(file))

    @property
    def degraded(self) -> bool:
        """Never: it is there, or it takes nothing."""
        return False

    @property
    def away(self) -> bool:
        """True if it did not answer a moment ago."""
        return time.monotonic() < self._away_until

    async def run(self, work: Callable[[Connection], T], *, needs: Need = "any") -> T:
        """Runs work as ``Database`` describes it."""
        return await self._in_thread(lambda: self._transact(work))

    async def mirror(self, work: Callable[[Connection], object]) -> None:
        """There is no other place."""

    async def close(self) -> None:
        """Closes the database; work begun before is done first."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    async def _in_thread(self, work: Callable[[], T], patience: float = PATIENCE) -> T:
        doing = asyncio.get_running_loop().run_in_executor(self._threads, work)
        if self._file is not None or self._reading:
            return await doing
        try:
            async with asyncio.timeout(patience):
                return await doing
        except TimeoutError as error:
            self._away_until = time.monotonic() + RECONNECT
            raise StoreUnavailable("the database does not answer in time") from error

    # ── in a thread of the store ──

    def _open_file(self, file: Path) -> None:
        try:
            # Its journal files take over the mode of the database.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            try:
                self._create()
            except DatabaseError as error:
                self._engine.dispose()
                if not _is_corrupt(error):
                    raise
                _set_aside(file)
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
                self._create()
        except DatabaseError as error:
            raise StoreUnavailable(f"cannot open the store: {type(error.orig).__name__}") from error
        except OSError as error:
            raise StoreUnavailable(f"cannot make the store: {error.strerror}") from error

    def _create(self) -> None:
        with self._engine.begin() as connection:
            if connection.execute(text("PRAGMA quick_check(1)")).scalar() != "ok":
                raise DatabaseError("quick_check", None, Exception("malformed"))
            prepare(connection)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        if self.away:
            raise StoreUnavailable("the database is away")
        for left in reversed(range(TRIES)):
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except IntegrityError:
                raise
            except SQLAlchemyError as error:
                if not (left and _yielded(error)):
                    self._note_failure(error)
                    raise StoreUnavailable(type(error).__name__) from error
        raise AssertionError("the last try returns or raises")

    def _note_failure(self, error: SQLAlchemyError) -> None:
        if self._file is not None:
            self._engine.dispose()  # the next work opens the file anew: its disk may have come back
        elif not isinstance(error, DBAPIError) or error.connection_invalidated or _sqlstate(error) is None:
            self._away_until = time.monotonic() + RECONNECT


def _sqlite(file: Path, *, reading: bool) -> Engine:
    engine = create_engine(f"sqlite:///{file}", hide_parameters=True, pool_size=1, max_overflow=0)
    begin = "BEGIN" if reading else "BEGIN IMMEDIATE"  # what is read in a transaction that writes must hold to its end

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # sqlite3 begins no transaction by itself, and so none too late
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql(place: str, *, reading: bool) -> Engine:
    url = _url(place)
    try:
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=PATIENCE,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ" if reading else "READ COMMITTED",
            connect_args={
                "connect_timeout": CONNECT,
                "tcp_user_timeout": CONNECT * 1_000,  # of a network that swallows what it is given
                "application_name": "vitale-reader",
            },
        )
    except ImportError as error:
        raise missing(error, "PostgreSQL", extra="postgresql", library="psycopg") from error

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            for setting, value in (
                ("statement_timeout", 0 if reading else STATEMENT),
                ("lock_timeout", LOCK),
                # What is read may be looked at for longer than that, piece by piece, in one transaction.
                ("idle_in_transaction_session_timeout", 0 if reading else STATEMENT),
            ):
                cursor.execute(f"SET {setting} = {value}")
        connection.commit()

    return engine


def _url(place: str) -> URL:
    try:
        return make_url(place).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        # Not chained: the text of the error repeats the URL, and with it the password.
        raise ConfigurationInvalid("store is no URL of PostgreSQL", data={"path": "store"}) from None


def _set_aside(file: Path) -> None:
    aside = file.with_name(f"{file.name}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    file.rename(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            file.with_name(file.name + suffix).rename(aside.with_name(aside.name + suffix))
    logger.error("the store was corrupt; it is set aside as %s and a new one is begun", aside.name)


def _is_corrupt(error: DatabaseError) -> bool:
    """SQLITE_CORRUPT and SQLITE_NOTADB, by the words of sqlite3."""
    said = str(error.orig)
    return any(words in said for words in ("malformed", "not a database"))


def _yielded(error: SQLAlchemyError) -> bool:
    return isinstance(error, DBAPIError) and _sqlstate(error) in YIELDED


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
