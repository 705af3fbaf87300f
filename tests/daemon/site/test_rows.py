"""The row of a desk: one that says that it is no more leaves none behind, whatever it was just saying."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from vitale_reader.daemon.keystore.sealing_keys import Vault
from vitale_reader.daemon.site import rows
from vitale_reader.daemon.site.remote_readers import DeskTold
from vitale_reader.daemon.site.rows import SiteRows
from vitale_reader.daemon.store.store import Need, Store

pytestmark = pytest.mark.posix

T = TypeVar("T")
PATIENCE = 30.0
VAULT = Vault.of_site(b"k" * 32)
HERE, THERE = "10000000-0000-4000-8000-000000000000", "20000000-0000-4000-8000-000000000000"


class SlowOnce(Store):
    """A database to which, after ``slow`` was set, the next piece of work takes its time."""

    slow = False

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.begun, self.go, self.done = threading.Event(), threading.Event(), threading.Event()

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        needs: Need = "any",
        single: bool = False,
        in_spool: Callable[[Connection], T] | None = None,
    ) -> T:
        """Runs work as every store does."""

        def slowly(connection: Connection) -> T:
            self.begun.set()
            assert self.go.wait(PATIENCE)
            try:
                return work(connection)
            finally:
                self.done.set()

        chosen, self.slow = slowly if self.slow else work, False
        return await super().run(chosen, needs=needs, single=single, in_spool=in_spool)


def test_a_desk_that_leaves_while_it_tells_leaves_nothing(site_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LAST_WORDS", PATIENCE, raising=False)
    told = DeskTold(name="here", mode="simulated", groups=(), readers=())

    async def work() -> None:
        store, other = SlowOnce(site_database), Store(site_database)
        await store.open()
        await other.open()
        try:
            desk = SiteRows(store, VAULT, station=HERE, incarnation="here")
            watcher = SiteRows(other, VAULT, station=THERE, incarnation="there")
            await desk.tell(told, 1)
            _, seen = await watcher.look((), beat=False)
            assert {HERE} == set(seen.desks)
            store.slow = True
            telling = asyncio.create_task(desk.tell(told, 2))
            assert await asyncio.to_thread(store.begun.wait, PATIENCE)
            telling.cancel()
            leaving = asyncio.create_task(desk.leave())
            await asyncio.wait({leaving}, timeout=0.3)
            store.go.set()
            assert await asyncio.to_thread(store.done.wait, PATIENCE)
            await leaving
            _, seen = await watcher.look((), beat=False)
            assert {} == dict(seen.desks)
        finally:
            await store.close()
            await other.close()

    asyncio.run(work())
