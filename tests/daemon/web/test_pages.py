"""Pages at the core, over real channels: pairing, sealed sessions, tokens, and everything that a liar might try."""

import asyncio
import errno
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.daemon.web.idle import begin_no_gateway
from tests.daemon.web.pages import PATIENCE, SITE, Json, Page, page
from tests.posix import open_unix_connection
from tests.protocol.web import independent
from vitale_protocol.web import handshake
from vitale_protocol.web.extensions import CHROMIUM_ID, FIREFOX_ID
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.handlers import sessions
from vitale_reader.daemon.transports import channels, peers
from vitale_reader.daemon.transports.stream import StreamLimits

pytestmark = pytest.mark.posix

CONFIG = (
    '[station]\nmode = "simulated"\n[drivers]\nenabled = []\n[tls]\nenabled = false\n[web]\nenabled = true\nport = 0\n'
)
KEY = ec.derive_private_key(7, ec.SECP256R1())


class Door:
    """A station with the web on, the desk's own session, and channels for pages."""

    def __init__(self, tools: Any, desk: Any) -> None:
        self.tools, self.desk = tools, desk
        self.socket = tools.home.host_socket

    def page(self, key: ec.EllipticCurvePrivateKey = KEY, **options: Any) -> Any:
        return page(self.socket, key, **options)

    async def pair(
        self,
        key: ec.EllipticCurvePrivateKey = KEY,
        *,
        scopes: tuple[str, ...] = ("identity", "nir"),
        ticked: tuple[str, ...] | None = None,
        site: str = SITE,
    ) -> str:
        """Pairs a page; its client id."""
        await self.desk.result("pairing.open")
        async with self.page(key, site=site) as asking:
            revealed = await asking.ask(scopes)
            await self.desk.result("pairing.wait")
            accepted = await self.desk.result("pairing.accept", {"code": asking.code, "scopes": [*(ticked or scopes)]})
            answer = (await asking.answer(revealed))["result"]
            assert (answer["client_id"], site) == (accepted["client_id"], accepted["site"])
            return str(answer["client_id"])


