"""A database that is away: nothing is lost, nothing is there twice, and a strict site takes no string meanwhile."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, Table, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from tests.daemon.store.crash_program import claimed
from vitale_protocol.errors import Replayed, StoreUnavailable
from vitale_protocol.methods import OutboxToken
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.issuing.replay import ReplayGuard
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import spool
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.inspection import inspect
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.migrate import survey
from vitale_reader.daemon.store.row_seals import sealed
from vitale_reader.daemon.store.spool import SpooledStore
from vitale_reader.daemon.store.spool_replay import Bringing
from vitale_reader.daemon.store.store import Need, Store
from vitale_reader.daemon.store.tables import audit, contexts, outbox, seen

T = TypeVar("T")
NOW = 1_800_000_000.0
VAULT = Vault.of_site(b"k" * 32)
STATION = "10000000-0000-4000-8000-000000000000"
PATIENCE = 60.0


class Fickle(Store):
    """A database that can be away, also in the very moment in which it was written."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.gone = False
        self.dies_after_commit = False
        self.silence: asyncio.Event | None = None

    @property
    def away(self) -> bool:
        return self.gone

    async def open(self) -> None:
        if self.gone:
            raise StoreUnavailable("away")
        await super().open()

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        needs: Need = "any",
        single: bool = False,
        in_spool: Callable[[Connection], T] | None = None,
    ) -> T:
        if (silence := self.silence) is not None:
            self.silence = None
            await silence.wait()
            raise StoreUnavailable("away")
        if self.gone:
            raise StoreUnavailable("away")
        done = await super().run(work)
        if self.dies_after_commit and work is not survey:  # by which a return begins
            self.gone, self.dies_after_commit = True, False
            raise StoreUnavailable("away")
        return done


class Coordinator:
    """A station with a spool, on a database that the test takes away."""

    def __init__(self, folder: Path, name: str = "desk", *, strict: bool = False) -> None:
        self.now = NOW
        self.site = Fickle(folder / "site.db")
        self.chain = Chain(VAULT, {"desk": "1", "other": "2", "third": "3"}[name] + STATION[1:])
        self.bringing = Bringing(self.chain, clock=lambda: self.now)
        self.joined = 0
        self.spool = Store(folder / f"{name}.db")
        self.store = SpooledStore(self.site, self.spool, join=self._join, bring=self._bring, strict=strict)
        self.outbox = Outbox(
            self.store,
            VAULT,
            self.chain,
            clock=StoreClock(Remembered(), wall=lambda: self.now, steady=lambda: self.now),
        )
        self.guard = ReplayGuard(
            self.store, VAULT, days=2, clock=StoreClock(Remembered(), wall=lambda: self.now, steady=lambda: self.now)
        )

    async def _join(self, _: Store) -> None:
        self.joined += 1

    async def _bring(self, spool: Store, site: Store) -> int:
        rows = await self.bringing.bring(spool, site)
        if not rows:
            await self.when_empty()
        return rows

    async def when_empty(self) -> None:
        """Nothing was found in the spool."""

    async def put(self, number: int, **options: Any) -> OutboxToken:
        token = OutboxToken(jti=f"jti-{number}", exp=int(NOW) + 100, token=f"token-{number}")
        entry = AuditEntry(at=NOW, action="presentation.request", outcome="ok", jti=token.jti)
        await self.outbox.put(token, client_id="c", presentation=f"p{number}", entry=entry, **options)
        return token

    async def back(self) -> None:
        """The database is there again, and the spool empty."""
        self.site.gone = False
        async with asyncio.timeout(PATIENCE):
            while self.store.degraded:
                await self.spool.run(lambda _: None)

    async def count(self, store: Store, table: Table) -> int:
        query = select(func.count()).select_from(table)
        return await Store.run(store, lambda connection: int(connection.execute(query).scalar_one()))

    def degraded(self) -> bool:
        return self.store.degraded


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "RETRY", 0.0)


