"""The web gateway beside a daemon: real sockets, somebody else's clients, hostile bytes, a gateway that lies."""

import asyncio
import http.client
import json
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.daemon.web.pages import PATIENCE, SITE, Page
from tests.daemon.web.socket_pages import Refused, socket_page
from tests.posix import AS_ROOT, NOBODY
from vitale_drivers.host.confinement import landlock_version
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.desk.coordinator import Coordinator
from vitale_reader.daemon.process import kill
from vitale_reader.daemon.transports import pages
from vitale_reader.daemon.transports.channels import MOST_NAMELESS
from vitale_reader.daemon.transports.gateway import Gateway
from vitale_reader.daemon.transports.loopback import LoopbackPort, loopback_port
from vitale_reader.web.http_rules import MALFORMED, REFUSED
from vitale_reader.web.serving import MOST_CONNECTIONS

pytestmark = pytest.mark.posix

CONFIG = """
[station]
mode = "simulated"
[drivers]
enabled = []
[tls]
enabled = false
[web]
enabled = true
port = {port}
"""
KEY = ec.derive_private_key(7, ec.SECP256R1())
HANDSHAKE = {
    "Host": "127.0.0.1:PORT",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Origin": SITE,
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "vitale-reader.1",
}


class Gate:
    """A station with a gateway, and the desk's own session."""

    def __init__(self, tools: Any, desk: Any, endpoints: Any) -> None:
        self.tools, self.desk, self.endpoints = tools, desk, endpoints

    @property
    def port(self) -> int:
        return int(self.endpoints.web.port)

    def page(self, key: ec.EllipticCurvePrivateKey = KEY, **options: Any) -> Any:
        return socket_page(self.port, key, **options)

    async def pair(self, key: ec.EllipticCurvePrivateKey = KEY, *, site: str = SITE) -> str:
        """Pairs a page; its client id."""
        await self.desk.result("pairing.open")
        async with self.page(key, site=site) as asking:
            revealed = await asking.ask(("identity",))
            await self.desk.result("pairing.wait")
            await self.desk.result("pairing.accept", {"code": asking.code, "scopes": ["identity"]})
            return str((await asking.answer(revealed))["result"]["client_id"])

    async def answer(self, request: bytes) -> bytes:
        """All that comes back for some bytes, to the end of the connection, however that comes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        told = b""
        try:
            writer.write(request)
            async with asyncio.timeout(PATIENCE):
                while data := await reader.read(65_536):
                    told += data
            return told
        except ConnectionError:
            return told
        finally:
            writer.close()

    async def told(self, line: str = "GET /v1 HTTP/1.1", **fields: str | None) -> bytes:
        """The answer to a handshake, with other fields or without some."""
        named = HANDSHAKE | {name.replace("_", "-"): value for name, value in fields.items()}
        written = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value is not None)
        return await self.answer(f"{line}\r\n{written}\r\n".replace("PORT", str(self.port)).encode())

    async def gateway(self) -> dict[str, Any]:
        """The gateway as the station tells of it."""
        told: dict[str, Any] = (await self.desk.result("station.info"))["gateway"]
        return {"restarts": 0, "reason": None} | told

    async def gateway_that(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The gateway once something holds of it."""
        async with asyncio.timeout(PATIENCE):
            while not holds(found := await self.gateway()):  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.02)
        return found


@pytest.fixture
def at_the_gate(tools: Any) -> Callable[..., None]:
    """Runs a test with a station whose gateway runs."""

    def run(work: Callable[[Gate], Awaitable[None]], *, port: int = 0) -> None:
        async def main(endpoints: Any) -> None:
            async with tools.unix_line(endpoints) as desk:
                await desk.open(language="en")
                await work(Gate(tools, desk, endpoints))

        tools.run(main, parse(CONFIG.format(port=port)))

    return run


# ── pages ──


