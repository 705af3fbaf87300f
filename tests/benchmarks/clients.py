"""Many clients: round trips among idle, waiting and busy ones, what a session costs, and leases.

Each baseline is a bare asyncio echo that as many clients of the same kind talk to, and pyscard on the same card.
"""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tests.benchmarks.processes import baseline, loads, resident
from tests.benchmarks.table import MILLISECONDS, Measure, p50, p95
from tests.posix import open_unix_connection
from vitale_protocol.errors import ReaderUnavailable, ToolMissing
from vitale_reader import aio
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment
from vitale_reader.cli.frame.language import t

__all__ = ["lines"]

CROWDS = (1, 16, 256)
SESSIONS = 1_000
KIBIBYTE = 1_024
PATIENCE = 60.0

#: Seconds for the audit trail to have written down a thousand openings.
SETTLING = 3.0

#: Seconds until more sessions may be opened.
PAUSE = 1.0

#: Sessions of one client, on a station for this alone.
CONFIGURATION = "[limits]\nsessions = 2000\n"

OPEN = b'{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"protocol":[1],"client":{"name":"bench"}}}\n'
PING = b'{"jsonrpc":"2.0","id":2,"method":"session.ping","params":{}}\n'
SELECT_MASTER_FILE = bytes.fromhex("00A40000023F00")