@contextlib.asynccontextmanager
async def opened(desk: Coordinator) -> AsyncGenerator[Coordinator]:
    await desk.store.open()
    try:
        yield desk
    finally:
        await desk.store.close()


def on(folder: Path, work: Callable[[Coordinator], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with opened(Coordinator(folder, **options)) as desk:
            await work(desk)

    asyncio.run(main())


def test_tokens_and_lines_of_the_time_without_database_are_brought(tmp_path: Path) -> None:
    async def work(desk: Coordinator) -> None:
        first = await desk.put(1)
        assert not desk.degraded()
        desk.site.gone = True
        second = await desk.put(2)
        assert desk.degraded()
        assert await desk.outbox.list("c") == (second,), "what the site holds is there when it is"
        await desk.back()
        assert await desk.outbox.list("c") == (first, second)
        assert (await desk.count(desk.spool, outbox), await desk.count(desk.spool, audit)) == (0, 0)
        (verified,) = await desk.store.run(desk.chain.verifier.verify)
        assert (verified.rows, verified.broken) == (2, None)
        desk.site.gone = True
        await desk.put(3)
        await desk.back()
        (verified,) = await desk.store.run(desk.chain.verifier.verify)
        assert (verified.rows, verified.broken) == (3, None)

    on(tmp_path, work)


def test_what_expired_or_was_acknowledged_meanwhile_is_not_brought(tmp_path: Path) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.gone = True
        token = await desk.put(1)
        await desk.put(2)
        assert await desk.outbox.acknowledge("c", [token.jti]) == 1
        desk.now += 200
        await desk.back()
        assert (await desk.count(desk.site, outbox), await desk.count(desk.site, audit)) == (0, 2)

    on(tmp_path, work)


def test_what_was_kept_unheard_and_acknowledged_at_another_desk_is_not_there_again(tmp_path: Path) -> None:
    """The answer to the commit was lost, and the client learned of its token by the site."""

    async def work(desk: Coordinator) -> None:
        desk.site.dies_after_commit = True
        token = await desk.put(1)
        other = Store(tmp_path / "site.db")
        await other.open()
        clock = StoreClock(Remembered(), wall=lambda: NOW, steady=lambda: NOW)
        assert await Outbox(other, VAULT, desk.chain, clock=clock).acknowledge("c", [token.jti]) == 1
        await other.close()
        await desk.back()
        assert await desk.outbox.list("c") == ()
        jtis = await desk.store.run(lambda connection: connection.execute(select(audit.c.jti)).scalars().all())
        assert jtis == [token.jti]

    on(tmp_path, work)


def test_what_is_acknowledged_at_one_desk_before_another_one_brings_it_is_not_there_again(tmp_path: Path) -> None:
    """A desk that read for a program at another one may find the database later than that one does."""

    async def main() -> None:
        async with opened(Coordinator(tmp_path)) as desk, opened(Coordinator(tmp_path, "other")) as other:
            for each in (desk, other):
                each.site.gone = True
            token, kept = await other.put(1), await other.put(2)
            assert await desk.outbox.acknowledge("c", [token.jti]) == 1
            assert await desk.outbox.acknowledge("thief", [kept.jti]) == 1
            await desk.back()
            await other.back()
            assert await desk.outbox.list("c") == (kept,)
            faults = await desk.store.run(lambda connection: inspect(connection, VAULT, Remembered()))
            assert [fault.table for fault in faults if fault.table == "site"] == []

    asyncio.run(main())


@pytest.mark.parametrize("order", [("c", "thief"), ("thief", "c"), ("c", "thief", "c", "another")], ids="-".join)
def test_what_another_acknowledges_undoes_nothing(tmp_path: Path, order: tuple[str, ...]) -> None:
    """Whoever names a token of somebody else neither forgets it nor brings it back: at this desk, or from another's."""

    async def main() -> None:
        async with opened(Coordinator(tmp_path)) as desk, opened(Coordinator(tmp_path, "other")) as other:
            at_the_site, kept = await desk.put(1), await desk.put(2)
            for each in (desk, other):
                each.site.gone = True
            here, at_the_other, kept_there = await desk.put(3), await other.put(4), await other.put(5)
            for client in order:
                for token in (at_the_site, here, at_the_other):
                    await desk.outbox.acknowledge(client, [token.jti])
            for token in (kept, kept_there):
                await desk.outbox.acknowledge("thief", [token.jti])
            await desk.back()
            await other.back()
            assert await desk.outbox.list("c") == (kept, kept_there)

    asyncio.run(main())


def test_what_another_desk_tells_of_anothers_token_undoes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        names = ("desk", "other", "third")
        async with contextlib.AsyncExitStack() as stack:
            desk, other, third = [await stack.enter_async_context(opened(Coordinator(tmp_path, one))) for one in names]
            for each in (desk, other, third):
                each.site.gone = True
            token = await third.put(1)
            await desk.outbox.acknowledge("c", [token.jti])
            await other.outbox.acknowledge("thief", [token.jti])
            for each in (desk, other, third):
                await each.back()
            assert await desk.outbox.list("c") == ()

    asyncio.run(main())


def test_what_is_acknowledged_on_its_way_to_the_site_is_not_there_again(tmp_path: Path) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.gone = True
        token = await desk.put(1)

        class Slow(Store):
            async def run(self, work: Callable[[Connection], T], **_: object) -> T:
                assert await desk.outbox.acknowledge("c", [token.jti]) == 1
                return await super().run(work)

        slow = Slow(tmp_path / "site.db")
        await slow.open()
        await desk.bringing.bring(desk.spool, slow)
        await slow.close()
        await desk.back()
        assert await desk.outbox.list("c") == ()

    on(tmp_path, work)


def test_a_strict_site_takes_no_string_meanwhile_and_cards_go_on(tmp_path: Path) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.gone = True
        with pytest.raises(StoreUnavailable):
            await claimed(desk.guard, b"string")
        with pytest.raises(StoreUnavailable):
            await desk.guard.knows(desk.guard.digest({"string": b"string"}) or "")
        await desk.put(1)
        await desk.back()
        await claimed(desk.guard, b"string")

    on(tmp_path, work, strict=True)


def test_a_string_of_the_time_without_database_counts_once_afterwards(tmp_path: Path) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.gone = True
        string = await claimed(desk.guard, b"string")
        await desk.put(1, writes=[desk.guard.settle(string)])
        with pytest.raises(Replayed):
            await claimed(desk.guard, b"string")
        await desk.back()
        with pytest.raises(Replayed):
            await claimed(desk.guard, b"string")
        states = await desk.store.run(lambda connection: connection.execute(select(seen.c.state)).scalars().all())
        assert states == ["used"]

    on(tmp_path, work)


def test_a_string_that_the_database_knows_is_kept_in_the_spool_with_its_token(tmp_path: Path) -> None:
    """The database goes away between the claim and the token."""

    async def work(desk: Coordinator) -> None:
        string = await claimed(desk.guard, b"string")
        desk.site.gone = True
        token = await desk.put(1, writes=[desk.guard.settle(string)])
        await desk.back()
        assert await desk.outbox.list("c") == (token,)
        with pytest.raises(Replayed):
            await claimed(desk.guard, b"string")

    on(tmp_path, work)


def test_a_string_that_was_used_at_two_desks_meanwhile_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(Coordinator(tmp_path)) as desk, opened(Coordinator(tmp_path, "other")) as other:
            for each in (desk, other):
                each.site.gone = True
                await claimed(each.guard, b"string")
            await desk.back()
            assert "were used" not in caplog.text
            await other.back()
            lines = select(audit.c.action, audit.c.outcome, audit.c.station)
            found = await other.store.run(lambda connection: connection.execute(lines).all())
            assert found == [("site.reconcile", "replayed", other.chain.station)]

    asyncio.run(main())
    assert "1 strings were used at this station and elsewhere" in caplog.text


def test_a_commit_whose_answer_was_lost_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.dies_after_commit = True
        string = await claimed(desk.guard, b"string")
        await desk.back()
        desk.site.dies_after_commit = True
        token = await desk.put(1, writes=[desk.guard.settle(string)])
        await desk.back()
        assert await desk.outbox.list("c") == (token,)
        (verified,) = await desk.store.run(desk.chain.verifier.verify)
        assert verified.broken is None

    on(tmp_path, work)
    assert "were used" not in caplog.text


def test_a_piece_that_was_brought_and_not_forgotten_is_not_there_twice(tmp_path: Path) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.gone = True
        for number in range(3):
            string = await claimed(desk.guard, b"string-%d" % number)
            await desk.put(number, writes=[desk.guard.settle(string)])
        desk.site.gone = False
        desk.site.dies_after_commit = True  # the site has it, and the desk does not know
        async with asyncio.timeout(PATIENCE):
            while desk.site.dies_after_commit:
                await desk.spool.run(lambda _: None)
        there = Store(tmp_path / "site.db")
        assert (await desk.count(there, seen), await desk.count(desk.spool, seen)) == (3, 3)
        await there.close()
        await desk.back()
        (verified,) = await desk.store.run(desk.chain.verifier.verify)
        assert (verified.rows, verified.broken) == (3, None)
        assert await desk.count(desk.site, seen) == 3

    on(tmp_path, work)


def test_a_restart_without_database_starts_on_the_spool(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(Coordinator(tmp_path)) as desk:
            registry = ClientRegistry(desk.store, VAULT, clock=lambda: NOW)
            await registry.open()
            client_id, _ = await registry.add("c", scopes=["identity"], transports=["unix"])
            await registry.refresh()
            desk.site.gone = True
            await desk.put(1)
        desk = Coordinator(tmp_path)
        desk.site.gone = True
        async with opened(desk):
            assert desk.store.degraded
            registry = ClientRegistry(desk.store, VAULT, clock=lambda: NOW)
            await registry.open()
            assert [client.client_id for client in registry.clients] == [client_id]
            with pytest.raises(StoreUnavailable):
                await registry.revoke(client_id)
            with pytest.raises(StoreUnavailable):
                await registry.add("d", scopes=["identity"], transports=["unix"])
            assert len(await desk.outbox.list("c")) == 1
            await desk.back()
            assert desk.joined == 1
            assert len(await desk.outbox.list("c")) == 1
            assert await registry.revoke(client_id)

    asyncio.run(main())


def test_work_during_the_return_is_neither_lost_nor_late(tmp_path: Path) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.gone = True
        for number in range(30):
            await desk.put(number)
        desk.site.gone = False
        await asyncio.gather(*(desk.put(number) for number in range(30, 60)))
        await desk.back()
        assert len(await desk.outbox.list("c")) == 60
        (verified,) = await desk.store.run(desk.chain.verifier.verify)
        assert (verified.rows, verified.broken) == (60, None)

    on(tmp_path, work)


def test_what_the_database_kept_waiting_until_its_return_is_not_left_in_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection dies when the spool has just been emptied, and before that is said."""

    async def work(desk: Coordinator) -> None:
        silence = desk.site.silence = asyncio.Event()
        late = asyncio.create_task(desk.put(1))
        await asyncio.sleep(0)
        desk.site.gone = True
        assert await desk.outbox.list("c") == ()
        await desk.put(2)

        looks = itertools.count(1)

        async def the_connection_dies() -> None:
            if next(looks) != 2:  # the second look is the one for which work has to wait
                return
            silence.set()
            desk.site.gone = True
            for _ in range(3):  # each lets what was begun before it be written
                await desk.spool.run(lambda _: None)
            desk.site.gone = False

        monkeypatch.setattr(desk, "when_empty", the_connection_dies)
        desk.site.gone = False
        await late
        await desk.back()
        assert await desk.count(desk.spool, outbox) == 0
        assert len(await desk.outbox.list("c")) == 2

    on(tmp_path, work)


def test_a_fault_while_the_spool_is_brought_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.gone = True
        await desk.put(1)

        faults = [KeyError("a fault of ours")]

        async def fault() -> None:
            if faults:
                raise faults.pop()

        monkeypatch.setattr(desk, "when_empty", fault)
        await desk.back()
        assert len(await desk.outbox.list("c")) == 1

    on(tmp_path, work)
    assert "could not be brought" in caplog.text


def test_a_context_of_the_time_without_database_is_brought(tmp_path: Path) -> None:
    row = {"digest": "d", "client_id": "c", "notice_at": 1.0, "noticed": False, "ends_at": NOW, "sealed": b"s"}
    row |= {"station": "s"}

    async def work(desk: Coordinator) -> None:
        await desk.store.run(lambda connection: connection.execute(insert(contexts), sealed(VAULT, contexts, row)))
        desk.site.gone = True
        await desk.store.run(lambda connection: connection.execute(delete(contexts)))
        renewed = sealed(VAULT, contexts, row | {"noticed": True})
        await desk.store.run(lambda connection: connection.execute(insert(contexts), renewed))
        await desk.back()
        found = await desk.store.run(lambda connection: connection.execute(select(contexts.c.noticed)).scalars().all())
        assert found == [True]

    on(tmp_path, work)


def test_a_constraint_refuses_in_the_spool_as_at_the_site(tmp_path: Path) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.gone = True
        await desk.put(1)
        with pytest.raises(IntegrityError):
            await desk.put(1)

    on(tmp_path, work)


def test_a_database_of_a_later_version_is_no_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def newer(_: Fickle) -> None:
        raise StoreUnavailable("a later version made it", variant="store-newer")

    async def main() -> None:
        desk = Coordinator(tmp_path)
        try:
            with pytest.raises(StoreUnavailable) as refused:
                await desk.store.open()
            assert "store-newer" == refused.value.variant
        finally:
            await desk.store.close()

    monkeypatch.setattr(Fickle, "open", newer)
    asyncio.run(main())


def test_a_spool_that_is_full_is_told_once_however_long_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rounds = asyncio.Semaphore(0)
    full = True

    def write(connection: Connection, _: object) -> None:
        rounds.release()
        if full:
            raise StoreUnavailable("SQLite: SQLITE_FULL", variant="file-full")

    async def work(desk: Coordinator) -> None:
        nonlocal full
        desk.site.gone = True
        await desk.put(1)
        for _ in range(5):
            await rounds.acquire()
        full = False
        await rounds.acquire()

    monkeypatch.setattr(spool, "_write", write)
    on(tmp_path, work)
    assert 1 == sum(message.startswith("why the database of the site is away") for message in caplog.messages)


def test_what_the_database_refuses_while_it_is_there_is_no_outage(tmp_path: Path) -> None:
    def refused(_: Connection) -> None:
        raise StoreUnavailable("a row was changed", variant="tampered")

    async def work(desk: Coordinator) -> None:
        with pytest.raises(StoreUnavailable, match="a row was changed"):
            await desk.store.run(refused)
        assert not desk.store.degraded

    on(tmp_path, work)


def test_what_comes_faster_than_it_is_brought_is_brought_with_the_door_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(desk: Coordinator) -> None:
        desk.site.gone = True
        await desk.put(1)
        rounds = iter([1] * (spool.ROUNDS + 3))

        async def bring(_spool: Store, _site: Store) -> int:
            return next(rounds, 0)

        monkeypatch.setattr(desk.store, "_bring", bring)
        await desk.back()
        assert 0 == next(rounds, 0)

    on(tmp_path, work)
