"""The dashboard's listener beside a daemon: who comes in, who does not, and when it is over."""

import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import time
import urllib.parse
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.posix import AS_ROOT, NOBODY
from vitale_protocol.web.admission import DATAGRAM_BYTES, Asked, read_answer, write
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.dashboard import passes
from vitale_reader.daemon.process import kill
from vitale_reader.daemon.transports import dashboard, dashboard_gateway
from vitale_reader.daemon.transports.dashboard_gateway import DashboardGateway
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.supervisor import Supervisor
from vitale_reader.daemon.workers.worker import Worker
from vitale_reader.web.http_rules import REFUSED

pytestmark = pytest.mark.posix

PATIENCE = 40.0
CONFIG = "[station]\nmode = '{mode}'\n[drivers]\nenabled = []\n[tls]\nenabled = false"
ASSETS = ("/app.js", "/style.css", "/words.fr.json", "/icon.svg")

Json = dict[str, Any]
Work = Callable[["House"], Awaitable[None]]


class House:
    """A station, and the session of its owner."""

    def __init__(self, tools: Any, owner: Any) -> None:
        self.tools, self.owner = tools, owner
        self.opened: Json = {}

    async def open(self, **params: str) -> None:
        self.opened = await self.owner.result("dashboard.open", params)

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(str(self.opened["url"])).netloc

    @property
    def port(self) -> int:
        return int(self.host.rpartition(":")[2])

    @property
    def ticket(self) -> str:
        found = re.search(r'name="ticket" value="([^"]+)"', Path(self.opened["file"]).read_text())
        assert found is not None
        return found[1]

    async def answer(
        self, line: str, fields: Json | None = None, body: str = "", *, address: str = "127.0.0.1"
    ) -> bytes:
        """All that comes back for a request."""
        told = {"Host": self.host} | (fields or {}) | ({"Content-Length": len(body)} if body else {})
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        reader, writer = await asyncio.open_connection(address, self.port)
        writer.write(f"{line} HTTP/1.1\r\n{head}\r\n{body}".encode())
        answer = b""
        try:
            async with asyncio.timeout(PATIENCE):
                while data := await reader.read(65_536):
                    answer += data
        except ConnectionError:
            pass
        finally:
            writer.close()
        return answer

    async def hand_in(self, body: str, origin: str = "null") -> bytes:
        form = {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
        return await self.answer("POST /enter", form, body)

    async def bearer(self, body: str = "", origin: str = "null") -> str:
        """The bearer for a ticket, or for something else; empty where nobody is let in."""
        answer = await self.hand_in(body or f"ticket={self.ticket}", origin)
        found = re.search(rb'<meta name="bearer" content="([^"]+)">', answer)
        return found[1].decode() if found else ""

    @asynccontextmanager
    async def socket(self, origin: str = "") -> AsyncGenerator[ClientConnection]:
        async with connect(
            f"ws://{self.host}/v1",
            host="127.0.0.1",
            port=self.port,
            origin=Origin(origin or f"http://{self.host}"),
            subprotocols=[Subprotocol("vitale-reader.1")],
            compression=None,
            open_timeout=PATIENCE,
        ) as made:
            yield made

    async def call(self, line: ClientConnection, method: str, params: Json | None = None, number: int = 1) -> Json:
        await line.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}))
        async with asyncio.timeout(PATIENCE):
            while True:
                message: Json = json.loads(await line.recv())
                if message.get("id") == number:
                    return message

    async def session(self, line: ClientConnection, bearer: str) -> Json:
        opening = {"protocol": [1], "client": {"name": "dashboard"}, "credential": bearer}
        return await self.call(line, "session.open", opening)


@pytest.fixture
def at_home(tools: Any) -> Callable[..., None]:
    """Runs a test beside a station, with its owner's session."""

    def run(work: Work, mode: str = "simulated") -> None:
        async def main() -> None:
            config = parse(CONFIG.format(mode=mode))
            async with tools.running(tools.home, config) as endpoints, tools.unix_line(endpoints) as owner:
                await owner.open(language="en")
                await work(House(tools, owner))

        asyncio.run(main())

    return run