def test_a_page_is_paired_and_its_session_is_sealed(at_the_gate: Any) -> None:
    async def work(gate: Gate) -> None:
        client_id = await gate.pair()
        for host in ("127.0.0.1", "::1"):
            async with gate.page(host=host) as reading:
                opened = await reading.open()
                assert client_id == opened["client_id"], host
                assert (await reading.result("session.ping"))["time"] > 1_700_000_000
                assert all({"n", "c"} == json.loads(frame).keys() for frame in reading.carried[1:])

    at_the_gate(work)


def test_the_handshake_is_answered_bare(at_the_gate: Any) -> None:
    async def work(gate: Gate) -> None:
        await gate.desk.result("pairing.open")
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        fields = HANDSHAKE | {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
        written = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET /v1 HTTP/1.1\r\n{written}\r\n".replace("PORT", str(gate.port)).encode())
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert [
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            b"Sec-WebSocket-Protocol: vitale-reader.1",
        ] == head.split(b"\r\n")[:-2]

    at_the_gate(work)


def test_a_revoked_page_is_told_not_to_come_back(at_the_gate: Any) -> None:
    async def work(gate: Gate) -> None:
        client_id = await gate.pair()
        async with gate.page() as reading:
            await reading.open()
            await gate.desk.result("clients.revoke", {"client_id": client_id})
            assert 4001 == await reading.closed_with()
        assert REFUSED == await gate.told()

    at_the_gate(work)


def test_a_refusal_ends_the_connection(at_the_gate: Any) -> None:
    async def work(gate: Gate) -> None:
        await gate.pair()
        async with gate.page() as reading:
            answer = await reading.call("clients.list")
            assert "not_authenticated" == answer["error"]["data"]["reason"]
            assert 1008 == await reading.closed_with()

    at_the_gate(work)


# ── the refusal ──


def test_all_that_is_not_let_in_gets_the_same_bytes(at_the_gate: Any) -> None:
    async def work(gate: Gate) -> None:
        await gate.pair()
        revoked = await gate.pair(ec.derive_private_key(8, ec.SECP256R1()), site="https://revoked.example")
        await gate.desk.result("clients.revoke", {"client_id": revoked})
        answers = {
            "closed window": await gate.told(Origin="https://unknown.example"),
            "revoked": await gate.told(Origin="https://revoked.example"),
            "no origin": await gate.told(Origin=None),
            "null": await gate.told(Origin="null"),
            "no site": await gate.told(Origin="https://localhost"),
            "prefix": await gate.told(Origin=SITE + ".evil.test"),
            "host": await gate.told(Host="evil.test:PORT"),
            "prefetch": await gate.told(Sec_Purpose="prefetch"),
            "path": await gate.told("GET / HTTP/1.1"),
            "metrics": await gate.told("GET /metrics HTTP/1.1"),
            "dashboard": await gate.told("GET /enter HTTP/1.1"),
            "post": await gate.told("POST /v1/rpc HTTP/1.1"),
            "preflight": await gate.told("OPTIONS /v1 HTTP/1.1"),
            "no upgrade": await gate.told(Upgrade=None),
            "no-cors": await gate.told(Sec_Fetch_Mode="no-cors"),
            "protocol": await gate.told(Sec_WebSocket_Protocol="chat"),
            "version": await gate.told(Sec_WebSocket_Version="8"),
        }
        assert {REFUSED} == {*answers.values()}, answers

    at_the_gate(work)


NO_REQUESTS = (
    b"GET http://evil.test/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1 HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nOrigin: https://a.fr\r\nOrigin: https://a.fr\r\n\r\n",
    b"POST /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 65 + b"\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 9_000 + b"\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 9_000,
    b"GET /v1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n",
    b"\x00\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nOrigin: https://a.fr\x00\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nConnection: \x1d keep-alive, Upgrade\r\n\r\n",
)


def test_what_is_no_request_is_malformed(at_the_gate: Any) -> None:
    async def work(gate: Gate) -> None:
        for request in NO_REQUESTS:
            assert MALFORMED == await gate.answer(request), request
        gateway = await gate.gateway()
        assert ("ready", 0) == (gateway["state"], gateway["restarts"])

    at_the_gate(work)


def test_a_client_of_http_sees_a_bare_refusal(at_the_gate: Any) -> None:
    def ask(port: int) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("POST", "/v1/rpc", body=b'{"jsonrpc":"2.0","id":1,"method":"session.ping"}')
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    async def work(gate: Gate) -> None:
        status, fields, body = await asyncio.to_thread(ask, gate.port)
        assert (403, b"") == (status, body)
        assert ["Content-Length", "Connection", "Cross-Origin-Resource-Policy", "Cache-Control"] == [
            name for name, _ in fields
        ]

    at_the_gate(work)


def test_the_desk_hears_of_who_asked_in_vain(at_the_gate: Any) -> None:
    async def work(gate: Gate) -> None:
        for site in ("https://a.example", "https://b.example", "https://localhost", "https://a.example/"):
            with pytest.raises(Refused):
                async with gate.page(site=site):
                    pass
        opened = await gate.desk.result("pairing.open")
        assert ["https://b.example", "https://a.example"] == [each["site"] for each in opened["attempts"]]

    at_the_gate(work)


def test_whoever_knocks_without_end_keeps_nobody_out_who_is_in(at_the_gate: Any) -> None:
    async def work(gate: Gate) -> None:
        await gate.pair()
        async with gate.page() as reading:
            await reading.open()
            knocking: list[asyncio.StreamWriter] = []
            try:
                # More than there are places for, each with a head that does not end.
                for _ in range(2 * MOST_CONNECTIONS):
                    _, writer = await asyncio.open_connection("127.0.0.1", gate.port)
                    writer.write(b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 7_000)
                    knocking.append(writer)
                await reading.result("session.ping")
                await gate.desk.result("session.ping")
            finally:
                for writer in knocking:
                    writer.transport.abort()
        # Those who left have left their places.
        async with asyncio.timeout(PATIENCE):
            while await gate.answer(b"nonsense\r\n\r\n") != MALFORMED:  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.02)
        assert 0 == (await gate.gateway())["restarts"]

    at_the_gate(work)


