"""Desks beside the counter, without readers, at which something is typed.

One was restored, one has a new key of its site, one is in production. One is alone: the database of its site is away,
and the host of its apCV service is in no name server.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from tests.practice import apcv_options
from vitale_reader.daemon.issuing.replay import close_until
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.open_store import make_site_key
from vitale_reader.daemon.store.store import Store
from vitale_reader.home import Home

__all__ = ["DESKS", "DeskName", "opened", "write"]

DeskName = Literal["restored", "rekeyed", "production", "alone"]
DESKS: tuple[DeskName, ...] = ("restored", "rekeyed", "production", "alone")

#: Seconds for which a desk that was restored takes no codes of phones; longer than any test.
CLOSED = 7_200.0

CONFIGURATION = """{store}
[station]
mode = "{mode}"
[tls]
port = 0
[drivers]
enabled = []
"""

#: Of a desk that has joined its site before; nothing is at that address.
AWAY = 'store = "postgresql://desk@/site?host={folder}"'
LONE = """
[site]
when_away = "degraded"
[apcv]
profiles = ["simulator"]
resolver = "apcv-soap"
"""

#: A machine without a network, whose name servers answer nobody, is told so before the connection is given up.
NAME_SERVERS = {"RES_OPTIONS": "timeout:1 attempts:1"}


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
    mode = "production" if name == "production" else "simulated"
    store = AWAY.format(folder=place) if name == "alone" else ""
    more = LONE + apcv_options("https://apcv.invalid/apcv") if name == "alone" else ""
    home.config.write_text(CONFIGURATION.format(store=store, mode=mode) + more)
    home.state.mkdir(mode=0o700)
    if name == "alone":
        make_site_key(home.state / "site.key")
    elif name != "production":
        asyncio.run(
            write(home, lambda vault: lambda connection: close_until(connection, vault, time.time() + CLOSED, name))
        )
    command = [sys.executable, "-m", "vitale_reader", "serve", "--json", "--home", str(place)]
    daemon = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **NAME_SERVERS}
    )
    try:
        yield daemon
    finally:
        daemon.terminate()
        daemon.communicate(timeout=60.0)


async def write(home: Home, work: Callable[[Vault], Callable[[Connection], object]]) -> None:
    """Writes into the store of a desk what a command writes beside its daemon: ``site restore`` and such."""
    home.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keys(home.state / "station.json", overlap=600, clock=DeskClock(time.time))
    keys.open()
    store = Store(home.state / "store.db")
    await store.open()
    await store.run(work(keys.vault))
    await store.close()
