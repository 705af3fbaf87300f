"""Contexts while the store cannot be written: they end all the same, and nobody is told twice."""

# What a context does by itself, at its time, has no public door.
# pyright: reportPrivateUsage=false

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from vitale_protocol.errors import ContextUnknown, StoreUnavailable
from vitale_protocol.events import ContextExpiring
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import contexts as table
from vitale_reader.resolvers.base import Resolution

START, END = 1_800_000_000.0, 1_800_003_600.0


class Flaky(Store):
    """A store that can be written to or not, as the test says."""

    away_now = False

    async def run(self, work: Any, *, needs: Any = "any", single: bool = False, in_spool: Any = None) -> Any:
        if self.away_now:
            raise StoreUnavailable("away")
        return await super().run(work, needs=needs, single=single)


class Desk:
    """One held context, a clock, and what was told."""

    def __init__(self, folder: Path) -> None:
        self.now, self.ahead = START, 0.0
        self.store = Flaky(folder / "store.db")
        self.told: list[ContextExpiring] = []
        resolver: Any = None  # none is asked
        vault = Vault.of_site(b"k" * 32)
        self.contexts = Contexts(
            self.store,
            vault,
            resolver,
            station="here",
            mode="production",
            clock=StoreClock(Remembered(), wall=lambda: self.now + self.ahead, steady=lambda: self.now),
            notify=self._hear,
        )

    def _hear(self, client: str, event: ContextExpiring) -> bool:
        assert client == "client-1"
        self.told.append(event)
        return True

    async def hold(self) -> None:
        end = dt.datetime.fromtimestamp(END, dt.UTC)
        held, write = self.contexts.hold(Resolution(identifiant="ctx", token="t", date_fin_validite=end), "client-1")
        await self.store.run(write)
        assert self.contexts.held(held)

    async def rows(self) -> int:
        def count(connection: Connection) -> int:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

        found: int = await self.store.run(count)
        return found


def run(folder: Path, work: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        desk = Desk(folder)
        await desk.store.open()
        try:
            await desk.hold()
            await work(desk)
        finally:
            await desk.store.close()

    asyncio.run(main())


def test_a_context_that_ended_is_held_no_more_and_its_row_is_cleared_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(desk: Desk) -> None:
        desk.now, desk.store.away_now = END, True
        await desk.contexts._attend()
        assert desk.contexts._held == {}
        assert "stay in the store until it is cleared" in caplog.text
        desk.store.away_now = False
        assert await desk.rows() == 1
        assert await desk.contexts.purge() == 1
        assert await desk.rows() == 0

    run(tmp_path, work)


@pytest.mark.parametrize("how", ["while it runs", "at its start"])
def test_a_clock_that_jumps_forward_ends_no_context_for_good(tmp_path: Path, how: str) -> None:
    async def work(desk: Desk) -> None:
        desk.contexts._clock.believed()  # as a daemon does, now and then
        desk.ahead = 400 * 86_400.0
        if how == "at its start":
            desk.contexts._held.clear()
            await desk.contexts.open()
        await desk.contexts._attend()
        with pytest.raises(ContextUnknown):
            desk.contexts._of("client-1", "ctx")
        wait = desk.contexts._until_next()
        assert wait is not None
        assert wait > 1, "nor does it look without end"
        desk.ahead = 0.0
        assert desk.contexts._of("client-1", "ctx").ends_at == END
        assert await desk.rows() == 1
        desk.now = END
        await desk.contexts._attend()
        assert (desk.contexts._held, await desk.rows()) == ({}, 0)

    run(tmp_path, work)


def test_that_a_context_ends_soon_is_told_once_though_it_cannot_be_written_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(desk: Desk) -> None:
        desk.now, desk.store.away_now = END - 1, True
        await desk.contexts._attend()
        await desk.contexts._attend()
        assert [event.identifiant for event in desk.told] == ["ctx"]
        assert "may be told again after a restart" in caplog.text

    run(tmp_path, work)


def test_what_is_not_held_in_the_store_cannot_be_purged_while_it_is_away(tmp_path: Path) -> None:
    async def work(desk: Desk) -> None:
        desk.store.away_now = True
        with pytest.raises(StoreUnavailable):
            await desk.contexts.purge()

    run(tmp_path, work)
