"""What has ended is forgotten in short transactions; what is done stays done, and other work comes between."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, Table, func, insert, select

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.database import expiry
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import tables
from vitale_reader.daemon.store.audit_trail import retention
from vitale_reader.daemon.store.audit_trail.audit import Audit
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.audit_trail.verification import Verified, Verifier
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Need, Store

T = TypeVar("T")
NOW = 1_000_000_000.0
"""Before any clock of a database: what ends now has ended there as well."""
VAULT = Vault.of_site(b"k" * 32)
STATION = "10000000-0000-4000-8000-000000000000"
PIECE = 20
ROWS = 5 * PIECE + 3
pytestmark = pytest.mark.usefixtures("patient")


class Watched(Store):
    """A store that looks at a table before and after each transaction, and may go away after some of them."""

    def __init__(self, place: Path | str, table: Table) -> None:
        super().__init__(place)
        self._count = select(func.count()).select_from(table)
        self.forgotten: list[int] = []
        self.left: float = float("inf")

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        needs: Need = "any",
        single: bool = False,
        in_spool: Callable[[Connection], T] | None = None,
    ) -> T:
        def looked_at(connection: Connection) -> tuple[int, T]:
            before = int(connection.execute(self._count).scalar_one())
            done = work(connection)
            return before - int(connection.execute(self._count).scalar_one()), done

        if not self.left:
            raise StoreUnavailable("away")
        gone, done = await super().run(looked_at)
        if gone > 0:
            self.forgotten.append(gone)
            self.left -= 1
        return done

    async def rows(self) -> int:
        return await super().run(lambda connection: int(connection.execute(self._count).scalar_one()))


def purger(name: str, store: Watched) -> Callable[[], Awaitable[int]]:
    clock = StoreClock(Remembered())
    if name == "outbox":
        return Outbox(store, VAULT, Chain(VAULT, STATION), clock=clock).purge
    if name == "seen":
        return ReplayGuard(store, VAULT, days=2, clock=clock).purge
    return Audit(store, Chain(VAULT, STATION), remembered=Remembered(), days=1, clock=clock).purge


def fill(name: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        numbers = range(ROWS)
        if name == "audit":
            entries = [AuditEntry(at=NOW + number, action="session.open", outcome="ok") for number in numbers]
            Chain(VAULT, STATION).append(connection, *entries)
        elif name == "outbox":
            rows: list[dict[str, Any]] = [
                {"jti": str(number), "client_id": "c", "presentation": str(number), "exp": int(NOW), "sealed": b""}
                for number in numbers
            ]
            connection.execute(insert(tables.outbox), rows)
        else:
            rows = [{"digest": str(number), "state": "used", "expires_at": NOW} for number in numbers]
            connection.execute(insert(tables.seen), rows)

    return work


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return tmp_path / "store.db" if request.param == "sqlite" else str(request.getfixturevalue("site_database"))


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MOST_FORGOTTEN", PIECE)
    monkeypatch.setattr(expiry, "PIECE", PIECE)


def on(place: Path | str, name: str, work: Callable[[Watched], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Watched(place, getattr(tables, name))
        await store.open()
        try:
            await store.run(fill(name))
            await work(store)
        finally:
            await store.close()

    asyncio.run(main())


KEEPERS = pytest.mark.parametrize("name", ["outbox", "seen", "audit"])


@KEEPERS
def test_what_has_ended_is_forgotten_piece_by_piece(place: Path | str, name: str) -> None:
    async def work(store: Watched) -> None:
        assert await purger(name, store)() == ROWS
        assert (store.forgotten, await store.rows()) == ([PIECE] * 5 + [3], 0)
        assert await purger(name, store)() == 0
        if name == "audit":
            assert [Verified(station=STATION, rows=0)] == await store.run(Verifier(VAULT, STATION).verify)

    on(place, name, work)


@KEEPERS
def test_what_was_forgotten_before_the_store_went_away_stays_forgotten(place: Path | str, name: str) -> None:
    async def work(store: Watched) -> None:
        store.left = 2
        with pytest.raises(StoreUnavailable):
            await purger(name, store)()
        assert await store.rows() == ROWS - 2 * PIECE
        store.left = float("inf")
        assert await purger(name, store)() == ROWS - 2 * PIECE

    on(place, name, work)


@KEEPERS
def test_several_desks_at_once_forget_each_row_once(site_database: str, name: str) -> None:
    async def work(store: Watched) -> None:
        desks = [Watched(site_database, getattr(tables, name)) for _ in range(3)]
        try:
            for desk in desks:
                await desk.open()
            counts = await asyncio.gather(*(purger(name, desk)() for desk in desks))
            assert sum(counts) + await purger(name, store)() == ROWS
            assert await store.rows() == 0
        finally:
            for desk in desks:
                await desk.close()

    on(site_database, name, work)


def test_it_tells_how_far_it_has_come(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(expiry, "TOLD", 0.0)
    pieces = iter([20, 20, 3, 0])

    async def forget() -> int:
        return next(pieces)

    with caplog.at_level("INFO"):
        assert asyncio.run(expiry.in_pieces("audit", forget)) == 43
    told = [record.getMessage() for record in caplog.records if record.name == expiry.__name__]
    assert told == [f"of audit, {count} rows whose time is over were forgotten so far" for count in (20, 40, 43)]
