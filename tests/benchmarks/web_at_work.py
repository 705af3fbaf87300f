"""The web at work: a card read for a page beside one read for a program, and what the web and the dashboard take.

All ways share one daemon and take turns: whatever slows the machine slows each.
"""

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.benchmarks.blocking_page import blocking_page
from tests.benchmarks.floods import Client
from tests.benchmarks.native_host import host_page
from tests.benchmarks.processes import MEBIBYTE, loads, resident
from tests.benchmarks.table import Measure, compared_with_unix
from tests.benchmarks.web_desk import configured, pair, serving
from tests.daemon.web.browsers import Chromium, browser
from vitale_firmware_sim.card.control import control
from vitale_reader.cli.demo.environment import ControlSlot
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home

__all__ = ["card_reader", "dashboard", "lines", "memory"]

#: Tokens that a page is given in a minute.
MOST_TOKENS = 30
#: Seconds from a call until its reader is armed, however busy the machine: nothing tells a page so.
ARMED = 0.15
#: Milliseconds that a card may take more for a page than for a program: by the gateway, and by a native host.
MORE, MORE_BY_A_HOST = 1.0, 3.0
#: MiB that the core may take more where pages may come; the share of a core that an open dashboard may take, and what
#: a clock of 100 ticks a second can tell from nothing.
MORE_MEMORY, OPEN, NOTHING = 1.0, 0.01, 0.005

#: The keys of two pages: each has its own tokens in a minute.
PAGES = {
    "websocket": (ec.derive_private_key(21, ec.SECP256R1()), "https://caisse.example.fr"),
    "stdio": (ec.derive_private_key(22, ec.SECP256R1()), "https://cabinet.example.fr"),
}

Read = Callable[[str], Coroutine[Any, Any, object]]


def card_reader(slot: Path) -> str:
    """The configuration of the reader that cards are put into.

    Args:
        slot: the socket of who puts them in.
    """
    return (
        '[drivers]\nenabled = ["simulated-card"]\n'
        f"[drivers.options.simulated-card]\ncontrol = {json.dumps(str(slot))}\npresent = false\n"
    )


def lines(desk: Client, home: Home, port: int, slot: Path, samples: int) -> list[Measure]:
    """Cards read for a program and for pages, in turns.

    Args:
        desk: pairs the pages.
        home: of the daemon.
        port: for pages.
        slot: as of ``card_reader``.
        samples: readings each way; no more than a page may have in a minute.
    """
    return asyncio.run(_readings(desk, home, port, slot, min(samples, MOST_TOKENS - 2)))


# ── readings ──


async def _readings(desk: Client, home: Home, port: int, slot: Path, samples: int) -> list[Measure]:
    for key, site in PAGES.values():
        await pair(desk, port, key, site)
    await asyncio.to_thread(ControlSlot(slot).wait)  # its driver begins beside the daemon
    reader = (await asyncio.to_thread(control, slot, "readers")).split()[0]
    async with _ways(home, port) as ways:
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(samples):
            for name, read in ways.items():
                times[name].append(await _one(read, slot, reader, f"{len(times[name]):030d}"))
    allowed = {"WebSocket": MORE, t("hôte natif", "native host"): MORE_BY_A_HOST}
    what = t("carte → jeton", "card → token")
    return [compared_with_unix(what, name, times["unix"], times[name], allowed=most) for name, most in allowed.items()]


@asynccontextmanager
async def _ways(home: Home, port: int) -> AsyncGenerator[dict[str, Read]]:
    async with AsyncExitStack() as stack:
        program = stack.enter_context(Client(home.endpoints().unix or ""))
        page = await stack.enter_async_context(blocking_page(port, *PAGES["websocket"]))
        hosted = await stack.enter_async_context(host_page(home, *PAGES["stdio"]))
        await hosted.open()

        def asked(nonce: str) -> dict[str, Any]:
            return {"nonce": nonce, "media": ["vitale-card"], "scopes": ["identity"], "timeout_ms": 60_000}

        yield {
            "unix": lambda nonce: asyncio.to_thread(lambda: program.call("presentation.request", **asked(nonce))),
            "WebSocket": lambda nonce: asyncio.to_thread(page.call, "presentation.request", asked(nonce)),
            t("hôte natif", "native host"): lambda nonce: hosted.result("presentation.request", asked(nonce)),
        }


async def _one(read: Read, slot: Path, reader: str, nonce: str) -> float:
    """The seconds from a card that is put in to its token."""
    waiting = asyncio.ensure_future(read(nonce))
    await asyncio.sleep(ARMED)
    began = time.perf_counter()
    putting = asyncio.create_task(asyncio.to_thread(control, slot, f"insert {reader} adulte"))
    await waiting
    taken = time.perf_counter() - began
    await putting
    await asyncio.to_thread(control, slot, f"remove {reader}")
    return taken


# ── memory ──


def memory() -> Measure:
    """The core of a station whose pages may come, beside one whose may not."""
    with _core("enabled = false\n") as without, _core("enabled = true\nport = 0\n") as with_web:
        bare, ours = (resident(pid) / MEBIBYTE for pid in (without, with_web))
    return Measure(
        name=t("mémoire du noyau", "memory of the core"),
        unit="MiB",
        baseline=t("sans pages web", "without web pages"),
        baseline_p50=bare,
        ours=t("avec", "with them"),
        p50=ours,
        promise=f"+ {MORE_MEMORY:g} MiB",
        kept=ours <= bare + MORE_MEMORY,
    )


@contextmanager
def _core(web: str) -> Generator[int]:
    with tempfile.TemporaryDirectory(prefix="vitale-web-") as folder:
        home = configured(Path(folder), "[drivers]\nenabled = []\n", web=web)
        with serving(home, waits=web.startswith("enabled = true")) as (path, _), Client(path) as desk:
            desk.pings(20, 0.0)
            yield home.endpoints().pid


# ── the dashboard ──


async def dashboard(seconds: float) -> list[Measure]:
    """What the core and the dashboard's process take while Chromium shows it, and once nobody does any more.

    Args:
        seconds: over which each load is taken.
    """
    with tempfile.TemporaryDirectory(prefix="vitale-web-") as folder:
        home = configured(Path(folder), "[drivers]\nenabled = []\n")
        with serving(home) as (path, _), Client(path) as desk:
            core = home.endpoints().pid
            before = _children(core)
            async with browser(Chromium, Path(folder) / "profile") as shown:
                opened = await asyncio.to_thread(desk.call, "dashboard.open")
                await shown.visit(Path(opened["file"]).as_uri())
                await _arrived(shown)
                (own,) = _children(core) - before
                await asyncio.to_thread(threading.Event().wait, 2.0)  # all that is told at first has been
                while_open = sum(await asyncio.to_thread(loads, (core, own), seconds))
            closed = sum(await asyncio.to_thread(loads, (core, own), seconds))
    name = t("charge du tableau de bord, service compris", "load of the dashboard, with the daemon")
    return [
        Measure(name=name, unit="%", ours=what, p50=load * 100, promise=f"< {most:.1%}", kept=load < most)
        for what, load, most in (
            (t("ouvert", "open"), while_open, OPEN),
            (t("fermé", "closed"), closed, NOTHING),
        )
    ]


async def _arrived(shown: Any) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if await shown.evaluate("location.protocol === 'http:' && document.querySelector('nav') !== null"):
                    return
            except AssertionError:  # between two pages
                pass
            await asyncio.sleep(0.05)


def _children(pid: int) -> frozenset[int]:
    return frozenset(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()))
