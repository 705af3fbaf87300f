"""The page library in real browsers, beside a daemon whose codes are shown by the test."""

import asyncio
import functools
import json
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest

import vitale_reader.web
from tests.daemon.web.browsers import Browser, Chromium, Firefox, browser, is_installed
from tests.daemon.web.pages import PATIENCE
from vitale_reader.daemon.process import kill

LIBRARY = Path(vitale_reader.web.__file__).parent / "page" / "vitale-reader.js"
NONCE = "n" * 22
PAGE = """<!doctype html><meta charset="utf-8"><title>Facturation</title><script type="module">
import * as library from "./vitale-reader.js";
window.desk = new library.VitaleReader({ port: PORT, language: "fr" });
window.library = library;
window.failed = (promise) => promise.then(() => "", (error) => error.state ?? String(error));
</script>"""

#: Browsers that start and stop on a busy machine.
pytestmark = [pytest.mark.posix, pytest.mark.timeout(600)]
BROWSERS = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=pytest.mark.skipif(not is_installed(kind), reason=f"{kind.program} is not installed"),
            id=kind.program,
        )
        for kind in (Chromium, Firefox)
    ],
)
CHROMIUM = pytest.mark.skipif(not is_installed(Chromium), reason="chromium is not installed")


class Quiet(SimpleHTTPRequestHandler):
    """The billing software's server."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its base names it so
        """Nothing: nobody reads it."""


@contextmanager
def serving(folder: Path, headers: dict[str, str] | None = None) -> Generator[int]:
    """Serves a folder; gives the port."""

    class Handler(Quiet):
        def end_headers(self) -> None:
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            super().end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Shop:
    """A station, its desk, and a browser that shows a page of billing software."""

    def __init__(self, shown: Any, counter: Any, desk: Any, gateway: int) -> None:
        self.browser, self.counter, self.desk, self.gateway = shown, counter, desk, gateway

    async def pair(self, scopes: tuple[str, ...] = ("identity", "nir")) -> str:
        """Pairs the page; its client id."""
        await self.desk.result("pairing.open")
        code = await self.browser.evaluate(
            "new Promise((shown, failed) => { window.paired = desk.pair("
            f"{{ name: 'Facturation', scopes: {json.dumps(scopes)}, onCode: shown }}); paired.catch(failed); }})"
        )
        asked = await self.desk.result("pairing.wait")
        assert asked["site"] == await self.browser.evaluate("location.origin")
        accepted = await self.desk.result("pairing.accept", {"code": code, "scopes": [*scopes]})
        paired = await self.browser.evaluate("paired")
        assert {"clientId": accepted["client_id"], "scopes": [*scopes]} == paired
        return str(accepted["client_id"])

    async def connect(self, patience: int = 0) -> str:
        """Opens a session; the page's client id."""
        return str(
            await self.browser.evaluate(
                f"desk.connect({{ patience: {patience} }}).then((made) => (window.session = made).clientId)"
            )
        )

    async def read(self, string: bytes) -> str:
        """Shows a code to the camera once the page waits for one; its token."""
        await self.browser.evaluate(
            "new Promise((armed, failed) => { window.reading = session.read("
            f"{{ nonce: '{NONCE}', media: ['apcv-qr'] }}, {{ onProgress: () => armed() }}); reading.catch(failed); }})"
        )
        self.counter.show(string)
        return str(await self.browser.evaluate("reading.then((read) => read.token)"))

    async def state(self, promise: str) -> str:
        """The state that a promise fails with; empty where it does not."""
        return str(await self.browser.evaluate(f"failed({promise})"))


Work = Callable[[Shop], Awaitable[None]]


