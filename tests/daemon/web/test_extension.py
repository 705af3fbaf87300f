"""The extension in real browsers: a page of the Internet reads at the desk, and no browser asks whether it may."""

import asyncio
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.web.browsers import Browser, Chromium, Firefox
from tests.daemon.web.pages import PATIENCE, Json
from tests.daemon.web.shops import BROWSERS, NONCE, SANDBOXED, Shop, claims_of
from vitale_protocol.web.extensions import CHROMIUM_ID, FIREFOX_ID, Family
from vitale_reader.web.extension.packing import SOURCE, files
from vitale_reader.web.native.declaring import manifest, own_command

#: Browsers that start and stop on a busy machine.
pytestmark = [pytest.mark.posix, pytest.mark.timeout(600)]

#: Granted without a click, in the extension of the test alone: no permission is asked for where nobody sees it.
HOST = "shop.localhost"
GRANTED = (f"http://{HOST}/*",)

#: A page of the Internet; an extension that is put to sleep as soon as it has nothing to do.
SETTINGS = """user_pref("network.lna.address_space.public.override", "127.0.0.1:PORT");
user_pref("extensions.background.idle.timeout", 500);
"""

#: A call that no page may make.
LISTING: Json = {"jsonrpc": "2.0", "id": 1, "method": "clients.list", "params": {}}

IS_THERE = "!document.dispatchEvent(new Event('vitale-reader.1', { cancelable: true }))"

#: Calls the extension from a window, and tells each word of the answer until the channel has its end.
CALL = """new Promise((told) => {
  const { port1, port2 } = new MessageChannel(), words = [];
  port1.onmessage = ({ data }) => {
    words.push(data);
    if ("open" in data) port1.postMessage(SAID);
    if ("close" in data || "absent" in data) told(words);
  };
  window.postMessage("vitale-reader.1", location.origin, [port2]);
})"""

#: Calls it from a document without an origin, and goes the longer way of a request meanwhile.
SANDBOXED_CALL = """(async () => {
  const { port1, port2 } = new MessageChannel(), words = [];
  port1.onmessage = ({ data }) => words.push(data);
  window.postMessage("vitale-reader.1", "*", [port2]);
  for (let turn = 0; turn < 5; turn++) await fetch("/").catch(() => {});
  return words;
})()"""

#: Calls it as frames of a page might, which are not the page; each answer would be a word.
FRAMES = r"""(async () => {
  window.words = [];
  window.frames_called = () => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => words.push(data);
    return port2;
  };
  const own = document.createElement("iframe");
  document.body.append(own);
  own.contentWindow.eval("parent.postMessage('vitale-reader.1', '*', [parent.frames_called()])");
  const other = document.createElement("iframe");
  other.sandbox = "allow-scripts";
  other.srcdoc = `<script>
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => parent.postMessage({ word: data }, "*");
    parent.postMessage("vitale-reader.1", "*", [port2]);
    parent.postMessage({ there: DISPATCHED }, "*");
  <\/script>`;
  const heard = new Promise((there) => addEventListener("message", ({ data }) => {
    if (data.word) words.push(data.word);
    if ("there" in data) there(data.there);
  }));
  document.body.append(other);
  return await heard;
})()"""

