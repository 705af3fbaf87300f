"""Stores: the PostgreSQL of a site beside the SQLite file of a single station.

Both daemons run at once and are asked in turns. Opposition lists are imported into both stores and looked up in memory;
an indexed query of SQLite is what they stand beside.
"""

import asyncio
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete

from tests.benchmarks.processes import MEBIBYTE, loads, resident
from tests.benchmarks.table import MILLISECONDS, Measure, p50, p95
from tests.rig.proxy import Proxy
from vitale_protocol.methods import OutboxToken
from vitale_reader import aio
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment
from vitale_reader.cli.frame.language import t
from vitale_reader.daemon.database.target import Target
from vitale_reader.daemon.issuing import opposition
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.keystore.store_keys import KEY_BYTES, Vault
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import table_heads

__all__ = ["lines", "serials"]

ROUNDS = 5
PATIENCE = 60.0
ENTRIES = 1_000_000
LOOKUPS = 20_000
BATCH = 100
MICROSECONDS = 1_000_000.0
AT_REST = 0.005
MOST_MEMORY = 70

#: Seconds of a round trip, and how many of them a token may take.
LINES = (0.0, 0.01, 0.05)
MOST_TRIPS = 2.0

#: Long enough for the tables of a new database to be made.
SETTLING = 3.0


def lines(store: str, readings: int, idle: int, say: Callable[[str], None]) -> list[Measure]:
    """Everything about stores.

    Args:
        store: the URL of an empty PostgreSQL database.
        readings: presentations at each of the two.
        idle: seconds over which the load at rest is taken.
        say: is told what is being done.

    Raises:
        StoreUnavailable: the database does not answer.
        ToolMissing: the package for PostgreSQL is not installed.
    """
    say(t("Carte présente → jeton, SQLite et PostgreSQL…", "Card present → token, SQLite and PostgreSQL…"))
    with ExitStack() as stack:
        sqlite = stack.enter_context(demo_environment(simulated_driver=True))
        site = stack.enter_context(demo_environment(simulated_driver=True, store=store))
        found = asyncio.run(_tokens(sqlite, site, readings))
        say(t(f"Charge au repos, {idle} s…", f"Idle load, {idle} s…"))
        found += _at_rest(sqlite, site, idle)
    say(t("Jeton à travers une ligne lente…", "Token over a slow line…"))
    found += asyncio.run(_over_lines(store, readings))
    say(t("Liste d'opposition d'un million…", "Opposition list of a million…"))
    return [*found, *asyncio.run(_opposition(store))]


# ── card present → token ─────────────────────────────────────────────────────────────────────────────────────────