async def closed_with(line: ClientConnection) -> int | None:
    """The code that a connection ends with; None where it ends without one."""
    try:
        async with asyncio.timeout(PATIENCE):
            async for _ in line:
                pass
    except ConnectionClosed:
        pass
    return line.close_code


def reason_of(answer: Json) -> str:
    return str(answer["error"]["data"]["reason"])


# ── who comes in ──


@pytest.mark.parametrize("mode", ["simulated", "production"])
def test_the_owner_comes_in_by_the_file_and_may_what_a_person_does_at_the_desk(at_home: Any, mode: str) -> None:
    async def work(house: House) -> None:
        await house.open()
        assert re.fullmatch(r"http://desk-[0-9a-f]{32}\.localhost:\d+/", house.opened["url"])
        file = Path(house.opened["file"])
        assert (0o600, house.tools.home.run) == (file.stat().st_mode & 0o777, file.parent)
        bearer = await house.bearer()
        assert not file.exists()
        async with house.socket() as line:
            opened = await house.session(line, bearer)
            assert ["desk", "preview"] == opened["result"]["scopes"]
            assert "dashboard" == opened["result"]["client_id"]
            for method in ("station.info", "readers.watch", "desk.watch", "clients.list", "config.check"):
                assert "result" in await house.call(line, method, number=2), method
            for method, params in (
                ("keys.rotate", {}),
                ("dashboard.open", {}),
                ("clients.add", {"name": "x", "scopes": ["identity"], "transports": ["unix"]}),
                ("presentation.request", {"nonce": "n" * 22}),
                ("presentations.subscribe", {"nonce": "n" * 22}),
                ("codes.subscribe", {}),
            ):
                assert "not_authorised" == reason_of(await house.call(line, method, params, number=3)), method

    at_home(work, mode)


def test_the_page_and_its_files_bear_the_policy_and_the_first_entry_forgets_what_others_left(at_home: Any) -> None:
    async def work(house: House) -> None:
        await house.open()
        for path in ("/", *ASSETS):
            head, _, content = (await house.answer(f"GET {path}")).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n"), path
            assert f"connect-src 'self' ws://{house.host};".encode() in head
            assert content
        first = await house.hand_in(f"ticket={house.ticket}")
        assert b'Clear-Site-Data: "storage"\r\n' in first
        await house.open()
        second = await house.hand_in(f"ticket={house.ticket}")
        assert b"Clear-Site-Data" not in second
        assert b'name="bearer"' in second

    at_home(work)


def test_the_code_is_typed_where_the_browser_cannot_read_the_file(at_home: Any) -> None:
    async def work(house: House) -> None:
        await house.open(at="address")
        assert house.opened["url"].startswith("http://127.0.0.1:")
        own = f"http://{house.host}"
        assert not await house.bearer("code=BBBB-BBBB", own)
        bearer = await house.bearer(f"code={house.opened['code'].lower()}", own)
        async with house.socket() as line:
            assert "result" in await house.session(line, bearer)

    at_home(work)


# ── who does not ──


def test_a_ticket_is_good_once_and_for_nobody_else(at_home: Any) -> None:
    async def work(house: House) -> None:
        await house.open()
        ticket = house.ticket
        for origin in ("http://evil.test", f"https://{house.host}", "http://127.0.0.1:1"):
            assert REFUSED == await house.hand_in(f"ticket={ticket}", origin)
        assert await house.bearer(f"ticket={ticket}")
        replayed = await house.hand_in(f"ticket={ticket}")
        assert replayed.startswith(b"HTTP/1.1 403 ")
        assert b'name="bearer"' not in replayed

    at_home(work)


