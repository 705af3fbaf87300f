"""Several desks on one PostgreSQL: what one has seen, paired or kept, all know."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import make_url

from tests.postgres_server import PASSWORD, PostgresServer
from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.issuing.replay import Closed, close_until, closed
from vitale_reader.daemon.keystore.station_keys import DeskClock
from vitale_reader.daemon.site import external_changes as news
from vitale_reader.daemon.site.open_store import open_keys, open_store, spool_anchor, spool_file
from vitale_reader.daemon.store import spool
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Store
from vitale_reader.home import Home

STRING = b"opaque-string-of-a-phone"
PATIENCE = 90.0
pytestmark = pytest.mark.usefixtures("patient")


class Site:
    """Desks of one site, each with a daemon, a reader for phones and an open session."""

    def __init__(self, counter: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, url: str) -> None:
        self._counter: Any = type(counter)
        self._tools: Any = type(counter.tools)
        self._monkeypatch = monkeypatch
        self.folder = folder
        self.url = url
        self.key_file = folder / "site.key"
        self.rest = ""

    def desk(self, name: str) -> Any:
        """The desk of a name, whose daemon may be started again and again."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return self._counter(self._tools(Home.under(folder)), self._monkeypatch)

    @asynccontextmanager
    async def open(self, desk: Any) -> AsyncGenerator[Any]:
        """The daemon of a desk, and a session of its own user there."""
        # Settings at the top of the file come before its tables.
        config = desk.config(rest=f'[site]\nkey_file = "{self.key_file}"\n{self.rest}')
        config = type(config)(
            **{name: getattr(config, name) for name in config.__struct_fields__} | {"store": self.url}
        )
        async with desk.station(config) as endpoints, desk.tools.unix_line(endpoints) as line:
            await line.open(language="en")
            yield line


@pytest.fixture
def site(counter: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site_database: str) -> Site:
    return Site(counter, monkeypatch, tmp_path, site_database)


@pytest.mark.parametrize("rounds", [3, pytest.param(1_000, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])])
def test_one_string_at_two_desks_at_once_gives_one_token(site: Site, rounds: int) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            desks = [site.desk(name) for name in ("left", "right")]
            lines = [await stack.enter_async_context(site.open(desk)) for desk in desks]
            for number in range(rounds):
                string = STRING + str(number).encode()
                requests = [await desk.ask(line) for desk, line in zip(desks, lines, strict=True)]
                for desk in desks:
                    desk.tap(string)
                answers = [await line.answer(request) for line, request in zip(lines, requests, strict=True)]
                assert sum("result" in answer for answer in answers) == 1
                (refused,) = [answer["error"]["data"]["reason"] for answer in answers if "error" in answer]
                assert refused == "replayed"
                assert sum(desk.resolver.count("resolve") for desk in desks) == number + 1

    asyncio.run(main())


def test_a_token_that_was_made_at_one_desk_waits_at_all(site: Site) -> None:
    async def main() -> None:
        async with site.open(site.desk("left")) as left, site.open(site.desk("right")) as right:
            added = await left.result("clients.add", {"name": "c", "scopes": ["identity"], "transports": ["unix"]})
            assert added["client_id"]
            desk = site.desk("third")
            async with site.open(desk) as third:
                claims = await desk.claims(third, STRING)
            for line in (left, right):
                listed = (await line.result("outbox.list"))["tokens"]
                assert [token["jti"] for token in listed] == [claims["jti"]]
            assert (await right.result("outbox.ack", {"jti": [claims["jti"]]})) == {"acked": 1}
            assert (await left.result("outbox.list"))["tokens"] == []

    asyncio.run(main())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Until something that another desk is to notice has come about."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Desks that look for news all the time."""
    monkeypatch.setattr(news, "LOOK", 0.02)


@pytest.mark.posix
@pytest.mark.usefixtures("quick")
def test_a_client_that_is_paired_or_revoked_at_one_desk_is_so_at_all(site: Site) -> None:
    async def main() -> None:
        left, right = site.desk("left"), site.desk("right")
        async with site.open(left) as here, site.open(right) as there:
            pairing = {"name": "c", "scopes": ["identity"], "transports": ["unix"]}
            added = await here.result("clients.add", pairing)

            async def known() -> bool:
                listed = (await there.result("clients.list"))["clients"]
                return any(one["client_id"] == added["client_id"] for one in listed)

            await until(known)
            async with right.tools.unix_line(right.home.endpoints()) as line:
                opened = await line.open(credential=added["credential"])
                assert opened["client_id"] == added["client_id"]
                assert await here.result("clients.revoke", {"client_id": added["client_id"]})
                assert await line.ended(), "its sessions end at every desk"
            async with right.tools.unix_line(right.home.endpoints()) as line:
                params = {"protocol": [1], "client": {"name": "t", "version": "1"}, "credential": added["credential"]}
                assert await line.reason("session.open", params) == "not_authenticated"

    asyncio.run(main())


