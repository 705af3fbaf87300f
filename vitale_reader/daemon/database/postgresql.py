"""The engine for the PostgreSQL of a site: connections that end, whatever the network does with them.

- The server ends a statement and a lock by limits of its own. The caller's thread is freed by severing its connection
  (``thread_pool``). Otherwise whoever waits behind something that acknowledges everything waits for ever.
- A connection that rested is checked before it is used, without a query. Anything to read in its socket means that it
  has ended. One that rested for long is made anew.
- A pooler that gives each transaction another server process is recognised, and refused. Settings, prepared statements
  and notifications are lost behind it.
"""

import contextlib
import logging
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import InvalidatePoolError

from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.extras import missing
from vitale_reader.daemon.database import service_lock
from vitale_reader.daemon.database.target import SETTINGS, Target
from vitale_reader.daemon.database.thread_pool import Job

if TYPE_CHECKING:
    import psycopg

__all__ = ["LOCK", "STATEMENT", "Connections", "severing"]

logger = logging.getLogger(__name__)

#: Milliseconds for a statement, and for a lock.
STATEMENT, LOCK = 2_000, 1_500

#: Seconds of rest after which a connection is made anew: a firewall may have forgotten it, and swallow what comes.
RESTED = 30.0

#: How often two connections are compared, to see whether they share a process of the server.
COMPARED = 5

#: Said by pgbouncer in mode ``statement``, which takes no transactions.
STATEMENT_POOLING = "statement pooling mode"

_CHECKED_IN = "vitale-reader checked in at"
_GENERATION = "vitale_reader.generation"


