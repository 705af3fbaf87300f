"""The page library in real browsers, beside a daemon whose codes are shown by the test."""

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.web.browsers import REBOUND, Browser, Chromium
from tests.daemon.web.pages import PATIENCE
from tests.daemon.web.shops import BROWSERS, CHROMIUM, NONCE, Shop, claims_of
from vitale_reader.daemon.process import kill

#: Browsers that start and stop on a busy machine.
pytestmark = [pytest.mark.posix, pytest.mark.timeout(600)]


@BROWSERS
def test_a_page_is_paired_reads_and_lives_through_a_reload_and_a_gateway_that_dies(
    at_the_shop: Any, kind: type[Browser]
) -> None:
    async def work(shop: Shop) -> None:
        assert "not_paired" == await shop.state("desk.connect()")
        client_id = await shop.pair()
        assert client_id == await shop.connect()
        for title in ("", "é" * 150):  # the name of a page that gives itself none
            await shop.browser.evaluate(f"void (document.title = {json.dumps(title)})")
            opened = "new library.VitaleReader({ port: desk.port }).connect()"
            assert client_id == await shop.browser.evaluate(f"{opened}.then((made) => (made.close(), made.clientId))")

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


#: Puts a gateway in the place of all others that answers by itself, with a station's key of its own.
LYING = """(async () => {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]);
  const station_jwk = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const results = {
    "pairing.request": { pairing: "p", station_jwk, nonce_d: "A".repeat(43) },
    "pairing.reveal": { client_id: "false", scopes: ["identity"] },
  };
  window.honest = WebSocket;
  window.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    constructor() { setTimeout(() => this.onopen()); }
    close() { this.onclose?.({ code: 1000 }); }
    send(text) {
      const { id, method } = JSON.parse(text);
      setTimeout(() => this.onmessage({ data: JSON.stringify({ jsonrpc: "2.0", id, result: results[method] }) }));
    }
  };
})()"""


@BROWSERS
def test_another_station_in_the_place_of_the_paired_one_is_told_as_that(at_the_shop: Any, kind: type[Browser]) -> None:
    async def work(shop: Shop) -> None:
        # Whoever carries the frames says that the desk accepted: the page's person knows better, if asked.
        await shop.browser.evaluate(LYING)
        pair = "desk.pair({ name: 'a', scopes: ['identity'], onCode: () => {}"
        assert "wrong_daemon" == await shop.state(f"{pair}, confirm: async () => false }})")
        assert not await shop.browser.evaluate("desk.isPaired()")
        assert "" == await shop.state(f"{pair} }})")
        await shop.browser.evaluate("void (window.WebSocket = window.honest)")
        # What it pinned then is the key of no station here.
        assert "unreachable" == await shop.state("desk.connect()")

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


#: All that a page can send without a handshake, and what it hears of it.
KNOCKS = """(async (host) => {
  const url = `http://${host}:${desk.port}/v1`;
  const tried = (given) => fetch(url, given).then((answer) => answer.type, (error) => error.name);
  const body = '{"jsonrpc":"2.0","id":1,"method":"session.ping","params":{}}';
  const heard = await Promise.all([
    tried({}),
    tried({ credentials: "include" }),
    tried({ method: "POST", body }),
    tried({ method: "POST", mode: "no-cors", body }),
    tried({ method: "POST", body, headers: { "Content-Type": "application/json" } }),
  ]);
  navigator.sendBeacon(url, body);
  const frame = Object.assign(document.createElement("iframe"), { name: "answer" });
  const sent = { action: url, method: "post", enctype: "text/plain", target: "answer" };
  const form = Object.assign(document.createElement("form"), sent);
  form.append(Object.assign(document.createElement("input"), { name: body }));
  document.body.append(frame, form);
  const answered = new Promise((loaded) => (frame.onload = loaded));
  form.submit();
  await answered;
  frame.remove();
  form.remove();
  return [...new Set(heard)];
})"""

#: What becomes of a socket to a name.
DIALS = """((host) => new Promise((ended) => {
  const socket = new WebSocket(`ws://${host}:${desk.port}/v1`, "vitale-reader.1");
  socket.onclose = ({ code }) => ended(code);
}))"""


async def knocks_in_vain(shop: Shop) -> None:
    """Whatever it sends without a handshake is not even asked about."""
    assert ["TypeError"] == await shop.browser.evaluate(f"{KNOCKS}('127.0.0.1')")
    if isinstance(shop.browser, Chromium):
        # A name that the page's owner has lead here: somebody is at that address, and tells nothing.
        site = "http://" + (await shop.browser.evaluate("location.host")).replace("127.0.0.1", REBOUND)
        there = f"fetch('{site}', {{ mode: 'no-cors' }}).then((answer) => answer.type)"
        assert "opaque" == await shop.browser.evaluate(there)
        assert ["TypeError"] == await shop.browser.evaluate(f"{KNOCKS}('{REBOUND}')")
        assert 1006 == await shop.browser.evaluate(f"{DIALS}('{REBOUND}')")
    assert "attempts" not in await shop.desk.result("pairing.open")
    await shop.desk.result("pairing.close")


