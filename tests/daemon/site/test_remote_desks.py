"""Readers of other desks: shown, asked, answered once, and gone with their desk."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from sqlalchemy import make_url

from tests.daemon.patience import be_patient
from tests.postgres_server import PostgresServer
from vitale_drivers.base import Settled, Started
from vitale_reader.daemon.arbitration import hub
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.site import external_changes as news
from vitale_reader.daemon.site import listener as site_news
from vitale_reader.daemon.site.remote_readers import SiteReaders
from vitale_reader.daemon.site.rows import desks
from vitale_reader.daemon.site.rows.desks import DeskRows
from vitale_reader.daemon.store import spool
from vitale_reader.home import Home

pytestmark = pytest.mark.posix

STRING = b"opaque-string-of-a-phone"
NONCE = "n" * 22
NIR, NAME = "2840613990412", "MERLE-ESSAI"
PATIENCE = 90.0

Work = Callable[[Any, Any], Awaitable[None]]


class Site:
    """Desks of one site in one process, each with a reader for phones, and an open session at each."""

    def __init__(self, kinds: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, url: str) -> None:
        self._counter, self._tools = kinds
        self._monkeypatch = monkeypatch
        self._folder = folder
        self.url = url

    def desk(self, name: str) -> Any:
        """The desk of a name, whose daemon may be started again and again."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return self._counter(self._tools(Home.under(folder)), self._monkeypatch)

    @asynccontextmanager
    async def open(self, desk: Any, settings: str = "") -> AsyncGenerator[Any]:
        """The daemon of a desk, and a session of its own user there."""
        name = desk.home.state.parent.name
        station = f'name = "{name}"\n{settings or chr(10)}'
        if "mode" not in settings:
            station += '\nmode = "simulated"'
        config = desk.config(station=station, rest=f'[site]\nkey_file = "{self._folder / "site.key"}"')
        config = msgspec.structs.replace(config, store=self.url)
        async with desk.station(config) as endpoints, desk.tools.unix_line(endpoints) as line:
            opened = await line.open(language="en")
            line.station = opened["station"]["id"]
            yield line

    def run(self, work: Work, *settings: str) -> None:
        """Runs the work of a test with two desks."""

        async def main() -> None:
            left, right = self.desk("left"), self.desk("right")
            both = [*settings, "", ""]
            async with self.open(left, both[0]) as here, self.open(right, both[1]) as there:
                here.desk, there.desk = left, right
                await work(here, there)

        asyncio.run(main())


class Pair:
    """Two desks that serve from the first test of this file to the last, on a loop of their own."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._stack = contextlib.AsyncExitStack()
        self.desks = [site.desk(name) for name in ("left", "right")]

    def open(self) -> None:
        for desk in self.desks:
            self._run(self._stack.enter_async_context(self._site.open(desk, 'groups = ["counters"]')))

    @property
    def database(self) -> str:
        return str(make_url(self._site.url).database)

    def run(self, work: Work) -> None:
        """Runs the work of a test with a new session at each desk, nothing in the outbox, and nobody who waits."""
        self._run(self._with_sessions(work))

    def close(self) -> None:
        try:
            self._run(self._stack.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _with_sessions(self, work: Work) -> None:
        async with contextlib.AsyncExitStack() as stack:
            lines: list[Any] = []
            for desk in self.desks:
                line = await stack.enter_async_context(desk.tools.unix_line(desk.home.endpoints()))
                line.station = (await line.open(language="en"))["station"]["id"]
                line.desk = desk
                lines.append(line)
            kept = (await lines[0].result("outbox.list"))["tokens"]
            if kept:
                await lines[0].result("outbox.ack", {"jti": [token["jti"] for token in kept]})
            await until_waited_for(*lines, by_nobody=True)
            await work(*lines)

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(100)


def quicken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Desks that look often; one that is late is not gone, however late a busy machine lets it be."""
    be_patient(monkeypatch)
    monkeypatch.setattr(site_news, "BEAT", 0.2)
    monkeypatch.setattr(desks, "LOST", 600.0)


@pytest.fixture
def site(kinds: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site_database: str) -> Site:
    quicken(monkeypatch)
    return Site(kinds, monkeypatch, tmp_path, site_database)


