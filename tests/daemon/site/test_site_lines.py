"""Desks of a site on a line with moods: how often they ask, who is woken, and what they do when nothing comes."""

# What waits at a desk cannot be seen from outside.
# pyright: reportPrivateUsage=false

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import psycopg
import pytest
from sqlalchemy import make_url

from tests.postgres_server import PostgresServer
from tests.rig.proxy import Proxy
from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.database.target import Target
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.observation import told_once
from vitale_reader.daemon.site import incoming_requests, listener, remote_desks
from vitale_reader.daemon.site.external_changes import ExternalChanges
from vitale_reader.daemon.site.incoming_requests import Answering
from vitale_reader.daemon.site.remote_desks import RemoteDesks
from vitale_reader.daemon.site.remote_readers import Names
from vitale_reader.daemon.site.rows.messages import Wanted
from vitale_reader.daemon.site.rows.requests import RequestRows
from vitale_reader.daemon.site.rows.sealing import RowSeals
from vitale_reader.daemon.site.rows.site_rows import SiteRows
from vitale_reader.daemon.store.notifications import CHANNEL, MOST, heard
from vitale_reader.home import Home

NONCE = "n" * 22
PRINTED = (
    b"IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU ANNA\x1dS4GARCIA-HAMMADI\x1d"
    b"S5FS625-01-1977S701154"
)
VAULT = Vault.of_site(b"k" * 32)
WANTED = Wanted(
    station="s",
    mode="simulated",
    client_id="c",
    nonce=NONCE,
    scopes=("identity",),
    purpose=None,
    media=frozenset({"apcv-nfc"}),
    names=Names(readers=(), groups=("desk",)),
    timeout=30.0,
)
PATIENCE = 90.0
STOPPED_IN = 25.0
"""Seconds: five times what is promised, for a busy machine; what hangs would hang for good."""


class Site:
    """Desks in one process, each with a reader for phones, all on one URL."""

    def __init__(self, kinds: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, url: str) -> None:
        self._counter, self._tools = kinds
        self._monkeypatch = monkeypatch
        self._folder = folder
        self.url = url

    @asynccontextmanager
    async def open(self, *names: str) -> AsyncGenerator[list[Any]]:
        async with AsyncExitStack() as stack:
            lines: list[Any] = []
            for name in names:
                (self._folder / name).mkdir()
                desk = self._counter(self._tools(Home.under(self._folder / name)), self._monkeypatch)
                config = desk.config(
                    station=f'name = "{name}"\nmode = "simulated"',
                    rest=f'[site]\nkey_file = "{self._folder / "site.key"}"',
                )
                config = msgspec.structs.replace(config, store=self.url)
                endpoints = await stack.enter_async_context(desk.station(config))
                line = await stack.enter_async_context(desk.tools.unix_line(endpoints))
                line.station = (await line.open(language="en"))["station"]["id"]
                line.desk = desk
                lines.append(line)
            async with asyncio.timeout(PATIENCE):
                while not all([await _sees(line, len(names) - 1) for line in lines]):  # noqa: ASYNC110  what is awaited has no event
                    await asyncio.sleep(0.05)
            yield lines


async def _sees(line: Any, others: int) -> bool:
    listed = (await line.result("readers.list"))["readers"]
    return len([reader for reader in listed if "station" in reader]) == others


async def read(here: Any, there: Any, string: bytes, *besides: str) -> dict[str, Any]:
    """One reading at another desk, or at readers besides: asked, waited for, shown."""
    readers = [f"nfc:counter@{there.station}", *besides]
    request = here.send_call("presentation.request", {"nonce": NONCE, "media": ["apcv-nfc"], "readers": readers})
    await until(lambda: bool(there.desk.desk._hub.waiting))
    there.desk.tap(string)
    answer: dict[str, Any] = await here.answer(request)
    return answer


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """No desk looks by itself while a test counts."""
    monkeypatch.setattr(listener, "BEAT", 600.0)
    monkeypatch.setattr("vitale_reader.daemon.site.rows.desks.LOST", 600.0)
    for interval in ("LOOK", "SELDOM"):
        monkeypatch.setattr(f"vitale_reader.daemon.site.external_changes.{interval}", 600.0)


