"""The row of a desk: one that says that it is no more leaves none behind, whatever it was just saying."""

import asyncio
import threading

import pytest
from sqlalchemy import Connection

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.remote_readers import DeskTold
from vitale_reader.daemon.site.rows import desks
from vitale_reader.daemon.site.rows.desks import DeskRows
from vitale_reader.daemon.site.rows.messages import DeskRow
from vitale_reader.daemon.site.rows.site_rows import SiteRows
from vitale_reader.daemon.store.store import Store

# pyright: reportPrivateUsage=false
pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient")]

PATIENCE = 90.0
VAULT = Vault.of_site(b"k" * 32)
HERE, THERE = "10000000-0000-4000-8000-000000000000", "20000000-0000-4000-8000-000000000000"


def test_a_desk_that_leaves_while_it_tells_leaves_nothing(site_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "LOST", PATIENCE)
    told = DeskTold(name="here", mode="simulated", groups=(), readers=())
    begun, go = threading.Event(), threading.Event()
    real = DeskRows._take_place

    def slow(self: DeskRows, connection: Connection) -> DeskRow | None:
        begun.set()
        assert go.wait(PATIENCE)
        return real(self, connection)

    async def work() -> None:
        store, other = Store(site_database), Store(site_database)
        await store.open()
        await other.open()
        try:
            desk = SiteRows(store, VAULT, station=HERE, incarnation="here")
            watcher = SiteRows(other, VAULT, station=THERE, incarnation="there")
            await desk.desks.tell(told, 1)
            _, seen = await watcher.look((), beat=False)
            assert {HERE} == set(seen.desks)
            monkeypatch.setattr(DeskRows, "_take_place", slow)
            telling = asyncio.create_task(desk.desks.tell(told, 2))
            assert await asyncio.to_thread(begun.wait, PATIENCE)
            telling.cancel()
            leaving = asyncio.create_task(desk.desks.leave())
            await asyncio.wait({leaving}, timeout=0.3)
            go.set()
            await leaving
            await store.close()  # whatever was begun has ended
            _, seen = await watcher.look((), beat=False)
            assert {} == dict(seen.desks)
        finally:
            await store.close()
            await other.close()

    asyncio.run(work())
