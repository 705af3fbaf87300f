"""The audit trail: what was changed, removed or put back is seen, on both dialects; retention leaves it verifiable."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.keystore.vault import Vault
from vitale_reader.daemon.store.audit import DAY, Audit
from vitale_reader.daemon.store.chain import Broken, Chain, Entry, Verified
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.remembered import Remembered, read_anchor
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import audit

STATION = "10000000-0000-4000-8000-000000000000"
OTHER = "20000000-0000-4000-8000-000000000000"


class Trail:
    """The audit trail of a station, with a clock that the test moves."""

    def __init__(self, folder: Path, place: Path | str, station: str = STATION) -> None:
        self.now = 1_800_000_000.0
        self.place = place
        self.anchor = folder / f"{station[0]}.anchor"
        self.station = station
        self.chain = self.make_chain(Remembered())

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncGenerator[tuple[Audit, Store]]:
        store = Store(self.place)
        await store.open()
        remembered = Remembered.read(self.anchor)
        self.chain = self.make_chain(remembered)
        trail = Audit(
            store,
            self.chain,
            remembered=remembered,
            days=1,
            clock=StoreClock(remembered, wall=lambda: self.now, steady=lambda: self.now),
        )
        await trail.open()
        yield trail, store
        await trail.close()
        await store.close()

    def make_chain(self, remembered: Remembered) -> Chain:
        dialect = "sqlite" if isinstance(self.place, Path) else "postgresql"
        return Chain(Vault.of_site(b"k" * 32), self.station, remembered=remembered, dialect=dialect)

    async def write(self, trail: Audit, count: int) -> None:
        for number in range(count):
            self.now += 1
            await trail.note("session.open", "ok", client_id=f"c{number}", reader="pcsc:é")

    async def verified(self, store: Store) -> list[Verified]:
        anchor = read_anchor(self.anchor)
        return await store.run(lambda connection: self.chain.verify(connection, anchor))

    async def broken(self, store: Store) -> Broken | None:
        return (await self.verified(store))[0].broken


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store can be, of both kinds."""
    return tmp_path / "store.db" if request.param == "sqlite" else str(request.getfixturevalue("site_database"))


@pytest.fixture
def trail(tmp_path: Path, place: Path | str) -> Trail:
    return Trail(tmp_path, place)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_a_trail_is_whole_across_restarts(trail: Trail) -> None:
    async def work() -> None:
        for total in (3, 6):
            async with trail.open() as (audit, store):
                await trail.write(audit, 3)
                assert await trail.verified(store) == [Verified(station=STATION, rows=total)]

    run(work)


def test_lines_at_once_stand_in_one_chain(trail: Trail) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await asyncio.gather(*(audit.note("session.open", "ok") for _ in range(20)))
            assert await trail.verified(store) == [Verified(station=STATION, rows=20)]

    run(work)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE audit SET outcome = 'x' WHERE number = 3", Broken(number=3, why="changed")),
        ("UPDATE audit SET client_id = NULL WHERE number = 1", Broken(number=1, why="changed")),
        ("UPDATE audit SET at = at + 1 WHERE number = 6", Broken(number=6, why="changed")),
        ("UPDATE audit SET mac = NULL WHERE number = 2", Broken(number=2, why="changed")),
        ("DELETE FROM audit WHERE number = 1", Broken(number=1, why="missing")),
        ("DELETE FROM audit WHERE number = 4", Broken(number=4, why="missing")),
        ("DELETE FROM audit WHERE number = 6", Broken(number=6, why="missing")),
        ("DELETE FROM audit", Broken(number=1, why="missing")),
        ("UPDATE audit SET number = number + 1 WHERE number = 6", Broken(number=6, why="missing")),
        ("UPDATE audit_heads SET last = 5", Broken(number=1, why="head")),
        ("UPDATE audit_heads SET first = 2", Broken(number=2, why="head")),
        ("DELETE FROM audit_heads", Broken(number=6, why="missing")),
    ],
)
def test_the_first_row_that_does_not_hold_is_told(tmp_path: Path, statement: str, expected: Broken) -> None:
    trail = Trail(tmp_path, tmp_path / "store.db")

    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 6)
            await audit.drop_anchor()
            await store.run(lambda connection: connection.execute(text(statement)))
            assert await trail.broken(store) == expected

    run(work)


def test_rows_of_nobody_are_told(trail: Trail) -> None:
    stray = "INSERT INTO audit (at, action, outcome) VALUES (1.0, 'session.open', 'ok')"

    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 2)
            await store.run(lambda connection: connection.execute(text(stray)))
            whole, strays = await trail.verified(store)
            assert whole.broken is None
            assert (strays.station, strays.rows) == ("", 1)
            assert strays.broken is not None
            assert strays.broken.why == "unchained"

    run(work)


