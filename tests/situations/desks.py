"""Desks beside the counter, without readers: what is typed meets a station that was restored, or is in production."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from vitale_reader.daemon.issuing.replay import Reason, close_until
from vitale_reader.daemon.keystore.station_keys import Keys
from vitale_reader.daemon.store.store import Store
from vitale_reader.home import Home

__all__ = ["DESKS", "DeskName", "opened"]

DeskName = Literal["restored", "rekeyed", "production"]
DESKS: tuple[DeskName, ...] = ("restored", "rekeyed", "production")

#: Seconds for which a desk that was restored takes no codes of phones; longer than any test.
CLOSED = 7_200.0

CONFIGURATION = """
[station]
mode = "{mode}"
[tls]
port = 0
[drivers]
enabled = []
"""


@contextmanager
def opened(folder: Path) -> Generator[dict[DeskName, Path]]:
    """The homes of these desks, whose daemons run; all start at once."""
    homes: dict[DeskName, Path] = {name: folder / name for name in DESKS}
    with ExitStack() as stack:
        daemons = [stack.enter_context(_started(name, home)) for name, home in homes.items()]
        for daemon in daemons:
            assert daemon.stdout is not None
            assert "endpoints" in json.loads(daemon.stdout.readline())
        yield homes


@contextmanager
def _started(name: DeskName, place: Path) -> Generator[subprocess.Popen[bytes]]:
    place.mkdir(mode=0o700)
    home = Home.under(place)
    home.config.touch(mode=0o600)
    home.config.write_text(CONFIGURATION.format(mode="production" if name == "production" else "simulated"))
    if name != "production":
        asyncio.run(_close(home, name))
    command = [sys.executable, "-m", "vitale_reader", "serve", "--json", "--home", str(place)]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ)
    try:
        yield daemon
    finally:
        daemon.terminate()
        daemon.communicate(timeout=60.0)


async def _close(home: Home, why: Reason) -> None:
    """Writes what ``site restore`` and ``site rekey`` write into the store."""
    home.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keys(home.state / "station.json", overlap=600, clock=time.time)
    keys.open()
    store = Store(home.state / "store.db")
    await store.open()
    await store.run(lambda connection: close_until(connection, keys.vault, time.time() + CLOSED, why))
    await store.close()
