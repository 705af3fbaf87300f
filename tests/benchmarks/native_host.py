"""The native host as a browser starts it, in a process of its own: a page behind it, and the time until it is open."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tests.benchmarks.table import MILLISECONDS, Measure, p50, p95
from tests.daemon.web.pages import SITE, Json, Page
from vitale_drivers.host.programs import own_program
from vitale_protocol.errors import LocalMisuse
from vitale_protocol.web.extensions import CHROMIUM_ID
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home
from vitale_reader.web.native.declaring import own_command

__all__ = ["HostPage", "host_page", "start_line"]


class HostPage(Page):
    """A page behind a native host."""

    def send_frame(self, frame: bytes) -> None:
        self.writer.write(len(frame).to_bytes(4, sys.byteorder) + frame)

    async def receive_frame(self) -> Json | None:
        try:
            length = int.from_bytes(await self.reader.readexactly(4), sys.byteorder)
            return dict(json.loads(await self.reader.readexactly(length)))
        except asyncio.IncompleteReadError:
            return None


@asynccontextmanager
async def host_page(home: Home, key: ec.EllipticCurvePrivateKey, site: str = SITE) -> AsyncGenerator[HostPage]:
    """A page whose channel a native host has opened."""
    try:
        command: tuple[str | Path, ...] = (own_command(),)
    except LocalMisuse:  # a checkout that is not installed as a browser needs it
        command = own_program("vitale_reader")
    process = await asyncio.create_subprocess_exec(
        *command,
        f"chrome-extension://{CHROMIUM_ID}/",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"VITALE_READER_HOME": str(home.config.parent)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    made = HostPage(process.stdout, process.stdin, key, site=site)
    try:
        made.send_frame(json.dumps({"site": site}).encode())
        assert {"open": True} == await made.receive_frame()
        yield made
    finally:
        process.stdin.close()
        await process.wait()


async def start_line(home: Home, key: ec.EllipticCurvePrivateKey, count: int) -> Measure:
    """The time from a start to an open channel, beside a Python that does nothing."""
    starts: list[float] = []
    bare: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        async with host_page(home, key):
            starts.append(time.perf_counter() - began)
        began = time.perf_counter()
        await (await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")).wait()
        bare.append(time.perf_counter() - began)
    return Measure(
        name=t("lancement → canal ouvert", "start → open channel"),
        unit="ms",
        baseline=t("Python seul", "bare Python"),
        baseline_p50=p50(bare) * MILLISECONDS,
        baseline_p95=p95(bare) * MILLISECONDS,
        ours=t("hôte natif", "native host"),
        p50=p50(starts) * MILLISECONDS,
        p95=p95(starts) * MILLISECONDS,
    )
