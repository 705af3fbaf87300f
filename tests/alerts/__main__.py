"""Real alerts by real faults: ``python -m tests.alerts [ALERT…]``; two desks, a PostgreSQL and a Prometheus.

For each alert: a fault is made, Prometheus fires, the fault is mended, and the alert ends. A desk of a site has real
drivers and the database; a desk of its own has a reader and an apCV service in the script's hands.
"""

import asyncio
import contextlib
import logging
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from tests.alerts.prometheus_server import PrometheusServer
from tests.daemon.conftest import NFC_READER, Counter, Line, Tools, unix_line
from tests.postgres_server import PostgresServer
from vitale_drivers.base import ReaderChanged
from vitale_protocol.errors import ResolverUnavailable
from vitale_reader.daemon import app
from vitale_reader.daemon.composition import station
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.process import kill
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.transports.loopback import loopback_port
from vitale_reader.home import Home

PATIENCE = 120.0
METRICS = '[metrics]\nenabled = true\nport = {port}\nbearer_file = "{bearer}"\n'
SITE = """
store = "{store}"
[station]
mode = "simulated"
[drivers]
enabled = ["simulated-card", "pcsc", "scanner"]
[tls]
enabled = false
[site]
tls = "none: this line is a socket of this machine"
[web]
enabled = true
port = {web}
"""


@dataclass
class Desks:
    """Two desks with an open session each, and what stands behind them."""

    prometheus: PrometheusServer
    postgres: PostgresServer
    database: str
    site: Line
    clocks: list[StoreClock]
    counter: Counter
    own: Line
    leave: AsyncExitStack
    web_port: socket.socket

    async def card(self) -> None:
        """A card is read at the desk of the site."""
        await self.site.call("presentation.request", {"nonce": "n" * 22, "media": ["vitale-card"]})

    async def acknowledge(self, line: Line) -> None:
        """A program takes its tokens."""
        listed = (await line.result("outbox.list"))["tokens"]
        await line.result("outbox.ack", {"jti": [token["jti"] for token in listed]})

    async def cancelled(self, line: Line) -> None:
        """A request that is given up."""
        request = line.send_call("presentation.request", {"nonce": "n" * 22, "media": ["apcv-nfc"]})
        await line.answers(request, line.send_call("presentation.cancel", {"request": request}))


Fault = Callable[[Desks], contextlib.AbstractAsyncContextManager[None]]
FAULTS: dict[str, Fault] = {}

#: Faults from the start: no PC/SC service, no imager, a port that is taken; and the one that ends a desk.
LASTING = {"VitaleReaderDriverDown", "VitaleReaderNoReader", "VitaleReaderGatewayDown", "VitaleReaderDown"}


def fault(alert: str) -> Callable[[Callable[[Desks], AsyncGenerator[None]]], Fault]:
    """Enters a fault under the alert that it is to cause."""

    def enter(make: Callable[[Desks], AsyncGenerator[None]]) -> Fault:
        FAULTS[alert] = asynccontextmanager(make)
        return FAULTS[alert]

    return enter


@asynccontextmanager
async def again_and_again(do: Callable[[], Awaitable[object]], every: float = 0.3) -> AsyncGenerator[None]:
    """Does something until it is left."""

    async def run() -> None:
        while True:
            await do()
            await asyncio.sleep(every)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@fault("VitaleReaderDriverDown")
async def no_pcsc_service(_: Desks) -> AsyncGenerator[None]:
    yield


@fault("VitaleReaderNoReader")
async def no_imager(_: Desks) -> AsyncGenerator[None]:
    yield


@fault("VitaleReaderDriverRestarting")
async def a_driver_that_crashes(desks: Desks) -> AsyncGenerator[None]:
    async def crash() -> None:
        drivers = (await desks.site.result("station.info"))["drivers"]
        (pid,) = (each.get("pid") for each in drivers if each["name"] == "simulated-card")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                kill(pid)

    async with again_and_again(crash, every=1.0):
        yield


@fault("VitaleReaderReaderUnavailable")
async def a_reader_that_cannot_be_used(desks: Desks) -> AsyncGenerator[None]:
    broken = msgspec.structs.replace(NFC_READER, state="unavailable", error="reader_unavailable")
    desks.counter.desk.report("nfc", ReaderChanged(reader=broken))
    yield
    desks.counter.desk.report("nfc", ReaderChanged(reader=NFC_READER))


