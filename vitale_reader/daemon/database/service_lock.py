"""The lock by which a site's database knows who serves; every connection of a serving desk shares it.

A restore and a new key take it alone. So neither begins while a desk has a connection. One that is stopped or suspended
keeps its connections, though its beat is missing. A desk that connects meanwhile is refused, and goes on with its spool
as in any outage. The same holds after a restore that was not finished: a table says so until it is.

The server lets go of the lock with the connection. It asks the machine at the other end whether it lives. So a desk
whose machine was switched off holds a site up for a minute at most.
"""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, NullPool, bindparam, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from vitale_protocol.errors import LocalMisuse
from vitale_reader.daemon.database.database_errors import RESERVED, refusal
from vitale_reader.daemon.database.target import SETTINGS, Target

if TYPE_CHECKING:
    import psycopg

__all__ = ["finish_restore", "hold_alone", "named", "reserving", "restoring", "share", "still_serving"]

#: Any number that others do not use, of 64 bits: PostgreSQL shows it in two halves.
KEY = 0x7669_7461_6C66

#: A table that no backup has, and no restore replaces.
RESTORING = "vitale_reader_restoring"
_BEGIN, _FINISH = text(f"CREATE TABLE IF NOT EXISTS {RESTORING} ()"), text(f"DROP TABLE IF EXISTS {RESTORING}")

#: The server asks after half a minute of rest, three times. Over a Unix socket it takes these settings for nothing.
ALIVE = (
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;"
    "SET tcp_user_timeout = 60000"
)

#: It names itself, for whoever finds the lock taken.
_ALONE = text(
    "SELECT pg_try_advisory_lock(:key), set_config('application_name', 'vitale-reader another site command', false)"
)
_HOLDERS = text(
    "SELECT DISTINCT coalesce(nullif(application_name, ''), 'process ' || locks.pid) "
    "FROM pg_locks AS locks LEFT JOIN pg_stat_activity AS sessions ON sessions.pid = locks.pid "
    "WHERE locktype = 'advisory' AND locks.pid <> pg_backend_pid() AND granted "
    "AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND classid = :high AND objid = :low ORDER BY 1"
).bindparams(bindparam("high", KEY >> 32), bindparam("low", KEY & 0xFFFF_FFFF))

_FREE = text("SELECT pg_advisory_unlock_all()")

_PREFIX = "vitale-reader "

#: Seconds in which the server notices that a desk which stopped has gone.
MOMENT = 1.0


def named(station: str) -> str:
    """The name under which the connections of a serving desk stand in ``pg_stat_activity``."""
    return _PREFIX + station


def share(connection: "psycopg.Connection[Any]") -> None:
    """Has a connection of a serving desk share the lock, for as long as it lasts.

    Raises:
        psycopg.OperationalError: the site is restored or rekeyed; SQLSTATE ``RESERVED``.
    """
    from psycopg import OperationalError  # noqa: PLC0415  an extra, and there as the connection is

    free = f"pg_try_advisory_lock_shared({KEY}) AND to_regclass('{RESTORING}') IS NULL"
    row = connection.execute(f"{ALIVE}; SELECT {free}".encode())
    while row.nextset():
        pass
    if row.fetchone() != (True,):
        refused = OperationalError("the site is restored or rekeyed")
        refused.sqlstate = RESERVED
        raise refused


def hold_alone(connection: Connection) -> tuple[str, ...]:
    """Takes the lock for this connection alone, for as long as it lasts.

    Gives the names of those who serve where it cannot be had; none once it is taken. The server needs a moment to let
    go of a desk that has just stopped.
    """
    end = time.monotonic() + MOMENT
    while not connection.execute(_ALONE, {"key": KEY}).scalar():
        if time.monotonic() > end:
            break
        time.sleep(MOMENT / 20)
    else:
        return ()
    holders = connection.execute(_HOLDERS).scalars()
    # One that let go between the two questions served a moment ago.
    return tuple(name.removeprefix(_PREFIX) for name in holders) or ("a desk that stops just now",)


@contextmanager
def reserving(url: str) -> Generator[Callable[[], tuple[str, ...]]]:
    """Takes the lock alone, on a connection of its own.

    Gives a function that takes it, and says who serves where it cannot. Call it once more after anything that lasted
    long. A connection that was lost meanwhile may have let a desk in.

    Raises:
        StoreUnavailable: the database cannot be asked.
    """
    engine = _engine(url)

    def take() -> tuple[str, ...]:
        with _told():
            return hold_alone(connection)

    with _told():
        connection = engine.connect()
        connection.exec_driver_sql(SETTINGS)
    try:
        yield take
    finally:
        # The server notices some time later that a connection was closed, and a desk may start at once.
        with suppress(SQLAlchemyError):
            connection.execute(_FREE)
        connection.close()


@contextmanager
def restoring(url: str) -> Generator[None]:
    """Keeps desks from a database that is being replaced until ``finish_restore``; where that failed, it is as before.

    Raises:
        StoreUnavailable: the database cannot be asked.
    """
    with _told(), _engine(url).connect() as connection:
        connection.execute(_BEGIN)
    try:
        yield
    except Exception:
        with _told(), _engine(url).connect() as connection:
            connection.execute(_FINISH)
        raise


def finish_restore(connection: Connection) -> None:
    """Lets desks in again, within the transaction that closes what a restore does not know."""
    if connection.dialect.name == "postgresql":
        connection.execute(_FINISH)


def _engine(url: str) -> Engine:
    return create_engine(
        "postgresql+psycopg://",
        creator=Target.of(url).connect,
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,  # closed is closed: the server lets go of the lock
        hide_parameters=True,
    )


def still_serving(stations: tuple[str, ...]) -> LocalMisuse:
    """The error that names the desks which are to be stopped first."""
    return LocalMisuse(f"desks of the site serve still, stop them first: {', '.join(stations)}")


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise refusal(error) from error