class Connections:
    """The connections of one daemon to the database of its site.

    Args:
        target: where they lead.
        most: how many there are.
        reading: whether they are for reading only, at leisure and as of one moment.
        serves: the station that serves by them; empty for work beside the daemons.

    Attributes:
        engine: for work in transactions.
        single: for work of one statement, which is a transaction by itself.
    """

    def __init__(self, target: Target, *, most: int, reading: bool, serves: str = "") -> None:
        self._target = target
        self._serves = serves
        self._reading = reading
        self._job = threading.local()
        self._generation = 0
        try:
            self.engine: Engine = create_engine(
                "postgresql+psycopg://",
                hide_parameters=True,
                pool_size=most,
                max_overflow=0,
                pool_use_lifo=True,  # those in use stay in use, and are known to work
                isolation_level="REPEATABLE READ" if reading else "READ COMMITTED",
            )
        except ImportError as error:
            raise missing(error, "PostgreSQL", extra="postgresql", library="psycopg") from error
        self.single: Engine = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(self.engine, "do_connect", self._connect)
        event.listen(self.engine, "connect", self._connected)
        event.listen(self.engine, "checkin", self._checked_in)
        event.listen(self.engine, "checkout", self._checked_out)
        for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
            event.listen(self.engine, moment, self._alive)

    @contextlib.contextmanager
    def serving(self, job: Job[Any]) -> Any:
        """Has whatever connection this thread uses severed with a job."""
        self._job.now, self._job.generation = job, self._generation
        try:
            yield
        finally:
            self._job.now = self._job.generation = None

    def forget(self) -> None:
        """Closes the connections that rest; those in use are closed when they are given back."""
        self._generation += 1
        self.engine.dispose()

    def refuse_encoding(self, connection: Connection) -> None:
        """Makes sure that the database takes every text, and nothing else for one.

        Raises:
            ConfigurationInvalid: it has another encoding than UTF-8.
        """
        held = connection.connection.driver_connection
        encoding = None if held is None else held.info.parameter_status("server_encoding")
        if encoding not in (None, "UTF8"):
            raise ConfigurationInvalid(
                f"the encoding of the database is {encoding}: create it with ENCODING 'UTF8' TEMPLATE template0",
                data={"path": "store"},
            )

    def refuse_pooler(self, connection: Connection) -> None:
        """Makes sure that a connection keeps its process of the server.

        Raises:
            ConfigurationInvalid: it does not.
        """
        held = connection.connection.driver_connection
        if held is None or held.info.backend_pid == connection.execute(_PROCESS).scalar():
            return  # the server's own number: nobody stands between
        with self._target.connect("compares") as one, self._target.connect("compares") as other:
            one.autocommit = True
            if any(_shared(one, other) for _ in range(COMPARED)):
                raise _pooled()

    # ── events of the engine ──

    def _connect(self, *_: object) -> "psycopg.Connection[tuple[Any, ...]]":
        from psycopg import errors  # noqa: PLC0415  an extra

        job: Job[Any] | None = getattr(self._job, "now", None)
        connection = self._target.connect(service_lock.named(self._serves)) if self._serves else self._target.connect()
        if job is not None:
            job.touch()
            job.hold(severing(connection))
        with contextlib.ExitStack() as unless_it_serves:
            unless_it_serves.callback(connection.close)
            try:
                connection.execute(self._settings.encode())
            except errors.ProtocolViolation as error:  # as pgbouncer names whatever is the matter, a server away too
                if STATEMENT_POOLING not in str(error):
                    raise
                raise _pooled() from error
            if self._serves:
                service_lock.share(connection)
            connection.commit()
            unless_it_serves.pop_all()
        return connection

    @property
    def _settings(self) -> str:
        # What is read may be looked at for longer, piece by piece, in one transaction.
        statement = 0 if self._reading else STATEMENT
        return (
            f"SET statement_timeout = {statement}; SET lock_timeout = {LOCK};"
            f"SET idle_in_transaction_session_timeout = {statement}; {SETTINGS}"
        )

    def _connected(self, _: object, record: Any) -> None:
        # That of the pool for which it was begun: another may have taken its place while the server was asked.
        begun = getattr(self._job, "generation", None)
        record.info[_GENERATION] = self._generation if begun is None else begun

    def _checked_in(self, connection: object, record: Any) -> None:
        record.info[_CHECKED_IN] = time.monotonic()
        # It goes back to a pool that was disposed of meanwhile, from which nobody will ever take it.
        if connection is not None and record.info.get(_GENERATION) != self._generation:
            record.invalidate()

    def _checked_out(self, connection: "psycopg.Connection[Any]", record: Any, _: object) -> None:
        since = record.info.get(_CHECKED_IN)
        if since is not None and (time.monotonic() - since > RESTED or _has_ended(connection)):
            raise InvalidatePoolError
        if (job := getattr(self._job, "now", None)) is not None:
            job.hold(severing(connection))

    def _alive(self, *_: object) -> None:
        if (job := getattr(self._job, "now", None)) is not None:
            job.touch()


def _pooled() -> ConfigurationInvalid:
    return ConfigurationInvalid(
        "the pooler in front of the database gives each transaction another connection: "
        "set pool_mode = session for it, or name the database itself",
        data={"path": "store"},
    )


_PROCESS = text("SELECT pg_backend_pid()")


def _shared(one: "psycopg.Connection[Any]", other: "psycopg.Connection[Any]") -> bool:
    """True if a process of the server serves two connections, or a connection is served by two."""
    first = _process(one)
    begun = _process(other)  # its transaction is left open, and its process nobody else's
    again = _process(one)
    other.rollback()
    return first == begun or first != again


def _process(connection: "psycopg.Connection[Any]") -> object:
    return connection.execute("SELECT pg_backend_pid()").fetchone()


def _has_ended(connection: "psycopg.Connection[Any]") -> bool:
    """True if anything lies in the socket of a connection that is at rest: then that is its end."""
    if connection.closed:
        return True
    return bool(select.select([connection.fileno()], [], [], 0)[0])


def severing(connection: "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]") -> Callable[[], None]:
    """Returns what ends a connection from another thread.

    Its socket is shut, and the thread that waits for it reads an end.
    """

    def sever() -> None:
        with (
            contextlib.suppress(Exception),
            socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as own,
        ):
            own.shutdown(socket.SHUT_RDWR)

    return sever
