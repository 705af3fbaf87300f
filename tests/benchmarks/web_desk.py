"""A station whose pages may come, in a process of its own, for benchmarks."""

import asyncio
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tests.benchmarks.floods import LAUNCH, Client
from tests.daemon.web.socket_pages import socket_page
from vitale_reader.home import Home

__all__ = ["configured", "pair", "serving"]

STATION = '[station]\nmode = "simulated"\n[tls]\nenabled = false\n[log]\nlevel = "error"\n'
WEB = "enabled = true\nport = 0\n"
STARTING = 60.0


def configured(folder: Path, drivers: str, *, web: str = WEB) -> Home:
    """A home with a configuration.

    Args:
        folder: that it is made in.
        drivers: the tables of the drivers.
        web: what stands in ``[web]``.
    """
    home = Home.under(folder / "home")
    home.config.parent.mkdir()
    home.config.touch(mode=0o600)
    home.config.write_text(f"{STATION}{drivers}[web]\n{web}")
    return home


@contextmanager
def serving(home: Home, *, waits: bool = True) -> Generator[tuple[str, int]]:
    """A daemon; its socket, and the port for pages.

    Args:
        home: of the daemon.
        waits: until pages may come; else the port is 0.
    """
    with subprocess.Popen([*LAUNCH, "--home", home.config.parent], stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None
            daemon.stdout.readline()
            until = time.monotonic() + STARTING
            while waits and home.endpoints().web is None:
                if time.monotonic() > until:
                    raise ChildProcessError("the gateway does not listen")
                time.sleep(0.05)
            web = home.endpoints().web
            yield home.endpoints().unix or "", 0 if web is None else web.port
        finally:
            daemon.terminate()


async def pair(desk: Client, port: int, key: ec.EllipticCurvePrivateKey, site: str) -> str:
    """Pairs a page; its client id."""
    desk.call("pairing.open")
    async with socket_page(port, key, site=site) as asking:
        revealed = await asking.ask(("identity",))
        await asyncio.to_thread(desk.call, "pairing.wait")
        desk.call("pairing.accept", code=asking.code, scopes=["identity"])
        return str((await asking.answer(revealed))["result"]["client_id"])