def test_each_call_is_heard_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself in this test: the second call and the third are heard as the first one."""
    monkeypatch.setattr(news, "LOOK", 3_600.0)
    monkeypatch.setattr(news, "SELDOM", 3_600.0)

    async def main() -> None:
        left, right = site.desk("left"), site.desk("right")
        async with site.open(left) as here, site.open(right) as there:
            for number in range(3):
                pairing = {"name": f"c{number}", "scopes": ["identity"], "transports": ["unix"]}
                added = await here.result("clients.add", pairing)

                async def known(client: str = added["client_id"]) -> bool:
                    listed = (await there.result("clients.list"))["clients"]
                    return any(one["client_id"] == client for one in listed)

                await until(known)

    asyncio.run(main())


@pytest.mark.usefixtures("quick")
def test_tokens_of_one_desk_are_verified_at_all(site: Site) -> None:
    async def main() -> None:
        left, right = site.desk("left"), site.desk("right")
        async with site.open(left) as here, site.open(right) as there:

            async def agree() -> bool:
                sets = [(await line.result("station.keys"))["jwks"]["keys"] for line in (here, there)]
                return {key["kid"] for key in sets[0]} == {key["kid"] for key in sets[1]} and len(sets[0]) > 1

            await until(agree)
            rotated = (await here.result("keys.rotate"))["kid"]

            async def heard() -> bool:
                return rotated in {key["kid"] for key in (await there.result("station.keys"))["jwks"]["keys"]}

            await until(heard)
            claims = await left.claims(here, STRING)
            (waiting,) = (await there.result("outbox.list"))["tokens"]
            keys = KeySet.import_key_set((await there.result("station.keys"))["jwks"])
            decoded = jwt.decode(waiting["token"], keys, algorithms=["ES256"])
            assert decoded.claims["jti"] == claims["jti"]

    asyncio.run(main())


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("when_away", ["strict", "degraded"])
def test_a_desk_whose_database_is_away(
    site: Site,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    when_away: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(spool, "RETRY", 0.05)
    site.rest = f'when_away = "{when_away}"'

    async def main() -> None:
        desk = site.desk("left")
        async with site.open(desk) as line:
            assert "warnings" not in await desk.claims(line, STRING)
            postgres.stop()
            try:
                async with asyncio.timeout(PATIENCE):
                    if when_away == "strict":
                        assert (await desk.refusal(line, STRING + b"-2"))["reason"] == "store_unavailable"
                    else:
                        claims = await desk.claims(line, STRING + b"-2")
                        assert claims["warnings"] == ["store_degraded"]
                        assert (await desk.refusal(line, STRING + b"-2"))["reason"] == "replayed"
            finally:
                postgres.start()

            async def back() -> bool:
                return len((await line.result("outbox.list"))["tokens"]) == (2 if when_away == "degraded" else 1)

            await until(back)

            async def taken() -> bool:
                answer = await desk.read(line, STRING + b"-3")
                return "result" in answer and "warnings" not in answer["result"]["claims"]

            await until(taken)
            assert (await desk.refusal(line, STRING))["reason"] == "replayed"

    asyncio.run(main())
    content = b"".join(file.read_bytes() for file in (site.folder / "left").rglob("*") if file.is_file())
    assert PASSWORD.encode() not in content
    assert PASSWORD not in caplog.text
    assert "the database of the site is away" in caplog.text


@pytest.mark.parametrize("knows", ["site", "spool"])
def test_site_and_spool_both_know_until_when_no_string_is_taken(tmp_path: Path, site_database: str, knows: str) -> None:
    """One that starts on its spool refuses them as well, and a row that somebody took from the site is put back."""
    home = Home.under(tmp_path)
    home.state.mkdir(mode=0o700)
    config = parse(f'store = "{site_database}"')
    keys = open_keys(home, config, clock=DeskClock(time.time))
    until = round(time.time()) + 600.0

    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            _, vault = await open_store(stack, home, config, keys, Remembered())
        spooled, shared = Store(spool_file(home)), Store(site_database)
        first = {"site": shared, "spool": spooled}[knows]
        await first.run(lambda connection: close_until(connection, vault, until, "restored"))
        async with contextlib.AsyncExitStack() as stack:
            await open_store(stack, home, config, keys, Remembered())
        for store in (spooled, shared):
            assert Closed(until, "restored") == await store.run(lambda connection: closed(connection, vault))
            await store.close()

    asyncio.run(main())


def test_a_desk_that_has_not_joined_yet_has_lost_nothing(
    tmp_path: Path, site_database: str, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of its starts makes another key, until the database takes it."""
    home = Home.under(tmp_path)
    home.state.mkdir(mode=0o700)
    config = parse(f'store = "{site_database}"')
    keys = open_keys(home, config, clock=DeskClock(time.time))
    name = str(make_url(site_database).database)

    async def start() -> None:
        async with contextlib.AsyncExitStack() as stack:
            spooled = Remembered.read(spool_anchor(home))
            await open_store(stack, home, config, keys, Remembered(), spooled=spooled)

    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="has not joined"):
                asyncio.run(start())
    finally:
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    asyncio.run(start())
    assert "put back, cut or lost" not in caplog.text
