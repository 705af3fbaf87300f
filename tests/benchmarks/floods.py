"""Floods: what another client's ping and read take while a program does nothing but flood the daemon.

The program is a process of its own (``flood``). The baseline is the same daemon, quiet, just before.
"""

import itertools
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, insert

from tests.benchmarks.flood import KINDS
from tests.benchmarks.processes import MEBIBYTE, resident
from tests.benchmarks.table import MILLISECONDS, Measure, p50, p95
from tests.posix import UNIX_SOCKETS
from vitale_reader.cli.frame.language import t
from vitale_reader.daemon.config import load
from vitale_reader.daemon.keystore.station_keys import DeskClock
from vitale_reader.daemon.site.open_store import look_into, open_keys
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.tables import outbox
from vitale_reader.home import Home

__all__ = ["BACKLOG", "FLOODING", "LAUNCH", "Client", "lines"]

Json = dict[str, Any]

LAUNCH = (sys.executable, "-m", "vitale_reader", "serve", "--json")
CONFIGURATION = (
    '[station]\nmode = "simulated"\n[tls]\nenabled = false\n[drivers]\nenabled = []\n[log]\nlevel = "error"\n'
)

#: Tokens that the flooding client has not fetched, in the last of the floods.
BACKLOG = 100_000

#: How much slower another client may be, and how much memory a flood may cost, in MiB.
TIMES, MOST_MEMORY = 3.0, 64

#: Seconds between two readings: a counter asks now and then, and its own share of time is not what is measured.
PACE = 0.03

#: The program that floods.
FLOOD = Path(__file__).with_name("flood.py")

#: Seconds of a flood before anything is measured.
FLOODING = 1.0

PAYLOAD = "IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH\x1dS4GARCIA\x1dS5FS625-01-1977"


def lines(samples: int, say: Callable[[str], None], kinds: Sequence[str] = tuple(KINDS)) -> list[Measure]:
    """Every flood.

    Args:
        samples: pings and reads for each figure.
        say: what is being done, for people.
        kinds: which floods.
    """
    with tempfile.TemporaryDirectory(prefix="vitale-floods-") as folder:
        home = Home.under(Path(folder))
        home.config.touch(mode=0o600)
        home.config.write_text(CONFIGURATION)
        with _serving(home) as path:
            with Client(path) as administrator:
                good, hostile = (administrator.pair() for _ in range(2))
            measures: list[Measure] = []
            for kind in kinds:
                say(t(f"Inondation : {kind}…", f"Flood: {kind}…"))
                measures += _under(kind, kind, path, good["credential"], hostile["credential"], samples, home)
        say(t(f"{BACKLOG} jetons en attente…", f"{BACKLOG} tokens that wait…"))
        _fill(home, str(hostile["client_id"]), BACKLOG)
        with _serving(home) as path:
            name = f"lists, {BACKLOG} tokens"
            measures += _under("lists", name, path, good["credential"], hostile["credential"], samples, home)
    return measures


def _under(kind: str, name: str, path: str, good: str, hostile: str, samples: int, home: Home) -> list[Measure]:
    pid = home.endpoints().pid
    with Client(path, good) as client:
        quiet = client.times(samples)
        before = resident(pid)
        with _flooding(kind, path, hostile):
            time.sleep(FLOODING)
            flooded = client.times(samples)
            grown = (resident(pid) - before) / MEBIBYTE
    measures = [
        Measure(
            name=f"{method}, {name}",
            unit="ms",
            baseline=t("au calme", "quiet"),
            baseline_p50=p50(quiet[method]) * MILLISECONDS,
            baseline_p95=p95(quiet[method]) * MILLISECONDS,
            ours=t("dans l'inondation", "in the flood"),
            p50=p50(flooded[method]) * MILLISECONDS,
            p95=p95(flooded[method]) * MILLISECONDS,
            promise=t(f"p95 < {TIMES:g} × au calme", f"p95 < {TIMES:g} × quiet"),
            kept=p95(flooded[method]) < TIMES * p95(quiet[method]),
        )
        for method in quiet
    ]
    return [
        *measures,
        Measure(
            name=t(f"mémoire en plus, {name}", f"more memory, {name}"),
            unit="MiB",
            ours=t("noyau", "core"),
            p50=grown,
            promise=f"≤ {MOST_MEMORY} MiB",
            kept=grown <= MOST_MEMORY,
        ),
    ]