#: A program that every user can start; it counts the bytes that come back.
STRANGER = r"exec 3<>/dev/tcp/127.0.0.1/$0 && { printf 'GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n' >&3; cat <&3 | wc -c; }"


@AS_ROOT
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell whose program it is")
def test_programs_of_other_users_are_gone_without_a_word(at_the_gate: Any) -> None:
    async def counted(gate: Gate, user: Any) -> int:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", STRANGER, str(gate.port)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            user=user,
        )
        async with asyncio.timeout(PATIENCE):
            told, _ = await process.communicate()
        return int(told or 0)

    async def work(gate: Gate) -> None:
        assert [0, len(REFUSED)] == [await counted(gate, user) for user in (NOBODY, None)]

    at_the_gate(work)


# ── its process ──


def test_a_gateway_that_is_killed_is_back(at_the_gate: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def work(gate: Gate) -> None:
        await gate.pair()
        before = await gate.gateway()
        async with gate.page() as reading:
            await reading.open()
            kill(before["pid"])
            assert 1006 == await reading.closed_with()
        # The port is the daemon's: whoever comes too soon waits for the next gateway.
        async with gate.page() as reading:
            await reading.open()
            await reading.result("session.ping")
        after = await gate.gateway_that(lambda found: found["state"] == "ready")
        assert after["pid"] != before["pid"]
        assert 1 == after["restarts"]
        told = [message for message in caplog.messages if "gateway" in message]
        assert any(message.startswith("the gateway for web pages: ") for message in told), told
        assert not any("driver" in message for message in told), told

    at_the_gate(work)


def test_a_daemon_that_stops_has_its_pages_come_later(tools: Any) -> None:
    async def main() -> None:
        async with AsyncExitStack() as pages:
            async with (
                tools.running(tools.home, parse(CONFIG.format(port=0))) as endpoints,
                tools.unix_line(endpoints) as desk,
            ):
                await desk.open(language="en")
                gate = Gate(tools, desk, endpoints)
                await gate.pair()
                reading = await pages.enter_async_context(gate.page())
                await reading.open()
            assert 1013 == await reading.closed_with()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", gate.port)

    asyncio.run(main())


def test_one_address_that_is_taken_keeps_both_from_being_used(at_the_gate: Any, tools: Any) -> None:
    both = loopback_port(0)
    if "ipv6" not in both.sockets:
        both.close()
        pytest.skip("this machine has no IPv6")
    both.sockets["ipv4"].close()
    with both.sockets["ipv6"]:
        at_the_gate(_until_it_is_free(both, tools), port=both.port)


def _until_it_is_free(both: LoopbackPort, tools: Any) -> Callable[[Gate], Awaitable[None]]:
    async def work(gate: Gate) -> None:
        assert gate.endpoints.web is None
        told = await gate.gateway_that(lambda found: found["reason"] is not None)
        assert ("configuration_invalid", "web_port_in_use") == (told["reason"], told["variant"])
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", both.port)
        both.close()
        await gate.gateway_that(lambda found: found["state"] == "ready")
        async with asyncio.timeout(PATIENCE):
            while tools.home.endpoints().web is None:  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.02)
        assert both.port == tools.home.endpoints().web.port
        gate.endpoints = tools.home.endpoints()
        await gate.pair()

    return work


