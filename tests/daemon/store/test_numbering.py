"""Numbers of rows that were set back, or came to their end: the desk goes on after the last one that was given."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, func, make_url, select, text

from tests.postgres_server import PostgresServer
from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import store as stores
from vitale_reader.daemon.store.audit_trail.audit import append
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import audit

VAULT = Vault.of_site(b"k" * 32)
STATION = "10000000-0000-4000-8000-000000000000"
ENTRY = AuditEntry(at=1.0, action="session.open", outcome="ok")
pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient")]

HANDS = {
    "set back": "SELECT setval('audit_id_seq', 1, false)",
    "at its end": "SELECT setval('audit_id_seq', 2147483647)",
    "a row in the way": (
        "INSERT INTO audit (id, at, action, outcome) SELECT max(id) + 1, 0, 'planted', 'ok' FROM audit"
    ),
    "set back, under a row far above": (
        "INSERT INTO audit (id, at, action, outcome) VALUES (2147483647, 0, 'planted', 'ok');"
        "SELECT setval('audit_id_seq', 1, false)"
    ),
}


def nothing_else(_: Connection) -> None:
    """Is done in the same transaction, by itself: the rows go one by one then."""


def refused(connection: Connection) -> None:
    connection.execute(text("SELECT 1 / 0"))


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("way", ["in one statement", "row by row"])
def test_lines_are_written_after_the_last_one(
    site_database: str, postgres: PostgresServer, hand: str, way: str
) -> None:
    async def main() -> None:
        store = Store(site_database)
        await store.open()
        chain = Chain(VAULT, STATION)
        also: list[Callable[..., object]] = [] if way == "in one statement" else [nothing_else]
        for _ in range(3):
            await append(store, chain, ENTRY, also=also)
        postgres.execute(HANDS[hand], str(make_url(site_database).database))
        for _ in range(3):
            await append(store, chain, ENTRY, also=also)
        of_station = audit.c.station == STATION
        query = select(func.array_agg(audit.c.number).over(order_by=audit.c.id)).where(of_station)
        numbers = await store.run(lambda connection: connection.execute(query).scalars().all()[-1])
        assert [1, 2, 3, 4, 5, 6] == numbers, "in the order in which they were written"
        await store.close()

    asyncio.run(main())


def test_numbers_that_may_not_be_set_are_an_outage(
    site_database: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the desk goes on with its spool, and says why."""

    async def main() -> None:
        store = Store(site_database)
        await store.open()
        chain = Chain(VAULT, STATION)
        for _ in range(3):
            await append(store, chain, ENTRY)
        postgres.execute(HANDS["set back"], str(make_url(site_database).database))
        with pytest.raises(StoreUnavailable) as caught:
            await append(store, chain, ENTRY)
        assert "23505" == caught.value.data["sqlstate"]
        assert store.away
        await store.close()

    monkeypatch.setattr(stores, "renumber", refused)
    asyncio.run(main())