async def _tokens(sqlite: DemoEnvironment, site: DemoEnvironment, readings: int) -> list[Measure]:
    times: dict[str, list[float]] = {"sqlite": [], "postgresql": []}
    async with AsyncExitStack() as stack:
        clients: dict[str, aio.Connection] = {}
        for name, demo in (("sqlite", sqlite), ("postgresql", site)):
            clients[name] = await stack.enter_async_context(aio.connect(home=demo.home, name="bench"))
            if demo.slot is not None:
                demo.slot.insert("adulte")
            await clients[name].read(timeout=PATIENCE)
        for _ in range(ROUNDS):
            for name, client in clients.items():
                for _ in range(readings // ROUNDS):
                    before = time.perf_counter()
                    found = await client.read(timeout=PATIENCE, acknowledge=False)
                    times[name].append(time.perf_counter() - before)
                    await found.acknowledge()  # by itself it would come beside the next reading
        for client in clients.values():
            while kept := await client.pending():
                await client.acknowledge(*(token.jti for token in kept))
    return [
        Measure(
            name=t("carte présente → jeton vérifié, par magasin", "card present → verified token, by store"),
            unit="ms",
            baseline="SQLite",
            baseline_p50=p50(times["sqlite"]) * MILLISECONDS,
            baseline_p95=p95(times["sqlite"]) * MILLISECONDS,
            ours="PostgreSQL",
            p50=p50(times["postgresql"]) * MILLISECONDS,
            p95=p95(times["postgresql"]) * MILLISECONDS,
        )
    ]


def _at_rest(sqlite: DemoEnvironment, site: DemoEnvironment, idle: int) -> list[Measure]:
    time.sleep(SETTLING)
    pids = sqlite.endpoints.pid, site.endpoints.pid
    own, shared = loads(pids, idle)
    memory = [resident(pid) / MEBIBYTE for pid in pids]
    return [
        Measure(
            name=t("charge au repos, noyau", "idle load, core"),
            unit="%",
            baseline="SQLite",
            baseline_p50=own * 100,
            ours="PostgreSQL",
            p50=shared * 100,
            promise="< 0.5 %",
            kept=shared < AT_REST,
        ),
        Measure(
            name=t("mémoire, noyau", "memory, core"),
            unit="MiB",
            baseline="SQLite",
            baseline_p50=memory[0],
            ours="PostgreSQL",
            p50=memory[1],
            promise=f"≤ {MOST_MEMORY} MiB",
            kept=memory[1] <= MOST_MEMORY,
        ),
    ]


# ── over a slow line ──


async def _over_lines(url: str, readings: int) -> list[Measure]:
    """Keeping a token, by the round trip of the line; nothing for a database on another machine."""
    folder = Target.of(url).parameters.get("host", "")
    socket = Path(folder) / ".s.PGSQL.5432"
    if not socket.is_socket():
        return []
    found: list[Measure] = []
    with Proxy(socket) as proxy:
        store = Store(proxy.url(url))
        await store.open()
        vault = Vault.of_site(bytes(KEY_BYTES))
        chain = Chain(vault, str(uuid.uuid4()))
        outbox = Outbox(store, vault, chain, clock=StoreClock(Remembered(), wall=time.time, steady=time.monotonic))
        await _kept(outbox, 5)
        for delay in LINES:
            proxy.delay, trips = delay, proxy.trips
            times = await _kept(outbox, readings)
            each = (proxy.trips - trips) / readings
            name = t("jeton gardé, ligne de", "token kept, line of") + f" {delay * MILLISECONDS:.0f} ms"
            trips_told = t("allers-retours", "round trips")
            found.append(
                Measure(
                    name=f"{name} ({each:.1f} {trips_told})",
                    unit="ms",
                    baseline=t("un aller-retour", "one round trip"),
                    baseline_p50=delay * MILLISECONDS,
                    ours="PostgreSQL",
                    p50=p50(times) * MILLISECONDS,
                    p95=p95(times) * MILLISECONDS,
                    promise=t("≤ 2 allers-retours", "≤ 2 round trips"),
                    kept=each <= MOST_TRIPS,
                )
            )
        proxy.delay = 0
        await store.close()
    return found


async def _kept(outbox: Outbox, count: int) -> list[float]:
    times: list[float] = []
    for _ in range(count):
        jti = str(uuid.uuid4())
        token = OutboxToken(jti=jti, exp=int(time.time()) + 120, token="t" * 900)
        entry = AuditEntry(at=time.time(), action="presentation.request", outcome="ok", jti=jti)
        before = time.perf_counter()
        await outbox.put(token, client_id="bench", presentation=jti, entry=entry)
        times.append(time.perf_counter() - before)
    return times


# ── opposition lists ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Listed:
    """Seconds to import a list, seconds until a daemon holds it, and seconds of each look-up."""

    imported: float
    loaded: float
    times: list[float]


def serials() -> tuple[list[str], list[str]]:
    """Those that are listed, and those that are looked up, of which the first half is listed."""
    listed = [str(10_000_000 + number) for number in range(ENTRIES)]
    return listed, [str(10_000_000 + number * ENTRIES * 2 // LOOKUPS) for number in range(LOOKUPS)]


async def _opposition(url: str) -> list[Measure]:
    listed, asked = serials()
    vault = Vault.of_site(bytes(KEY_BYTES))
    found: dict[str, _Listed] = {}
    with tempfile.TemporaryDirectory(prefix="vitale-bench-") as folder:
        bare = _indexed(Path(folder) / "bare.db", listed, asked)
        for name, place in (("SQLite", Path(folder) / "store.db"), ("PostgreSQL", url)):
            store = Store(place)
            await store.open()
            try:
                # A site's database has lists under that site's key: those of this benchmark begin anew.
                await store.run(lambda connection: connection.execute(delete(table_heads)))
                found[name] = await _listed(store, vault, listed, asked)
            finally:
                await store.close()
    what = t(f"opposition, {ENTRIES:,} séries".replace(",", " "), f"opposition, {ENTRIES:,} serials")
    lookups = [
        Measure(
            name=what,
            unit="µs",
            baseline=t("SQLite, requête indexée", "SQLite, indexed query"),
            baseline_p50=p50(bare) * MICROSECONDS,
            baseline_p95=p95(bare) * MICROSECONDS,
            ours=t(f"consultation, {name}", f"look-up, {name}"),
            p50=p50(each.times) * MICROSECONDS,
            p95=p95(each.times) * MICROSECONDS,
        )
        for name, each in found.items()
    ]
    sqlite, site = found["SQLite"], found["PostgreSQL"]
    works = (
        (t("importation", "import"), sqlite.imported, site.imported),
        (t("chargement", "loading"), sqlite.loaded, site.loaded),
    )
    return lookups + [
        Measure(name=f"{what}, {work}", unit="s", baseline="SQLite", baseline_p50=file, ours="PostgreSQL", p50=database)
        for work, file, database in works
    ]


async def _listed(store: Store, vault: Vault, listed: Sequence[str], asked: Sequence[str]) -> _Listed:
    before = time.perf_counter()
    await store.run(opposition.replace(vault, "bench", listed, at=time.time()))
    imported = time.perf_counter() - before
    held = opposition.Opposition(store, vault)
    before = time.perf_counter()
    await held.refresh()
    loaded = time.perf_counter() - before
    times = _timed(held.lists, asked)
    await store.run(opposition.clear(vault, "bench"))
    return _Listed(imported, loaded, times)


def _indexed(file: Path, listed: Sequence[str], asked: Sequence[str]) -> list[float]:
    connection = sqlite3.connect(file)
    try:
        connection.execute("CREATE TABLE opposed (serial TEXT PRIMARY KEY) WITHOUT ROWID")
        connection.executemany("INSERT INTO opposed VALUES (?)", ((serial,) for serial in listed))
        connection.commit()
        query = "SELECT 1 FROM opposed WHERE serial = ?"
        return _timed(lambda serial: connection.execute(query, (serial,)).fetchone(), asked)
    finally:
        connection.close()


def _timed(look_up: Callable[[str], object], asked: Sequence[str]) -> list[float]:
    """Seconds of a look-up, each the mean of a batch: one alone is shorter than the clock is exact."""
    times: list[float] = []
    for start in range(0, len(asked), BATCH):
        batch = asked[start : start + BATCH]
        before = time.perf_counter()
        for serial in batch:
            look_up(serial)
        times.append((time.perf_counter() - before) / len(batch))
    return times