@pytest.fixture(autouse=True)
def without_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages come in by the socket of native hosts, where a gateway has no part."""
    begin_no_gateway(monkeypatch)


@pytest.fixture
def at_the_door(tools: Any) -> Callable[[Callable[[Door], Awaitable[None]]], None]:
    """Runs a test with a station whose web door is open."""

    def run(work: Callable[[Door], Awaitable[None]]) -> None:
        async def main(endpoints: Any) -> None:
            async with tools.unix_line(endpoints) as desk:
                await desk.open(language="en")
                await work(Door(tools, desk))

        tools.run(main, parse(CONFIG))

    return run


async def refused(asking: Page, method: str, params: Any = None) -> str:
    """The bytes of a refusal, with its id left out; the channel has to end with it."""
    answer = await asking.call(method, params)
    assert 1008 == await asking.closed_with()
    return json.dumps(answer | {"id": None})


# ── pairing ──


def test_a_page_is_paired_and_its_session_is_sealed(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        client_id = await door.pair(ticked=("identity",))
        async with door.page() as reading:
            opened = await reading.open()
            assert (client_id, ["identity"]) == (opened["client_id"], opened["scopes"])
            assert (await reading.result("session.ping"))["time"] > 1_700_000_000
            answer = await reading.call("clients.list")
            assert ("not_authorised", 1002) == (answer["error"]["data"]["reason"], answer["error"]["code"])
        (listed,) = (await door.desk.result("clients.list"))["clients"]
        assert (client_id, SITE, ["identity"]) == (listed["client_id"], listed["site"], listed["scopes"])

    at_the_door(work)


def test_the_desk_types_what_the_page_shows(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        opened = await door.desk.result("pairing.open")
        assert opened["expires"] > 1_700_000_000
        async with door.page() as asking:
            assert "nobody" == await variant(door, "000000")
            await asking.ask()
            asked = await door.desk.result("pairing.wait")
            expected = {"site": SITE, "name": "Facturation", "scopes": ["identity", "nir"]}
            assert expected | {"registrable": "example.fr", "warnings": ["first_seen"]} == asked
            wrong = f"{(int(asking.code) + 1) % 1_000_000:06}"
            more = await door.desk.reason("pairing.accept", {"code": asking.code, "scopes": ["identity", "rights"]})
            assert "not_authorised" == more
            assert ["code", "code", ""] == [await variant(door, wrong) for _ in range(3)]
            assert "" == await variant(door, asking.code)
            assert 1008 == await asking.closed_with()
        assert [] == (await door.desk.result("clients.list"))["clients"]

    at_the_door(work)


async def variant(door: Door, code: str) -> str:
    answer = await door.desk.call("pairing.accept", {"code": code, "scopes": ["identity"]})
    assert 1006 == answer["error"]["code"]
    return str(answer["error"]["data"].get("variant", ""))


def test_outside_of_a_window_a_page_gets_the_refusal_and_the_desk_a_line(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        for number in range(7):
            async with door.page(site=f"https://{number}a.example") as asking:
                with pytest.raises(AssertionError, match="not_authenticated"):
                    await asking.ask()
        opened = await door.desk.result("pairing.open")
        assert [f"https://{number}a.example" for number in (6, 5, 4, 3, 2)] == [
            each["site"] for each in opened["attempts"]
        ]

    at_the_door(work)


def test_the_second_page_of_a_window_gets_the_refusal(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        await door.desk.result("pairing.open")
        async with door.page() as first, door.page(independent.private(8), site="https://evil.example") as second:
            await first.ask()
            with pytest.raises(AssertionError, match="not_authenticated"):
                await second.ask()
            assert SITE == (await door.desk.result("pairing.wait"))["site"]

    at_the_door(work)


def test_a_page_that_leaves_closes_its_window(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        await door.desk.result("pairing.open")
        async with door.page() as asking:
            await asking.ask()
            await door.desk.result("pairing.wait")
        waiting = door.desk.send_call("pairing.wait")
        assert "pairing_failed" == (await door.desk.answer(waiting))["error"]["data"]["reason"]
        assert "" == await variant(door, "000000")

    at_the_door(work)


def test_a_window_that_the_desk_closes_refuses_the_page_that_waits(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        await door.desk.result("pairing.open")
        async with door.page() as asking:
            revealed = await asking.ask()
            await door.desk.result("pairing.wait")
            await door.desk.result("pairing.close")
            assert 1001 == (await asking.answer(revealed))["error"]["code"]
            assert 1008 == await asking.closed_with()

    at_the_door(work)


def test_a_page_that_shows_no_code_keeps_no_place_beyond_its_window(
    at_the_door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = channels.channel_limits

    def shorter(of: StreamLimits) -> StreamLimits:
        return msgspec.structs.replace(limits(of), open_seconds=3.0)

    monkeypatch.setattr(channels, "channel_limits", shorter)

    async def work(door: Door) -> None:
        await door.desk.result("pairing.open")
        async with door.page() as asking:
            commit = independent.commitment(bytes(32))
            asked = {"name": "Page", "scopes": ["identity"], "jwk": independent.jwk(KEY), "commit": commit}
            await asking.result("pairing.request", asked)
            await door.desk.result("pairing.close")
            assert 0 == await asking.closed_with()

    at_the_door(work)


def test_a_station_that_stops_while_a_page_waits_does_stop(tools: Any) -> None:
    async def main() -> None:
        async with AsyncExitStack() as pages:
            async with tools.running(tools.home, parse(CONFIG)) as endpoints, tools.unix_line(endpoints) as desk:
                await desk.open()
                await desk.result("pairing.open")
                asking = await pages.enter_async_context(page(tools.home.host_socket, KEY))
                revealed = await asking.ask()
                await desk.result("pairing.wait")
            assert 1001 == (await asking.answer(revealed))["error"]["code"]

    asyncio.run(main())


def test_a_page_that_is_revoked_is_gone_at_once_and_need_not_come_back(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        client_id = await door.pair()
        async with door.page() as reading, door.page() as again:
            await reading.open()
            assert {"revoked": True, "sessions": 1} == await door.desk.result(
                "clients.revoke", {"client_id": client_id}
            )
            assert 4001 == await reading.closed_with()
            with pytest.raises(AssertionError, match="not_authenticated"):
                await again.open()

    at_the_door(work)


def rotated(station: str, client_id: str, old: Any, new: Any, **altered: Any) -> dict[str, Any]:
    """Parameters of a rotation, as a page makes them."""
    claims = {"aud": station, "client_id": client_id} | {
        "old": independent.thumbprint(old),
        "new": independent.thumbprint(new),
    }
    proofs = {
        "proof_old": independent.signed(claims, old, "vr-rotate+jwt"),
        "proof_new": independent.signed(claims, new, "vr-rotate+jwt"),
    }
    return {"jwk": independent.jwk(new)} | proofs | altered


def test_a_page_turns_its_key(at_the_door: Any) -> None:
    new = independent.private(8)

    async def work(door: Door) -> None:
        client_id = await door.pair()
        async with door.page() as reading:
            station = f"urn:vitale-reader:{(await reading.open())['station']['id']}"
            told = await reading.result("credential.rotate", rotated(station, client_id, KEY, new))
            assert {"kid": independent.thumbprint(new)} == told
            await reading.result("session.ping")
        async with door.page() as stale:
            with pytest.raises(AssertionError, match="not_authenticated"):
                await stale.open()
        async with door.page(new) as reading:
            assert client_id == (await reading.open())["client_id"]

    at_the_door(work)


def test_a_key_is_turned_by_both_keys_only(at_the_door: Any) -> None:
    new, other = independent.private(8), independent.private(9)

    async def work(door: Door) -> None:
        client_id = await door.pair()
        await door.pair(other)
        async with door.page() as reading:
            station = f"urn:vitale-reader:{(await reading.open())['station']['id']}"
            good = rotated(station, client_id, KEY, new)
            for lie in (
                good | {"proof_old": good["proof_new"]},
                good | {"proof_new": good["proof_old"]},
                good | {"jwk": independent.jwk(other)},
                rotated("urn:vitale-reader:other", client_id, KEY, new),
                rotated(station, "page-other", KEY, new),
                rotated(station, client_id, other, new),
                rotated(station, client_id, KEY, other),
                rotated(station, client_id, KEY, KEY),
            ):
                answer = await reading.call("credential.rotate", lie)
                assert "not_authenticated" == answer["error"]["data"]["reason"]
        async with door.page() as reading:
            await reading.open()
        assert "not_authorised" == await door.desk.reason("credential.rotate", good)

    at_the_door(work)


# ── liars ──


def test_every_refusal_is_the_same_bytes(at_the_door: Any) -> None:
    stranger = independent.private(99)

    async def work(door: Door) -> None:
        revoked = independent.private(8)
        client_id = await door.pair(revoked)
        await door.desk.result("clients.revoke", {"client_id": client_id})
        await door.pair()
        asked = {"client_nonce": "n" * 43, "epk": independent.raw(stranger)}
        open_plain = {"protocol": [1], "client": {"name": "x"}}
        told: list[str] = []
        for key, site, method, params in (
            (stranger, SITE, "session.challenge", asked | {"kid": independent.thumbprint(stranger)}),
            (revoked, SITE, "session.challenge", asked | {"kid": independent.thumbprint(revoked)}),
            (KEY, "https://evil.example", "session.challenge", asked | {"kid": independent.thumbprint(KEY)}),
            (KEY, SITE, "session.challenge", asked | {"kid": independent.thumbprint(KEY), "epk": "A" * 87}),
            (KEY, SITE, "session.challenge", {}),
            (KEY, SITE, "session.open", open_plain),
            (KEY, SITE, "session.open", open_plain | {"credential": "guess"}),
            (KEY, SITE, "session.open", open_plain | {"credential": {"kid": "k" * 43, "proof": "a.b.c"}}),
            (KEY, SITE, "session.open", {}),
            (KEY, SITE, "clients.list", {}),
            (KEY, SITE, "clients.add", {"name": "x", "scopes": ["admin"], "transports": ["unix"]}),
            (KEY, SITE, "pairing.open", {}),
            (KEY, SITE, "pairing.accept", {"code": "000000", "scopes": ["identity"]}),
            (KEY, SITE, "pairing.request", {}),
            (KEY, SITE, "pairing.reveal", {"pairing": "p", "nonce_p": "n" * 43}),
            (KEY, SITE, "session.ping", {}),
            (KEY, SITE, "no.such.method", {}),
        ):
            async with door.page(key, site=site) as asking:
                told.append(await refused(asking, method, params))
        assert 1 == len(set(told)), told
        assert [1001] == [json.loads(told[0])["error"]["code"]]

    at_the_door(work)


def lying(altered: dict[str, Any]) -> Callable[[Page], Awaitable[None]]:
    """A page whose proof says something else."""

    async def lie(asking: Page) -> None:
        told, ephemeral, nonce = await asking.challenge()
        opening = {"protocol": [1], "client": {"name": "page"}, "language": "fr"}
        claims = jwt.decode(asking.proof(told, ephemeral, nonce, opening), options={"verify_signature": False})
        proof = independent.signed(claims | altered, asking.key, "vr-session+jwt")
        credential = {"kid": independent.thumbprint(asking.key), "proof": proof}
        await refused(asking, "session.open", opening | {"credential": credential})

    return lie


ALTERED: tuple[dict[str, Any], ...] = (
    {"site": "https://evil.example"},
    {"aud": "urn:vitale-reader:other"},
    {"challenge": "c" * 43},
    {"via": "websocket"},
    {"open": {"protocol": [1], "client": {"name": "other"}, "language": "fr"}},
)


def test_a_proof_for_something_else_opens_nothing(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        await door.pair()
        for altered in ALTERED:
            async with door.page() as asking:
                await lying(altered)(asking)

    at_the_door(work)


def test_a_challenge_is_answered_on_its_own_channel_once_and_in_time(
    at_the_door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = {"protocol": [1], "client": {"name": "page"}, "language": "fr"}

    async def opens(asking: Page) -> dict[str, Any]:
        told, ephemeral, nonce = await asking.challenge()
        proof = asking.proof(told, ephemeral, nonce, opening)
        return opening | {"credential": {"kid": independent.thumbprint(asking.key), "proof": proof}}

    async def work(door: Door) -> None:
        await door.pair()
        async with door.page() as asking, door.page() as other:
            call = await opens(asking)
            await opens(other)
            await refused(other, "session.open", call)
        async with door.page() as asking:
            await asking.challenge()
            with pytest.raises(AssertionError, match="not_authenticated"):
                await asking.challenge()
        monkeypatch.setattr(handshake, "CHALLENGE_SECONDS", 0)
        async with door.page() as asking:
            await refused(asking, "session.open", await opens(asking))

    at_the_door(work)


LIES: tuple[dict[str, Any], ...] = (
    {"via": "websocket"},
    {"via": "unix"},
    {"site": "null"},
    {"site": "http://facturation.example.fr"},
    {"peer_uid": 65_534_000},
    {"host": "anotherextensionthatnobodynamed"},
    {"client_id": "local"},
    {"opened": None},
)


def test_a_preamble_that_lies_is_closed_without_a_word(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        for preamble in LIES:
            async with door.page(preamble=False) as asking:
                asking.send_preamble(**preamble)
                asking.send_call("session.ping")
                assert await asking.receive() is None, preamble

    at_the_door(work)


HOST = """
from vitale_reader.cli import main
main()
"""


def test_a_native_host_that_is_started_by_hand_opens_nothing_without_a_key(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        await door.pair()
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", HOST, "/a/vitale_reader.json", FIREFOX_ID),
            stdin=pipe,
            stdout=pipe,
            env=os.environ | {"VITALE_READER_HOME": str(door.tools.home.config.parent)},
        )
        listing: Json = {"jsonrpc": "2.0", "id": 1, "method": "clients.list", "params": {}}
        said: tuple[Json, ...] = ({"site": SITE}, listing)
        texts = [json.dumps(each).encode() for each in said]
        text = b"".join(len(each).to_bytes(4, sys.byteorder) + each for each in texts)
        async with asyncio.timeout(PATIENCE):
            answer, _ = await process.communicate(text)
        assert b'{"open":true}' in answer
        assert b"not_authenticated" in answer
        assert answer.endswith(b'{"close":1008}')
        assert 0 == process.returncode

    at_the_door(work)


@pytest.mark.parametrize("first", [b'{"jsonrpc":"2.0","id":1,"method":"session.ping","params":{}}', b"", b"x" * 3_000])
def test_nothing_is_answered_before_a_preamble(at_the_door: Any, first: bytes) -> None:
    async def work(door: Door) -> None:
        async with door.page(preamble=False) as asking:
            asking.send_frame(first)
            assert await asking.receive() is None

    at_the_door(work)


PUT_IN = (
    b'{"jsonrpc":"2.0","id":1,"method":"clients.list","params":{}}',
    b'{"n":0,"c":"AAAAAAAAAAAAAAAAAAAAAA"}',
    b'{"n":1,"c":"AAAAAAAAAAAAAAAAAAAAAA"}',
    b'{"close":1000}',
    b'[{"jsonrpc":"2.0","id":1,"method":"session.ping"},\n{"jsonrpc":"2.0","id":2,"method":"clients.list"}]',
)


def test_what_a_gateway_puts_into_an_open_session_ends_it(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        await door.pair()
        for frame in PUT_IN:
            async with door.page() as reading:
                await reading.open()
                reading.send_frame(frame)
                assert 4002 == await reading.closed_with(), frame

    at_the_door(work)


def test_a_frame_that_a_gateway_repeats_ends_the_session(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        await door.pair()
        async with door.page() as reading:
            await reading.open()
            sent: list[bytes] = []
            reading.send_frame, send = sent.append, reading.send_frame
            reading.send_call("session.ping")
            for _ in range(2):
                send(sent[0])
            assert 4002 == await reading.closed_with()

    at_the_door(work)


def test_a_canary_is_in_no_frame_that_a_gateway_carries(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        client_id = await door.pair()
        async with door.page() as reading:
            await reading.open()
            await reading.result("session.ping")
        carried = b"".join(reading.carried)
        assert len(carried) > 1_000
        assert client_id.encode() not in carried
        assert b"jwks" not in carried

    at_the_door(work)


# ── limits ──


def test_a_page_opens_no_more_than_its_sessions(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        await door.pair()
        kept: list[Any] = []
        for _ in range(sessions.PAGE_SESSIONS):
            opening = door.page()
            kept.append(opening)
            await (await opening.__aenter__()).open()
        async with door.page() as one_more:
            with pytest.raises(AssertionError, match="not_authenticated"):
                await one_more.open()
        await kept.pop().__aexit__(None, None, None)
        await asyncio.gather(*(each.__aexit__(None, None, None) for each in kept))

    at_the_door(work)


def test_channels_that_open_nothing_are_few_for_each_site(at_the_door: Any) -> None:
    async def work(door: Door) -> None:
        await door.pair()
        async with door.page() as a, door.page() as b, door.page() as c, door.page() as d:
            for each in (a, b, c, d):
                await each.challenge()
            async with door.page() as fifth:
                fifth.send_call("session.ping")
                assert await fifth.receive() is None
            async with door.page(independent.private(8), site="https://autre.example") as other:
                await refused(other, "session.ping")

    at_the_door(work)


def test_the_door_is_closed_unless_it_was_opened(tools: Any) -> None:
    async def work(_endpoints: Any) -> None:
        assert not tools.home.host_socket.exists()

    tools.run(work)


# ── readings ──

WISH = {"nonce": "n" * 22, "media": ["apcv-qr"]}


@pytest.fixture
def at_a_camera(counter: Any) -> Callable[[Callable[[Door], Awaitable[None]]], None]:
    """Runs a test with a station that has a camera, in the test's hands, and whose web door is open."""

    def run(work: Callable[[Door], Awaitable[None]]) -> None:
        async def main() -> None:
            config = counter.config(rest="[web]\nenabled = true\nport = 0")
            async with counter.station(config) as endpoints, counter.tools.unix_line(endpoints) as desk:
                await desk.open(language="en")
                counter.put_optics()
                await work(Door(counter.tools, desk))

        asyncio.run(main())

    return run