@pytest.fixture(scope="module")
def pair(kinds: Any, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    name = postgres.create_database()
    with pytest.MonkeyPatch.context() as monkeypatch:
        quicken(monkeypatch)
        made = Pair(Site(kinds, monkeypatch, tmp_path_factory.mktemp("pair"), postgres.url(name)))
        try:
            made.open()
            yield made
        finally:
            made.close()
    postgres.drop_database(name)


_numbers = itertools.count()


def phone() -> bytes:
    """The string of a phone, which was never shown before."""
    return STRING + b"-%d" % next(_numbers)


async def until_shown(line: Any, *names: str) -> None:
    """Until exactly these readers of other desks are shown."""
    async with asyncio.timeout(PATIENCE):
        while True:
            listed = (await line.result("readers.list"))["readers"]
            if sorted(reader["id"] for reader in listed if "station" in reader) == sorted(names):
                return


def phones(there: Any) -> str:
    return f"nfc:counter@{there.station}"


async def ask(line: Any, *names: str, **params: Any) -> int:
    """A request for readers of other desks that waits for a phone there."""
    request: int = line.send_call(
        "presentation.request", {"nonce": NONCE, "media": ["apcv-nfc"], "readers": list(names)} | params
    )
    await step(line, "armed", request)
    return request


async def until_waited_for(*lines: Any, by_nobody: bool = False) -> None:
    """Until a phone is waited for at each of these desks, or at none.

    Of a request to several desks the first one that waits says so; one that another desk has answered waits on until
    its desk hears of that.
    """
    async with asyncio.timeout(PATIENCE):
        while any(bool(line.desk.desk._hub.waiting) == by_nobody for line in lines):
            await lines[0].result("session.ping")


async def step(line: Any, wanted: str, request: int) -> Any:
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await line.receive()
            assert "error" not in message, message
            if message.get("method") == "presentation.progress":
                params = message["params"]
                if (params["step"], params["request"]) == (wanted, request):
                    return params
            line.notifications.append(message)


def test_readers_of_other_desks_are_shown_with_their_station(pair: Pair) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        await until_shown(there, phones(here))
        listed = (await here.result("readers.list"))["readers"]
        own, other = listed
        assert "station" not in own
        assert other["station"] == {"id": there.station, "name": "right"}

    pair.run(work)


def test_a_desk_that_stops_takes_its_readers_away_and_brings_them_back(site: Site) -> None:
    async def main() -> None:
        left, right = site.desk("left"), site.desk("right")
        async with site.open(left) as here:
            await here.result("readers.watch")
            for _ in range(2):
                async with site.open(right) as there:
                    await until_shown(here, phones(there))
                await until_shown(here)
            told = [message["method"] for message in here.notifications if "reader" in message.get("params", {})]
            assert told == ["reader.added", "reader.removed"] * 2

    asyncio.run(main())


def test_a_reader_of_another_desk_gives_a_token_of_that_desk(pair: Pair) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        request = await ask(here, phones(there))
        there.desk.resolver.gate.clear()  # a step that comes with its answer may be overtaken by a look at the rows
        there.desk.tap(phone())
        assert (await step(here, "resolving", request))["reader"] == phones(there)
        there.desk.resolver.gate.set()
        result = (await here.answer(request))["result"]
        keys = jwt.PyJWKSet.from_dict((await here.result("station.keys"))["jwks"])
        kid = jwt.get_unverified_header(result["token"])["kid"]
        claims = jwt.decode(result["token"], keys[kid].key, algorithms=["ES256"], audience="local")
        assert claims["iss"] == f"urn:vitale-reader:{there.station}"
        assert claims["nonce"] == NONCE
        assert claims["reader"]["id"] == "nfc:counter"
        assert claims["record"]["beneficiaires"][0]["nom_usuel"] == NAME
        waiting = (await here.result("outbox.list"))["tokens"]
        assert [one["jti"] for one in waiting] == [claims["jti"]]

    pair.run(work)


def test_without_names_a_request_is_for_this_desk(pair: Pair) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        request = await here.desk.ask(here)
        there.desk.tap(phone())
        here.desk.tap(phone())
        claims = (await here.answer(request))["result"]["claims"]
        assert claims["iss"] == f"urn:vitale-reader:{here.station}"
        named = await ask(here, f"nfc:counter@{here.station}")
        here.desk.tap(phone())
        claims = (await here.answer(named))["result"]["claims"]
        assert claims["iss"] == f"urn:vitale-reader:{here.station}"

    pair.run(work)


@pytest.mark.parametrize("at", ["left", "right"])
def test_a_group_is_every_reader_of_its_desks(pair: Pair, at: str) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        read_at = here if at == "left" else there
        request = await ask(here, "group:counters")
        await until_waited_for(read_at)
        read_at.desk.tap(phone())
        claims = (await here.answer(request))["result"]["claims"]
        assert claims["iss"] == f"urn:vitale-reader:{read_at.station}"

    pair.run(work)


def test_two_desks_that_read_for_one_request_give_one_token(pair: Pair) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        for number in range(3):
            request = await ask(here, "group:counters")
            await until_waited_for(here, there)
            for desk in (here.desk, there.desk):
                desk.tap(phone())
            assert "result" in await here.answer(request)
            assert len((await here.result("outbox.list"))["tokens"]) == number + 1
            await until_waited_for(here, there, by_nobody=True)

    pair.run(work)


def test_whoever_asked_first_at_any_desk_is_served_first(site: Site) -> None:
    async def main() -> None:
        names = ("left", "right", "third")
        desks = [site.desk(name) for name in names]
        async with contextlib.AsyncExitStack() as stack:
            first, there, second = [await stack.enter_async_context(site.open(desk)) for desk in desks]
            await until_shown(first, phones(there), phones(second))
            await until_shown(second, phones(there), phones(first))
            lines = [first, second, there]
            requests = [await ask(line, phones(there)) for line in lines]
            for number, (line, request) in enumerate(zip(lines, requests, strict=True)):
                desks[1].tap(phone())
                assert "result" in await line.answer(request)
                tokens = (await there.result("outbox.list"))["tokens"]
                assert len(tokens) == number + 1

    asyncio.run(main())


def test_a_request_is_cancelled_at_the_desk_that_would_have_read_for_it(pair: Pair) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        request = await ask(here, phones(there))
        cancel = here.send_call("presentation.cancel", {"request": request})
        asked, cancelled = await here.answers(request, cancel)
        assert asked["error"]["data"]["reason"] == "cancelled"
        assert cancelled["result"] == {"cancelled": True}
        assert await here.result("presentation.cancel", {"request": request}) == {"cancelled": False}
        after = await there.desk.ask(there)
        there.desk.tap(phone())
        assert "result" in await there.answer(after)
        assert len((await here.result("outbox.list"))["tokens"]) == 1

    pair.run(work)


def test_a_tap_for_a_request_that_is_over_goes_to_who_waits_behind_it(pair: Pair, postgres: PostgresServer) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        await ask(here, phones(there))
        behind = await there.desk.ask(there)
        postgres.execute("DELETE FROM site_requests", pair.database)  # nobody is told
        there.desk.tap(phone())
        assert "result" in await there.answer(behind)
        assert len((await here.result("outbox.list"))["tokens"]) == 1

    pair.run(work)


def test_a_session_that_ends_takes_its_requests_away(pair: Pair) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        async with here.desk.tools.unix_line(here.desk.home.endpoints()) as line:
            await line.open(language="en")
            await ask(line, phones(there))
        await until_waited_for(there, by_nobody=True)
        there.desk.tap(phone())
        assert (await here.result("outbox.list"))["tokens"] == []

    pair.run(work)


def test_time_passes_for_a_request_as_it_does_at_home(pair: Pair) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        params = {"nonce": NONCE, "media": ["apcv-nfc"], "readers": [phones(there)], "timeout_ms": 1_000}
        assert await here.reason("presentation.request", params) == "timeout"

    pair.run(work)


def test_what_cannot_be_read_is_told_to_whoever_asked(site: Site) -> None:
    async def work(here: Any, there: Any) -> None:
        there.desk.put_card()
        await until_shown(here, phones(there), f"pcsc:slot@{there.station}")
        request = here.send_call("presentation.request", {"nonce": NONCE, "readers": [f"pcsc:slot@{there.station}"]})
        await step(here, "armed", request)
        there.desk.give_card({"nothing": b"that is understood"})
        answer = await here.answer(request)
        assert answer["error"]["data"]["reason"] == "medium_unreadable"

    site.run(work)


def test_choices_are_named_so_that_they_can_be_asked_for(site: Site) -> None:
    async def work(here: Any, there: Any) -> None:
        there.desk.put_card()
        there.desk.put_optics()
        there.desk.show(phone())
        card, camera = (f"{name}@{there.station}" for name in ("pcsc:slot", "camera:desk"))
        await until_shown(here, card, camera, phones(there), f"scanner:desk@{there.station}")
        answer = await here.call("presentation.request", {"nonce": NONCE, "readers": [card, camera]})
        assert answer["error"]["data"]["reason"] == "ambiguous_medium"
        assert [each["reader"] for each in answer["error"]["data"]["choices"]] == [camera, card]

    site.run(work)


def test_readers_that_nobody_has_are_no_readers(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "GRACE_NEW", 0.3)

    async def work(here: Any, there: Any) -> None:
        names = ("group:nobody", f"nfc:none@{there.station}", "x@00000000-0000-0000-0000-000000000000")
        requests = [here.send_call("presentation.request", {"nonce": NONCE, "readers": [name]}) for name in names]
        answers = await here.answers(*requests)
        assert {answer["error"]["data"]["reason"] for answer in answers} == {"no_reader"}
        params = {"nonce": NONCE, "readers": [phones(there)]}
        assert await here.reason("presentations.subscribe", params) == "no_reader"

    pair.run(work)


def test_a_reader_of_a_driver_that_starts_at_another_desk_is_waited_for(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: asyncio.Queue[bool] = asyncio.Queue()
    hear = SiteReaders.hear

    async def work(here: Any, there: Any) -> None:
        def heard_here(readers: SiteReaders, desks: Any) -> Any:
            told = desks.get(there.station)
            heard.put_nowait(told is not None and told.status is not None and told.status.starting)
            return hear(readers, desks)

        monkeypatch.setattr(SiteReaders, "hear", heard_here)
        monkeypatch.setattr(hub, "GRACE_NEW", PATIENCE)
        there.desk.desk.report("late", Started(driver="late", media=("vitale-card",)))
        async with asyncio.timeout(PATIENCE):
            while not await heard.get():
                pass
        monkeypatch.setattr(hub, "GRACE_NEW", 0.0)
        params = {"nonce": NONCE, "readers": [f"late:1@{there.station}"]}
        answer = asyncio.create_task(here.answer(here.send_call("presentation.request", params)))
        while not heard.empty():
            heard.get_nowait()
        for _ in range(12):  # both desks look, each as often as the other or nearly so
            await heard.get()
        assert not answer.done()
        there.desk.desk.report("late", Settled())
        assert (await answer)["error"]["data"]["reason"] == "no_reader"

    pair.run(work)


def test_the_context_of_an_apcv_stays_at_the_desk_that_read_it(pair: Pair) -> None:
    async def work(here: Any, there: Any) -> None:
        params = {"nonce": NONCE, "readers": [phones(there)], "scopes": ["identity", "context"]}
        assert await here.reason("presentation.request", params) == "invalid_params"

    pair.run(work)


def test_desks_in_another_mode_are_not_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "GRACE_NEW", 0.3)

    async def work(here: Any, there: Any) -> None:
        await until_shown(here)
        params = {"nonce": NONCE, "media": ["apcv-nfc"], "readers": [phones(there)]}
        assert await here.reason("presentation.request", params) == "no_reader"

    site.run(work, 'mode = "test"')


# ── desks that die ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_desk_that_is_silent_is_gone_and_whoever_waits_for_it_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leave(_rows: DeskRows) -> None:
        """It dies without a word."""

    monkeypatch.setattr(DeskRows, "leave", leave)
    monkeypatch.setattr(hub, "GRACE_LOST", 0.3)

    async def main() -> None:
        left, right = site.desk("left"), site.desk("right")
        async with site.open(left) as here:
            async with site.open(right) as there:
                await until_shown(here, phones(there))
                request = await ask(here, phones(there))
            monkeypatch.setattr(desks, "LOST", 0.1)  # from now on: whoever is there may be late
            await until_shown(here)
            assert (await here.answer(request))["error"]["data"]["reason"] == "reader_gone"

    asyncio.run(main())


def test_a_request_whose_desk_died_at_it_is_not_given_to_another(pair: Pair, postgres: PostgresServer) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        request = await ask(here, "group:counters")
        postgres.execute("UPDATE site_requests SET taken_by = 'dead'", pair.database)
        assert (await here.answer(request))["error"]["data"]["reason"] == "reader_gone"

    pair.run(work)


def test_a_key_that_is_new_at_another_desk_is_known_before_its_first_token_comes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "LOOK", 60.0)

    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        rotated = (await there.result("keys.rotate"))["kid"]
        request = await ask(here, phones(there))
        there.desk.tap(phone())
        token = (await here.answer(request))["result"]["token"]
        assert jwt.get_unverified_header(token)["kid"] == rotated
        assert rotated in {key["kid"] for key in (await here.result("station.keys"))["jwks"]["keys"]}

    site.run(work)


