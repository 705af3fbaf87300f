"""A station, and a browser that shows a page of billing software beside it."""

import functools
import json
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest

import vitale_reader.web
from tests.daemon.web.browsers import Browser, Chromium, Firefox, is_installed

LIBRARY = Path(vitale_reader.web.__file__).parent / "page" / "vitale-reader.js"
NONCE = "n" * 22
PAGE = """<!doctype html><meta charset="utf-8"><title>Facturation</title><script type="module">
import * as library from "./vitale-reader.js";
window.desk = new library.VitaleReader({ port: PORT, language: "fr" });
window.library = library;
window.failed = (promise) => promise.then(() => "", (error) => error.state ?? String(error));
</script>"""
FRAMED = """<!doctype html><meta charset="utf-8"><script type="module">
import * as library from "./vitale-reader.js";
const desk = new library.VitaleReader({ port: PORT });
const failed = (promise) => promise.then(() => "", (error) => error.state ?? String(error));
const ask = { name: "a", scopes: ["identity"], onCode: () => {} };
parent.postMessage([await failed(desk.pair(ask)), await failed(desk.connect())], "*");
</script>"""


def asked(kind: type[Browser], *marks: pytest.MarkDecorator, more: Mapping[str, object] | None = None) -> Any:
    """A browser as an argument of a test, where it is installed; more arguments, by their words in the test's name."""
    missing = pytest.mark.skipif(not is_installed(kind), reason=f"{kind.program} is not installed")
    name = " ".join((kind.program, *(more or {})))
    return pytest.param(kind, *(more or {}).values(), marks=(missing, *marks), id=name)


BROWSERS = pytest.mark.parametrize("kind", [asked(Chromium), asked(Firefox)])
#: For what shows no more of Firefox than tests of the page library and the dashboard do: that one in the soak.
FIREFOX_IN_THE_SOAK = pytest.mark.parametrize("kind", [asked(Chromium), asked(Firefox, pytest.mark.soak)])
CHROMIUM = pytest.mark.skipif(not is_installed(Chromium), reason="chromium is not installed")


#: A page whose document has no origin, though its address is that of the site.
SANDBOXED = "/?sandboxed"


class Quiet(SimpleHTTPRequestHandler):
    """The billing software's server."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its base names it so
        """Nothing: nobody reads it."""


@contextmanager
def serving(folder: Path, headers: Mapping[str, str]) -> Generator[int]:
    """Serves a folder; gives the port."""

    class Handler(Quiet):
        def end_headers(self) -> None:
            if self.path == SANDBOXED:
                self.send_header("Content-Security-Policy", "sandbox allow-scripts")
            for name, value in headers.items():
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


@asynccontextmanager
async def opened(
    counter: Any,
    folder: Path,
    shown_by: Callable[[int], AbstractAsyncContextManager[Browser]],
    *,
    headers: Mapping[str, str],
    host: str,
) -> AsyncGenerator[Shop]:
    """A station whose web door is open, and a browser that shows a page of another site.

    Args:
        counter: has a camera.
        folder: of the test.
        shown_by: makes the browser, by the port of the site.
        headers: that the site sends.
        host: of the site.
    """
    config = counter.config(rest="[web]\nenabled = true\nport = 0")
    async with counter.station(config) as endpoints, counter.tools.unix_line(endpoints) as desk:
        await desk.open(language="en")
        counter.put_optics()
        gateway = endpoints.web.port
        site = folder / "site"
        site.mkdir()
        (site / "index.html").write_text(PAGE.replace("PORT", str(gateway)))
        (site / "framed.html").write_text(FRAMED.replace("PORT", str(gateway)))
        (site / LIBRARY.name).write_bytes(LIBRARY.read_bytes())
        with serving(site, headers) as port:
            async with shown_by(port) as shown:
                await shown.show(f"http://{host}:{port}/")
                yield Shop(shown, counter, desk, gateway)


def claims_of(token: str, keys: Any, client_id: str) -> dict[str, Any]:
    """The claims, as the billing software's server verifies them."""
    known = {key["kid"]: jwt.PyJWK.from_dict(key) for key in keys["keys"]}
    key = known[jwt.get_unverified_header(token)["kid"]]
    return dict(jwt.decode(token, key, algorithms=["ES256"], audience=client_id))
