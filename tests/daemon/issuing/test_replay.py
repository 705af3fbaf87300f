"""An apCV string counts once: at the same desk, at several, after a restart, and whatever died in between."""

import asyncio
import base64
import contextlib
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, insert, make_url, select

from tests.clocks import Clock
from tests.daemon.store.crash_program import claimed
from tests.postgres_server import PostgresServer
from vitale_protocol.errors import Replayed, ResolverUnavailable, StoreUnavailable
from vitale_reader.daemon.issuing import replay
from vitale_reader.daemon.issuing.delivery import Delivery
from vitale_reader.daemon.issuing.replay import CLOSED, Closed, ReplayGuard, close_until, closed
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import seen, site

STRING = b"opaque-string-of-a-phone"
VAULT = Vault.of_site(b"k" * 32)


def test_the_same_string_twice_is_replayed(counter: Any) -> None:
    async def work(line: Any) -> None:
        await counter.claims(line, STRING)
        told = await counter.refusal(line, STRING)
        assert told["reason"] == "replayed"
        assert counter.resolver.count("resolve") == 1
        await counter.claims(line, STRING + b"-2")

    counter.run(work)


def test_also_without_a_resolver_and_after_a_restart(counter: Any) -> None:
    async def first(line: Any) -> None:
        await counter.claims(line, STRING)

    async def second(line: Any) -> None:
        assert (await counter.refusal(line, STRING))["reason"] == "replayed"

    counter.run(first, scripted=False)
    counter.run(second, scripted=False)


def test_two_requests_that_race_give_exactly_one_token(counter: Any) -> None:
    async def work(line: Any) -> None:
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open()
            requests = [(each, await counter.ask(each)) for each in (line, other)]
            counter.tap(STRING)
            counter.tap(STRING)
            answers = [await each.answer(request) for each, request in requests]
        assert sum("result" in answer for answer in answers) == 1
        (refused,) = [answer["error"]["data"]["reason"] for answer in answers if "error" in answer]
        assert refused == "replayed"
        assert counter.resolver.count("resolve") == 1

    counter.run(work)