async def taken(reading: Page, request: int) -> None:
    """Waits until a request is armed."""
    while not any(each["params"]["request"] == request for each in reading.notifications):
        message = await reading.receive()
        assert message is not None
        reading.notifications.append(message)


def test_a_page_reads_and_its_token_names_its_site(at_a_camera: Any, counter: Any) -> None:
    async def work(door: Door) -> None:
        client_id = await door.pair()
        async with door.page() as reading:
            opened = await reading.open()
            request = reading.send_call("presentation.request", WISH)
            await taken(reading, request)
            counter.show(b"VITALESIM.page")
            result = (await reading.answer(request))["result"]
        keys = {key["kid"]: jwt.PyJWK.from_dict(key) for key in opened["jwks"]["keys"]}
        key = keys[jwt.get_unverified_header(result["token"])["kid"]]
        claims = jwt.decode(result["token"], key, algorithms=["ES256"], audience=client_id)
        assert (SITE, "n" * 22, "simulated") == (claims["site"], claims["nonce"], claims["origin"])
        async with door.page() as later:
            await later.open()
            (kept,) = (await later.result("outbox.list"))["tokens"]
            assert result["token"] == kept["token"]
            assert {"acked": 1} == await later.result("outbox.ack", {"jti": [kept["jti"]]})

    at_a_camera(work)


