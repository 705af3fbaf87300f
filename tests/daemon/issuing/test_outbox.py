"""Tokens are kept sealed until acknowledged or expired, and once only; the store survives what it should."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from vitale_protocol.errors import StoreUnavailable
from vitale_protocol.methods import OutboxList, OutboxToken
from vitale_reader.daemon.issuing import outbox as outbox_module
from vitale_reader.daemon.issuing.outbox import (
    _LIST,  # pyright: ignore[reportPrivateUsage]  # its plan is looked at
    MOST_LISTED,
    PAGE,
    SLICE,
    TRIP,
    Outbox,
)
from vitale_reader.daemon.keystore.private_files import open_to_others
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import audit
from vitale_reader.daemon.store.tables import outbox as outbox_table

NOW = 1_800_000_000.0
ENTRY = AuditEntry(at=NOW, action="presentation.request", outcome="ok", client_id="c", medium="vitale-card", reader="r")
SECRET = "header.payload-of-somebody.signature"


class World:
    """An outbox in a folder, with a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.file = folder / "store.db"
        self.keys = Keys(folder / "station.json", overlap=600, clock=DeskClock(lambda: self.now))
        self.keys.open()
        self.chain = Chain(self.keys.vault, self.keys.station)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[tuple[Outbox, Store]]:
        store = Store(self.file)
        await store.open()
        try:
            yield (
                Outbox(
                    store,
                    self.keys.vault,
                    self.chain,
                    clock=StoreClock(Remembered(), wall=lambda: self.now, steady=lambda: self.now),
                ),
                store,
            )
        finally:
            await store.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def token(number: int, exp: float = NOW + 120) -> OutboxToken:
    return OutboxToken(jti=f"0000000{number}-0000-7000-8000-000000000000", exp=int(exp), token=f"{SECRET}{number}")


def test_a_token_is_there_until_it_is_acknowledged(world: World) -> None:
    async def work() -> None:
        async with world.open() as (outbox, _):
            await outbox.put(token(1), client_id="c", presentation="p1", entry=ENTRY)
            await outbox.put(token(2), client_id="c", presentation="p2", entry=ENTRY)
        async with world.open() as (outbox, _):
            assert await outbox.list("c") == (token(1), token(2))
            assert await outbox.list("another") == ()
            assert await outbox.acknowledge("another", [token(1).jti]) == 0
            assert await outbox.acknowledge("c", [token(1).jti, "unknown"]) == 1
            assert await outbox.acknowledge("c", [token(1).jti]) == 0
            assert await outbox.list("c") == (token(2),)

    run(work)


def test_one_token_for_one_presentation_and_client(world: World) -> None:
    async def work() -> None:
        async with world.open() as (outbox, store):
            await outbox.put(token(1), client_id="c", presentation="p", entry=ENTRY)
            with pytest.raises(IntegrityError):
                await outbox.put(token(2), client_id="c", presentation="p", entry=ENTRY)
            assert await outbox.list("c") == (token(1),)
            lines = await store.run(lambda connection: connection.execute(select(audit.c.outcome)).all())
            assert len(lines) == 1, "the audit line goes with the token or not at all"

    run(work)