def test_it_is_off_unless_it_is_wanted(tools: Any) -> None:
    async def main(endpoints: Any) -> None:
        assert endpoints.web is None
        async with tools.unix_line(endpoints) as desk:
            await desk.open(language="en")
            assert "gateway" not in await desk.result("station.info")

    tools.run(main)


# ── a gateway that lies ──


class Liar:
    """A gateway that does as the test says, byte by byte."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    @asynccontextmanager
    async def channel(
        self, wanted: dict[str, Any]
    ) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gate.port, limit=4_000_000)
        writer.write(json.dumps(wanted).encode() + b"\n")
        try:
            yield reader, writer
        finally:
            writer.close()

    async def asked(self, wanted: dict[str, Any]) -> bytes:
        async with self.channel(wanted) as (reader, _), asyncio.timeout(PATIENCE):
            return await reader.read()

    @asynccontextmanager
    async def page(
        self, key: ec.EllipticCurvePrivateKey = KEY, *, site: str = SITE, **changes: Any
    ) -> AsyncGenerator[Page]:
        async with self.channel({"site": site}) as (reader, writer):
            async with asyncio.timeout(PATIENCE):
                assert b"1" == await reader.readexactly(1)
            made = Page(reader, writer, key, site=site, via="websocket")
            made.send_preamble(**{"site": site, **changes.get("preamble", {})})
            yield made

    async def pair(self, key: ec.EllipticCurvePrivateKey = KEY, *, site: str = SITE) -> None:
        desk = self.gate.desk
        await desk.result("pairing.open")
        async with self.page(key, site=site) as asking:
            revealed = await asking.ask(("identity",))
            await desk.result("pairing.wait")
            await desk.result("pairing.accept", {"code": asking.code, "scopes": ["identity"]})
            await asking.answer(revealed)


@pytest.fixture
def with_a_liar(
    at_the_gate: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Liar], Awaitable[None]]], None]:
    """Runs a test with a station whose gateway is the test's own."""
    script = Path(__file__).with_name("lying_gateway.py")
    monkeypatch.setattr(pages, "Gateway", partial(Gateway, command=(sys.executable, "-P", str(script))))

    def run(work: Callable[[Liar], Awaitable[None]]) -> None:
        async def with_gate(gate: Gate) -> None:
            await work(Liar(gate))

        at_the_gate(with_gate)

    return run


def test_a_gateway_reaches_neither_socket_nor_files_of_the_daemon(with_a_liar: Any) -> None:
    async def work(liar: Liar) -> None:
        home = liar.gate.tools.home
        opened = await liar.asked({"connect": str(home.socket)})
        assert "not_authenticated" == json.loads(opened)["error"]["data"]["reason"]
        if landlock_version():
            for file in (home.state / "station.json", home.endpoints_file, home.state / "store.db"):
                assert b"PermissionError" == await liar.asked({"open": str(file)})

    with_a_liar(work)