class Stillness:
    """Waits until desks have heard all that was called, and have looked at what they heard of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        self._url = url
        self._desks: list[RemoteDesks] = []
        self._heard: list[RemoteDesks] = []
        self._due: list[asyncio.Event] = []
        self._looks = self._looking = 0
        start, hear, look = RemoteDesks.start, RemoteDesks._hear, RemoteDesks._look
        watch, try_to_look = ExternalChanges.watch, ExternalChanges.try_to_look

        async def started(desks: RemoteDesks) -> None:
            self._desks.append(desks)
            self._due.append(desks._listener._due)
            await start(desks)

        def heard(desks: RemoteDesks, word: str, name: str, told: str) -> None:
            if name == "stillness":
                self._heard.append(desks)
            hear(desks, word, name, told)

        async def watched(changes: ExternalChanges) -> None:
            self._due.append(changes._due)
            await watch(changes)

        async def looked(desks: RemoteDesks, beat: bool) -> None:
            with self._look():
                await look(desks, beat)

        async def tried(changes: ExternalChanges) -> None:
            with self._look():
                await try_to_look(changes)

        monkeypatch.setattr(RemoteDesks, "start", started)
        monkeypatch.setattr(RemoteDesks, "_hear", heard)
        monkeypatch.setattr(RemoteDesks, "_look", looked)
        monkeypatch.setattr(ExternalChanges, "watch", watched)
        monkeypatch.setattr(ExternalChanges, "try_to_look", tried)

    @contextlib.contextmanager
    def _look(self) -> Generator[None]:
        self._looks += 1
        self._looking += 1
        try:
            yield
        finally:
            self._looking -= 1

    async def __call__(self) -> None:
        await until(lambda: all(desks.listens for desks in self._desks))
        before = -1
        while before != self._looks:
            before = self._looks
            self._heard.clear()
            # The server delivers in order: whoever hears this has heard what was called before.
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute("SELECT pg_notify(%s, 'ended:stillness')", (CHANNEL,))
            await until(lambda: len(self._heard) == len(self._desks))
            await until(lambda: not self._looking and not any(due.is_set() for due in self._due))


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch, site_database: str) -> Stillness:
    return Stillness(monkeypatch, site_database)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  what is awaited has no event
            await asyncio.sleep(0.005)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stations that looked at the rows, or opened a request that was called to them, each time that they did."""
    found: list[str] = []
    for kind, name in ((RemoteDesks, "_look"), (Answering, "hear_of"), (Answering, "hear_told")):
        plain = getattr(kind, name)

        def counted(self: Any, *args: Any, plain: Callable[..., Any] = plain, **named: Any) -> Any:
            found.append(self._station if isinstance(self, Answering) else self._station.id)
            return plain(self, *args, **named)

        monkeypatch.setattr(kind, name, counted)
    return found


@pytest.mark.usefixtures("patient", "at_rest")
def test_a_request_wakes_only_the_desk_that_can_answer_it(
    kinds: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    site_database: str,
    looks: list[str],
    still: Stillness,
) -> None:
    async def main() -> None:
        async with Site(kinds, monkeypatch, tmp_path, site_database).open("a", "b", "c", "d") as (here, there, *others):
            await still()
            looks.clear()
            for number in range(3):
                assert "result" in await read(here, there, b"string-%d" % number)
            await still()
            assert set(looks) == {there.station}
            assert len(looks) == 3
            assert others

    asyncio.run(main())


