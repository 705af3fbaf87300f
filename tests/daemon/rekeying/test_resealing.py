"""What goes from one site key to another, and what cannot; on both databases, for a spool is a store as well."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from vitale_protocol.errors import NotAuthenticated, Replayed, StoreUnavailable
from vitale_protocol.methods import OutboxToken
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.issuing import opposition
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.rekeying.resealing import Resealed, require_whole, reseal
from vitale_reader.daemon.store import row_seals, tables
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.audit_trail.verification import Verifier
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.inspection import inspect
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.row_upgrade import bring_forward
from vitale_reader.daemon.store.store import Store

NOW = 1_800_000_000.0
STATION = "10000000-0000-4000-8000-000000000000"
FORMER, NEW = Vault.of_site(b"f" * 32), Vault.of_site(b"n" * 32)
pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return tmp_path / "store.db" if request.param == "sqlite" else str(request.getfixturevalue("site_database"))


class Filled:
    """A store with something of everything under the former key."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.remembered = Remembered()
        self.clock = StoreClock(self.remembered, wall=lambda: NOW, steady=lambda: NOW)
        self.token = OutboxToken(jti="j1", exp=int(NOW) + 600, token="token")
        self.credentials: dict[str, str] = {}
        self.digest = ""

    async def fill(self) -> None:
        await bring_forward(self.store, FORMER, self.remembered)
        registry = self.registry(FORMER)
        await registry.open()
        for name in ("A", "B"):
            client_id, credential = await registry.add(name, scopes=("identity",), transports=("unix",))
            self.credentials[client_id] = credential
        assert await registry.revoke(tuple(self.credentials)[1])
        guard = ReplayGuard(self.store, FORMER, days=2, clock=self.clock)
        claimed = await guard.claim(guard.digest({"string": b"string"}) or "")
        entry = AuditEntry(at=NOW, action="presentation.request", outcome="ok", jti=self.token.jti)
        await self.outbox(FORMER).put(
            self.token, client_id="a", presentation="p", entry=entry, writes=[guard.settle(claimed)]
        )
        await self.store.run(opposition.replace(FORMER, "national", ["1111111111"], at=NOW, remembered=self.remembered))

    def registry(self, vault: Vault) -> ClientRegistry:
        return ClientRegistry(self.store, vault, clock=lambda: NOW, remembered=self.remembered)

    def outbox(self, vault: Vault) -> Outbox:
        return Outbox(self.store, vault, Chain(vault, STATION), clock=self.clock)

    async def reseal(self) -> Resealed:
        return await self.store.run(lambda connection: reseal(connection, FORMER, NEW, self.remembered))


def on(place: Path | str, work: Callable[[Filled], Awaitable[None]]) -> None:
    async def main() -> None:
        store = Store(place)
        await store.open()
        try:
            filled = Filled(store)
            await filled.fill()
            await work(filled)
        finally:
            await store.close()

    asyncio.run(main())


def test_everything_opens_with_the_new_key_and_nothing_with_the_former(place: Path | str) -> None:
    async def work(filled: Filled) -> None:
        done = await filled.reseal()
        assert done == Resealed(clients=2, tokens=1, lines=1, used=1, lists=("national",))
        assert await filled.outbox(NEW).list("a") == (filled.token,)
        assert await filled.outbox(FORMER).list("a") == ()
        registry = filled.registry(NEW)
        await registry.open()
        (good, credential), (revoked, lost) = filled.credentials.items()
        assert registry.authenticate(Peer(transport="unix"), credential).client_id == good
        with pytest.raises(NotAuthenticated):
            registry.authenticate(Peer(transport="unix"), lost)
        assert revoked != good
        for vault, whole in ((NEW, True), (FORMER, False)):
            faults = await filled.store.run(partial(inspect, vault=vault, remembered=Remembered()))
            (chain,) = await filled.store.run(Verifier(vault, STATION).verify)
            assert (not faults, chain.broken is None) == (whole, whole)
        guard = ReplayGuard(filled.store, NEW, days=2, clock=filled.clock)
        claimed = await guard.claim(guard.digest({"string": b"string"}) or "")
        with pytest.raises(Replayed):
            await guard.claim(claimed.digest)

    on(place, work)


def test_a_context_is_found_under_the_name_that_the_new_key_gives(place: Path | str) -> None:
    async def work(filled: Filled) -> None:
        digest = FORMER.digest("context", b"ctx-1")
        sealed = FORMER.seal(b'{"identifiant":"ctx-1","token":"t"}', f"context:{digest}")
        row: dict[str, Any] = {"digest": digest, "client_id": "a", "notice_at": NOW, "noticed": False}
        row |= {"ends_at": NOW + 60, "sealed": sealed, "station": STATION}
        whole = row_seals.sealed(FORMER, tables.contexts, row)
        await filled.store.run(lambda connection: connection.execute(insert(tables.contexts), whole))
        assert (await filled.reseal()).contexts == 1
        query = select(tables.contexts)
        (found,) = await filled.store.run(lambda connection: connection.execute(query).mappings().all())
        assert found["digest"] == NEW.digest("context", b"ctx-1")
        assert row_seals.holds(NEW, tables.contexts, found)
        assert NEW.unseal(found["sealed"], f"context:{found['digest']}").startswith(b'{"identifiant":"ctx-1"')

    on(place, work)


def test_what_an_administrator_let_go_on_goes_on_still(place: Path | str) -> None:
    async def work(filled: Filled) -> None:
        chain = Chain(FORMER, STATION)

        def damage(connection: Connection) -> None:
            for number in range(4):
                chain.append(connection, AuditEntry(at=NOW, action="session.open", outcome="ok", client_id=str(number)))
            connection.execute(delete(tables.audit).where(tables.audit.c.number == 2))
            connection.execute(update(tables.audit).where(tables.audit.c.number == 4).values(client_id="x"))
            assert chain.resume(connection, at=NOW, reason="a test", client_id="local") is not None

        await filled.store.run(damage)
        await filled.store.run(lambda connection: require_whole(connection, FORMER, filled.remembered, STATION))
        await filled.reseal()
        (verified,) = await filled.store.run(Verifier(NEW, STATION).verify)
        assert (verified.broken, verified.resumed) == (None, 1)

    on(place, work)


@pytest.mark.parametrize(
    "statement",
    [
        update(tables.clients).values(scopes="identity nir"),
        update(tables.outbox).values(client_id="b"),
        update(tables.audit).values(client_id="b"),
        delete(tables.audit),
    ],
    ids=["a client", "a token", "a line", "all lines"],
)
def test_a_store_that_is_not_whole_is_refused(place: Path | str, statement: Any) -> None:
    async def work(filled: Filled) -> None:
        await filled.store.run(lambda connection: connection.execute(statement))
        with pytest.raises(StoreUnavailable) as refused:
            await filled.store.run(lambda connection: require_whole(connection, FORMER, filled.remembered, STATION))
        assert refused.value.variant == "tampered"

    on(place, work)