def test_a_gateway_is_let_in_for_no_site_but_those(with_a_liar: Any) -> None:
    async def work(liar: Liar) -> None:
        assert b"0" == await liar.asked({"site": SITE})
        await liar.gate.desk.result("pairing.open")
        for site in ("null", "https://localhost", f"{SITE}/"):
            assert b"0" == await liar.asked({"site": site})

    with_a_liar(work)


def test_a_preamble_that_cannot_be_ends_the_channel(with_a_liar: Any) -> None:
    async def work(liar: Liar) -> None:
        await liar.pair()
        for changes in ({"via": "stdio"}, {"site": "null"}, {"peer_uid": 4_711}, {"more": 1}):
            async with liar.page(preamble=changes) as lying:
                assert await lying.receive_frame() is None, changes

    with_a_liar(work)


def test_channels_that_do_not_say_for_whom_count_against_their_gateway(with_a_liar: Any) -> None:
    async def work(liar: Liar) -> None:
        await liar.pair()
        async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE):
            silent = [await stack.enter_async_context(liar.channel({"site": SITE})) for _ in range(MOST_NAMELESS)]
            for reader, _ in silent:
                assert b"1" == await reader.readexactly(1)
            # Of any site, and whatever others do: their places are those of whoever says no name.
            assert b"1" == await liar.asked({"site": SITE})
            assert await liar.gate.desk.result("session.ping") is not None
            silent[0][1].close()
            told = None
            while told is None:  # until the core has heard of it
                async with liar.page() as again:
                    again.send_call("clients.list")
                    told = await again.receive_frame()
            assert "not_authenticated" == told["error"]["data"]["reason"]

    with_a_liar(work)


def test_a_channel_has_no_call_but_those_before_the_session(with_a_liar: Any) -> None:
    async def work(liar: Liar) -> None:
        await liar.pair()
        for method in ("clients.list", "session.open", "readers.list", "pairing.open", "pairing.accept"):
            async with liar.page() as lying:
                answer = await lying.call(method, {"protocol": [1], "client": {"name": "l", "version": "1"}})
                assert "not_authenticated" == answer["error"]["data"]["reason"]
                assert 1008 == await lying.closed_with()

    with_a_liar(work)


def test_the_key_of_one_site_is_of_no_use_to_another(with_a_liar: Any) -> None:
    async def work(liar: Liar) -> None:
        await liar.pair()
        await liar.pair(ec.derive_private_key(8, ec.SECP256R1()), site="https://evil.example")
        # The page's proof names its own site; the gateway says that it came from another one, and the other way round.
        async with liar.page(site="https://evil.example") as lying:
            with pytest.raises(AssertionError, match="not_authenticated"):
                await lying.open()
        async with liar.page(preamble={"site": "https://evil.example"}) as lying:
            with pytest.raises(AssertionError, match="not_authenticated"):
                await lying.open()

    with_a_liar(work)


def forge(lying: Page, kind: str) -> None:
    """Does with the frames of an open session as a gateway could."""
    call: dict[str, Any] = {"jsonrpc": "2.0", "id": 99, "method": "session.ping", "params": {}}
    text = json.dumps(call, separators=(",", ":")).encode()
    first, second = (lying.sealed(call | {"id": number}) for number in (99, 100))
    frames = {
        "plain": [text],
        "replayed": [first, first],
        "out of order": [second, first],
        "a gap": [second],
        "altered": [first.replace(b'"c":"', b'"c":"A')],
        "two in one": [first + b"\n" + text],
        "white space": [first.replace(b",", b", ")],
        "a member twice": [first[:-1] + b',"n":1}'],
        "a batch": [b"[" + first + b"," + second + b"]"],
        "a preamble": [json.dumps({"via": "websocket", "site": SITE}).encode()],
        "a close": [b'{"close":1000}'],
    }[kind]
    for frame in frames:
        lying.send_frame(frame)


