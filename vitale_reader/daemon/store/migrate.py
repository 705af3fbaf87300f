"""Makes or upgrades the tables of a store, within one transaction.

A start that dies in the middle changes nothing. A current store is recognised by its revision. Alembic is loaded only
where there is something to change. It takes longer to load than the daemon to start.
"""

import logging
from collections.abc import Callable

from sqlalchemy import ARRAY, Connection, String, bindparam, insert, inspect, select, text

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.store.tables import REVISION, metadata, revision

__all__ = ["FIRST", "is_current", "prepare", "survey", "upgrade"]

logger = logging.getLogger(__name__)

#: The tables of version 0.1, which had no revision.
FIRST = "0001"

#: Of several daemons that start on one database at once, one makes the tables (any number that others do not use).
LOCK = 0x7669_7461_6C65


def is_current(connection: Connection) -> bool:
    """True if the tables are those of ``REVISION``."""
    return _revision(connection) == REVISION


def prepare(connection: Connection, told: Callable[[], None] = lambda: None) -> None:
    """Brings the tables to ``REVISION``.

    Args:
        connection: the transaction.
        told: called at each step of an upgrade, which may take long.

    Raises:
        StoreUnavailable: a later version made them.
    """
    if is_current(connection):
        return
    if connection.dialect.name == "postgresql":
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(text(f"SET LOCAL {setting} = 0"))
        connection.execute(select(text(f"pg_advisory_xact_lock({LOCK})")))
    found = _revision(connection)
    if found is None:
        there = inspect(connection).get_table_names()  # once for all, as each look is a round trip
        missing = [table for table in metadata.sorted_tables if table.name not in there]
        metadata.create_all(connection, tables=missing, checkfirst=False)
        connection.execute(insert(revision), {"version_num": REVISION})
    elif found != REVISION:
        upgrade(connection, found, told)
        logger.info("the tables of the store were brought from revision %s to %s", found, REVISION)


def upgrade(connection: Connection, found: str, told: Callable[[], None] = lambda: None) -> None:
    """Runs the migrations after ``found``; ``told`` is called before the first and after each.

    Raises:
        StoreUnavailable: ``found`` is of a later version.
    """
    from alembic import command  # noqa: PLC0415  see above
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "vitale_reader.daemon.store:migrations")
    config.attributes["connection"] = connection
    config.attributes["found"] = found
    config.attributes["told"] = told
    told()
    try:
        command.upgrade(config, REVISION)
    except CommandError as error:
        raise StoreUnavailable(
            f"the store is of revision {found}, which this version does not know", variant="store-newer"
        ) from error


def _revision(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none."""
    inspector = inspect(connection)
    if inspector.has_table(revision.name):
        return connection.execute(select(revision.c.version_num)).scalar()
    return FIRST if inspector.has_table("clients") else None


_STATE = text("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'")
_MISSING = text(
    "SELECT name FROM unnest(:names) AS name WHERE to_regclass(quote_ident(name)) IS NULL ORDER BY name"
).bindparams(bindparam("names", type_=ARRAY(String)))
_FORBIDDEN = text(
    "SELECT name FROM unnest(:names) AS name CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS what "
    "WHERE NOT has_table_privilege(quote_ident(name), what) ORDER BY name LIMIT 1"
).bindparams(bindparam("names", type_=ARRAY(String)))


def survey(connection: Connection) -> None:
    """Looks at the state of the server and at our rights there; a SQLite file has neither.

    Raises:
        StoreUnavailable: it takes nothing.
    """
    if connection.dialect.name != "postgresql":
        return
    if connection.execute(_STATE).scalar():
        raise StoreUnavailable("SQLSTATE 25006: it is in recovery, or set to read-only", variant="database-read-only")
    names = {"names": [table.name for table in metadata.sorted_tables]}
    if (table := connection.execute(_MISSING, names).scalar()) is not None:
        raise StoreUnavailable(f"SQLSTATE 42P01: there is no table {table}", variant="database-tables")
    if (table := connection.execute(_FORBIDDEN, names).scalar()) is not None:
        raise StoreUnavailable(f"SQLSTATE 42501: a right to table {table} is missing", variant="database-rights")
