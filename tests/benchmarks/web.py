"""The door for web pages: how alike refusals of its port are, what floods of it cost others, a page's ping beside a
socket's, through the gateway and by native messaging.

Everything is measured on one daemon, in one run: compare figures of one table alone.
"""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

import vitale_reader.web
from tests.benchmarks import web_at_work
from tests.benchmarks.blocking_page import blocking_page
from tests.benchmarks.floods import FLOODING, Client
from tests.benchmarks.native_host import host_page, start_line
from tests.benchmarks.processes import MEBIBYTE, resident
from tests.benchmarks.table import MILLISECONDS, Measure, compared_with_unix, p50, p95
from tests.benchmarks.web_desk import configured, pair, serving
from tests.benchmarks.web_flood import KINDS, handshake
from tests.daemon.web.browsers import Browser, Chromium, Firefox, browser, is_installed
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home

__all__ = ["lines"]

FLOOD = Path(__file__).with_name("web_flood.py")
LIBRARY = Path(vitale_reader.web.__file__).parent / "page" / "vitale-reader.js"
KEY = ec.derive_private_key(7, ec.SECP256R1())
REVOKED = ec.derive_private_key(8, ec.SECP256R1())
SITE, REVOKED_SITE = "https://facturation.example.fr", "https://ancien.example.fr"

#: How far the medians of refusals may lie apart; how much slower others may be; memory of the gateway, in MiB.
APART, TIMES, MOST_MEMORY = 0.10, 3.0, 45
#: Seconds between two pings of a page, which makes ten calls a second at most; a socket's have the same pace.
PACE = 0.11
#: Milliseconds that a page's ping may take more than a socket's, by the gateway and by a native host.
MORE, MORE_BY_A_HOST = 1.0, 3.0
#: Readings of a page for each start of a native host that is measured.
STARTS = 20

PAGE = """<!doctype html><meta charset="utf-8"><title>bench</title><script type="module">
import * as library from "./vitale-reader.js";
window.desk = new library.VitaleReader({ port: PORT });
const echo = new WebSocket("ws://127.0.0.1:ECHO/");
await new Promise((open) => (echo.onopen = open));
const sealing = { name: "AES-GCM", iv: new Uint8Array(12) };
const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
const alone = async () => {
  const sealed = await crypto.subtle.encrypt(sealing, key, new Uint8Array(64));
  const answer = new Promise((told) => (echo.onmessage = told));
  echo.send("x".repeat(128));
  await answer;
  await crypto.subtle.decrypt(sealing, key, sealed);
};
const marks = { sent: 0, came: 0 };
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  marks.sent = performance.now();
  send.call(this, data);
};
window.times = async (count) => {
  const found = { ping: [], alone: [], sealing: [], under_way: [], opening: [] };
  const calls = { ping: () => window.session.call("session.ping"), alone };
  const { socket } = window.session.channel;
  const take = socket.onmessage;
  socket.onmessage = (event) => {
    marks.came = performance.now();
    take.call(socket, event);
  };
  for (let number = 0; number < count; number++) {
    for (const [name, call] of Object.entries(calls)) {
      await new Promise((done) => setTimeout(done, PACE));
      const began = performance.now();
      await call();
      const ended = performance.now();
      found[name].push(ended - began);
      if (name !== "ping") continue;
      found.sealing.push(marks.sent - began);
      found.under_way.push(marks.came - marks.sent);
      found.opening.push(ended - marks.came);
    }
  }
  return found;
};
</script>"""