def test_a_page_sees_no_other_pages_tokens(at_a_camera: Any, counter: Any) -> None:
    other = independent.private(8)

    async def work(door: Door) -> None:
        await door.pair()
        await door.pair(other)
        async with door.page() as reading, door.page(other) as curious:
            await reading.open()
            await curious.open()
            request = reading.send_call("presentation.request", WISH)
            await taken(reading, request)
            counter.show(b"VITALESIM.page")
            assert "result" in await reading.answer(request)
            assert {"tokens": []} == await curious.result("outbox.list")

    at_a_camera(work)


def test_one_request_of_a_page_waits_in_whichever_tab(at_a_camera: Any) -> None:
    async def work(door: Door) -> None:
        await door.pair()
        async with door.page() as one, door.page() as other:
            await one.open()
            await other.open()
            request = one.send_call("presentation.request", WISH)
            await taken(one, request)
            for tab in (one, other):
                answer = await tab.call("presentation.request", WISH)
                assert ("limit_exceeded", "requests") == (
                    answer["error"]["data"]["reason"],
                    answer["error"]["data"]["limit"],
                )

    at_a_camera(work)


#: Opens a channel once it is told the socket, calls something, and prints how many bytes it was answered.
DRIVER = """
import json, os, socket
with socket.socket(socket.AF_UNIX) as channel:
    channel.connect(input())
    preamble = {"via": "stdio", "site": "https://a.example", "peer_uid": os.getuid(), "host": "EXTENSION", "opened": 1}
    for frame in (preamble, {"jsonrpc": "2.0", "id": 1, "method": "session.ping", "params": {}}):
        text = json.dumps(frame, separators=(",", ":")).encode()
        try:
            channel.sendall(len(text).to_bytes(4, "big") + text)
        except OSError:
            break
    try:
        print(len(channel.recv(1)))
    except ConnectionError:
        print(0)
""".replace("EXTENSION", CHROMIUM_ID)