@fault("VitaleReaderGatewayDown")
async def a_port_that_is_taken(desks: Desks) -> AsyncGenerator[None]:
    yield
    desks.web_port.close()


@fault("VitaleReaderStoreDown")
async def a_file_that_is_locked(desks: Desks) -> AsyncGenerator[None]:
    with contextlib.closing(sqlite3.connect(desks.counter.home.state / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def locked_in_turns(desks: Desks, table: str) -> AsyncGenerator[None]:
    """Another program locks a table for half a second at a time."""
    async with await psycopg.AsyncConnection.connect(desks.postgres.url(desks.database)) as other:

        async def lock() -> None:
            await other.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))
            await asyncio.sleep(0.6)
            await other.commit()

        async with again_and_again(lock, every=0.001):
            yield


@fault("VitaleReaderStoreSlow")
async def a_database_that_is_busy(desks: Desks) -> AsyncGenerator[None]:
    async with locked_in_turns(desks, "outbox"):
        yield


@fault("VitaleReaderAuditBehind")
async def a_trail_that_is_busy(desks: Desks) -> AsyncGenerator[None]:
    async with locked_in_turns(desks, "audit"), again_and_again(lambda: desks.cancelled(desks.site), every=0.01):
        yield


@fault("VitaleReaderSiteDatabaseAway")
async def a_database_that_is_gone(desks: Desks) -> AsyncGenerator[None]:
    desks.postgres.stop()
    yield
    desks.postgres.start()


@fault("VitaleReaderSpoolLarge")
async def a_database_that_is_gone_for_long(desks: Desks) -> AsyncGenerator[None]:
    desks.postgres.stop()
    async with again_and_again(desks.card, every=0.5):
        yield
    desks.postgres.start()
    await desks.acknowledge(desks.site)


@fault("VitaleReaderClockOff")
async def a_clock_that_is_wrong(desks: Desks) -> AsyncGenerator[None]:
    clock = desks.clocks[0]
    clock._wall = lambda: time.time() + 60.0  # pyright: ignore[reportPrivateUsage]
    yield
    clock._wall = time.time  # pyright: ignore[reportPrivateUsage]


@fault("VitaleReaderResolverDown")
async def a_service_that_is_away(desks: Desks) -> AsyncGenerator[None]:
    desks.counter.resolver.fault = ResolverUnavailable("away")
    await desks.counter.read(desks.own, b"away")
    yield
    desks.counter.resolver.fault = None
    await desks.counter.read(desks.own, b"back")


@fault("VitaleReaderOutboxFull")
async def tokens_that_nobody_takes(desks: Desks) -> AsyncGenerator[None]:
    for number in range(8):
        await desks.counter.read(desks.own, f"kept-{number}".encode())
    yield
    await desks.acknowledge(desks.own)


@fault("VitaleReaderPresentationsFail")
async def the_same_phone_again_and_again(desks: Desks) -> AsyncGenerator[None]:
    async with again_and_again(lambda: desks.counter.read(desks.own, b"kept-0")):
        yield


@fault("VitaleReaderPresentationsSlow")
async def a_service_that_is_slow(desks: Desks) -> AsyncGenerator[None]:
    resolver = desks.counter.resolver
    for number in range(3):
        resolver.gate.clear()
        reading = asyncio.create_task(desks.counter.read(desks.own, f"slow-{number}".encode()))
        await asyncio.sleep(6.0)
        resolver.gate.set()
        await reading
    yield


@fault("VitaleReaderCallsRefused")
async def a_program_that_asks_too_much(desks: Desks) -> AsyncGenerator[None]:
    async with unix_line(desks.counter.tools.home.endpoints()) as line:
        await line.open(language="en")
        for _ in range(33):
            line.send_call("presentation.request", {"nonce": "n" * 22, "media": ["vitale-card"]})
        one_more = {"nonce": "n" * 22, "media": ["vitale-card"]}
        async with again_and_again(lambda: line.call("presentation.request", one_more)):
            yield


@fault("VitaleReaderDown")
async def a_desk_that_is_switched_off(desks: Desks) -> AsyncGenerator[None]:
    await desks.leave.aclose()
    yield


async def until(holds: Callable[[], Awaitable[bool]]) -> float:
    """Seconds until something holds."""
    began = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  Prometheus tells nobody
            await asyncio.sleep(0.5)
    return time.monotonic() - began