def test_another_origin_and_another_host_get_nothing(at_home: Any) -> None:
    async def work(house: House) -> None:
        await house.open()
        bearer = await house.bearer()
        for path in ("/", *ASSETS):
            assert REFUSED == await house.answer(f"GET {path}", {"Origin": "http://evil.test"})
            assert REFUSED == await house.answer(f"GET {path}", {"Host": f"localhost:{house.port}"})
            assert REFUSED == await house.answer(f"GET {path}", {"Host": f"evil.test:{house.port}"})
            assert REFUSED == await house.answer(f"GET {path}", {"Sec-Purpose": "prefetch;prerender"})
        for origin in ("http://evil.test", "null", f"http://localhost:{house.port}"):
            with pytest.raises(InvalidStatus):
                async with house.socket(origin):
                    pass
        assert bearer

    at_home(work)


def test_a_socket_without_a_bearer_gets_one_refusal_and_is_closed(at_home: Any) -> None:
    async def work(house: House) -> None:
        await house.open()
        await house.bearer()
        for bearer in ("", "x", "A" * 43):
            async with house.socket() as line:
                assert "not_authenticated" == reason_of(await house.session(line, bearer)), bearer
                assert 1008 == await closed_with(line), bearer

    at_home(work)


def test_before_its_session_is_open_the_page_is_nobody(at_home: Any) -> None:
    calls: tuple[tuple[str, Json], ...] = (
        ("clients.list", {}),
        ("session.challenge", {"kid": "a" * 43, "client_nonce": "a" * 43, "epk": "a" * 87}),
        ("pairing.request", {}),
    )

    async def work(house: House) -> None:
        await house.open()
        for method, params in calls:
            async with house.socket() as line:
                assert "not_authenticated" == reason_of(await house.call(line, method, params)), method

    at_home(work)


def test_a_paired_program_opens_no_dashboard(at_home: Any) -> None:
    async def work(house: House) -> None:
        for scope in ("admin", "desk"):
            added = {"name": "x", "scopes": [scope], "transports": ["unix"]}
            assert "not_authorised" == await house.owner.reason("clients.add", added)
        added = await house.owner.result(
            "clients.add", {"name": "x", "scopes": ["identity", "preview"], "transports": ["unix"]}
        )
        async with house.tools.unix_line(house.tools.home.endpoints()) as program:
            await program.open(credential=added["credential"])
            for method in ("dashboard.open", "desk.watch", "diagnostics.bundle", "audit.verify", "config.check"):
                assert "not_authorised" == await program.reason(method)

    at_home(work)


@AS_ROOT
def test_another_user_of_this_machine_is_closed_unread(at_home: Any) -> None:
    async def work(house: House) -> None:
        await house.open()
        program = (
            "import socket, sys\n"
            "line = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
            "try:\n"
            "    line.sendall(b'GET / HTTP/1.1\\r\\nHost: ' + sys.argv[2].encode() + b'\\r\\n\\r\\n')\n"
            "    print(len(line.recv(65536)))\n"
            "except ConnectionError:\n"
            "    print(0)\n"
        )
        told: dict[int | None, bytes] = {}
        for user in (None, NOBODY):
            process = await asyncio.create_subprocess_exec(
                sys.executable if user is None else os.path.realpath("/usr/bin/python3"),
                "-c",
                program,
                str(house.port),
                house.host,
                stdout=asyncio.subprocess.PIPE,
                cwd="/",
                user=user,
            )
            async with asyncio.timeout(PATIENCE):
                told[user], _ = await process.communicate()
        assert 0 == int(told[NOBODY])
        assert int(told[None] or 0) > 0

    at_home(work)


# ── when it is over ──


@pytest.mark.parametrize("secret", ["", "A" * 43])
def test_who_comes_while_it_closes_is_answered(secret: str) -> None:
    async def work() -> tuple[list[object], bool]:
        broken: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: broken.append(context["message"]))
        gateway = DashboardGateway(
            cast("Any", None),
            cast("Any", None),
            cast("Any", None),
            name="127.0.0.1",
            passes=passes.Passes(time.monotonic),
            on_entry=lambda: None,
            on_pages=lambda _pages: None,
            beat=Beat(),
            hidden=(),
        )
        with gateway.worker.inherit() as inherited, socket.socket(fileno=os.dup(inherited["line"])) as line:
            line.setblocking(False)
            gateway.close()
            await asyncio.get_running_loop().sock_sendall(
                line, write(Asked(number=1, site="http://127.0.0.1:1", secret=secret))
            )
            async with asyncio.timeout(PATIENCE):
                answer = read_answer(await asyncio.get_running_loop().sock_recv(line, DATAGRAM_BYTES))
        gateway.worker.on_end("dashboard", None)
        return broken, answer.yes

    assert ([], False) == asyncio.run(work())