#: The background of the extension, with a browser of the test around it.
BACKGROUND = """(async () => {
  const heard = {}, log = [], scripts = [], granted = ["https://gone.example/*"];
  const event = (name) => ({ addListener: (act) => (heard[name] ??= []).push(act) });
  const fire = (name, ...given) => Promise.all((heard[name] ?? []).map((act) => act(...given)));
  const turns = async () => { for (let turn = 0; turn < 20; turn++) await null; };
  const port = (sender) => {
    const name = `p${heard.ports = (heard.ports ?? 0) + 1}`;
    return { sender, name, onMessage: event(`${name} message`), onDisconnect: event(`${name} end`),
      postMessage: (data) => log.push([name, data]), disconnect: () => log.push([name, "disconnect"]) };
  };
  let consents = false;
  globalThis.browser = {
    action: { onClicked: event("click"), setBadgeText: async () => {}, setTitle: async () => {} },
    i18n: { getMessage: () => "" },
    permissions: {
      onAdded: event("added"), onRemoved: event("removed"),
      request: async ({ origins }) => {
        log.push(["request", ...origins]);
        if (consents) granted.push(...origins);
        return consents;
      },
      getAll: async () => ({ origins: [...granted] }),
      contains: async ({ origins }) => origins.every((each) => granted.includes(each)),
    },
    runtime: {
      id: "me", onInstalled: event("installed"), onStartup: event("startup"), onConnect: event("connect"),
      connectNative: (name) => { log.push(["native", name]); return port({}); },
    },
    scripting: {
      getRegisteredContentScripts: async () => [...scripts],
      registerContentScripts: async (more) => scripts.push(...more),
      unregisterContentScripts: async ({ ids }) => {
        for (const gone of ids) scripts.splice(scripts.findIndex(({ id }) => id === gone), 1);
      },
      executeScript: async ({ files }) => log.push(["execute", ...files]),
    },
  };
  new Function(SOURCE)();
  const ids = () => scripts.map(({ id }) => id);
  const told = {};
  const taken = () => log.splice(0);

  await fire("installed");
  told.installed = ids();
  for (const url of ["chrome://settings/", "file:///a", "about:blank", undefined]) await fire("click", { id: 1, url });
  told.elsewhere = taken();
  await fire("click", { id: 1, url: "https://shop.example:8443/a?b#c" });
  told.refused = [taken(), ids()];
  consents = true;
  await fire("click", { id: 1, url: "https://shop.example:8443/a?b#c" });
  told.granted = [taken(), ids()];

  const origin = "https://shop.example:8443";
  const good = { id: "me", origin, frameId: 0, documentLifecycle: "active", tab: { id: 1 } };
  told.senders = [];
  for (const wrong of [{ id: "other" }, { frameId: 1 }, { documentLifecycle: "prerender" }, { origin: "null" },
                       { origin: undefined }, { origin: "https://shop.example" }, { origin: "moz-extension://a" }]) {
    await fire("connect", port({ ...good, ...wrong, url: "https://shop.example:8443/" }));
    await turns();
    told.senders.push(taken().map(([, what]) => what));
  }
  await fire("connect", port(good));
  await turns();
  told.carried = taken().map(([, what]) => what);
  const others = Array.from({ length: 50 }, () => port(good));
  for (const other of others) await fire("connect", other);
  await turns();
  told.hosts = log.filter(([name]) => name === "native").length;
  const last = others.at(-1);
  told.full = taken().filter(([name]) => name === last.name).map(([, what]) => what);
  for (const other of others.slice(0, 11)) await fire(`${other.name} end`);
  taken();
  granted.length = 0;
  await fire("removed");
  await turns();
  told.removed = [taken().map(([, what]) => what), ids()];
  return told;
})()"""