#: Line in, line out, as a process of its own.
ECHO = """
import asyncio, sys

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(data)

async def main(path):
    await asyncio.get_running_loop().create_unix_server(Echo, path)
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def lines(trips: int, idle: int, say: Callable[[str], None]) -> list[Measure]:
    """Everything about clients.

    Args:
        trips: round trips and exchanges for each figure.
        idle: seconds over which the load of waiting sessions is taken.
        say: what is being done, for people.

    Raises:
        ToolMissing: there is no pcscd with virtual readers on this machine.
    """
    with demo_environment(configuration=CONFIGURATION) as demo:
        if demo.service is None or demo.slot is None:
            raise ToolMissing(demo.why, data={"tool": "pcscd"})
        # First, while what the daemon holds of memory is what it needs.
        say(t(f"{SESSIONS} sessions en attente, {idle} s…", f"{SESSIONS} waiting sessions, {idle} s…"))
        waiting = asyncio.run(_waiting(demo, idle))
        say(t("Beaucoup de clients…", "Many clients…"))
        found = [*asyncio.run(_crowds(demo, trips)), *waiting]
        say(t("Échanges sous réservation…", "Exchanges with a lease…"))
        demo.slot.insert("adulte")
        return [*found, asyncio.run(_leased(demo, trips))]


# ── crowds ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _crowds(demo: DemoEnvironment, trips: int) -> list[Measure]:
    found: list[Measure] = []
    async with _echo(demo.home.parent / "crowd") as echo:
        ours = demo.endpoints.unix or ""
        for crowd, busy in itertools.product(CROWDS, (False, True)):
            bare = await _round_trips(echo, crowd, trips, busy=busy)
            times = await _round_trips(ours, crowd, trips, busy=busy)
            kind = t("actifs", "busy") if busy else t("au repos", "idle")
            found.append(
                Measure(
                    name=t(f"session.ping, {crowd} clients {kind}", f"session.ping, {crowd} clients {kind}"),
                    unit="ms",
                    baseline=t("écho asyncio nu, autant", "bare asyncio echo, as many"),
                    baseline_p50=p50(bare) * MILLISECONDS,
                    baseline_p95=p95(bare) * MILLISECONDS,
                    ours="unix",
                    p50=p50(times) * MILLISECONDS,
                    p95=p95(times) * MILLISECONDS,
                )
            )
    return found


async def _round_trips(path: str, crowd: int, trips: int, *, busy: bool) -> list[float]:
    """The seconds of each round trip of one client among a crowd, which does nothing or the same."""
    async with _sessions(path, crowd) as sessions:
        stop = asyncio.Event()

        async def trip_on(streams: Streams) -> None:
            while not stop.is_set():
                await _trip(streams, PING)

        others = [asyncio.create_task(trip_on(streams)) for streams in sessions[1:]] if busy else []
        times = [await _trip(sessions[0], PING) for _ in range(trips)]
        stop.set()
        await asyncio.gather(*others)
        return times


# ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def _waiting(demo: DemoEnvironment, idle: int) -> list[Measure]:
    """What sessions cost that wait for a card."""
    core = demo.endpoints.pid
    before = resident(core)
    async with _sessions(demo.endpoints.unix or "", SESSIONS) as sessions:
        began = time.perf_counter()
        for number, (reader, writer) in enumerate(sessions):
            writer.write(_request(number))
            await reader.readline()  # it is told that it is armed
        asked = time.perf_counter() - began
        grown = (resident(core) - before) / SESSIONS
        await asyncio.sleep(SETTLING)
        (load,) = await asyncio.to_thread(loads, (core,), idle)
        times = [await _trip(sessions[0], PING) for _ in range(100)]
    what = t(f"{SESSIONS} sessions en attente", f"{SESSIONS} waiting sessions")
    return [
        Measure(name=what, unit="KiB", ours=t("mémoire par session", "memory of a session"), p50=grown / KIBIBYTE),
        Measure(name=what, unit="%", ours=t("charge du noyau", "load of the core"), p50=load * 100),
        Measure(name=what, unit="ms", ours=t("demande → armé", "request → armed"), p50=asked / SESSIONS * MILLISECONDS),
        Measure(
            name=what,
            unit="ms",
            ours="session.ping",
            p50=p50(times) * MILLISECONDS,
            p95=p95(times) * MILLISECONDS,
        ),
    ]


def _request(number: int) -> bytes:
    params = {"nonce": f"{number:022}", "media": ["vitale-card"], "timeout_ms": 600_000}
    call = {"jsonrpc": "2.0", "id": 3, "method": "presentation.request", "params": params}
    return json.dumps(call).encode() + b"\n"


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _leased(demo: DemoEnvironment, exchanges: int) -> Measure:
    async with aio.connect(home=demo.home, name="bench") as local:
        await local.read(timeout=PATIENCE)
        slot = next((reader for reader in await local.readers() if reader.state == "present"), None)
        if slot is None:
            raise ReaderUnavailable("the card is not there")
        bare = await asyncio.to_thread(_bare_exchanges, demo, slot.name, exchanges)
        times: list[float] = []
        async with local.lease(slot.id, ttl=PATIENCE) as lease:
            for _ in range(exchanges):
                before = time.perf_counter()
                await lease.transmit(SELECT_MASTER_FILE)
                times.append(time.perf_counter() - before)
    return Measure(
        name=t("un APDU sous réservation", "one APDU with a lease"),
        unit="ms",
        baseline=t("pyscard seul, même carte", "bare pyscard, same card"),
        baseline_p50=p50(bare) * MILLISECONDS,
        baseline_p95=p95(bare) * MILLISECONDS,
        ours="card.transmit",
        p50=p50(times) * MILLISECONDS,
        p95=p95(times) * MILLISECONDS,
    )


def _bare_exchanges(demo: DemoEnvironment, reader: str, count: int) -> Sequence[float]:
    environment = os.environ | (demo.service.environment if demo.service else {})
    command = (*baseline("pcsc"), reader, str(count), "exchange")
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=list[float])


# ── lines to the daemon and to the echo ──────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _sessions(path: str, count: int) -> AsyncGenerator[list[Streams]]:
    """So many connections, each opened as a session; an echo takes that as well."""
    made: list[Streams] = []
    try:
        while len(made) < count:
            made.append(await open_unix_connection(path))
            reader, writer = made[-1]
            writer.write(OPEN)
            if b'"error"' in await reader.readline():
                # One program opens so many a second, and no more.
                made.pop()[1].close()
                await asyncio.sleep(PAUSE)
        yield made
    finally:
        for _, writer in made:
            writer.close()


@asynccontextmanager
async def _echo(path: Path) -> AsyncGenerator[str]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ECHO, str(path), stdout=subprocess.PIPE)
    try:
        if process.stdout is not None:
            await process.stdout.readline()
        yield str(path)
    finally:
        process.terminate()
        await process.wait()


async def _trip(streams: Streams, line: bytes) -> float:
    reader, writer = streams
    before = time.perf_counter()
    writer.write(line)
    await reader.readline()
    return time.perf_counter() - before