# ── what strangers find, and what they can do ────────────────────────────────────────────────────────────────────


def test_nothing_that_is_read_stands_in_clear_in_the_database(pair: Pair, postgres: PostgresServer) -> None:
    database = pair.database
    # What a copy of the database would show, and what was there before it was taken away again.
    keep = "CREATE TABLE kept (row text); CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    keep += "INSERT INTO kept VALUES (NEW::text); RETURN NEW; END $$;"

    async def work(here: Any, there: Any) -> None:
        for table in ("site_desks", "site_requests", "site_steps"):
            when = f"AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION keep()"
            postgres.execute(f"{keep if table == 'site_desks' else ''} CREATE TRIGGER keep {when}", database)
        await until_shown(here, phones(there))
        request = await ask(here, phones(there), scopes=["identity", "nir"])
        there.desk.tap(phone())
        assert "result" in await here.answer(request)

    pair.run(work)
    kept = postgres.execute("SELECT row FROM kept", database)
    assert kept.count("\n") >= 3
    words = [NONCE, NIR, NAME, STRING.decode(), "eyJ", "nfc:counter"]
    for word in words:
        assert word not in kept
        assert word.encode().hex() not in kept


def test_a_row_that_no_desk_of_the_site_wrote_is_not_served(pair: Pair, postgres: PostgresServer) -> None:
    database = pair.database

    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        waits = await ask(here, phones(there))
        postgres.execute("INSERT INTO site_desks VALUES ('stranger', 'x', 1, 9e12, 'none')", database)
        # A copy of a true request under another name, and one in the name of another desk.
        copied = "INSERT INTO site_requests SELECT {}, {}, 0, ends_at + 60, NULL, sealed, NULL FROM site_requests"
        postgres.execute(copied.format("'copy'", "asked_by") + " LIMIT 1", database)
        other = "(SELECT incarnation FROM site_desks WHERE incarnation <> asked_by AND length(sealed) > 4)"
        postgres.execute(copied.format("'other'", other) + " LIMIT 1", database)
        there.desk.tap(phone())
        assert "result" in await here.answer(waits)
        there.desk.tap(phone())
        await until_shown(here, phones(there))
        assert len((await here.result("outbox.list"))["tokens"]) == 1

    pair.run(work)