FORGERIES = (
    "plain",
    "replayed",
    "out of order",
    "a gap",
    "altered",
    "two in one",
    "white space",
    "a member twice",
    "a batch",
    "a preamble",
    "a close",
)


def test_what_a_gateway_alters_ends_the_channel_and_is_not_carried_out(with_a_liar: Any) -> None:
    async def work(liar: Liar) -> None:
        await liar.pair()
        for kind in FORGERIES:
            await ends_the_channel(liar, kind)

    with_a_liar(work)


async def ends_the_channel(liar: Liar, kind: str) -> None:
    async with liar.page() as lying:
        await lying.open()
        forge(lying, kind)
        answered: list[int] = []
        code = 0
        while (message := await lying.receive()) is not None:
            if "close" in message:
                code = message["close"]
            else:
                answered.append(message["id"])
        assert 4002 == code, kind
        # What the page itself had sealed, in its order, is all that was carried out.
        assert ([99] if kind == "replayed" else []) == answered, kind


def started_again(times: int) -> Callable[[dict[str, Any]], bool]:
    """Whether the gateway runs after so many restarts."""
    return lambda found: (found["restarts"], found["state"]) == (times, "ready")


def test_a_line_that_says_something_else_is_cut(with_a_liar: Any) -> None:
    sayings = ("", "{}", '{"number":1}', '{"number":1,"site":"https://a.example","more":1}', "[" * 900)

    async def work(liar: Liar) -> None:
        for restarts, said in enumerate(sayings, 1):
            await liar.asked({"say": said})
            await liar.gate.gateway_that(started_again(restarts))
            await liar.gate.desk.result("pairing.open")
            async with liar.channel({"site": SITE}) as (reader, _), asyncio.timeout(PATIENCE):
                assert b"1" == await reader.readexactly(1), said
            await liar.gate.desk.result("pairing.close")

    with_a_liar(work)


def test_nothing_of_a_page_is_told_in_the_log(at_the_gate: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def work(gate: Gate) -> None:
        await gate.pair()
        async with gate.page() as reading:
            await reading.open()
            await reading.result("session.ping")
            canary = reading.carried[-1].decode()
        assert canary[10:40] not in caplog.text

    at_the_gate(work)
    assert "sealed" not in caplog.text


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not list what is open")
def test_channels_of_pages_that_left_are_not_left_open(at_the_gate: Any) -> None:
    async def work(gate: Gate) -> None:
        await gate.pair()
        before = open_files()
        for _ in range(20):
            async with gate.page():
                pass
        async with asyncio.timeout(PATIENCE):
            while open_files() > before + 5:  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.02)

    at_the_gate(work)


def test_a_closed_port_is_free_again() -> None:
    both = loopback_port(0)
    both.close()
    again = loopback_port(both.port)
    assert both.port == again.port
    again.close()


def test_a_port_is_not_listened_on_by_halves() -> None:
    with socket.socket(socket.AF_INET6) as holder:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            holder.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        holder.listen()
        with pytest.raises(OSError, match="in use"):
            loopback_port(holder.getsockname()[1])


def test_pages_that_come_while_the_daemon_stops_are_to_come_again(
    at_the_gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal would tell a paired page that its pairing has ended; drivers may take seconds to end."""
    stop = Coordinator.stop
    kept = AsyncExitStack()
    pages: list[Callable[[], Awaitable[Any]]] = []
    told: list[int] = []

    async def slowly(desk: Coordinator) -> None:
        for opened in pages:
            asking = await opened()
            asking.send_call("session.challenge", {})
            told.append(await asking.closed_with())
        await kept.aclose()
        await stop(desk)

    monkeypatch.setattr(Coordinator, "stop", slowly)

    async def work(gate: Gate) -> None:
        await gate.pair()
        idle = await kept.enter_async_context(gate.page())

        async def before() -> Any:
            return idle

        pages.extend((before, lambda: kept.enter_async_context(gate.page())))

    at_the_gate(work)
    assert [1013, 1013] == told