@contextmanager
def _serving(home: Home) -> Generator[str]:
    with subprocess.Popen([*LAUNCH, "--home", home.config.parent], stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None
            daemon.stdout.readline()
            yield home.endpoints().unix or ""
        finally:
            daemon.terminate()


@contextmanager
def _flooding(kind: str, path: str, credential: str) -> Generator[None]:
    command = (sys.executable, "-P", str(FLOOD), kind, path, credential)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            if program.stdout.readline() != b"ready\n":
                raise ChildProcessError(f"the flood did not begin: {kind}")
            yield
            if program.poll() is not None:
                raise ChildProcessError(f"the flood ended before all was measured: {kind}")
        finally:
            program.kill()


class Client:
    """A program that speaks lines on the socket, and takes the time."""

    def __init__(self, path: str, credential: str | None = None) -> None:
        self._line = socket.socket(UNIX_SOCKETS)
        self._line.settimeout(120)
        self._line.connect(path)
        self._answers = self._line.makefile("rb")
        self._numbers: Iterator[int] = itertools.count()
        named = {} if credential is None else {"credential": credential}
        self.call("session.open", protocol=[1], client={"name": "bench"}, **named)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._line.close()

    def call(self, method: str, **params: object) -> Json:
        """The result of a call."""
        number = next(self._numbers)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self._line.sendall(json.dumps(message).encode() + b"\n")
        while line := self._answers.readline():
            if (answer := json.loads(line)).get("id") == number:
                return dict(answer["result"])
        raise ConnectionError("the daemon ended the connection")

    def pair(self) -> Json:
        """Pairs a new client, and gives its secrets."""
        return self.call("clients.add", name="bench", scopes=["identity"], transports=["unix"])

    def times(self, samples: int) -> dict[str, list[float]]:
        """Seconds of pings, and of printed codes read to a token."""
        pause = threading.Event()
        found: dict[str, list[float]] = {"ping": [], "read": []}
        for _ in range(samples):
            for name, call in (("ping", self._ping), ("read", self._read)):
                began = time.perf_counter()
                call()
                found[name].append(time.perf_counter() - began)
            pause.wait(PACE)
        return found

    def pings(self, samples: int, pace: float) -> list[float]:
        """Seconds of pings, so many seconds after one another."""
        pause, found = threading.Event(), list[float]()
        for _ in range(samples):
            pause.wait(pace)
            began = time.perf_counter()
            self._ping()
            found.append(time.perf_counter() - began)
        return found

    def _ping(self) -> None:
        self.call("session.ping")

    def _read(self) -> None:
        nonce = f"{next(self._numbers):024d}"
        jti = self.call("presentation.submit", nonce=nonce, payload=PAYLOAD, progress=False)["claims"]["jti"]
        assert jti


def _fill(home: Home, client_id: str, count: int) -> None:
    """Tokens in the outbox of a client, as the daemon would have kept them."""
    import asyncio

    config = load(home.config)
    keys = open_keys(home, config, clock=DeskClock(time.time))
    store, vault = look_into(home, config, keys, reading=False)
    begins, token = int(time.time()) + 300, b"t" * 900

    def rows(first: int) -> list[Json]:
        return [
            row_seals.sealed(
                vault,
                outbox,
                {
                    "jti": f"filled-{number}",
                    "client_id": client_id,
                    "presentation": f"filled-{number}",
                    "exp": begins + number * 300 // count,
                    "sealed": vault.seal(token, f"filled-{number}"),
                },
            )
            for number in range(first, min(first + 1_000, count))
        ]

    def work(connection: Connection) -> None:
        for first in range(0, count, 1_000):
            connection.execute(insert(outbox), rows(first))

    async def main() -> None:
        await store.run(work)
        await store.close()

    asyncio.run(main())