def lines(samples: int, idle: float, say: Callable[[str], None], kinds: Sequence[str] = tuple(KINDS)) -> list[Measure]:
    """Refusals, floods, latency, and the web at work.

    Args:
        samples: calls for each figure.
        idle: seconds over which a load is taken.
        say: what is being done, for people.
        kinds: which floods.
    """
    with tempfile.TemporaryDirectory(prefix="vitale-web-") as folder:
        slot = Path(folder) / "slot"
        home = configured(Path(folder), web_at_work.card_reader(slot))
        with serving(home) as (path, port), Client(path) as desk:
            asyncio.run(pair(desk, port, KEY, SITE))
            desk.call("clients.revoke", client_id=asyncio.run(pair(desk, port, REVOKED, REVOKED_SITE)))
            say(t("Refus…", "Refusals…"))
            measures = _refusals(port, samples)
            say(t("Ping d’une page…", "A page's ping…"))
            measures += asyncio.run(_latency(desk, home, port, Path(folder), samples))
            measures.append(asyncio.run(start_line(home, KEY, max(2, samples // STARTS))))
            say(t("Carte → jeton, par une page…", "Card → token, for a page…"))
            measures += web_at_work.lines(desk, home, port, slot, samples)
            for kind in kinds:
                say(t(f"Inondation : {kind}…", f"Flood: {kind}…"))
                measures += _under(kind, desk, port, samples)
    say(t("Mémoire…", "Memory…"))
    measures.append(web_at_work.memory())
    if is_installed(Chromium):
        say(t("Tableau de bord ouvert, puis fermé…", "The dashboard open, then closed…"))
        measures += asyncio.run(web_at_work.dashboard(idle))
    return measures


# ── refusals ──


def _refusals(port: int, samples: int) -> list[Measure]:
    """Every kind of refused request, one after the other and again: whatever slows the machine slows each."""
    good = handshake(port, SITE)
    requests = {
        t("site inconnu", "unknown site"): handshake(port, "https://inconnu.example"),
        t("site révoqué", "revoked site"): handshake(port, REVOKED_SITE),
        t("autre chemin", "other path"): good.replace(b"/v1", b"/v2"),
        t("autre hôte", "other host"): good.replace(b"Host: 127.0.0.1", b"Host: evil.test"),
        t("sans Origin", "no Origin"): good.replace(f"Origin: {SITE}\r\n".encode(), b""),
        "Origin: null": good.replace(SITE.encode(), b"null"),
        "Sec-Purpose": good.replace(b"Upgrade: websocket", b"Sec-Purpose: prefetch\r\nUpgrade: websocket"),
        "POST": good.replace(b"GET", b"POST"),
    }
    times: dict[str, list[float]] = {name: [] for name in requests}
    told: set[bytes] = set()
    for _ in range(samples):
        for name, request in requests.items():
            began = time.perf_counter()
            told.add(_answer(port, request))
            times[name].append(time.perf_counter() - began)
    assert len(told) == 1, "refusals differ in their bytes"
    medians = {name: p50(found) for name, found in times.items()}
    fastest = min(medians.values())
    promise = t(f"médianes à {APART:.0%} près", f"medians within {APART:.0%}")
    return [
        Measure(
            name=t(f"refus, {name}", f"refusal, {name}"),
            unit="ms",
            baseline=t("le plus rapide", "the fastest"),
            baseline_p50=fastest * MILLISECONDS,
            ours=t("refus", "refusal"),
            p50=median * MILLISECONDS,
            p95=p95(times[name]) * MILLISECONDS,
            promise=promise,
            kept=median <= fastest * (1 + APART),
        )
        for name, median in medians.items()
    ]


def _answer(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(request)
        answer = b""
        while data := line.recv(4_096):
            answer += data
        return answer


# ── floods ──


def _under(kind: str, desk: Client, port: int, samples: int) -> list[Measure]:
    quiet = desk.times(samples)
    command = (sys.executable, "-P", str(FLOOD), kind, str(port), SITE)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            if program.stdout.readline() != b"ready\n":
                raise ChildProcessError(f"the flood did not begin: {kind}")
            threading.Event().wait(FLOODING)
            flooded = desk.times(samples)
            gateway = desk.call("station.info")["gateway"]
            memory = resident(gateway["pid"]) / MEBIBYTE
            if program.poll() is not None:
                raise ChildProcessError(f"the flood ended before all was measured: {kind}")
        finally:
            program.kill()
    assert not gateway.get("restarts"), "the gateway did not live through it"
    return [
        Measure(
            name=f"ping, {kind}",
            unit="ms",
            baseline=t("au calme", "quiet"),
            baseline_p50=p50(quiet["ping"]) * MILLISECONDS,
            baseline_p95=p95(quiet["ping"]) * MILLISECONDS,
            ours=t("dans l'inondation", "in the flood"),
            p50=p50(flooded["ping"]) * MILLISECONDS,
            p95=p95(flooded["ping"]) * MILLISECONDS,
            promise=t(f"p95 < {TIMES:g} × au calme", f"p95 < {TIMES:g} × quiet"),
            kept=p95(flooded["ping"]) < TIMES * p95(quiet["ping"]),
        ),
        Measure(
            name=t(f"mémoire, {kind}", f"memory, {kind}"),
            unit="MiB",
            ours=t("passerelle", "gateway"),
            p50=memory,
            promise=f"≤ {MOST_MEMORY} MiB",
            kept=memory <= MOST_MEMORY,
        ),
    ]


# ── latency ──


async def _latency(desk: Client, home: Home, port: int, folder: Path, samples: int) -> list[Measure]:
    """Pings of pages, each way beside the socket's own in the same seconds: what slows the machine slows both."""
    by_a_host = t("hôte natif, Python", "native host, Python")
    async with blocking_page(port, KEY, SITE) as reading:
        measures = [_line("WebSocket, Python", *_by_turns(desk, lambda: reading.call("session.ping"), samples))]
    async with host_page(home, KEY, SITE) as page:
        await page.open()
        unix, ours = list[float](), list[float]()
        for _ in range(samples):
            unix += await asyncio.to_thread(desk.pings, 1, PACE / 2)
            await asyncio.sleep(PACE / 2)
            began = time.perf_counter()
            await page.result("session.ping")
            ours.append(time.perf_counter() - began)
        measures.append(_line(by_a_host, unix, ours, allowed=MORE_BY_A_HOST))
    for kind in (Chromium, Firefox):
        if is_installed(kind):
            measures += await _from_a_page(kind, desk, port, folder, samples)
    return measures


def _by_turns(desk: Client, ping: Callable[[], object], samples: int) -> tuple[list[float], list[float]]:
    unix, ours = list[float](), list[float]()
    pause = threading.Event()
    for _ in range(samples):
        unix += desk.pings(1, PACE / 2)
        pause.wait(PACE / 2)
        began = time.perf_counter()
        ping()
        ours.append(time.perf_counter() - began)
    return unix, ours


def _line(name: str, unix: Sequence[float], ours: Sequence[float], *, allowed: float = MORE) -> Measure:
    return compared_with_unix("session.ping", name, unix, ours, allowed=allowed)


async def _from_a_page(kind: type[Browser], desk: Client, port: int, folder: Path, samples: int) -> list[Measure]:
    """Pings in a page of a browser, which is isolated from other sites for a finer clock; and what of it is its own.

    The browser's own is an echo and two operations of its cryptography: no page can have a sealed answer sooner. Of the
    ping itself, what the page does before and after stands beside what the browser, the gateway and the core take.
    """
    site = folder / f"site-{kind.program}"
    site.mkdir()
    shutil.copy(LIBRARY, site)
    async with serve(_echo, "127.0.0.1", 0, compression=None) as echo:
        filled = {"PORT": port, "ECHO": echo.sockets[0].getsockname()[1], "PACE": PACE * MILLISECONDS / 2}
        page = PAGE
        for word, value in filled.items():
            page = page.replace(word, str(value))
        (site / "index.html").write_text(page)
        with _pages(site) as own:
            async with browser(kind, folder / kind.program) as shown:
                await shown.show(f"http://127.0.0.1:{own}/")
                desk.call("pairing.open")
                code = await shown.evaluate(
                    "new Promise((shown, failed) => { window.paired = desk.pair("
                    "{ name: 'bench', scopes: ['identity'], onCode: shown }); paired.catch(failed); })"
                )
                desk.call("pairing.wait")
                desk.call("pairing.accept", code=code, scopes=["identity"])
                await shown.evaluate("paired.then(() => desk.connect()).then((made) => void (window.session = made))")
                beside = asyncio.create_task(asyncio.to_thread(desk.pings, samples, PACE))
                told = await shown.evaluate(f"times({samples})")
                unix = await beside
    stages = {
        "alone": t("navigateur seul, écho et chiffrement", "browser alone, echo and cryptography"),
        "sealing": t("la page scelle", "the page seals"),
        "under_way": t("de l’envoi à la réponse", "from the sending to the answer"),
        "opening": t("la page ouvre", "the page opens"),
    }
    return [
        _line(f"WebSocket, {kind.program}", unix, [each / MILLISECONDS for each in told["ping"]]),
        *(
            Measure(name=stage, unit="ms", ours=kind.program, p50=p50(told[name]), p95=p95(told[name]))
            for name, stage in stages.items()
        ),
    ]


async def _echo(line: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosedError):  # a browser that is ended says no goodbye
        async for message in line:
            await line.send(message)


class _Quiet(SimpleHTTPRequestHandler):
    """The server of the page."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its base names it so
        """Nothing: nobody reads it."""


@contextmanager
def _pages(folder: Path) -> Generator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
