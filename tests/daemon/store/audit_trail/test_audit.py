"""The audit trail: what was changed, removed or put back is seen, on both dialects; retention leaves it verifiable."""

import asyncio
import contextlib
import errno
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Connection, Table, create_engine, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import local_anchor
from vitale_reader.daemon.store.audit_trail.audit import DAY, Audit
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import RESUMED, AuditEntry
from vitale_reader.daemon.store.audit_trail.verification import Verified
from vitale_reader.daemon.store.audit_trail.walk import Broken
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Anchor, Remembered, read_anchor
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import HIGHEST, audit, audit_heads, table_heads
from vitale_reader.daemon.store.tables import audit as audit_table

STATION = "10000000-0000-4000-8000-000000000000"
OTHER = "20000000-0000-4000-8000-000000000000"
pytestmark = pytest.mark.usefixtures("patient")


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
        return await store.run(lambda connection: self.chain.verifier.verify(connection, anchor))

    async def broken(self, store: Store) -> Broken | None:
        return (await self.verified(store))[0].broken


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store can be, of both kinds."""
    return tmp_path / "store.db" if request.param == "sqlite" else str(request.getfixturevalue("site_database"))


@pytest.fixture
def trail(tmp_path: Path, place: Path | str) -> Trail:
    """A trail in either store."""
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
        (found,) = await store.run(lambda connection: trail.chain.verifier.verify(connection, anchor))
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


# ── put back, cut, lost ──────────────────────────────────────────────────────────────────────────────────────────


async def content(store: Store) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    def work(connection: Connection) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        rows, heads = (
            [dict(row) for row in connection.execute(select(table)).mappings()] for table in (audit_table, audit_heads)
        )
        return rows, heads

    return await store.run(work)


async def put_back(store: Store, rows: list[dict[str, object]], heads: list[dict[str, object]]) -> None:
    def work(connection: Connection) -> None:
        for table, content in ((audit_table, rows), (audit_heads, heads)):
            connection.execute(delete(table))
            if content:
                connection.execute(insert(table), content)

    await store.run(work)


Hand = Callable[[Store, tuple[list[dict[str, object]], list[dict[str, object]]]], Awaitable[None]]


async def an_older_database(store: Store, older: tuple[list[dict[str, object]], list[dict[str, object]]]) -> None:
    await put_back(store, *older)


async def everything_removed(store: Store, _: object) -> None:
    await put_back(store, [], [])


async def an_older_head_and_rows_cut(
    store: Store, older: tuple[list[dict[str, object]], list[dict[str, object]]]
) -> None:
    rows, _ = await content(store)
    await put_back(store, rows[: len(older[0])], older[1])


async def an_older_head_over_all_rows(
    store: Store, older: tuple[list[dict[str, object]], list[dict[str, object]]]
) -> None:
    await put_back(store, (await content(store))[0], older[1])


async def the_head_removed(store: Store, _: object) -> None:
    await put_back(store, (await content(store))[0], [])


async def the_rows_removed(store: Store, _: object) -> None:
    await put_back(store, [], (await content(store))[1])


async def the_last_rows_removed(store: Store, _: object) -> None:
    rows, heads = await content(store)
    await put_back(store, rows[:-2], heads)


async def the_last_row_linked_with_nothing(store: Store, _: object) -> None:
    rows, heads = await content(store)
    await put_back(store, [*rows[:-1], rows[-1] | {"mac": None}], heads)


async def the_last_row_moved(store: Store, _: object) -> None:
    rows, heads = await content(store)
    await put_back(store, [*rows[:-1], rows[-1] | {"number": cast("int", rows[-1]["number"]) + 1}], heads)


async def a_row_planted_behind_the_end(store: Store, _: object) -> None:
    rows, heads = await content(store)
    await put_back(store, [*rows, rows[-1] | {"id": 1_000, "number": cast("int", rows[-1]["number"]) + 1}], heads)


async def a_row_planted_far_behind_the_end(store: Store, _: object) -> None:
    rows, heads = await content(store)
    await put_back(store, [*rows, rows[-1] | {"id": 1_000, "number": HIGHEST}], heads)


HANDS = (
    an_older_database,
    everything_removed,
    an_older_head_and_rows_cut,
    an_older_head_over_all_rows,
    the_head_removed,
    the_rows_removed,
    the_last_rows_removed,
    the_last_row_linked_with_nothing,
    the_last_row_moved,
    a_row_planted_behind_the_end,
    a_row_planted_far_behind_the_end,
)


@pytest.mark.parametrize("hand", HANDS, ids=lambda hand: hand.__name__)
@pytest.mark.parametrize("running", [True, False], ids=["running", "at rest"])
def test_a_trail_that_was_put_back_is_told_for_ever_after(
    trail: Trail, hand: Hand, running: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
            older = await content(store)
            await trail.write(audit, 5)
            if running:
                await hand(store, older)
                await trail.write(audit, 2)
                assert await trail.broken(store) is not None
        if not running:
            store = Store(trail.place)
            await store.open()
            await hand(store, older)
            await store.close()
        for _ in range(2):  # the start that finds it, and one that finds it told
            caplog.clear()
            async with trail.open() as (audit, store):
                await trail.write(audit, 1)
                assert await trail.broken(store) is not None
                assert "put back, cut or lost" in caplog.text
                trail.now += DAY * 2  # nor does retention make it good
                await audit.purge()
                assert await trail.broken(store) is not None

    run(work)


def test_a_head_put_back_behind_its_rows_stops_no_start_and_is_told(trail: Trail) -> None:
    """The station itself knows no better: it was killed before it wrote its anchor down."""

    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 2)
            await audit.drop_anchor()
            anchor = trail.anchor.read_bytes()
            _, older = await content(store)
            await trail.write(audit, 2)
            rows, _ = await content(store)
            await put_back(store, rows, older)
        trail.anchor.write_bytes(anchor)
        async with trail.open() as (audit, store):
            await trail.write(audit, 2)
            assert await trail.broken(store) is not None
            after, _ = await content(store)
            assert len(after) == len(rows) + 3, "none was written over, and one says what was found"

    run(work)


@pytest.mark.parametrize("last", [7, 2_147_483_647])
def test_a_head_that_somebody_else_wrote_does_not_reach_the_anchor(trail: Trail, last: int) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 2)
            rows, as_it_was = await content(store)
            await store.run(lambda connection: connection.execute(update(audit_heads).values(last=last, mac=b"x" * 32)))
            await audit.drop_anchor()
            await put_back(store, rows, as_it_was)
        assert 2 == (read_anchor(trail.anchor) or Anchor(number=0, mac="")).number
        async with trail.open() as (_, store):
            assert await trail.broken(store) is None

    run(work)


def test_a_row_planted_where_the_next_one_belongs_stops_nothing_and_is_told(trail: Trail) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 2)
            rows, heads = await content(store)
            planted = rows[-1] | {"id": 1_000, "number": 3}
            await put_back(store, [*rows, planted], heads)
            await trail.write(audit, 2)
            assert await trail.broken(store) is not None
            after, _ = await content(store)
            assert len(after) == 2 + 1 + 3

    run(work)


@pytest.mark.parametrize("hand", HANDS, ids=lambda hand: hand.__name__)
def test_an_administrator_lets_a_trail_go_on_with_a_reason(trail: Trail, hand: Hand) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
            older = await content(store)
            await trail.write(audit, 5)
            await hand(store, older)

            def resume(connection: Connection) -> Broken | None:
                return trail.chain.resume(connection, at=trail.now, reason="backup of Monday", client_id="local")

            assert await store.run(resume) is not None
            assert await store.run(resume) is None, "there is nothing more to say"
            await trail.write(audit, 1)
            (found,) = await trail.verified(store)
            assert (found.broken, found.resumed) == (None, 1)
            of_reason = select(audit_table.c.reason).where(audit_table.c.action == RESUMED)
            assert await store.run(lambda connection: connection.execute(of_reason).scalars().all()) == [
                "backup of Monday"
            ]
            trail.now += DAY * 2
            await audit.purge()
            assert await trail.verified(store) == [Verified(station=STATION, rows=0)], "what is known may be forgotten"

    run(work)


FORGED = {"at": 1.0, "client_id": "local", "action": RESUMED, "outcome": "ok", "station": STATION, "reason": "forged"}


@pytest.mark.parametrize("genuine", [True, False], ids=["an administrator", "a hand in the database"])
def test_a_reason_that_nobody_with_the_key_wrote_does_not_silence_the_daemon(trail: Trail, genuine: bool) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 3)
            await everything_removed(store, None)
            await trail.write(audit, 2)
            assert await store.run(trail.chain.verifier.unresolved) == 4
            if genuine:
                await store.run(partial(trail.chain.resume, at=trail.now, reason="a test", client_id="local"))
            else:
                forged = FORGED | {"number": 1_000, "mac": b"m" * 32}
                await store.run(lambda connection: connection.execute(insert(audit_table), forged))
            assert await store.run(trail.chain.verifier.unresolved) == (None if genuine else 4)

    run(work)


def test_another_desk_takes_up_what_an_administrator_let_go_on(tmp_path: Path, site_database: str) -> None:
    one, other = (Trail(tmp_path, site_database, station) for station in (STATION, OTHER))

    async def work() -> None:
        async with one.open() as (first, store), other.open() as (second, _):
            await one.write(first, 4)
            await other.write(second, 4)
            await the_rows_removed(store, None)
            of_other = Chain(Vault.of_site(b"k" * 32), OTHER, dialect="postgresql")
            for chain in (one.chain, of_other):  # an administrator at the first desk
                resume = partial(chain.resume, at=one.now, reason="a test", client_id="local")
                assert await store.run(resume) is not None
                assert await store.run(resume) is None
            await one.write(first, 2)
            await other.write(second, 2)
            await second.drop_anchor()
            expected = [Verified(station=station, rows=3, resumed=1) for station in (STATION, OTHER)]
            assert await one.verified(store) == expected
            assert await other.verified(store) == expected
        async with one.open() as (_, store), other.open():
            assert await one.verified(store) == expected

    run(work)


def test_what_was_broken_later_is_not_covered_by_a_reason_of_before(trail: Trail) -> None:
    async def work() -> None:
        async with trail.open() as (audit, store):
            await trail.write(audit, 4)
            change = update(audit_table).where(audit_table.c.number == 3).values(outcome="x")
            await store.run(lambda connection: connection.execute(change))
            resume = partial(trail.chain.resume, at=trail.now, reason="a test", client_id="local")
            assert await store.run(resume) == Broken(number=3, why="changed")
            assert await trail.broken(store) is None
            change = update(audit_table).where(audit_table.c.number == 2).values(outcome="x")
            await store.run(lambda connection: connection.execute(change))
            assert await trail.broken(store) == Broken(number=2, why="changed")

    run(work)


def test_an_anchor_that_cannot_be_written_is_told_once_and_again_after_it_could(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    is_full = True

    def write(*_: object, **__: object) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local_anchor, "write_atomically", write)
    remembered = Remembered(tmp_path / "anchor")
    told: list[int] = []
    for number in range(1, 7):
        is_full = number != 4
        remembered.saw_end(number, b"m")
        remembered.write()
        told.append(len(caplog.messages))
    assert [1, 1, 1, 1, 2, 2] == told


def test_the_anchor_moves_forward_only(tmp_path: Path) -> None:
    remembered = Remembered(tmp_path / "anchor")
    remembered.saw_end(7, b"7")
    remembered.saw_end(3, b"3")
    remembered.saw_revision("clients", 4)
    remembered.saw_revision("clients", 2)
    remembered.saw_time(9.0)
    remembered.saw_time(5.0)
    remembered.write()
    assert read_anchor(tmp_path / "anchor") == Anchor(number=7, mac=b"7".hex(), revisions={"clients": 4}, latest=9.0)


def test_the_anchor_is_written_down_by_several_threads_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    remembered = Remembered(tmp_path / "anchor")

    def write(first: int) -> None:
        for number in range(first, 400, 4):
            remembered.saw_end(number, b"mac")
            remembered.write(durable=False)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(1, 5)))
    assert caplog.text == ""
    anchor = read_anchor(tmp_path / "anchor")
    assert anchor is not None
    assert anchor.number == 399


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
def test_no_change_of_any_column_goes_unseen(tmp_path: Path, column: str) -> None:
    trail = Trail(tmp_path, tmp_path / "store.db")
    raw = text(f"SELECT {column} FROM audit WHERE id = :row")  # noqa: S608
    statement = text(f"UPDATE OR IGNORE audit SET {column} = :value WHERE number = :row")  # noqa: S608

    def write(connection: Connection) -> None:
        for number in range(5):
            trail.chain.append(connection, AuditEntry(at=float(number), action="a", outcome="ok", client_id="c"))

    def change(connection: Connection, row: int, value: object) -> None:
        """Changes one value, looks, and changes it back."""
        before = connection.execute(raw, {"row": row}).scalar()
        changed = connection.begin_nested()
        with contextlib.suppress(IntegrityError), connection.begin_nested():
            connection.execute(statement, {"value": value, "row": row})
        after = connection.execute(raw, {"row": row}).scalar()
        whole = all(one.broken is None for one in trail.chain.verifier.verify(connection))
        assert whole == (before == after), (row, before, after)
        changed.rollback()

    async def work() -> None:
        async with trail.open() as (_, store):
            await store.run(write)
            for row in (1, 3, 5):
                for value in ("", "z", "0", None, 7, 1.5, b"m"):
                    await store.run(partial(change, row=row, value=value))
            assert [None] == [one.broken for one in await store.run(trail.chain.verifier.verify)]

    run(work)


@pytest.mark.parametrize("table", [audit_heads, table_heads, audit], ids=lambda table: table.name)
def test_of_two_connections_that_begin_a_head_or_a_line_the_second_begins_anew(
    tmp_path: Path, site_database: str, table: Table
) -> None:
    trail = Trail(tmp_path, site_database)
    kinds = {int: 1, float: 1.0, bytes: b"x", str: "x"}
    row = {column.name: kinds[column.type.python_type] for column in table.columns if column.name != "id"}
    engine = create_engine(site_database.replace("postgresql:", "postgresql+psycopg:", 1))
    tries = 0

    def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:  # somebody else is quicker by a moment
            with engine.begin() as other:
                other.execute(insert(table), row)
        else:
            connection.execute(delete(table))
        connection.execute(insert(table), row)

    async def main() -> None:
        async with trail.open() as (_, store):
            await store.run(work)

    asyncio.run(main())
    engine.dispose()
    assert tries == 2