@asynccontextmanager
async def desks(folder: Path) -> AsyncGenerator[Desks]:
    """Starts everything, and ends it."""
    programs = PostgresServer.installed()
    if programs is None:
        sys.exit("PostgreSQL is not installed: on Debian, apt-get install --no-install-recommends postgresql")
    bearer = folder / "bearer"
    bearer.write_text("0123456789abcdef0123456789abcdef\n")
    bearer.chmod(0o640)
    ports = [loopback_port(0) for _ in range(3)]
    of_site, of_own, of_prometheus = (each.port for each in ports)
    web_port = socket.create_server(("127.0.0.1", 0))
    clocks: list[StoreClock] = []

    class Captured(StoreClock):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            clocks.append(self)

    patch = pytest.MonkeyPatch()
    postgres = PostgresServer(programs)
    async with AsyncExitStack() as stack:
        stack.callback(postgres.remove)
        postgres.start()
        database = postgres.create_database()
        for each in ports:
            each.close()
        site = SITE.format(store=postgres.url(database), web=web_port.getsockname()[1])
        own_home, site_home = Home.under(folder / "own"), Home.under(folder / "site")
        with patch.context() as clock_patch:
            clock_patch.setattr(station, "StoreClock", Captured)
            config = parse(site + METRICS.format(port=of_site, bearer=bearer))
            endpoints = await stack.enter_async_context(app.running(site_home, config))
        line = await stack.enter_async_context(unix_line(endpoints))
        await line.open(language="en")
        leave = await stack.enter_async_context(AsyncExitStack())
        counter = Counter(Tools(own_home), patch)
        config = counter.config(rest=METRICS.format(port=of_own, bearer=bearer))
        own_line = await leave.enter_async_context(unix_line(await leave.enter_async_context(counter.station(config))))
        await own_line.open(language="en")
        targets = [f"127.0.0.1:{of_site}", f"127.0.0.1:{of_own}"]
        prometheus = PrometheusServer(of_prometheus, bearer, targets)
        stack.callback(prometheus.stop)
        prometheus.start()
        await prometheus.targets_up(2)
        yield Desks(prometheus, postgres, database, line, clocks, counter, own_line, leave, web_port)


async def main(wanted: list[str]) -> int:
    """Tries the alerts that are named, or all; the exit status."""
    alerts = [alert for alert in PrometheusServer.alerts() if alert in wanted or not wanted]
    alerts.sort(key=lambda alert: alert == "VitaleReaderDown")  # whatever is switched off is off
    assert set(PrometheusServer.alerts()) == FAULTS.keys()
    folder = Path(tempfile.mkdtemp(prefix="vitale-alerts-"))
    try:
        async with desks(folder) as there:
            print(f"{len(await there.prometheus.names())} names of series at Prometheus", flush=True)
            failed = [alert for alert in alerts if not await _try(there, alert)]
            await _look(there)
    finally:
        shutil.rmtree(folder)
    print(f"{len(alerts) - len(failed)} of {len(alerts)} alerts fired by their fault", flush=True)
    return 1 if failed else 0


async def _look(there: Desks) -> None:
    """Asks all that the dashboard for Grafana asks; a query that is not understood ends it."""
    panels = there.prometheus.panels()
    empty = [title for title, query in panels if not await there.prometheus.series(query)]
    shown = f"{len(panels) - len(empty)} of {len(panels)} queries of the dashboard have something to show"
    print(f"{shown}; nothing: {', '.join(empty) or 'none'}", flush=True)


async def _try(there: Desks, alert: str) -> bool:
    async def fires() -> bool:
        return await there.prometheus.firing(alert) is not None

    async def is_silent() -> bool:
        return not await fires()

    try:
        if alert not in LASTING:
            await until(is_silent)
        async with FAULTS[alert](there):
            seconds = await until(fires)
            told = await there.prometheus.firing(alert)
        ended = None if alert in LASTING else await until(is_silent)
    except TimeoutError:
        print(f"FAILED  {alert}", flush=True)
        return False
    said = told["annotations"]["summary"] if told else ""
    after = "" if ended is None else f", ended {ended:.0f} s after it was mended"
    print(f"fired   {alert} after {seconds:.0f} s{after}: {said}", flush=True)
    return True


if __name__ == "__main__":
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed: on Debian, apt-get install --no-install-recommends prometheus")
    logging.basicConfig(level=logging.CRITICAL)  # what the faults make the desks say
    sys.exit(asyncio.run(main(sys.argv[1:])))