def test_an_answer_that_was_changed_in_the_database_is_told_as_such(pair: Pair, postgres: PostgresServer) -> None:
    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        request = await ask(here, phones(there))
        postgres.execute("UPDATE site_requests SET answer = '\\x00'", pair.database)
        told = (await here.answer(request))["error"]["data"]
        assert (told["reason"], told["variant"]) == ("store_unavailable", "tampered-answer")

    pair.run(work)


def test_a_client_that_is_not_of_the_registry_is_not_served(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def speaks(_access: ClientRegistry, _client_id: str) -> bool:
        return False

    monkeypatch.setattr(ClientRegistry, "speaks", speaks)

    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        params = {"nonce": NONCE, "media": ["apcv-nfc"], "readers": [phones(there)], "timeout_ms": 1_000}
        request = here.send_call("presentation.request", params)
        there.desk.tap(phone())
        assert (await here.answer(request))["error"]["data"]["reason"] == "timeout"
        assert here.notifications == []

    site.run(work)


# ── the database away ────────────────────────────────────────────────────────────────────────────────────────────


def test_without_the_database_a_desk_has_its_own_readers_and_finds_the_others_again(
    site: Site, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "RETRY", 0.05)
    monkeypatch.setattr(site_news, "RECONNECT", 0.05)

    async def work(here: Any, there: Any) -> None:
        await until_shown(here, phones(there))
        await here.result("readers.watch")
        request = await ask(here, phones(there))
        postgres.stop()
        try:
            await until_shown(here)
            here.desk.put_card()
            assert len((await here.result("readers.list"))["readers"]) == 2
        finally:
            postgres.start()
        await until_shown(here, phones(there))
        told = [
            (message["method"], "station" in message["params"]["reader"])
            for message in here.notifications
            if message["method"].startswith("reader.")
        ]
        assert told == [("reader.removed", True), ("reader.added", False), ("reader.added", True)]
        # It waits still, and is answered.
        await until_waited_for(there)
        there.desk.tap(phone())
        assert "result" in await here.answer(request)

    site.run(work)