@pytest.mark.usefixtures("patient", "at_rest")
def test_a_token_whose_keeping_was_not_confirmed_is_handed_over_as_it_is_kept(
    kinds: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    site_database: str,
    postgres: PostgresServer,
    line: Proxy,
    still: Stillness,
) -> None:
    """The answer to the commit is swallowed: the site has the token, and the desk cannot know."""

    async def kept() -> list[str]:
        rows = await asyncio.to_thread(
            postgres.execute, "SELECT jti FROM outbox", str(make_url(site_database).database)
        )
        return rows.split()

    async def main() -> None:
        async with Site(kinds, monkeypatch, tmp_path, line.url(site_database)).open("a") as (here,):
            code = {"nonce": NONCE, "payload_b64": base64.b64encode(PRINTED).decode()}
            await here.result("presentation.submit", code)
            await still()
            line.swallow("down")
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
                submitted = tasks.create_task(here.result("presentation.submit", code | {"nonce": "m" * 22}))
                while len(await kept()) < 2:
                    pass
                line.heal()
                line.cut()
            assert submitted.result()["claims"]["jti"] in await kept()
            assert len(await kept()) == 2

    asyncio.run(main())


@pytest.mark.usefixtures("patient", "at_rest")
def test_a_token_of_another_desk_takes_few_round_trips(
    kinds: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site_database: str, line: Proxy, still: Stillness
) -> None:
    monkeypatch.setattr(incoming_requests, "TOGETHER", PATIENCE)  # that a step is told with the answer

    async def main() -> None:
        async with Site(kinds, monkeypatch, tmp_path, line.url(site_database)).open("a", "b") as (here, there):
            await read(here, there, b"string-0")
            counted: list[int] = []
            for number in range(1, 5):
                await still()
                before = line.trips
                assert "result" in await read(here, there, b"string-%d" % number)
                await still()
                counted.append(line.trips - before)
            # Ask, armed, take, keep and answer, end. The string of an apCV is claimed: one that a card does not take.
            # A line of the audit trail, of the start, may come in between.
            assert min(counted) <= 6, counted
            print("round trips of a cross-desk apCV token:", counted)
            line.delay = 0.05
            began = time.monotonic()
            assert "result" in await read(here, there, b"slow")
            print(f"cross-desk at 50 ms: {time.monotonic() - began:.3f} s")

    asyncio.run(main())


@pytest.mark.usefixtures("patient")
def test_a_burst_of_requests_for_another_desk_is_no_outage_and_all_of_them_wait_there(
    kinds: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site_database: str, line: Proxy
) -> None:
    async def main() -> None:
        async with Site(kinds, monkeypatch, tmp_path, line.url(site_database)).open("a", "b") as (here, there):
            line.delay = 0.02
            wanted = {"nonce": NONCE, "media": ["apcv-nfc"], "readers": [f"nfc:counter@{there.station}"]}
            most, endpoints = 32, here.desk.home.endpoints()
            async with AsyncExitStack() as sessions:
                lines = [await sessions.enter_async_context(here.desk.tools.unix_line(endpoints)) for _ in range(4)]
                for each in lines:
                    await each.open()
                for number in range(4 * most):
                    lines[number % 4].send_call("presentation.request", wanted | {"nonce": f"{number:022}"})
                await until(lambda: len(there.desk.desk._hub.waiting) == 4 * most)
                assert not here.desk.desk._hub.waiting
            line.delay = 0

    asyncio.run(main())


