"""Connections to PostgreSQL: none is left open that belongs to a pool which was given up."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from psycopg.errors import ProtocolViolation
from sqlalchemy import String, make_url, text, update
from sqlalchemy.exc import OperationalError

from tests.daemon.patience import PATIENCE
from tests.postgres_server import PostgresServer
from tests.rig.pgbouncer import Bouncer
from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.database.database_errors import refusal
from vitale_reader.daemon.database.postgresql import Connections
from vitale_reader.daemon.database.service_lock import reserving
from vitale_reader.daemon.database.target import Target
from vitale_reader.daemon.database.thread_pool import Job
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import metadata

pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient")]


def name_of(url: str) -> str:
    return str(make_url(url).database)


def until(holds: Callable[[], bool]) -> None:
    """Waits for what the server does behind a connection that was closed."""
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while not holds():
        assert time.monotonic() < end
        pause.wait(0.05)


def test_a_text_that_the_database_cannot_keep_is_no_outage(site_database: str) -> None:
    """Of each column that is a text: one with a NUL, which psycopg refuses in the place of the server."""

    async def main() -> None:
        store = Store(site_database)
        await store.open()
        texts = [column for table in metadata.tables.values() for column in table.c if isinstance(column.type, String)]
        assert texts
        for column in texts:
            statement = update(column.table).values({column.name: "a\0b"})
            with pytest.raises(StoreUnavailable) as refused:
                await store.run(lambda connection, statement=statement: connection.execute(statement))  # type: ignore[misc]  # bound at once
            assert ("database-refuses", False) == (refused.value.variant, store.away), column
        await store.close()

    asyncio.run(main())


def test_a_connection_that_comes_after_its_pool_was_given_up_is_closed(
    site_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Connections(Target.of(site_database), most=1, reading=False)
    made: list[psycopg.Connection[Any]] = []
    connect = Target.connect

    def slow(target: Target) -> psycopg.Connection[Any]:
        made.append(connect(target))
        database.forget()
        return made[-1]

    def work(_: Job[None]) -> None:
        pass

    monkeypatch.setattr(Target, "connect", slow)
    loop = asyncio.new_event_loop()
    with database.serving(Job(work, loop)), database.engine.connect():
        assert [False] == [each.closed for each in made]
    assert [True] == [each.closed for each in made]
    loop.close()


def test_every_connection_of_a_desk_that_serves_keeps_the_site_from_being_restored(
    site_database: str, postgres: PostgresServer
) -> None:
    """The lock goes with the connection, and comes with the next one."""
    desk = Connections(Target.of(site_database), most=2, reading=False, serves="one")
    with desk.engine.connect(), desk.engine.connect():
        pass
    with reserving(site_database) as take:
        assert ("one",) == take()
        postgres.end_sessions(name_of(site_database))
    with desk.engine.connect(), reserving(site_database) as take:
        assert ("one",) == take()
    desk.forget()
    with reserving(site_database) as take:
        until(lambda: not take())
        with pytest.raises(OperationalError) as refused:
            desk.engine.connect()
        assert "database-reserved" == refusal(refused.value).variant
        with reserving(site_database) as other:
            assert ("another site command",) == other()
    with desk.engine.connect():
        desk.forget()


def test_who_only_works_beside_the_desks_keeps_nothing_from_anybody(site_database: str) -> None:
    beside = Connections(Target.of(site_database), most=1, reading=False)
    with reserving(site_database) as take, beside.engine.connect():
        assert () == take()
        beside.forget()


def test_a_pooler_gives_the_lock_back_with_the_session(site_database: str, postgres: PostgresServer) -> None:
    if not Bouncer.installed():
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    with Bouncer(postgres, "session") as bouncer:
        behind = bouncer.url(name_of(site_database))
        desk = Connections(Target.of(behind), most=1, reading=False, serves="one")
        with desk.engine.connect(), reserving(site_database) as take:
            assert ("one",) == take()
        desk.forget()
        with reserving(behind) as take:
            until(lambda: not take())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("transaction blocks not allowed in statement pooling mode", ConfigurationInvalid),
        ("server_login_retry: the database system is shutting down", OperationalError),
        ("query_wait_timeout", OperationalError),
    ],
)
def test_not_all_that_a_pooler_says_is_of_its_mode(
    monkeypatch: pytest.MonkeyPatch, said: str, told: type[Exception]
) -> None:
    """It has one SQLSTATE for whatever is the matter, a server that is away too."""
    closed: list[bool] = []
    behind = SimpleNamespace(execute=Mock(side_effect=ProtocolViolation(said)), close=lambda: closed.append(True))

    def connected(_: Target) -> object:
        return behind

    monkeypatch.setattr(Target, "connect", connected)
    desk = Connections(Target.of("postgresql://desk@127.0.0.1:1/site"), most=1, reading=False)

    with pytest.raises(told):
        desk.engine.connect()
    assert [True] == closed


def test_a_database_that_cannot_be_asked_is_told_as_that() -> None:
    with pytest.raises(StoreUnavailable) as away, reserving("postgresql://desk@127.0.0.1:1/site"):
        pass
    assert "database-unreachable" == away.value.variant


SETTINGS = {
    "client_encoding": ("LATIN1", "UTF8"),
    "extra_float_digits": ("-10", "1"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "default_transaction_deferrable": ("on", "off"),
    "transform_null_equals": ("on", "off"),
    "idle_session_timeout": ("1s", "0"),
    "synchronous_commit": ("off", "on"),
}


def set_for(database: str, postgres: PostgresServer, settings: Mapping[str, str]) -> None:
    name = make_url(database).database
    for setting, value in settings.items():
        postgres.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")


def test_no_setting_of_role_or_database_changes_how_a_desk_works(site_database: str, postgres: PostgresServer) -> None:
    set_for(site_database, postgres, {name: given for name, (given, _) in SETTINGS.items()})
    desk = Connections(Target.of(site_database), most=1, reading=False)
    with desk.engine.connect() as connection:
        shown = {name: connection.execute(text(f"SHOW {name}")).scalar() for name in SETTINGS}
    desk.forget()
    assert {name: own for name, (_, own) in SETTINGS.items()} == shown


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("strange, pg_catalog, public", "strange, public"),
        ('strange, public, "pg_catalog"', "strange, public"),
        ("strange, pg_catalogue, public", "strange, pg_catalogue, public"),
        ("strange, public", "strange, public"),
    ],
)
def test_no_function_of_another_schema_takes_the_place_of_the_servers(
    site_database: str, postgres: PostgresServer, given: str, kept: str
) -> None:
    with psycopg.connect(site_database, autocommit=True) as writer:
        writer.execute("CREATE SCHEMA strange")
        writer.execute(
            "CREATE FUNCTION strange.clock_timestamp() RETURNS timestamptz LANGUAGE sql RETURN timestamptz 'infinity'"
        )
    postgres.execute(f"ALTER DATABASE {make_url(site_database).database} SET search_path = {given}")
    desk = Connections(Target.of(site_database), most=1, reading=False)

    with desk.engine.connect() as connection:
        path = connection.execute(text("SHOW search_path")).scalar()
        is_known = connection.execute(text("SELECT clock_timestamp() < 'infinity'")).scalar()
    desk.forget()
    assert (kept, True) == (path, is_known)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_what_is_written_is_read_as_it_was_whatever_the_role_was_given(
    site_database: str, postgres: PostgresServer, encoding: str
) -> None:
    set_for(site_database, postgres, {"client_encoding": encoding, "extra_float_digits": "-10"})

    async def registry(store: Store) -> ClientRegistry:
        await store.open()
        opened = ClientRegistry(store, Vault.of_site(b"k" * 32), clock=lambda: 1_796_050_939.13336)
        await opened.open()
        return opened

    async def main() -> None:
        one, other = Store(site_database), Store(site_database)
        _, credential = await (await registry(one)).add("Cœur € é", scopes=("identity",), transports=("unix",))
        caller = (await registry(other)).authenticate(Peer(transport="unix"), credential)
        assert "Cœur € é" == caller.name
        await one.close()
        await other.close()

    asyncio.run(main())


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding_is_refused(postgres: PostgresServer, encoding: str) -> None:
    """Most lack letters; SQL_ASCII keeps bytes that are no text, one of which hides all rows of its table."""
    name = f"encoded_{encoding.lower()}"
    postgres.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")

    async def main() -> None:
        store = Store(postgres.url(name))
        await store.open()
        await store.close()

    try:
        with pytest.raises(ConfigurationInvalid, match=encoding):
            asyncio.run(main())
    finally:
        postgres.drop_database(name)
