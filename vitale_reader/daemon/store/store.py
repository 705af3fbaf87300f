"""The station's database, its own SQLite file or a site's PostgreSQL: opening it, and work in transactions.

One schema and one code path, through SQLAlchemy Core; no work runs in the event loop's thread.

- SQLite: one thread, one connection, WAL mode with ``synchronous=NORMAL``. A commit survives the death of the process
  at any instruction. A power cut can undo the last commits, never tear one (docs/adr/0005).
- PostgreSQL: a few connections. Whether it is away is decided by what it answers, or does not, to what it was asked.
  How much there is to do never counts. Then callers are told at once why, and for ``RECONNECT`` seconds nobody tries
  again (docs/adr/0015).
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, IntegrityError, SQLAlchemyError

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.database.database_errors import began_twice, is_fault_of_ours, refusal, yielded
from vitale_reader.daemon.database.outage import Outage
from vitale_reader.daemon.database.thread_pool import Job, ThreadPool
from vitale_reader.daemon.store.migrate import is_current, prepare
from vitale_reader.daemon.store.numbering import ran_out, renumber
from vitale_reader.daemon.store.tables import metadata

if TYPE_CHECKING:
    from vitale_reader.daemon.database.postgresql import Connections

__all__ = ["Database", "Need", "Store"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Connections of one daemon to the PostgreSQL of its site: each is a process of the server.
CONNECTIONS = 4

#: Seconds in which a database gives a sign of life; of whoever only reads, more is asked at a time.
ANSWER, ANSWER_READING = 4.0, 60.0

#: Seconds that SQLite waits for another program to let go of the file.
BUSY = 2.0

#: Seconds that a new version may take for a statement that changes the tables.
MIGRATION = 300.0

#: Seconds for which a database that was away is not asked again.
RECONNECT = 1.0

#: Seconds in which work ends that was begun before the store is closed.
CLOSING = 1.2

#: Seconds in which a database gives a sign of life while the daemon stops.
HASTE = 1.0

#: Bytes to which the journal of SQLite is cut, once what is in it stands in the file.
JOURNAL = 16 * 1_048_576

#: KiB of the file that SQLite keeps in memory: a transaction touches some sixty, and the system has the rest.
PAGES = 512

#: How often a transaction is begun anew that the server ended in favour of another one (PostgreSQL, appendix A).
TRIES = 5


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

    @property
    def outage(self) -> Outage | None:
        """The last time that the database of the site was away; None where it never was since the start."""
        ...

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        needs: Need = "any",
        single: bool = False,
        in_spool: Callable[[Connection], T] | None = None,
    ) -> T:
        """Does ``work`` in one transaction; all of it or nothing. It may be begun more than once.

        Args:
            work: the work.
            needs: where it may be done while the database is away.
            single: whether one statement of it does all that is to be done. Each of its statements is a transaction by
                itself then, which spares PostgreSQL two round trips.
            in_spool: what is done instead where it comes to be done in the station's spool.

        Raises:
            StoreUnavailable: the database does not take it, or is not there.
            IntegrityError: a constraint of the tables refuses it.
        """
        ...

    def hasten(self) -> None:
        """The daemon stops: from now on a database that does not answer is waited for hardly any more."""
        ...

    async def mirror(self, work: Callable[[Connection], object]) -> None:
        """Writes down at the station, too, what it is to know while the database of its site is away."""
        ...


class Store:
    """The database; ``open`` and ``close`` act, ``run`` does a piece of work in a transaction.

    Args:
        place: the file of SQLite, or the URL of PostgreSQL.
        reading: only to look, for as long as it takes. The work of others, in other processes, is not held up.
        serves: the station whose daemon works in the database of its site; empty for work beside the daemons.
        told: called at each step of an upgrade of the tables.

    Attributes:
        cause: why it was away the last time.
        failures: how often it was found to be away.
    """

    def __init__(
        self,
        place: Path | str,
        *,
        reading: bool = False,
        serves: str = "",
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._told = told
        self._file = place if isinstance(place, Path) else None
        self._site: Connections | None = None
        self._limit: float | None = None
        if isinstance(place, Path):
            self._engine = self._single = _sqlite(place, reading=reading)
        else:
            from vitale_reader.daemon.database import postgresql, target  # noqa: PLC0415  for a site

            server = target.Target.of(place)
            self._site = postgresql.Connections(server, most=CONNECTIONS, reading=reading, serves=serves)
            self._engine, self._single = self._site.engine, self._site.single
            self._limit = max(ANSWER_READING if reading else ANSWER, server.patience + 1.0)
        self._workers = ThreadPool(CONNECTIONS if self._site else 1, "store")
        self._away_until = self._failed_at = 0.0
        self._reconnect = RECONNECT
        self._is_lost = False  # of a file; whether a site's database is away is told where its spool begins
        self.failures = 0
        self.cause = StoreUnavailable("nobody has asked it yet")

    @property
    def shared(self) -> bool:
        """True if other stations use it as well."""
        return self._file is None

    async def open(self) -> None:
        """Opens or creates the database.

        A SQLite file that is corrupt is set aside, and the log says so.

        Raises:
            ConfigurationInvalid: what stands in front of the database cannot be used.
            StoreUnavailable: it cannot be opened or created.
        """
        self._away_until = 0.0  # whoever opens it wants to know anew

        def work(job: Job[None]) -> None:
            if self._file is not None:
                self._open_file(self._file)
            else:
                self._transact(job, lambda connection: self._prepare(job, connection))

        try:
            await self._workers.do(work, limit=self._limit, gone=self._silent)
        except BaseException:
            self._dispose()  # whoever gives up here does not close it
            raise

    @property
    def degraded(self) -> bool:
        """Never: it is there, or it takes nothing."""
        return False

    @property
    def outage(self) -> Outage | None:
        """None: whoever asks it for something is told."""
        return None

    @property
    def away(self) -> bool:
        """True if a moment ago it did not answer, or answered that it takes nothing; ``cause`` says why."""
        return time.monotonic() < self._away_until

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        needs: Need = "any",
        single: bool = False,
        in_spool: Callable[[Connection], T] | None = None,
    ) -> T:
        """Runs work as ``Database`` describes it."""
        engine = self._single if single else self._engine
        return await self._workers.do(
            lambda job: self._transact(job, work, engine), limit=self._limit, gone=self._silent
        )

    def hasten(self) -> None:
        """Hastens as ``Database`` describes it."""
        if self._site is not None:
            self._limit, self._reconnect = HASTE, inf
            self._workers.hasten(HASTE)

    async def mirror(self, work: Callable[[Connection], object]) -> None:
        """There is no other place."""

    async def close(self) -> None:
        """Closes the database; work begun before is done first, if it comes to an end within seconds."""
        await self._workers.close(CLOSING)
        self._dispose()

    def _dispose(self) -> None:
        if self._site is not None:
            self._site.forget()
        else:
            self._engine.dispose()

    def _silent(self) -> StoreUnavailable:
        """Returns what is told of work that gave no sign of life; the other connections are believed no more."""
        self._leave(StoreUnavailable("no answer in time", variant="database-silent"))
        return self._away_error()

    def _leave(self, cause: StoreUnavailable) -> None:
        self.cause = cause
        self.failures += 1
        self._away_until = time.monotonic() + self._reconnect
        if self._site is not None:
            self._site.forget()

    def _away_error(self) -> StoreUnavailable:
        cause = self.cause
        return StoreUnavailable(cause.detail, variant=cause.variant, data=cause.data)

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
            raise refusal(error) from error
        except OSError as error:
            raise StoreUnavailable(f"cannot make the store: {error.strerror}") from error

    def _create(self) -> None:
        with self._engine.begin() as connection:
            if connection.execute(text("PRAGMA quick_check(1)")).scalar() != "ok":
                raise DatabaseError("quick_check", None, Exception("malformed"))
            prepare(connection, self._told)

    def _prepare(self, job: Job[None], connection: Connection) -> None:
        if self._site is not None:
            self._site.refuse_encoding(connection)
            self._site.refuse_pooler(connection)
        if not is_current(connection):
            job.limit = MIGRATION
            prepare(connection, self._told)

    def _transact(self, job: Job[T], work: Callable[[Connection], T], engine: Engine | None = None) -> T:
        if self.away or job.asked_at < self._failed_at:
            raise self._away_error()
        with self._site.serving(job) if self._site else contextlib.nullcontext():
            for left in reversed(range(TRIES)):
                try:
                    with (engine or self._engine).begin() as connection:
                        done = work(connection)
                        has_written = self._is_lost and _has_written(connection)
                except SQLAlchemyError as error:
                    has_no_number = bool(left) and ran_out(error)
                    if left and (yielded(error) or began_twice(error) or (has_no_number and self._renumbered())):
                        continue
                    if isinstance(error, IntegrityError) and not has_no_number and _is_of_ours(error):
                        raise
                    told = refusal(error)
                    if (has_no_number or not is_fault_of_ours(error)) and not job.severed:
                        self._note_failure(told)
                    raise told from error
                else:
                    self._note_answer(has_written=has_written)
                    return done
        raise AssertionError("the last try returns or raises")

    def _renumbered(self) -> bool:
        try:
            with self._engine.begin() as connection:
                renumber(connection)
        except SQLAlchemyError as refused:
            logger.error("the numbers that the database gives to rows cannot be set: %s", refusal(refused))
            return False
        return True

    def _note_answer(self, *, has_written: bool) -> None:
        # What is full, locked or not ours to write is read all the time; it is back when it takes something.
        if self._is_lost and has_written:
            self._is_lost = False
            logger.info("the store is back")

    def _note_failure(self, told: StoreUnavailable) -> None:
        if self._site is not None:
            self._leave(told)
        else:
            if not self._is_lost:
                self._is_lost = True
                logger.error("the store cannot be used: %s", told)
            if told.variant == "file-locked":  # whoever stood behind it has waited as long
                self.cause, self._failed_at = told, time.monotonic()
            self._engine.dispose()  # the next work opens the file anew: its disk may have come back


def _is_of_ours(error: IntegrityError) -> bool:
    """True if one of our tables refuses a row, and not a function or trigger of somebody else."""
    if isinstance(error.orig, sqlite3.Error):
        return error.orig.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_TRIGGER
    return getattr(getattr(error.orig, "diag", None), "table_name", None) in metadata.tables


def _has_written(connection: Connection) -> bool:
    """True if a connection to a file, opened since the last failure, has changed a row."""
    driver: object = connection.connection.dbapi_connection
    return isinstance(driver, sqlite3.Connection) and driver.total_changes > 0


_POOL = "pool"


def _text(stored: bytes) -> str | bytes:
    """Decodes a text; gives its bytes where it is damaged. Its seal fails then, and no other row is lost."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


def _sqlite(file: Path, *, reading: bool) -> Engine:
    engine = create_engine(f"sqlite:///{file}", hide_parameters=True, pool_size=1, max_overflow=0)
    begin = "BEGIN" if reading else "BEGIN IMMEDIATE"  # what is read in a transaction that writes must hold to its end

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        record.info[_POOL] = engine.pool
        connection.isolation_level = None  # sqlite3 begins no transaction by itself, and so none too late
        connection.text_factory = _text
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            f"busy_timeout={BUSY * 1_000:.0f}",
            f"journal_size_limit={JOURNAL}",
            f"cache_size={-PAGES}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "checkin")
    def checked_in(connection: object, record: Any) -> None:
        # It goes back to a pool that was disposed of meanwhile, from which nobody will ever take it.
        if connection is not None and record.info.get(_POOL) is not engine.pool:
            record.invalidate()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


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