def test_a_string_whose_fate_is_not_known_counts_as_used(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.resolver.fault = ResolverUnavailable("the connection broke")
        assert (await counter.refusal(line, STRING))["reason"] == "resolver_unavailable"
        counter.resolver.fault = None
        assert (await counter.refusal(line, STRING))["reason"] == "replayed"

    counter.run(work)


def test_a_string_that_was_sent_to_nobody_can_be_shown_again(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.resolver.fault = ResolverUnavailable("connection refused", data={"sent": False})
        assert (await counter.refusal(line, STRING))["reason"] == "resolver_unavailable"
        counter.resolver.fault = None
        await counter.claims(line, STRING)

    counter.run(work)


def test_the_store_shows_no_string(counter: Any) -> None:
    async def work(line: Any) -> None:
        await counter.claims(line, STRING, scopes=["identity", "payload", "context"])

    counter.run(work)
    content = b"".join(file.read_bytes() for file in counter.home.state.glob("store.db*"))
    assert STRING not in content
    with closing(sqlite3.connect(counter.home.state / "store.db")) as database:
        rows = database.execute("SELECT digest, state FROM seen").fetchall()
    assert [(len(digest), state) for digest, state in rows] == [(64, "used")]


def test_what_died_before_its_token_counts_as_used_and_is_forgotten_in_time(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)
    keys = Keys(tmp_path / "station.json", overlap=600, clock=DeskClock(clock))
    keys.open()

    @asynccontextmanager
    async def guarding() -> AsyncGenerator[ReplayGuard]:
        store = Store(tmp_path / "store.db")
        await store.open()
        yield ReplayGuard(store, keys.vault, days=2, clock=StoreClock(Remembered(), wall=clock, steady=clock))
        await store.close()

    async def main() -> None:
        async with guarding() as guard:
            await claimed(guard, STRING)
        async with guarding() as guard:
            assert await guard.purge() == 0
            with pytest.raises(Replayed):
                await claimed(guard, STRING)
            clock.now += 2 * 24 * 60 * 60 - 1
            assert await guard.purge() == 0
            clock.now += 1
            assert await guard.purge() == 1
            await claimed(guard, STRING)

    asyncio.run(main())


def test_what_was_used_at_a_desk_is_known_there_though_its_row_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it has ended, was given back, or so many came after it."""
    monkeypatch.setattr(replay, "MOST_KNOWN", 3)
    clock = Clock(1_800_000_000.0)

    async def main() -> None:
        store = Store(tmp_path / "store.db")
        await store.open()
        guard = ReplayGuard(store, VAULT, days=2, clock=StoreClock(Remembered(), wall=clock, steady=clock))

        async def claims(digest: str) -> bool:
            await store.run(lambda connection: connection.execute(delete(seen)))
            try:
                await guard.claim(digest)
            except Replayed:
                return False
            return True

        assert [True, False, False] == [await claims("one") for _ in range(3)]
        assert [True] * 3 == [await claims(digest) for digest in ("two", "three", "four")]
        assert [False, False, True] == [await claims(digest) for digest in ("two", "four", "one")]
        await guard.withdraw("one")
        assert [True, False] == [await claims("one") for _ in range(2)]
        clock.now += 2 * 24 * 60 * 60
        await guard.purge()
        assert await claims("one")
        await store.close()

    asyncio.run(main())


# ── after a restore ──────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def restored(
    file: Path, clock: Clock, *, vault: Vault, until: float | None
) -> AsyncGenerator[tuple[ReplayGuard, Store]]:
    """The guard of a store that takes no strings until then."""
    store = Store(file)
    await store.open()
    if until is not None:
        await store.run(lambda connection: close_until(connection, vault, until, "restored"))
    yield ReplayGuard(store, VAULT, days=2, clock=StoreClock(Remembered(), wall=clock, steady=clock)), store
    await store.close()


def test_no_string_is_taken_until_those_of_before_have_ended(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)

    async def main() -> None:
        async with restored(tmp_path / "store.db", clock, vault=VAULT, until=clock.now + 60) as (guard, _):
            with pytest.raises(Replayed):
                await guard.require_open()
            with pytest.raises(Replayed) as caught:
                await guard.require_open()
            assert ("restored", 1_800_000_060) == (caught.value.variant, caught.value.data["until"])
        async with restored(tmp_path / "store.db", clock, vault=VAULT, until=None) as (guard, _):
            with pytest.raises(Replayed):
                await guard.require_open()
            clock.now += 60
            await guard.require_open()

    asyncio.run(main())


def test_a_clock_that_jumps_forward_takes_no_string_before_its_time(tmp_path: Path) -> None:
    wall, steady = Clock(1_800_000_000.0), Clock(1_000.0)

    async def main() -> None:
        store = Store(tmp_path / "store.db")
        await store.open()
        await store.run(lambda connection: close_until(connection, VAULT, wall.now + 3_600, "restored"))
        clock = StoreClock(Remembered(), wall=wall, steady=steady)
        await store.run(clock.purging)  # as a daemon does at its start
        guard = ReplayGuard(store, VAULT, days=2, clock=clock)
        wall.now += 400 * 86_400
        with pytest.raises(Replayed) as caught:
            await guard.require_open()
        assert "restored" == caught.value.variant
        steady.now += 3_600
        await guard.require_open()
        await store.close()

    asyncio.run(main())


def test_whatever_closes_it_for_longer_decides(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)

    async def main() -> None:
        async with restored(tmp_path / "store.db", clock, vault=VAULT, until=clock.now + 60) as (guard, store):
            for after, why in ((30, "restored"), (90, "rekeyed"), (0, "rekeyed")):
                await store.run(
                    lambda connection, after=after: close_until(connection, VAULT, clock.now + after, "rekeyed")  # type: ignore[misc]
                )
                assert why == (await store.run(lambda connection: closed(connection, VAULT))).why
            with pytest.raises(Replayed) as caught:
                await guard.require_open()
            assert ("rekeyed", 1_800_000_090) == (caught.value.variant, caught.value.data["until"])

    asyncio.run(main())


def test_what_a_restore_of_before_has_closed_is_closed(tmp_path: Path) -> None:
    """Its row said no reason, for there was no other."""

    async def main() -> None:
        async with restored(tmp_path / "store.db", Clock(1_800_000_000.0), vault=VAULT, until=None) as (_, store):
            row = row_seals.sealed(VAULT, site, {"name": CLOSED, "value": "1800000060.0"})
            await store.run(lambda connection: connection.execute(insert(site), row))
            assert Closed(1_800_000_060.0, "restored") == await store.run(lambda connection: closed(connection, VAULT))

    asyncio.run(main())


def test_nobody_without_the_key_closes_a_station(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)
    other = Vault.of_site(b"j" * 32)

    async def main() -> None:
        async with restored(tmp_path / "store.db", clock, vault=other, until=clock.now + 60) as (guard, _):
            await guard.require_open()

    asyncio.run(main())


def test_a_desk_that_begins_on_its_spool_finds_it_closed_when_the_database_is_back(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)

    class Away(Store):
        """A store without the row, as a spool is."""

        @property
        def degraded(self) -> bool:
            return True

    async def main() -> None:
        store = Away(tmp_path / "store.db")
        await store.open()
        guard = ReplayGuard(store, VAULT, days=2, clock=StoreClock(Remembered(), wall=clock, steady=clock))
        await guard.require_open()
        await store.run(lambda connection: close_until(connection, VAULT, clock.now + 60, "restored"))
        with pytest.raises(Replayed):
            await guard.require_open()
        await store.close()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["cut off", "stopped"])
def test_a_desk_that_was_away_while_the_site_was_restored_finds_it_closed(
    site_database: str, postgres: PostgresServer, how: str
) -> None:
    """It needs no start: a desk on its spool, or one that was suspended, had no connection that would have hindered."""
    clock = Clock(1_800_000_000.0)

    async def main() -> None:
        store, other = Store(site_database, serves="desk"), Store(site_database)
        await store.open()
        guard = ReplayGuard(store, VAULT, days=2, clock=StoreClock(Remembered(), wall=clock, steady=clock))
        await guard.require_open()
        postgres.end_sessions(str(make_url(site_database).database))
        await other.run(lambda connection: close_until(connection, VAULT, clock.now + 60, "restored"))
        await other.close()
        if how == "cut off":  # it hears of it by what it asks, as of any outage
            with contextlib.suppress(StoreUnavailable):
                await store.run(lambda connection: connection.execute(select(site)).all())
            await store.open()
        with pytest.raises(Replayed):
            await guard.require_open()
        await store.close()

    asyncio.run(main())


def test_a_desk_refuses_strings_and_takes_printed_codes_meanwhile(counter: Any) -> None:
    async def first(line: Any) -> None:
        await counter.claims(line, STRING)

    counter.run(first)
    keys = Keys(counter.home.state / "station.json", overlap=600, clock=DeskClock(lambda: 1.0))
    keys.open()

    async def write(work: Callable[[Connection], object]) -> None:
        store = Store(counter.home.state / "store.db")
        await store.open()
        await store.run(work)
        await store.close()

    async def second(line: Any) -> None:
        told = await counter.refusal(line, STRING + b"-2")
        assert ("replayed", "restored") == (told["reason"], told["variant"])
        assert 1 == counter.resolver.count("resolve"), "it is not sent"
        assert "token" == await submit(line)

    async def third(line: Any) -> None:
        await counter.claims(line, STRING + b"-2")

    asyncio.run(write(lambda connection: close_until(connection, keys.vault, time.time() + 600, "restored")))
    counter.run(second, counter.config("", 'mode = "simulated"'))
    asyncio.run(write(lambda connection: connection.execute(delete(site).where(site.c.name == CLOSED))))
    counter.run(third)


def test_a_station_of_version_0_1_gets_its_key(tmp_path: Path) -> None:
    file = tmp_path / "station.json"
    keys = Keys(file, overlap=600, clock=DeskClock(lambda: 1.0))
    keys.open()
    content = msgspec.json.decode(file.read_bytes())
    del content["replay"]
    file.write_bytes(msgspec.json.encode(content))

    again = Keys(file, overlap=600, clock=DeskClock(lambda: 1.0))
    again.open()
    digest = again.vault.digest("string", STRING)
    assert again.station == keys.station
    assert digest != keys.vault.digest("string", STRING)
    third = Keys(file, overlap=600, clock=DeskClock(lambda: 1.0))
    third.open()
    assert third.vault.digest("string", STRING) == digest
    assert third.vault.digest("context", STRING) != digest


# ── what is on paper ─────────────────────────────────────────────────────────────────────────────────────────────

INS = (
    b"IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU ANNA\x1dS4GARCIA-HAMMADI\x1d"
    b"S5FS625-01-1977S701154"
)


async def submit(line: Any, payload: bytes = INS, **params: Any) -> str:
    encoded = base64.b64encode(payload).decode()
    answer = await line.call("presentation.submit", {"nonce": "n" * 22, "payload_b64": encoded} | params)
    return "token" if "result" in answer else str(answer["error"]["data"]["reason"])


def test_a_printed_code_is_shown_again_and_again(counter: Any) -> None:
    async def work(line: Any) -> None:
        assert [await submit(line) for _ in range(3)] == ["token"] * 3

    counter.run(work, counter.config("", 'mode = "test"'))


def test_a_site_may_let_printed_codes_count_once(counter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(line: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Delivery, "_issue_and_keep", broken)
            assert await submit(line) == "store_unavailable"
        assert await submit(line) == "token", "what came to nothing did not use it up"
        assert await submit(line) == "replayed"
        assert await submit(line, INS.replace(b"ANNA", b"ANNE")) == "token"

    async def broken(*_: object) -> None:
        raise StoreUnavailable

    counter.run(work, counter.config("", 'mode = "test"', "[seals]\nonce = true"))