@pytest.mark.parametrize("is_driver", [True, False])
def test_a_driver_opens_no_channel(
    at_a_camera: Any, counter: Any, monkeypatch: pytest.MonkeyPatch, is_driver: bool
) -> None:
    async def work(door: Door) -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", DRIVER, stdin=pipe, stdout=pipe)
        if is_driver:
            monkeypatch.setattr(counter.desk.supervisor, "processes", frozenset({process.pid}))
        async with asyncio.timeout(PATIENCE):
            told, _ = await process.communicate(f"{door.socket}\n".encode())
        assert (0 if is_driver else 1) == int(told)

    at_a_camera(work)


def test_who_has_gone_when_the_kernel_is_asked_opens_no_channel(
    at_a_camera: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> int:
        raise OSError(errno.ENOTCONN, "gone")

    async def work(door: Door) -> None:
        monkeypatch.setattr(peers, "_peer_uid", gone)
        reader, writer = await open_unix_connection(str(door.socket))
        async with asyncio.timeout(PATIENCE):
            assert b"" == await reader.read()
        writer.close()

    at_a_camera(work)


def test_a_page_does_not_subscribe(at_a_camera: Any) -> None:
    async def work(door: Door) -> None:
        await door.pair()
        async with door.page() as reading:
            await reading.open()
            answer = await reading.call("presentations.subscribe", {"nonce": "n" * 22})
            assert "not_authorised" == answer["error"]["data"]["reason"]

    at_a_camera(work)


def test_a_page_asks_for_no_more_than_was_ticked(at_a_camera: Any) -> None:
    async def work(door: Door) -> None:
        await door.pair(ticked=("identity",))
        async with door.page() as reading:
            await reading.open()
            answer = await reading.call("presentation.request", WISH | {"scopes": ["identity", "nir"]})
            assert {"scopes": ["nir"]} == {"scopes": answer["error"]["data"]["scopes"]}

    at_a_camera(work)
