"""Ways of a page to the daemon: a ping over the gateway's WebSocket and by native messaging, beside the Unix socket.

The page is that of the tests, with the cryptography of a second implementation: what it takes to seal and to open is in
the figures. The native host is a process of its own, as a browser starts it; so is the daemon.
"""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec

from tests.benchmarks.table import MILLISECONDS, Measure, p50, p95
from tests.daemon.web.pages import SITE, Page
from tests.daemon.web.socket_pages import socket_page
from tests.posix import open_unix_connection
from vitale_protocol.web.extensions import CHROMIUM_ID
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home
from vitale_reader.web.native.declaring import own_command

__all__ = ["HostPage", "host_page", "lines", "ping_lines"]

Json = dict[str, Any]

CONFIGURATION = (
    '[station]\nmode = "simulated"\n[tls]\nenabled = false\n[drivers]\nenabled = []\n[log]\nlevel = "error"\n'
    "[web]\nenabled = true\nport = 0\n"
)
ROUNDS = 5

#: Seconds between two calls: a page may make ten in a second.
PACE = 0.12

#: Seconds that a way may take more than the Unix socket, at p50.
ALLOWED = {"websocket": 0.001, "stdio": 0.003}


class HostPage(Page):
    """A page behind a native host."""

    def send_frame(self, frame: bytes) -> None:
        self.writer.write(len(frame).to_bytes(4, sys.byteorder) + frame)

    async def receive_frame(self) -> Json | None:
        length = int.from_bytes(await self.reader.readexactly(4), sys.byteorder)
        return dict(json.loads(await self.reader.readexactly(length)))


@asynccontextmanager
async def host_page(home: Home, key: ec.EllipticCurvePrivateKey) -> AsyncGenerator[HostPage]:
    """A page whose channel a native host has opened."""
    process = await asyncio.create_subprocess_exec(
        own_command(),
        f"chrome-extension://{CHROMIUM_ID}/",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"VITALE_READER_HOME": str(home.config.parent)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    made = HostPage(process.stdout, process.stdin, key)
    try:
        made.send_frame(json.dumps({"site": SITE}).encode())
        assert {"open": True} == await made.receive_frame()
        yield made
    finally:
        process.stdin.close()
        await process.wait()


class _Desk:
    """The desk's own session, on the Unix socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count(1)

    @classmethod
    async def open(cls, path: str) -> Self:
        made = cls(*await open_unix_connection(path, limit=1_000_000))
        await made.call("session.open", {"protocol": [1], "client": {"name": "bench", "version": "1"}})
        return made

    async def call(self, method: str, params: Json | None = None) -> Json:
        call = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params or {}}
        self._writer.write(json.dumps(call).encode() + b"\n")
        return dict(json.loads(await self._reader.readline())["result"])

    def close(self) -> None:
        self._writer.close()


def lines(count: int, say: Callable[[str], None]) -> list[Measure]:
    """Every way.

    Args:
        count: pings over each.
        say: tells what is measured.
    """
    with tempfile.TemporaryDirectory(prefix="vitale-pages-") as folder:
        home = Home.under(Path(folder))
        home.config.touch(mode=0o600)
        home.config.write_text(CONFIGURATION)
        with _serving(home):
            say(t("Pages : aller-retour…", "Pages: round trips…"))
            return asyncio.run(_measure(home, count))


def ping_lines(times: dict[str, list[float]]) -> list[Measure]:
    """Each way of a page beside the Unix socket; times in seconds."""
    return [
        Measure(
            name="session.ping",
            unit="ms",
            baseline="unix",
            baseline_p50=p50(times["unix"]) * MILLISECONDS,
            baseline_p95=p95(times["unix"]) * MILLISECONDS,
            ours=way,
            p50=p50(times[way]) * MILLISECONDS,
            p95=p95(times[way]) * MILLISECONDS,
            promise=f"unix + {allowed * MILLISECONDS:g} ms p50",
            kept=p50(times[way]) <= p50(times["unix"]) + allowed,
        )
        for way, allowed in ALLOWED.items()
    ]


async def _measure(home: Home, count: int) -> list[Measure]:
    endpoints = home.endpoints()
    assert endpoints.web is not None
    key, desk = ec.generate_private_key(ec.SECP256R1()), await _Desk.open(endpoints.unix or "")
    await _pair(desk, endpoints.web.port, key)
    times: dict[str, list[float]] = {"unix": [], "websocket": [], "stdio": []}
    async with socket_page(endpoints.web.port, key) as by_socket, host_page(home, key) as by_host:
        await by_socket.open()
        await by_host.open()
        for _ in range(ROUNDS):
            for way, call in (("unix", desk.call), ("websocket", by_socket.result), ("stdio", by_host.result)):
                for _ in range(max(1, count // ROUNDS)):
                    began = time.perf_counter()
                    await call("session.ping")
                    times[way].append(time.perf_counter() - began)
                    await asyncio.sleep(PACE)
    desk.close()
    starts, bare = await _starts(home, key, max(2, count // 20))
    return [*ping_lines(times), _start_line(starts, bare)]


async def _pair(desk: _Desk, port: int, key: ec.EllipticCurvePrivateKey) -> None:
    await desk.call("pairing.open")
    async with socket_page(port, key) as asking:
        revealed = await asking.ask()
        await desk.call("pairing.wait")
        await desk.call("pairing.accept", {"code": asking.code, "scopes": ["identity"]})
        await asking.answer(revealed)


async def _starts(home: Home, key: ec.EllipticCurvePrivateKey, count: int) -> tuple[list[float], list[float]]:
    """Seconds from a start to an open channel, and those of a Python that does nothing."""
    starts: list[float] = []
    bare: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        async with host_page(home, key):
            starts.append(time.perf_counter() - began)
        began = time.perf_counter()
        await (await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")).wait()
        bare.append(time.perf_counter() - began)
    return starts, bare


def _start_line(starts: Sequence[float], bare: Sequence[float]) -> Measure:
    return Measure(
        name=t("lancement → canal ouvert", "start → open channel"),
        unit="ms",
        baseline=t("Python seul", "bare Python"),
        baseline_p50=p50(bare) * MILLISECONDS,
        baseline_p95=p95(bare) * MILLISECONDS,
        ours="native-host",
        p50=p50(starts) * MILLISECONDS,
        p95=p95(starts) * MILLISECONDS,
    )


@contextmanager
def _serving(home: Home) -> Generator[None]:
    launch = (sys.executable, "-c", "from vitale_reader.cli import main; main()", "serve", "--json", "--home")
    with subprocess.Popen([*launch, home.config.parent], stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None
            daemon.stdout.readline()
            yield
        finally:
            daemon.terminate()
