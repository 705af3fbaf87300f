"""The store on both dialects: made, found again, upgraded; what is away or not ours is said at once."""

import asyncio
import contextlib
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError

from tests.postgres_server import PASSWORD, PostgresServer
from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable
from vitale_reader.daemon.config import Config, parse
from vitale_reader.daemon.database.target import CONNECT
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.site.open_store import open_store
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.migrate import survey
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import seen
from vitale_reader.home import Home

ROW = {"digest": "d", "state": "reserved", "expires_at": 1.5, "claim": "c", "seal": None}


pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store can be, of both kinds."""
    return tmp_path / "store.db" if request.param == "sqlite" else str(request.getfixturevalue("site_database"))


@contextlib.asynccontextmanager
async def opened(place: Path | str) -> AsyncGenerator[Store]:
    store = Store(place)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def put(connection: Connection) -> None:
    connection.execute(insert(seen), ROW)


def test_what_is_kept_is_there_the_next_time_and_constraints_hold(place: Path | str) -> None:
    async def work() -> None:
        async with opened(place) as store:
            await store.run(put)
        async with opened(place) as store:
            with pytest.raises(IntegrityError):
                await store.run(put)
            assert await store.run(lambda connection: connection.execute(select(seen)).all()) == [tuple(ROW.values())]

    run(work)


#: Triggers that refuse each row of ``seen``, as if a constraint did.
REFUSING = {
    "sqlite": ("CREATE TRIGGER refusing BEFORE INSERT ON seen BEGIN SELECT RAISE(ABORT, 'no'); END",),
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE unique_violation; END $$",
        "CREATE TRIGGER refusing BEFORE INSERT ON seen FOR EACH ROW EXECUTE FUNCTION refuse()",
    ),
}


def test_what_somebody_else_made_refuses_like_a_database_and_is_no_constraint_of_ours(place: Path | str) -> None:
    def refuse(connection: Connection) -> None:
        for statement in REFUSING[connection.dialect.name]:
            connection.execute(text(statement))

    async def work() -> None:
        async with opened(place) as store:
            await store.run(refuse)
            with pytest.raises(StoreUnavailable):
                await store.run(put)
            assert not store.away, "the database works"

    run(work)


def test_a_file_that_cannot_be_opened_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(StoreUnavailable):
            async with opened(tmp_path / "store.db"):
                pass
        assert ["store.db"] == [file.name for file in tmp_path.iterdir()]

    (tmp_path / "store.db").mkdir()
    run(work)


def test_a_file_that_contradicts_itself_is_set_aside(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path / "store.db") as store:
            await store.run(put)

    with contextlib.closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as file:
        file.execute("CREATE TABLE one (value)")
        file.execute("INSERT INTO one VALUES (NULL)")
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE one (value NOT NULL)'")
    run(work)
    assert 1 == len(list(tmp_path.glob("store.db.corrupt-*Z")))


def test_a_server_that_takes_nothing_says_why(site_database: str) -> None:
    def read_only(connection: Connection) -> None:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        survey(connection)

    def without_table(connection: Connection) -> None:
        connection.execute(text("DROP TABLE seen"))
        survey(connection)

    def without_rights(connection: Connection) -> None:
        connection.execute(text("SET LOCAL ROLE pg_monitor"))
        survey(connection)

    async def work() -> None:
        async with opened(site_database) as store:
            await store.run(survey)
            for hand, variant in [
                (read_only, "database-read-only"),
                (without_table, "database-tables"),
                (without_rights, "database-rights"),
            ]:
                with pytest.raises(StoreUnavailable) as refused:
                    await store.run(hand)
                assert variant == refused.value.variant

    run(work)


def test_all_of_a_transaction_or_nothing(place: Path | str) -> None:
    def broken(connection: Connection) -> None:
        put(connection)
        connection.execute(text("SELECT * FROM nothing_of_that_name"))

    async def work() -> None:
        async with opened(place) as store:
            with pytest.raises(StoreUnavailable):
                await store.run(broken)
            await store.open()
            assert await store.run(lambda connection: connection.execute(select(seen)).all()) == []

    run(work)


def test_a_start_at_many_desks_at_once_makes_the_tables_once(empty_database: str) -> None:
    async def start() -> None:
        async with opened(empty_database) as store:
            await store.run(lambda connection: connection.execute(select(seen)).all())

    async def work() -> None:
        await asyncio.gather(*(start() for _ in range(4)))

    run(work)


def test_transactions_that_wait_for_one_another_are_begun_anew(site_database: str) -> None:
    async def work() -> None:
        async with opened(site_database) as store:
            rows = [ROW | {"digest": name} for name in "ab"]
            await store.run(lambda connection: connection.execute(insert(seen), rows))
            tries: list[str] = []
            both = threading.Barrier(2)

            def touch(first: str, second: str) -> Callable[[Connection], None]:
                def work(connection: Connection) -> None:
                    tries.append(first)
                    connection.execute(text("SET LOCAL deadlock_timeout = 10"))
                    change = text("UPDATE seen SET state = 'used' WHERE digest = :digest")
                    connection.execute(change, {"digest": first})
                    if tries.count(first) == 1:
                        both.wait(60)
                    connection.execute(change, {"digest": second})

                return work

            await asyncio.gather(store.run(touch("a", "b")), store.run(touch("b", "a")))
            assert len(tries) >= 3, "the one that lost may lose again"

    run(work)


def test_who_only_reads_may_take_its_time_between_two_pieces(
    site_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitale_reader.daemon.database.postgresql.STATEMENT", 50)

    async def main() -> None:
        store = Store(site_database, reading=True)
        try:
            assert await store.run(read_slowly) == 1
        finally:
            await store.close()

    def read_slowly(connection: Connection) -> object:
        connection.execute(text("SELECT 1"))
        time.sleep(0.2)  # what it has read is looked at
        return connection.execute(text("SELECT 1")).scalar()

    asyncio.run(main())


def test_a_server_that_goes_and_comes(site_database: str, postgres: PostgresServer) -> None:
    async def work() -> None:
        async with opened(site_database) as store:
            await store.run(put)
            postgres.stop()
            try:
                for _ in range(3):
                    with pytest.raises(StoreUnavailable) as caught:
                        await store.run(put)
                    assert caught.value.variant == "database-unreachable", "no limit was waited out"
                    assert PASSWORD not in repr(caught.value) + repr(caught.value.__cause__)
            finally:
                postgres.start()
            async with asyncio.timeout(90):
                while True:
                    with contextlib.suppress(StoreUnavailable):
                        assert await store.run(lambda connection: connection.execute(select(seen.c.digest)).all())
                        return
                    await asyncio.sleep(0.05)

    run(work)


def test_a_server_that_says_nothing_is_away_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitale_reader.daemon.database.target.CONNECT", CONNECT)

    async def work() -> None:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            async with opened(f"postgresql://desk:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/site"):
                pass
        assert time.monotonic() - began < 20 * CONNECT, "time for a busy machine too"

    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are made, and nobody takes them
        run(work)


def test_what_is_no_url_is_told_without_repeating_it() -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        Store(f"postgresql://desk:{PASSWORD}@host:port/site")
    assert PASSWORD not in repr(caught.value) + str(caught.value.__cause__) + str(caught.value.__context__)


# ── the key of a site ────────────────────────────────────────────────────────────────────────────────────────────


class Coordinator:
    """The state folder of a desk."""

    def __init__(self, folder: Path, url: str, key_file: Path | None = None) -> None:
        self.home = Home.under(folder)
        self.home.state.mkdir(parents=True)
        settings = f'store = "{url}"\n' + (f'[site]\nkey_file = "{key_file}"' if key_file else "")
        self.config: Config = parse(settings)
        self.keys = Keys(self.home.state / "station.json", overlap=600, clock=DeskClock(lambda: 1.0))
        self.keys.open()

    async def vault(self) -> Any:
        async with contextlib.AsyncExitStack() as stack:
            return (await open_store(stack, self.home, self.config, self.keys, Remembered()))[1]


def test_desks_share_the_key_and_no_other_desk_joins(tmp_path: Path, site_database: str) -> None:
    async def work() -> None:
        first = Coordinator(tmp_path / "first", site_database)
        vault = await first.vault()
        key = first.home.state / "site.key"
        assert key.stat().st_mode & 0o777 == 0o600
        second = Coordinator(tmp_path / "second", site_database, key)
        assert (await second.vault()).unseal(vault.seal(b"token", "jti"), "jti") == b"token"
        assert (await second.vault()).digest("string", b"s") == vault.digest("string", b"s")
        third = Coordinator(tmp_path / "third", site_database)
        with pytest.raises(ConfigurationInvalid):
            await third.vault()
        assert not (third.home.state / "site.key").exists(), "a key of nothing is not left behind"

    run(work)


@pytest.mark.parametrize(("content", "mode"), [(b"short\n", 0o600), (b"\xff", 0o600), (b"", 0o600), (b"k" * 44, 0o644)])
def test_a_site_key_that_is_none_or_open_to_others(
    tmp_path: Path, site_database: str, content: bytes, mode: int
) -> None:
    file = tmp_path / "site.key"
    file.write_bytes(content)
    file.chmod(mode)

    async def work() -> None:
        with pytest.raises(ConfigurationInvalid) as caught:
            await Coordinator(tmp_path / "desk", site_database, file).vault()
        assert caught.value.data["path"] == "site.key_file"

    run(work)


@pytest.mark.parametrize("given_up", ["opening", "working"])
def test_a_file_whose_thread_outlives_its_store_is_closed_by_that_thread(
    given_up: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitale_reader.daemon.store.store.CLOSING", 0.01)
    held, let_go = threading.Event(), threading.Event()
    files: list[sqlite3.Connection] = []
    threads: list[threading.Thread] = []

    def hold(connection: Connection, *_: object) -> None:
        file = connection.connection.driver_connection
        assert isinstance(file, sqlite3.Connection)
        files.append(file)
        threads.append(threading.current_thread())
        held.set()
        let_go.wait(60)

    async def work() -> None:
        store = Store(tmp_path / "store.db")
        if given_up == "opening":
            monkeypatch.setattr("vitale_reader.daemon.store.store.prepare", hold)
            begun = asyncio.create_task(store.open())
        else:
            await store.open()
            begun = asyncio.create_task(store.run(hold))
        assert await asyncio.to_thread(held.wait, 60)
        begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
        if given_up == "working":
            await store.close()
        let_go.set()
        if given_up == "opening":
            await store.close()
        await asyncio.to_thread(threads[0].join, 60)

    run(work)
    assert [False] == [_is_open(file) for file in files]


def _is_open(file: sqlite3.Connection) -> bool:
    try:
        return file.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


def test_a_file_that_is_full_is_not_back_because_it_can_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def put_where_full(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.exec_driver_sql("CREATE TABLE more (content)")

    async def work() -> None:
        async with opened(tmp_path / "store.db") as store:
            for _ in range(3):
                with pytest.raises(StoreUnavailable) as refused:
                    await store.run(put_where_full)
                assert "file-full" == refused.value.variant
                await store.run(lambda connection: connection.exec_driver_sql("SELECT count(*) FROM outbox").scalar())
            await store.run(put)

    run(work)
    told = [message for message in caplog.messages if message.startswith("the store")]
    assert ["the store cannot be used", "the store is back"] == [message.partition(":")[0] for message in told]


def test_a_file_that_is_lost_and_comes_back_is_told_once_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    file = tmp_path / "store.db"

    async def work() -> None:
        async with opened(file) as store:
            with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                for _ in range(2):
                    with pytest.raises(StoreUnavailable):
                        await store.run(put)
                other.execute("ROLLBACK")
            await store.run(put)

    run(work)
    told = [message for message in caplog.messages if message.startswith("the store")]
    assert ["the store cannot be used", "the store is back"] == [message.partition(":")[0] for message in told]