@BROWSERS
def test_a_page_that_nobody_waits_for_sees_what_it_would_of_a_closed_port(
    at_the_shop: Any, kind: type[Browser]
) -> None:
    async def work(shop: Shop) -> None:
        await knocks_in_vain(shop)
        ask = "desk.pair({ name: 'a', scopes: ['identity'], onCode: () => {} })"
        assert "unreachable" == await shop.state(ask)
        closed = "new library.VitaleReader({ port: 9 }).pair({ name: 'a', scopes: ['identity'], onCode: () => {} })"
        assert "unreachable" == await shop.state(closed)
        attempts = (await shop.desk.result("pairing.open"))["attempts"]
        assert [await shop.browser.evaluate("location.origin")] == [each["site"] for each in attempts]

    at_the_shop(work, kind)


#: Makes the page one that the browser prepared in advance, and notes whether it was shown whenever it dials.
PREPARED = """(() => {
  Object.defineProperty(document, "prerendering", { value: true, configurable: true });
  window.dialled = [];
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      dialled.push(Boolean(document.prerendering));
      super(...given);
    }
  };
})()"""

SHOWN = "void (delete document.prerendering, document.dispatchEvent(new Event('prerenderingchange')))"

GIVEN_UP = """(async () => {
  const end = new AbortController();
  const asking = desk.pair({ name: "a", scopes: ["identity"], onCode: () => {}, signal: end.signal });
  setTimeout(() => end.abort());
  return asking.catch((why) => why.name);
})()"""


@BROWSERS
def test_a_page_that_is_not_shown_yet_does_not_dial(at_the_shop: Any, kind: type[Browser]) -> None:
    async def work(shop: Shop) -> None:
        await shop.browser.evaluate(PREPARED)
        assert "AbortError" == await shop.browser.evaluate(GIVEN_UP)
        ask = "desk.pair({ name: 'a', scopes: ['identity'], onCode: () => {} })"
        await shop.browser.evaluate(f"void (window.asking = failed({ask}))")
        for _ in range(20):  # it would have dialled by then
            await shop.browser.evaluate("fetch('/').then(() => 0)")
        await shop.browser.evaluate(SHOWN)
        assert "unreachable" == await shop.browser.evaluate("asking")
        assert [False] == await shop.browser.evaluate("dialled")

    at_the_shop(work, kind)


@BROWSERS
def test_a_policy_that_does_not_name_the_desk_is_told_as_that(at_the_shop: Any, kind: type[Browser]) -> None:
    async def work(shop: Shop) -> None:
        ask = "desk.pair({ name: 'a', scopes: ['identity'], onCode: () => {} })"
        assert "blocked_by_csp" == await shop.state(ask)

    policy = {"Content-Security-Policy": "connect-src 'self'"}
    at_the_shop(work, kind, headers=policy)


def public(port: int) -> tuple[str, ...]:
    """Makes a page of this machine one of the Internet."""
    return (f"--ip-address-space-overrides=127.0.0.1:{port}=public",)


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

    at_the_shop(work, Chromium, public, host="shop.localhost")


#: Where Chromium of Debian reads what administrators decide; a test may write there only as root.
POLICIES = Path("/etc/chromium/policies/managed")
#: No other test uses this name: browsers that start meanwhile read the same decisions.
LET_IN = "http://let-in.localhost"
ADMINISTRATOR = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="policies of a browser are the administrator's"
)


@contextmanager
def policy(**decided: Any) -> Generator[None]:
    """An administrator's decision, for browsers that start within."""
    made = [each for each in (POLICIES, *POLICIES.parents) if not each.exists()]
    POLICIES.mkdir(parents=True, exist_ok=True)
    file = POLICIES / f"vitale-reader-test-{os.getpid()}.json"
    file.write_text(json.dumps(decided))
    try:
        yield
    finally:
        file.unlink()
        for folder in made:
            folder.rmdir()


@CHROMIUM
@ADMINISTRATOR
def test_a_page_of_the_internet_is_let_in_by_policy_and_never_in_a_frame(at_the_shop: Any) -> None:
    async def work(shop: Shop) -> None:
        assert "granted" == await shop.browser.evaluate(
            "navigator.permissions.query({ name: 'loopback-network' }).then((each) => each.state)"
        )
        client_id = await shop.pair()
        assert client_id == await shop.connect()
        # The same page in a frame of another site: its storage and its permissions would be another's.
        framed = await shop.browser.evaluate(
            "new Promise((told) => { const frame = document.createElement('iframe');"
            " frame.allow = 'loopback-network; local-network-access';"
            " addEventListener('message', ({ data }) => told(data), { once: true });"
            " frame.src = location.href.replace('let-in.localhost', 'other.localhost') + 'framed.html';"
            " document.body.append(frame); })"
        )
        assert ["embedded", "embedded"] == framed

    with policy(LoopbackNetworkAllowedForUrls=[LET_IN], LocalNetworkAccessAllowedForUrls=[LET_IN]):
        at_the_shop(work, Chromium, public, host="let-in.localhost")