def test_a_listing_fits_into_a_message_and_the_rest_comes_later(world: World) -> None:
    def big(number: int) -> OutboxToken:
        return msgspec.structs.replace(token(number), token="x" * (MOST_LISTED // 3))

    async def work() -> None:
        async with world.open() as (outbox, _):
            for number in range(5):
                await outbox.put(big(number), client_id="c", presentation=f"p{number}", entry=ENTRY)
            first = await outbox.list("c")
            assert first == (big(0), big(1))
            await outbox.acknowledge("c", [one.jti for one in first])
            assert await outbox.list("c") == (big(2), big(3))

    run(work)


def test_pages_follow_one_another_whatever_is_acknowledged_between(world: World) -> None:
    async def work() -> None:
        async with world.open() as (outbox, _):
            # Several end in the same second, as those of a burst do.
            kept = [token(number, NOW + 10 + number // 3) for number in range(11)]
            for number, one in enumerate(kept):
                await outbox.put(one, client_id="c", presentation=f"p{number}", entry=ENTRY)
            found: list[OutboxToken] = []
            after: str | None = None
            for _ in range(4):
                tokens, after = await outbox.page("c", after=after, limit=3)
                found += tokens
                await outbox.acknowledge("c", [one.jti for one in tokens])
            assert (found, after) == (sorted(kept, key=lambda one: (one.exp, one.jti)), None)

    run(work)


class Pieces:
    """A store that notes how many rows each piece of work read, or forgot."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.rows: list[int] = []

    async def run(self, work: Callable[[Connection], Any], **options: Any) -> Any:
        done = await self._store.run(work, **options)
        self.rows.append(done if isinstance(done, int) else len(done))
        return done


def test_what_a_client_asks_for_is_done_in_pieces_between_which_others_have_their_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[None] = []

    async def given() -> None:
        turns.append(None)

    monkeypatch.setattr(outbox_module, "give_way", given)

    async def work() -> None:
        async with world.open() as (outbox, store):
            many = 3 * TRIP
            kept = [msgspec.structs.replace(token(1), jti=f"{number:036}") for number in range(many)]
            for one in kept:
                await outbox.put(one, client_id="c", presentation=one.jti, entry=ENTRY)
            pieces = Pieces(store)
            clock = StoreClock(Remembered(), wall=lambda: world.now, steady=lambda: world.now)
            asked = Outbox(pieces, world.keys.vault, world.chain, clock=clock)  # type: ignore[arg-type]
            assert await asked.page("c", limit=500) == (tuple(kept), None)
            assert (pieces.rows, len(turns)) == ([TRIP + 1, TRIP + 1, TRIP], many // SLICE)
            for rows in (pieces.rows, turns):
                rows.clear()
            tokens, more = await asked.page("c")
            assert (tokens, pieces.rows, len(turns)) == (tuple(kept[:PAGE]), [PAGE + 1], 4)
            pieces.rows.clear()
            tokens, more = await asked.page("c", limit=TRIP + 1)
            assert (tokens, pieces.rows) == (tuple(kept[: TRIP + 1]), [TRIP + 1, 2])
            assert (await asked.page("c", after=more, limit=500))[0] == tuple(kept[TRIP + 1 :])
            pieces.rows.clear()
            assert await asked.acknowledge("c", [one.jti for one in kept[1:]]) == many - 1
            assert pieces.rows == [TRIP, TRIP, TRIP - 1]

    run(work)


#: Tokens of one client that end at the same second.
BACKLOG = 5_000

#: Instructions of SQLite's machine for a page of ten; to read or to sort the backlog takes more than one for each row.
INSTRUCTIONS = 1_000


def values_of(client_id: str, after_exp: int, after_jti: str) -> dict[str, Any]:
    return {"of_client": client_id, "after_exp": after_exp, "after_jti": after_jti, "skipped": 0, "most": 10}


def plan_of(connection: Connection, statement: Any, values: dict[str, Any]) -> str:
    made = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    bound = made.construct_params(values)
    asked = tuple(bound[name] for name in made.positiontup or ())
    return " / ".join(str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {made}", asked).all())


def test_a_page_is_found_by_its_index(world: World) -> None:
    async def work() -> None:
        async with world.open() as (_, store):
            plan = await store.run(lambda connection: plan_of(connection, _LIST, values_of("c", 1, "")))
            assert plan == "SEARCH outbox USING INDEX outbox_client (client_id=? AND (exp,jti)>(?,?))"

    run(work)


def test_a_backlog_that_ends_at_one_second_is_neither_read_nor_sorted_for_a_page(world: World) -> None:
    """What a page costs is counted in SQLite's own instructions: no clock decides."""
    exp = int(NOW) + 120

    def fill(connection: Connection) -> None:
        row = {"client_id": "c", "exp": exp, "sealed": b"s" * 1_500}
        rows = [row | {"jti": f"{number:05}", "presentation": f"p{number}"} for number in range(BACKLOG)]
        connection.execute(insert(outbox_table), rows)

    def instructions(connection: Connection, after_exp: int, after_jti: str) -> int:
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        count = 0

        def counted() -> None:
            nonlocal count
            count += 1

        driver.set_progress_handler(counted, 1)
        try:
            assert len(connection.execute(_LIST, values_of("c", after_exp, after_jti)).all()) == 10
        finally:
            driver.set_progress_handler(None, 1)
        return count

    async def work() -> None:
        async with world.open() as (_, store):
            await store.run(fill)
            for after in ((0, ""), (exp, ""), (exp, f"{BACKLOG // 2:05}"), (exp, f"{BACKLOG - 20:05}")):
                took = await store.run(lambda connection, after=after: instructions(connection, *after))  # type: ignore[misc]
                assert took < INSTRUCTIONS, after

    run(work)


def test_an_expired_token_is_neither_listed_nor_kept(world: World) -> None:
    async def work() -> None:
        async with world.open() as (outbox, _):
            await outbox.put(token(1, NOW + 10), client_id="c", presentation="p1", entry=ENTRY)
            await outbox.put(token(2, NOW + 100), client_id="c", presentation="p2", entry=ENTRY)
            world.now += 10
            assert await outbox.list("c") == (token(2, NOW + 100),)
            assert await outbox.purge() == 1
            world.now = NOW
            assert await outbox.list("c") == (token(2, NOW + 100),)

    run(work)


def test_nothing_readable_is_on_the_disk(world: World) -> None:
    async def work() -> None:
        async with world.open() as (outbox, _):
            await outbox.put(token(1), client_id="c", presentation="p1", entry=ENTRY)
            for file in world.file.parent.glob("store.db*"):
                assert SECRET.encode() not in file.read_bytes()
        assert not open_to_others(world.file)

    run(work)


def test_a_corrupt_store_is_set_aside_and_said_so(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.file.write_bytes(b"this is not a database, and long enough to be looked at" * 100)

    async def work() -> None:
        async with world.open() as (outbox, _):
            await outbox.put(token(1), client_id="c", presentation="p1", entry=ENTRY)
            assert len(await outbox.list("c")) == 1

    run(work)
    assert [file.name.split("-")[0] for file in world.file.parent.glob("*.corrupt-*")] == ["store.db.corrupt"]
    assert "set aside" in caplog.text


def test_a_locked_store_gives_store_unavailable_and_recovers(world: World) -> None:
    async def work() -> None:
        async with world.open() as (outbox, store):
            await store.run(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout=1"))
            other = sqlite3.connect(world.file, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreUnavailable) as caught:
                await outbox.put(token(1), client_id="c", presentation="p1", entry=ENTRY)
            assert SECRET not in str(caught.value)
            other.execute("ROLLBACK")
            other.close()
            await outbox.put(token(1), client_id="c", presentation="p1", entry=ENTRY)
            assert await outbox.list("c") == (token(1),)

    run(work)


def test_a_folder_that_is_a_file_gives_store_unavailable(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")

    async def work() -> None:
        store = Store(tmp_path / "folder" / "store.db")
        with pytest.raises(StoreUnavailable):
            await store.open()
        await store.close()

    run(work)


@pytest.mark.parametrize("fault", ["PRAGMA max_page_count = 1", "PRAGMA query_only = 1"])
def test_a_disk_that_is_full_or_read_only_takes_no_token_and_recovers(world: World, fault: str) -> None:
    async def work() -> None:
        async with world.open() as (outbox, store):
            await outbox.put(token(1), client_id="c", presentation="p1", entry=ENTRY)
            await store.run(lambda connection: connection.exec_driver_sql(fault))
            big = msgspec.structs.replace(token(2), token="x" * 1_000_000)
            with pytest.raises(StoreUnavailable) as caught:
                await outbox.put(big, client_id="c", presentation="p2", entry=ENTRY)
            assert "xxx" not in str(caught.value) + str(caught.value.__cause__)
            assert await outbox.list("c") == (token(1),)
            await outbox.put(token(2), client_id="c", presentation="p2", entry=ENTRY)
            (verified,) = await store.run(world.chain.verifier.verify)
            assert (verified.rows, verified.broken) == (2, None)

    run(work)


def test_a_store_that_is_damaged_in_its_middle_is_set_aside_whole(world: World) -> None:
    async def work() -> None:
        async with world.open() as (outbox, _):
            for number in range(9):
                big = msgspec.structs.replace(token(number), token="x" * 20_000)
                await outbox.put(big, client_id="c", presentation=f"p{number}", entry=ENTRY)
        content = bytearray(world.file.read_bytes())
        content[len(content) // 3 : len(content) // 3 * 2] = b"\xa5" * (len(content) // 3)
        world.file.write_bytes(content)
        async with world.open() as (outbox, _):
            await outbox.put(token(1), client_id="c", presentation="p1", entry=ENTRY)
        (aside,) = world.file.parent.glob("store.db.corrupt-*Z")
        assert aside.read_bytes() == bytes(content), "whoever mends such files wants it as it was"

    run(work)


@pytest.mark.parametrize("column", ["client_id", "presentation", "exp", "sealed", "seal"])
def test_a_damaged_row_costs_that_row_only(world: World, column: str, caplog: pytest.LogCaptureFixture) -> None:
    value = {"client_id": "c ", "exp": int(NOW) + 500, "sealed": b"x" * 2 * MOST_LISTED}.get(column, b"damaged")

    async def work() -> None:
        async with world.open() as (outbox, store):
            for number in range(3):
                await outbox.put(token(number), client_id="c", presentation=f"p{number}", entry=ENTRY)
            statement = update(outbox_table).where(outbox_table.c.jti == token(1).jti)
            await store.run(lambda connection: connection.execute(statement.values({column: value})))
            for _ in range(2):
                assert await outbox.list("c") == (token(0), token(2))

    run(work)
    if column != "client_id":  # that client has no tokens, and is not asked for
        assert caplog.text.count("it is refused") == 1


#: What may stand in the place of a token's name or end in a file of SQLite, as an expression of its own.
DAMAGES = [
    f"{column} = {value}"
    for column, value in itertools.product(
        ("jti", "exp"),
        ("CAST(x'3030303030303032ff' AS TEXT)", "x'30'", "'!'", "'~é'", "printf('%.300c', 'z')", "1e300", "-1", "5.5"),
    )
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("limit", [1, 2, PAGE])
def test_a_damaged_name_or_end_hides_no_token_from_whoever_reads_page_by_page(
    world: World, damage: str, limit: int
) -> None:
    kept = [token(number) for number in range(6)]

    async def work() -> None:
        async with world.open() as (outbox, store):
            for number, one in enumerate(kept):
                await outbox.put(one, client_id="c", presentation=f"p{number}", entry=ENTRY)
            statement = text(f"UPDATE outbox SET {damage} WHERE jti = :jti")  # noqa: S608  no input
            await store.run(lambda connection: connection.execute(statement, {"jti": kept[2].jti}))
            found: list[OutboxToken] = []
            asked = OutboxList(limit=limit)
            for _ in kept:
                tokens, more = await outbox.page("c", after=asked.after, limit=asked.limit)
                found += tokens
                if more is None:
                    break
                asked = msgspec.convert({"after": more, "limit": limit}, OutboxList)
            assert [one for one in kept if one != kept[2]] == found

    run(work)


def test_a_page_is_of_tokens_and_not_of_damaged_rows(world: World) -> None:
    async def work() -> None:
        async with world.open() as (outbox, store):
            for number in range(6):
                await outbox.put(token(number), client_id="c", presentation=f"p{number}", entry=ENTRY)
            damaged = outbox_table.c.jti.in_([token(number).jti for number in range(4)])
            await store.run(
                lambda connection: connection.execute(update(outbox_table).where(damaged).values(seal=b"x"))
            )
            tokens, more = await outbox.page("c", limit=1)
            assert ((token(4),), f"{token(4).exp}~{token(4).jti}") == (tokens, more)
            assert ((token(5),), None) == await outbox.page("c", after=more, limit=1)

    run(work)


def test_a_token_that_was_given_to_another_client_in_the_store_is_refused(world: World) -> None:
    async def work() -> None:
        async with world.open() as (outbox, store):
            await outbox.put(token(1), client_id="local", presentation="p", entry=ENTRY)
            theft = update(outbox_table).values(client_id="thief")
            await store.run(lambda connection: connection.execute(theft))
            assert await outbox.list("thief") == ()

    run(work)