@pytest.fixture
def at_the_shop(counter: Any, tmp_path: Path) -> Callable[..., None]:
    """Runs a test with a station and a browser."""

    @asynccontextmanager
    async def opened(
        kind: type[Browser], arguments: Callable[[int], tuple[str, ...]], headers: dict[str, str], host: str
    ) -> AsyncGenerator[Shop]:
        config = counter.config(rest="[web]\nenabled = true\nport = 0")
        async with counter.station(config) as endpoints, counter.tools.unix_line(endpoints) as desk:
            await desk.open(language="en")
            counter.put_optics()
            gateway = endpoints.web.port
            folder = tmp_path / "site"
            folder.mkdir()
            (folder / "index.html").write_text(PAGE.replace("PORT", str(gateway)))
            (folder / LIBRARY.name).write_bytes(LIBRARY.read_bytes())
            with serving(folder, headers) as port:
                async with browser(kind, tmp_path / "profile", *arguments(port)) as shown:
                    await shown.show(f"http://{host}:{port}/")
                    yield Shop(shown, counter, desk, gateway)

    def run(
        work: Work,
        kind: type[Browser],
        arguments: Callable[[int], tuple[str, ...]] = lambda _port: (),
        *,
        headers: dict[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        async def main() -> None:
            async with opened(kind, arguments, headers or {}, host) as shop:
                await work(shop)

        asyncio.run(main())

    return run


def claims_of(token: str, keys: Any, client_id: str) -> dict[str, Any]:
    """The claims, as the billing software's server verifies them."""
    known = {key["kid"]: jwt.PyJWK.from_dict(key) for key in keys["keys"]}
    key = known[jwt.get_unverified_header(token)["kid"]]
    return dict(jwt.decode(token, key, algorithms=["ES256"], audience=client_id))


@BROWSERS
def test_a_page_is_paired_reads_and_lives_through_a_reload_and_a_gateway_that_dies(
    at_the_shop: Any, kind: type[Browser]
) -> None:
    async def work(shop: Shop) -> None:
        assert "not_paired" == await shop.state("desk.connect()")
        client_id = await shop.pair()
        assert client_id == await shop.connect()

        token = await shop.read(b"VITALESIM.browser-1")
        claims = claims_of(token, await shop.browser.evaluate("session.jwks"), client_id)
        site = await shop.browser.evaluate("location.origin")
        assert (site, NONCE, "simulated") == (claims["site"], claims["nonce"], claims["origin"])
        checked = f"library.verify({json.dumps(token)}, {{ ...session, nonce: '{NONCE}' }})"
        assert claims["jti"] == await shop.browser.evaluate(f"{checked}.then((found) => found.jti)")
        forged = f"library.verify({json.dumps(token[:-8] + 'AAAAAAAA')}, {{ ...session, nonce: '{NONCE}' }})"
        assert "error" == await shop.state(forged)

        await shop.browser.reload()
        assert client_id == await shop.connect()
        kept = await shop.browser.evaluate("session.recover()")
        assert [token] == [each["token"] for each in kept]
        await shop.browser.evaluate(f"session.acknowledge([{json.dumps(kept[0]['jti'])}])")
        assert [] == await shop.browser.evaluate("session.recover()")

        await shop.browser.evaluate("void (window.ended = session.ended)")
        kill((await shop.desk.result("station.info"))["gateway"]["pid"])
        assert "unreachable" == await shop.browser.evaluate("ended.then((why) => why.state)")
        assert client_id == await shop.connect(patience=int(PATIENCE * 1_000))
        assert token != await shop.read(b"VITALESIM.browser-2")

        await shop.browser.evaluate("void (window.ended = session.ended)")
        await shop.desk.result("clients.revoke", {"client_id": client_id})
        assert "revoked" == await shop.browser.evaluate("ended.then((why) => why.state)")

    at_the_shop(work, kind)


@BROWSERS
def test_nothing_of_a_token_is_kept_by_the_browser(at_the_shop: Any, kind: type[Browser]) -> None:
    async def work(shop: Shop) -> None:
        await shop.pair()
        await shop.connect()
        await shop.read(b"VITALESIM.browser-3")
        kept = await shop.browser.evaluate(
            "(async () => [(await indexedDB.databases()).map((each) => each.name), localStorage.length,"
            " sessionStorage.length, document.cookie, (await caches.keys()).length])()"
        )
        assert [["vitale-reader"], 0, 0, "", 0] == kept
        key = (
            "new Promise((found) => { const opening = indexedDB.open('vitale-reader'); opening.onsuccess = () => {"
            " const all = opening.result.transaction('desks').objectStore('desks').getAll();"
            " all.onsuccess = () => { opening.result.close(); found(all.result); }; }; })"
        )
        assert [["key", "kid", "stationJwk"]] == await shop.browser.evaluate(
            f"{key}.then((all) => all.map((each) => Object.keys(each).sort()))"
        )
        assert "InvalidAccessError" == await shop.browser.evaluate(
            f"{key}.then(([each]) => crypto.subtle.exportKey('jwk', each.key)).catch((error) => error.name)"
        )

    at_the_shop(work, kind)


@BROWSERS
def test_another_station_in_the_place_of_the_paired_one_is_told_as_that(at_the_shop: Any, kind: type[Browser]) -> None:
    async def work(shop: Shop) -> None:
        await shop.pair()
        # The page pinned another station's key than the one that answers.
        await shop.browser.evaluate(
            "new Promise((done) => { const opening = indexedDB.open('vitale-reader'); opening.onsuccess = async () => {"
            " const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign']);"
            " const stationJwk = await crypto.subtle.exportKey('jwk', pair.publicKey);"
            " const desks = opening.result.transaction('desks', 'readwrite').objectStore('desks');"
            " const kept = desks.get('desk'); kept.onsuccess = () => {"
            " const put = desks.put({ ...kept.result, stationJwk }, 'desk');"
            " put.onsuccess = () => { opening.result.close(); done(); }; }; }; })"
        )
        assert "wrong_daemon" == await shop.state("desk.connect()")

    at_the_shop(work, kind)


@BROWSERS
def test_a_page_that_nobody_waits_for_sees_what_it_would_of_a_closed_port(
    at_the_shop: Any, kind: type[Browser]
) -> None:
    async def work(shop: Shop) -> None:
        ask = "desk.pair({ name: 'a', scopes: ['identity'], onCode: () => {} })"
        assert "unreachable" == await shop.state(ask)
        closed = "new library.VitaleReader({ port: 9 }).pair({ name: 'a', scopes: ['identity'], onCode: () => {} })"
        assert "unreachable" == await shop.state(closed)
        attempts = (await shop.desk.result("pairing.open"))["attempts"]
        assert [await shop.browser.evaluate("location.origin")] == [each["site"] for each in attempts]

    at_the_shop(work, kind)


@BROWSERS
def test_a_policy_that_does_not_name_the_desk_is_told_as_that(at_the_shop: Any, kind: type[Browser]) -> None:
    async def work(shop: Shop) -> None:
        ask = "desk.pair({ name: 'a', scopes: ['identity'], onCode: () => {} })"
        assert "blocked_by_csp" == await shop.state(ask)

    policy = {"Content-Security-Policy": "connect-src 'self'"}
    at_the_shop(work, kind, headers=policy)


@CHROMIUM
def test_a_page_of_the_internet_needs_the_browsers_permission(at_the_shop: Any) -> None:
    async def work(shop: Shop) -> None:
        ask = "desk.pair({ name: 'a', scopes: ['identity'], onCode: () => {} })"
        await shop.browser.permit("denied")
        assert "permission_denied" == await shop.state(ask)
        await shop.browser.permit("granted")
        client_id = await shop.pair()
        assert client_id == await shop.connect()
        await shop.read(b"VITALESIM.public")

    def public(port: int) -> tuple[str, ...]:
        return (f"--ip-address-space-overrides=127.0.0.1:{port}=public",)

    at_the_shop(work, Chromium, public, host="shop.localhost")