def test_the_file_goes_when_nobody_came(at_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(house: House) -> None:
        monkeypatch.setattr(dashboard, "INVITATION_SECONDS", 0.05)
        await house.open()
        file = Path(house.opened["file"])
        async with asyncio.timeout(PATIENCE):
            while file.exists():  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.02)
        assert [] == [*house.tools.home.run.glob("dashboard-*")]

    at_home(work)


def test_a_pass_that_nobody_uses_ends_its_sessions(at_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(house: House) -> None:
        await house.open()
        bearer = await house.bearer()
        monkeypatch.setattr(passes, "IDLE_SECONDS", 0.2)
        async with house.socket() as line:
            await house.session(line, bearer)
            assert 4001 == await closed_with(line)

    at_home(work)


def test_a_patient_screen_lasts_and_its_session_may_do_nothing_else(
    at_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(house: House) -> None:
        await house.open()
        bearer = await house.bearer()
        async with house.socket() as line:
            await house.session(line, bearer)
            assert "result" in await house.call(line, "desk.show", number=2)
            monkeypatch.setattr(passes, "IDLE_SECONDS", 0.0)
            for number, method in enumerate(("readers.list", "session.ping", "clients.list", "config.check"), 3):
                refused = await house.call(line, method, number=number)
                assert "not_authenticated" == refused["error"]["data"]["reason"]
            assert "result" in await house.call(line, "desk.show", number=9)
        async with house.socket() as line:
            assert "error" in await house.session(line, bearer)

    at_home(work)


def test_it_listens_no_more_once_its_last_page_was_closed_for_a_while(
    at_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "UNUSED", 0.3)

    async def work(house: House) -> None:
        await house.open()
        bearer = await house.bearer()
        async with house.socket() as line:
            await house.session(line, bearer)
            before = house.opened["url"]
            await house.open()
            assert before == house.opened["url"]
        async with asyncio.timeout(PATIENCE):
            while await listens(house.port):  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.05)
        await house.open()
        assert before != house.opened["url"]
        assert await house.bearer()

    at_home(work)


def test_a_page_that_is_open_stays_though_nobody_follows_another_invitation(
    at_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "UNUSED", 0.3)

    async def work(house: House) -> None:
        await house.open()
        bearer = await house.bearer()
        now = asyncio.get_running_loop().time
        async with house.socket() as line:
            await house.session(line, bearer)
            await house.open()
            end, number = now() + 3 * dashboard.UNUSED, 2
            while now() < end:
                assert "result" in await house.call(line, "session.ping", number=number)
                number += 1

    at_home(work)


async def listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


def test_a_process_that_dies_is_back_and_the_bearer_still_counts(at_home: Any) -> None:
    async def work(house: House) -> None:
        await house.open()
        bearer = await house.bearer()
        async with house.socket() as line:
            await house.session(line, bearer)
            (pid,) = processes_of_the_dashboard()
            kill(pid)
            await closed_with(line)
        async with house.socket() as line:
            assert "result" in await house.session(line, bearer)

    at_home(work)


def processes_of_the_dashboard() -> list[int]:
    """The processes of this test's own daemon."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [
        int(each) for each in children if b"vitale_reader.web.dashboard" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]


def test_the_end_of_the_daemon_waits_for_no_dashboard_that_begins(tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_gateway, "DASHBOARD", (sys.executable, "-c", "import sys; sys.stdin.read()"))
    monkeypatch.setattr(dashboard, "BEGINNING", 3_600.0)
    begun, begin = asyncio.Event(), Supervisor.add

    def add(supervisor: Supervisor, worker: Worker) -> None:
        begin(supervisor, worker)
        begun.set()

    monkeypatch.setattr(Supervisor, "add", add)

    async def main() -> Json:
        async with asyncio.timeout(PATIENCE), AsyncExitStack() as outside:
            async with tools.running(tools.home, parse(CONFIG.format(mode="simulated"))) as endpoints:
                owner = await outside.enter_async_context(tools.unix_line(endpoints))
                await owner.open(language="en")
                asking = asyncio.create_task(owner.call("dashboard.open", {}))
                await begun.wait()
            answer: Json = await asking
            return answer

    assert "shutting_down" == reason_of(asyncio.run(main()))
    assert [] == [*tools.home.run.glob("dashboard-*")]


def test_files_of_a_daemon_that_was_killed_are_cleared(tools: Any) -> None:
    tools.home.run.mkdir(parents=True)
    left = tools.home.run / "dashboard-0badcafe.html"
    left.write_text("a ticket")

    async def main() -> None:
        async with tools.running(tools.home, parse(CONFIG.format(mode="simulated"))):
            assert not left.exists()

    asyncio.run(main())


# ── what is seen ──


def test_what_goes_on_is_told_as_it_changes(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_card()
        seen = (await line.result("desk.watch"))["desk"]
        assert [] == seen.get("waiting", [])
        async with counter.tools.unix_line(counter.home.endpoints()) as other:
            await other.open()
            other.send_call(
                "presentation.request", {"nonce": "n" * 22, "media": ["apcv-nfc"], "readers": ["nfc:counter"]}
            )
            expected = {"client": "local", "media": ["apcv-nfc"], "readers": ["nfc:counter"]}
            await told(line, lambda state: state.get("waiting") == [expected])
            counter.tap(b"VITALESIM.seen")
            state = await told(line, lambda state: "last" in state)
        assert ("apcv-nfc", "nfc:counter", "local") == tuple(
            state["last"][name] for name in ("medium", "reader", "client")
        )
        assert "reason" not in state["last"]
        assert abs(time.time() - state["last"]["at"]) < 60
        assert "MERLE" not in json.dumps(state)
        await line.result("desk.unwatch")

    counter.run(work)


async def told(line: Any, holds: Callable[[Json], bool]) -> Json:
    """The first state of the desk of which something holds."""
    while True:
        for each in line.notifications:
            if each["method"] == "desk.changed" and holds(each["params"]):
                return dict(each["params"])
        line.notifications.clear()
        message = await line.receive()
        assert message is not None
        line.notifications.append(message)


def test_a_lease_that_is_stuck_is_freed_and_its_holder_told(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_card()
        async with counter.tools.unix_line(counter.home.endpoints()) as holder:
            await holder.open()
            request = holder.send_call("lease.acquire", {"reader": "pcsc:slot", "previous": None, "ttl_ms": 60_000})
            async with asyncio.timeout(PATIENCE):
                while not counter.sent or type(counter.sent[-1][1]).__name__ != "LeaseCommand":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            counter.hold()
            lease = (await holder.answer(request))["result"]["lease"]
            assert (await line.result("leases.free", {"reader": "pcsc:slot"}))["released"]
            assert "lease_expired" == await holder.reason("lease.renew", {"lease": lease, "ttl_ms": 1_000})
            assert ["lease.ended"] == [each["method"] for each in holder.notifications]
        assert not (await line.result("leases.free", {"reader": "pcsc:slot"}))["released"]
        assert "no_reader" == await line.reason("leases.free", {"reader": "pcsc:nobody"})

    counter.run(work)


def test_a_driver_is_restarted_by_name(counter: Any) -> None:
    async def work(line: Any) -> None:
        await line.result("drivers.restart", {"name": "pcsc"})
        assert "invalid_params" == await line.reason("drivers.restart", {"name": "nobody"})
        assert ["pcsc", "nobody"] == counter.desk.supervisor.restarted

    counter.run(work)