@pytest.mark.usefixtures("patient", "at_rest")
def test_a_request_that_is_too_long_for_a_call_is_looked_up(
    kinds: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site_database: str
) -> None:
    looked: list[str] = []
    plain = RequestRows.look_at

    async def look_at(self: RequestRows, request: str) -> Any:
        looked.append(request)
        return await plain(self, request)

    monkeypatch.setattr(RequestRows, "look_at", look_at)
    # Names of other readers, until the sealed request has more than the bytes that a call may have.
    besides = [f"nfc:{'x' * 150}{number}" for number in range(MOST // 150)]

    async def main() -> None:
        async with Site(kinds, monkeypatch, tmp_path, site_database).open("a", "b") as (here, there):
            assert "result" in await read(here, there, b"short")
            assert [] == looked
            assert "result" in await read(here, there, b"long", *(f"{name}@{there.station}" for name in besides))
            assert 1 == len(looked)

    asyncio.run(main())


def rows_of(vault: Vault, incarnation: str) -> RequestRows:
    return RequestRows(cast("Any", None), RowSeals(vault), incarnation=incarnation)


@pytest.mark.parametrize("told", ["", "one", "one:", "one:!", "one:QUJD", ":QUJD"])
def test_a_call_that_is_not_of_this_site_asks_for_nothing(told: str) -> None:
    assert rows_of(VAULT, "two").heard_request("request", told) is None


def test_a_call_asks_for_what_its_own_desk_wanted_and_for_no_other_request(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    async def do(_: RequestRows, _statement: object, values: dict[str, Any]) -> int:
        calls.extend(values["payloads"])
        return 1

    monkeypatch.setattr(RequestRows, "_do", do)
    asyncio.run(rows_of(VAULT, "one").ask("request", WANTED, ["there"]))
    word, name, told = heard(calls[0])
    assert ("asked", "request") == (word, name)
    found = rows_of(VAULT, "two").heard_request("request", told)
    assert found is not None
    row, wanted = found
    assert (WANTED, "one", WANTED.timeout) == (wanted, row.asked_by, row.left)
    assert rows_of(VAULT, "two").heard_request("another", told) is None
    assert rows_of(VAULT, "two").heard_request("request", told.replace("one:", "six:")) is None
    assert rows_of(Vault.of_site(b"j" * 32), "two").heard_request("request", told) is None


@pytest.mark.usefixtures("patient", "at_rest")
@pytest.mark.parametrize("told", ["", ":one:QUJD", ":one:" + "QUJD" * 1_500], ids=["an id", "sealed", "a lot"])
def test_who_calls_without_end_has_nothing_gathered_and_reads_go_on(
    kinds: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    site_database: str,
    still: Stillness,
    caplog: pytest.LogCaptureFixture,
    told: str,
) -> None:
    """Whoever may connect to the database may call, and needs no right to write."""
    monkeypatch.setattr(told_once, "MOST", 20)
    calls, looked, most = 3_000, asyncio.Event(), [0]
    plain = RequestRows.look_at

    async def look_at(self: RequestRows, request: str) -> Any:
        await looked.wait()
        return await plain(self, request)

    monkeypatch.setattr(RequestRows, "look_at", look_at)
    call = "SELECT count(pg_notify(%s, 'asked:' || number || %s)) FROM generate_series(1, %s) AS number"

    async def main() -> None:
        async with Site(kinds, monkeypatch, tmp_path, site_database).open("a", "b") as (here, there):
            await still()
            with psycopg.connect(site_database, autocommit=True) as connection:
                connection.execute(call, (CHANNEL, told, calls))
            await still()
            most[0] = len([task for task in asyncio.all_tasks() if task.get_name() == "asked"])
            looked.set()
            assert "result" in await read(here, there, b"string")

    asyncio.run(main())
    assert 0 < most[0] <= 2 * remote_desks.MOST_LOOKED_AT, "at two desks"
    strange = [record for record in caplog.records if "was not written by one of its desks" in record.message]
    assert len(strange) <= 2 * told_once.MOST


def test_a_listener_that_hangs_half_open_is_found_and_replaced(
    kinds: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    site_database: str,
    line: Proxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(listener, "BEAT", 0.3)
    followed: list[RemoteDesks] = []
    plain = RemoteDesks.start

    async def start(self: RemoteDesks) -> None:
        followed.append(self)
        await plain(self)

    monkeypatch.setattr(RemoteDesks, "start", start)

    async def main() -> None:
        async with Site(kinds, monkeypatch, tmp_path, line.url(site_database)).open("a"):
            await until(lambda: followed[0].listens)
            line.swallow("up", "down", new=False)
            await until(lambda: "hangs, and is made anew" in caplog.text or not followed[0].listens)
            await until(lambda: followed[0].listens)

    asyncio.run(main())


def test_a_desk_stops_in_time_whatever_hangs(
    kinds: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site_database: str, line: Proxy
) -> None:
    async def main() -> float:
        async with Site(kinds, monkeypatch, tmp_path, line.url(site_database)).open("a", "b") as (here, there):
            here.send_call(
                "presentation.request",
                {"nonce": NONCE, "media": ["apcv-nfc"], "readers": [f"nfc:counter@{there.station}"]},
            )
            await asyncio.sleep(0.3)
            line.swallow("up", "down")
            await asyncio.sleep(0.2)
            return time.monotonic()

    began = asyncio.run(main())
    assert time.monotonic() - began < 2 * STOPPED_IN, "two desks, one after the other"


def test_a_listener_that_is_stopped_before_the_server_answers_asks_it_nothing_more(
    line: Proxy, site_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is cancelled within psycopg asks the server to give up, on a connection that may hang as well."""
    asked: list[str] = []
    connected = Target.listen

    async def listens(target: Target, name: str) -> Any:
        connection = await connected(target, name)
        line.swallow("up", "down")

        async def cancel_safe(*_: object, **__: object) -> None:
            asked.append("to give up")

        monkeypatch.setattr(connection, "cancel_safe", cancel_safe)
        begun.set()
        return connection

    async def look(_: bool) -> None:
        pass

    def hear(*_: object) -> None:
        pass

    async def work() -> None:
        made = listener.SiteListener(line.url(site_database), ["c"], look=look, away=lambda: None, hear=hear)
        task = asyncio.create_task(made.listen())
        await begun.wait()
        for _ in range(5):  # into the statement
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (task.cancelled(), asked) == (True, [])

    begun = asyncio.Event()
    monkeypatch.setattr(Target, "listen", listens)
    asyncio.run(work())


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("is_late", [False, True], ids=["", "while rows are looked at"])
def test_a_request_whose_taking_was_not_heard_of_is_given_back(
    kinds: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, site_database: str, is_late: bool
) -> None:
    """The answer to the commit is lost: the row is this desk's, and nobody at this desk knows."""
    plain, plain_look = RequestRows.take, SiteRows.look
    lost = asyncio.Event()
    waiting: list[Callable[[], bool]] = []

    async def take(self: RequestRows, *args: Any) -> None:
        await plain(self, *args)
        if not lost.is_set():
            lost.set()
            raise StoreUnavailable("the answer was lost")

    async def look(self: SiteRows, *args: Any, **options: Any) -> Any:
        """One that began before the taking may end after it: what it saw is of before."""
        holds = is_late and any(one() for one in waiting)
        seen = await plain_look(self, *args, **options)
        if holds:
            await lost.wait()
            await asyncio.sleep(0)
        return seen

    monkeypatch.setattr(RequestRows, "take", take)
    monkeypatch.setattr(SiteRows, "look", look)
    monkeypatch.setattr(listener, "BEAT", 0.2)
    monkeypatch.setattr("vitale_reader.daemon.site.rows.desks.LOST", 600.0)

    async def main() -> None:
        async with Site(kinds, monkeypatch, tmp_path, site_database).open("a", "b") as (here, there):
            waiting.append(lambda: bool(there.desk.desk._hub.waiting))
            request = here.send_call(
                "presentation.request",
                {"nonce": NONCE, "media": ["apcv-nfc"], "readers": [f"nfc:counter@{there.station}"]},
            )
            answer = asyncio.create_task(here.answer(request))
            async with asyncio.timeout(PATIENCE):
                number = 0
                while not answer.done():
                    if there.desk.desk._hub.waiting:
                        there.desk.tap(b"string-%d" % number)
                        number += 1
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(asyncio.shield(answer), 0.5)
            assert "result" in answer.result()

    asyncio.run(main())