def test_the_last_rows_and_the_head_removed_are_seen_by_the_anchor(tmp_path: Path) -> None:
    trail = Trail(tmp_path, tmp_path / "store.db")

    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
        shutil.copy(tmp_path / "store.db", tmp_path / "older.db")
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
        shutil.copy(tmp_path / "older.db", tmp_path / "store.db")
        anchor = read_anchor(trail.anchor)
        store = Store(tmp_path / "store.db", reading=True)
        (found,) = await store.run(lambda connection: trail.chain.verify(connection, anchor))
        await store.close()
        assert (found.rows, found.broken) == (3, Broken(number=4, why="missing"))

    run(work)


def test_a_trail_that_was_lost_says_so_when_it_goes_on(tmp_path: Path) -> None:
    trail = Trail(tmp_path, tmp_path / "store.db")

    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
        for file in tmp_path.glob("store.db*"):
            file.unlink()
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
            await audit.drop_anchor()
            assert await trail.broken(store) == Broken(number=4, why="lost")

    run(work)


def test_a_head_removed_while_it_runs_is_told_for_good(trail: Trail) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
            await store.run(lambda connection: connection.execute(text("DELETE FROM audit_heads")))
            await trail.write(audit, 3)
            assert (await trail.broken(store)) is not None

    run(work)


def test_retention_leaves_a_chain_that_holds(trail: Trail) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
            trail.now += DAY
            await trail.write(audit, 2)
            assert await audit.purge() == 3
            assert await audit.purge() == 0
            assert await trail.verified(store) == [Verified(station=STATION, rows=2)]
            trail.now += 2 * DAY
            assert await audit.purge() == 2
            assert await trail.verified(store) == [Verified(station=STATION, rows=0)]
            await trail.write(audit, 1)
            assert await trail.verified(store) == [Verified(station=STATION, rows=1)]

    run(work)


def test_retention_removes_no_evidence(trail: Trail) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
            await store.run(lambda connection: connection.execute(text("DELETE FROM audit WHERE number = 3")))
            trail.now += DAY * 2
            assert await audit.purge() == 2, "what is before the row that is missing verifies"
            assert await trail.broken(store) == Broken(number=3, why="missing")
            assert await audit.purge() == 0

    run(work)


def test_stations_of_a_site_have_chains_of_their_own(tmp_path: Path, site_database: str) -> None:
    one, other = (Trail(tmp_path, site_database, station) for station in (STATION, OTHER))

    async def work() -> None:
        async with one.open() as (first, store), other.open() as (second, _):
            await asyncio.gather(one.write(first, 5), other.write(second, 4))
            await store.run(
                lambda connection: connection.execute(
                    update(audit).where(audit.c.station == OTHER, audit.c.number == 2).values(outcome="x")
                )
            )
            found = {each.station: each.broken for each in await one.verified(store)}
            assert found == {STATION: None, OTHER: Broken(number=2, why="changed")}
            one.now += 2 * DAY
            assert await first.purge() == 6, "of the other station what is before the row that was changed"

    run(work)


def test_a_line_that_is_lost_is_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trail = Trail(tmp_path, tmp_path / "store.db")

    async def work() -> None:
        async with trail.open() as (audit, store):
            await store.run(lambda connection: connection.exec_driver_sql("DROP TABLE audit"))
            await audit.note("session.open", "ok")

    run(work)
    assert "audit trail is lost" in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"station":"\xff"}', b"[" * 100_000], ids=["empty", "{}", "bytes", "deep"]
)
def test_a_damaged_anchor_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "anchor").write_bytes(content)
    with pytest.raises(StoreUnavailable):
        read_anchor(tmp_path / "anchor")
    assert read_anchor(tmp_path / "none") is None


COLUMNS = ("at", "client_id", "action", "outcome", "medium", "reader", "jti", "station", "number", "mac")


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("row", [1, 3, 5])
@pytest.mark.parametrize("value", ["", "z", "0", None, 7, 1.5, b"m"], ids=repr)
def test_no_change_of_any_column_goes_unseen(tmp_path: Path, row: int, column: str, value: object) -> None:
    trail = Trail(tmp_path, tmp_path / "store.db")

    async def work() -> None:
        async with trail.open() as (_, store):

            def change(connection: "object") -> None:
                for number in range(5):
                    trail.chain.append(connection, Entry(at=float(number), action="a", outcome="ok", client_id="c"))  # type: ignore[arg-type]

            await store.run(change)
            of_row = select(audit.c[column]).where(audit.c.number == row)
            before = await store.run(lambda connection: connection.execute(of_row).scalar())
            statement = text(f"UPDATE OR IGNORE audit SET {column} = :value WHERE number = :row")  # noqa: S608
            with contextlib.suppress(StoreUnavailable):
                await store.run(lambda connection: connection.execute(statement, {"value": value, "row": row}))
            raw = text(f"SELECT {column} FROM audit WHERE id = :row")  # noqa: S608
            after = await store.run(lambda connection: connection.execute(raw, {"row": row}).scalar())
            found = await store.run(trail.chain.verify)
            whole = all(one.broken is None for one in found)
            assert whole == (before == after), (before, after)

    run(work)