@BROWSERS
def test_a_page_of_the_internet_reads_by_the_extension_and_nobody_is_asked(
    at_the_shop: Any, counter: Any, tmp_path: Path, kind: type[Browser]
) -> None:
    family: Family = "chromium" if kind is Chromium else "firefox"
    extension = tmp_path / "extension"
    unpack(extension, family)

    async def work(shop: Shop) -> None:
        if isinstance(shop.browser, Firefox):
            await shop.browser.add(extension)
        if isinstance(shop.browser, Chromium):
            await shop.browser.permit("denied")
        await until_there(shop)

        assert "not_paired" == await shop.state("desk.connect()")
        client_id = await shop.pair()
        assert client_id == await shop.connect()
        assert "stdio" == await shop.browser.evaluate("session.via")
        token = await shop.read(b"VITALESIM.extension-1")
        claims = claims_of(token, await shop.browser.evaluate("session.jwks"), client_id)
        site = await shop.browser.evaluate("location.origin")
        assert (site, NONCE, "simulated") == (claims["site"], claims["nonce"], claims["origin"])
        await shop.browser.reload()
        assert client_id == await shop.connect()
        assert [token] == [each["token"] for each in await shop.browser.evaluate("session.recover()")]

        await frames_get_nothing(shop)
        await a_page_names_no_other_site(shop)

        await shop.browser.evaluate("void (window.ended = session.ended)")
        await shop.desk.result("clients.revoke", {"client_id": client_id})
        assert "revoked" == await shop.browser.evaluate("ended.then((why) => why.state)")

        await the_background_takes_what_the_browser_says(shop)
        await pages_without_a_grant_get_nothing(shop)

    def arguments(port: int) -> tuple[str, ...]:
        if kind is Firefox:
            return ()
        public = f"--ip-address-space-overrides=127.0.0.1:{port}=public"
        return (public, f"--disable-extensions-except={extension}", f"--load-extension={extension}")

    def profile(port: int) -> Mapping[str, str]:
        told = manifest(family, own_command(), (CHROMIUM_ID, FIREFOX_ID)).decode()
        if kind is Chromium:
            return {"NativeMessagingHosts/vitale_reader.json": told}
        return {
            ".mozilla/native-messaging-hosts/vitale_reader.json": told,
            "user.js": SETTINGS.replace("PORT", str(port)),
        }

    home = {"VITALE_READER_HOME": str(counter.home.config.parent)}
    at_the_shop(work, kind, arguments, host=HOST, environ=home, files=profile)


def unpack(folder: Path, family: Family, granted: Collection[str] = GRANTED) -> None:
    for name, content in files(family, granted).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


async def until_there(shop: Shop) -> None:
    """Loads the page until the extension is in it: it is added while the browser starts."""
    async with asyncio.timeout(PATIENCE):
        while not await shop.browser.evaluate(IS_THERE):
            await shop.browser.reload()


async def frames_get_nothing(shop: Shop) -> None:
    """Frames of the page call in its window, one of the same origin and one without any: neither is the page."""
    is_there = await shop.browser.evaluate(FRAMES.replace("DISPATCHED", IS_THERE.replace("'", '"')))
    assert not is_there
    # What the extension had taken from them would be answered before what the page asks next is answered twice.
    for _ in range(2):
        told = await shop.browser.evaluate(CALL.replace("SAID", json.dumps(LISTING)))
        assert ({"open": True}, {"close": 1008}) == (told[0], told[-1])
    assert [] == await shop.browser.evaluate("words")


async def a_page_names_no_other_site(shop: Shop) -> None:
    """The site was named by the browser, once; what a page says of it is no message of a session."""
    said = json.dumps({"site": "https://bank.example"})
    told = await shop.browser.evaluate(CALL.replace("SAID", said))
    assert [{"open": True}, "error", {"close": 1008}] == [told[0], *(set(told[1]) & {"error"}), told[-1]]


async def pages_without_a_grant_get_nothing(shop: Shop) -> None:
    """A document without an origin at the address of the site, and the same pages under another name."""
    port = await shop.browser.evaluate("location.port")
    await shop.browser.show(f"http://{HOST}:{port}{SANDBOXED}")
    assert [] == await shop.browser.evaluate(SANDBOXED_CALL)
    await shop.browser.show(f"http://127.0.0.1:{port}/")
    assert not await shop.browser.evaluate(IS_THERE)


async def the_background_takes_what_the_browser_says(shop: Shop) -> None:
    source = json.dumps((SOURCE / "background.js").read_text("utf-8"))
    told = await shop.browser.evaluate(BACKGROUND.replace("SOURCE", source))
    pattern, gone = "https://shop.example:8443/*", "https://gone.example/*"
    assert [gone] == told["installed"]
    assert [] == told["elsewhere"]
    assert [[["request", pattern]], [gone]] == told["refused"]
    assert [[["request", pattern], ["execute", "relay.js"]], [gone, pattern]] == told["granted"]
    assert [["disconnect"]] * 7 == told["senders"]
    assert ["vitale_reader", {"site": "https://shop.example:8443"}] == told["carried"]
    assert (11, [{"close": 1013}, "disconnect"]) == (told["hosts"], told["full"])
    assert [["disconnect", "disconnect"], []] == told["removed"]
