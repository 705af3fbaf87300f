"""All measures: each figure beside its baseline, taken in turns in one run."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

import vitale_drivers
import vitale_firmware_sim
import vitale_protocol
import vitale_reader
from tests.benchmarks import clients, echo, latency_camera, phones, stores
from tests.benchmarks.processes import MEBIBYTE, baseline, loads, resident, waking
from tests.benchmarks.table import MILLISECONDS, Allowance, Measure, p50, p95
from vitale_protocol.errors import ReaderUnavailable, ToolMissing, VitaleError
from vitale_reader import aio
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment
from vitale_reader.cli.frame.language import t
from vitale_reader.client.pairing import Pairing
from vitale_reader.daemon.process import kill
from vitale_reader.home import Home

__all__ = ["bare_core", "compiling", "measure_all", "serving", "until_line", "until_serving", "without_byte_code"]

ROUNDS = 5
PATIENCE = 60.0
SETTLING = 3.0
"""Seconds after a start until a daemon is at rest."""

IMAGE = "adulte"

ALLOWED = Allowance(0.003, 0.005)
"""What a token may take more than bare pyscard takes to read the same card."""

BARE = t("ses bibliothèques seules", "its libraries alone")

MORE_MEMORY = 10
"""MiB that the core with SQLite may hold more than its libraries do."""

SERVING, COMPILED, HELP, IMPORT = 0.400, 0.500, 0.100, 0.100
"""Seconds from a start to serving, to serving where our modules are compiled, to the help, and to the SDK imported."""


def measure_all(readings: int, idle: int, taps: int, store: str | None, say: Callable[[str], None]) -> list[Measure]:
    """Everything, in the order in which it disturbs least; what a site's ``store`` costs only where there is one.

    Raises:
        ToolMissing: there is no pcscd with virtual readers on this machine, and so nothing to measure against.
    """
    with demo_environment() as demo:
        if demo.service is None or demo.slot is None:
            raise ToolMissing(demo.why, data={"tool": "pcscd"})
        say(t(f"Charge au repos, {idle} s…", f"Idle load, {idle} s…"))
        measures = _idle(demo, idle)
        say(t("Carte présente → jeton…", "Card present → token…"))
        measures += asyncio.run(_tokens(demo, readings))
        say(t("Aller-retour…", "Round trips…"))
        measures += asyncio.run(_pings(demo, readings))
        measures += _memory(demo)
        say(t("Reprise…", "Recovery…"))
        measures += asyncio.run(_recovery(demo))
    measures += phones.lines(taps, idle, say)
    measures += latency_camera.lines(taps, idle, say)
    measures += clients.lines(readings, idle, say)
    if store is not None:
        measures += stores.lines(store, readings, idle, say)
    say(t("Signature…", "Signing…"))
    measures.append(echo.signatures(Measure))
    say(t("Démarrages…", "Start-ups…"))
    measures += [*_start(), *_commands()]
    return measures


# ── card present → token ─────────────────────────────────────────────────────────────────────────────────────────


async def _tokens(demo: DemoEnvironment, readings: int) -> list[Measure]:
    times: dict[str, list[float]] = {"pyscard": [], "unix": [], "tls": []}
    async with aio.connect(home=demo.home, name="bench") as local:
        pairing = await pair(local, demo)
        async with aio.connect(home=demo.home, pairing=pairing, name="bench") as paired:
            await _present(local, demo)
            name = (await local.readers())[0].name
            for _ in range(ROUNDS):
                times["pyscard"] += await asyncio.to_thread(_bare_pyscard, demo, name, readings // ROUNDS)
                times["unix"] += await _readings(local, readings // ROUNDS)
                times["tls"] += await _readings(paired, readings // ROUNDS)
    return [
        Measure(
            name=t("carte présente → jeton vérifié", "card present → verified token"),
            unit="ms",
            baseline=t("pyscard seul, même carte", "bare pyscard, same card"),
            baseline_p50=p50(times["pyscard"]) * MILLISECONDS,
            baseline_p95=p95(times["pyscard"]) * MILLISECONDS,
            ours=way,
            p50=p50(times[way]) * MILLISECONDS,
            p95=p95(times[way]) * MILLISECONDS,
            promise=ALLOWED.text("pyscard"),
            kept=ALLOWED.holds(times[way], times["pyscard"]),
        )
        for way in ("unix", "tls")
    ]


async def pair(local: aio.Connection, demo: DemoEnvironment) -> Pairing:
    """A pairing for TLS with the daemon of the stage."""
    tls = demo.endpoints.tls
    if tls is None:
        raise ReaderUnavailable("the daemon does not listen for TLS")
    added = await local.add_client("bench", scopes=("identity",), transports=("tls",))
    return Pairing.of(added, address=f"tls://{tls.host}:{tls.port}")


async def _present(local: aio.Connection, demo: DemoEnvironment) -> None:
    if demo.slot is not None:
        demo.slot.insert(IMAGE)
    await local.read(timeout=PATIENCE)


async def _readings(reader: aio.Connection, count: int) -> list[float]:
    times: list[float] = []
    for _ in range(count):
        before = time.perf_counter()
        found = await reader.read(timeout=PATIENCE, acknowledge=False)
        times.append(time.perf_counter() - before)
        await found.acknowledge()  # by itself it would come beside the next reading, and lengthen it
    return times


def _bare_pyscard(demo: DemoEnvironment, name: str, count: int) -> list[float]:
    environment = os.environ | (demo.service.environment if demo.service else {})
    found = subprocess.run(
        (*baseline("pcsc"), name, str(count)),
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(found.stdout, type=list[float])


# ── round trip ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _pings(demo: DemoEnvironment, count: int) -> list[Measure]:
    async with aio.connect(home=demo.home, name="bench") as local:
        pairing = await pair(local, demo)
    return [
        Measure(
            name=f"session.ping, {way}",
            unit="ms",
            baseline=t("écho asyncio nu", "bare asyncio echo"),
            baseline_p50=p50(bare) * MILLISECONDS,
            baseline_p95=p95(bare) * MILLISECONDS,
            ours=way,
            p50=p50(ping) * MILLISECONDS,
            p95=p95(ping) * MILLISECONDS,
        )
        for way, bare, ping in await echo.round_trips(demo.endpoints, pairing, count, ROUNDS)
    ]


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────


def _processes(demo: DemoEnvironment) -> list[tuple[str, int]]:
    async def pids() -> list[tuple[str, int]]:
        async with aio.connect(home=demo.home, name="bench") as local:
            drivers = (await local.station()).drivers
        return [(driver.name, driver.pid) for driver in drivers if driver.pid is not None]

    return [(t("noyau", "core"), demo.endpoints.pid), *asyncio.run(pids())]


def _idle(demo: DemoEnvironment, seconds: int) -> list[Measure]:
    processes = _processes(demo)
    with waking() as bare:
        time.sleep(SETTLING)
        baseline, *used = loads((bare, *(pid for _, pid in processes)), seconds)
    lines = [
        Measure(
            name=t("charge au repos", "idle load"),
            unit="%",
            ours=name,
            p50=load * 100,
        )
        for (name, _), load in zip(processes, used, strict=True)
    ]
    whole = sum(used) * 100
    everything = Measure(
        name=t("charge au repos", "idle load"),
        unit="%",
        baseline=t("asyncio nu, un réveil par seconde", "bare asyncio, one wake a second"),
        baseline_p50=baseline * 100,
        ours=t("tout le service", "the whole daemon"),
        p50=whole,
        promise=t("< 0,5 % d'un cœur", "< 0.5 % of one core"),
        kept=whole < 0.5,
    )
    return [*lines, everything]


def _memory(demo: DemoEnvironment) -> list[Measure]:
    lines: list[Measure] = []
    with tempfile.TemporaryDirectory(prefix="vitale-bench-") as folder, serving(bare_core(folder), compiling()) as bare:
        floor = resident(bare.pid) / MEBIBYTE
    for number, (name, pid) in enumerate(_processes(demo)):
        size = resident(pid) / MEBIBYTE
        lines.append(
            Measure(
                name=t("mémoire résidente", "resident memory"),
                unit="MiB",
                baseline="" if number else BARE,
                baseline_p50=None if number else floor,
                ours=name,
                p50=size,
                promise="" if number else f"{BARE} + {MORE_MEMORY} MiB",
                kept=None if number else size <= floor + MORE_MEMORY,
            )
        )
    return lines


def _start() -> list[Measure]:
    bare: tuple[list[float], list[float]] = [], []
    first: list[float] = []
    again: list[float] = []
    uncompiled: list[float] = []
    with without_byte_code() as environment:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(prefix="vitale-bench-") as folder:
                for times in bare:
                    times.append(until_line(bare_core(folder), compiling()))
                first.append(until_serving(folder, compiling()))
                again.append(until_serving(folder, compiling()))
                uncompiled.append(until_serving(folder, environment))
    return [
        Measure(
            name=t("démarrage → en service", "start to serving"),
            unit="ms",
            baseline=BARE,
            baseline_p50=p50(floor) * MILLISECONDS,
            baseline_p95=max(floor) * MILLISECONDS,
            ours=what,
            p50=p50(times) * MILLISECONDS,
            p95=max(times) * MILLISECONDS,
            promise=f"< {most * MILLISECONDS:g} ms",
            kept=p50(times) < most,
        )
        for what, most, floor, times in (
            (t("le premier, qui fait ses clés", "the first, which makes its keys"), SERVING, bare[0], first),
            (t("les suivants", "the following"), SERVING, bare[1], again),
            (t("sans notre bytecode", "without byte code of ours"), COMPILED, bare[1], uncompiled),
        )
    ]


def compiling(**more: str) -> dict[str, str]:
    """An environment in which byte code is written down, as it is where the package is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | more


@contextmanager
def without_byte_code() -> Generator[dict[str, str]]:
    """An environment that has byte code of everything but our packages, and writes none; all of it is warm then."""
    with (
        tempfile.TemporaryDirectory(prefix="vitale-bench-") as cache,
        tempfile.TemporaryDirectory(prefix="vitale-bench-") as folder,
    ):
        until_serving(folder, compiling())
        # Without drivers: their workers would go on compiling after this start.
        Home.under(Path(folder)).config.write_text("[drivers]\nenabled = []\n", encoding="utf-8")
        until_serving(folder, compiling(PYTHONPYCACHEPREFIX=cache))
        for package in (vitale_reader, vitale_drivers, vitale_firmware_sim, vitale_protocol):
            place = Path(package.__path__[0])
            shutil.rmtree(Path(cache, *place.parts[1:]), ignore_errors=True)  # not each is imported
        yield compiling(PYTHONPYCACHEPREFIX=cache, PYTHONDONTWRITEBYTECODE="1")


def until_serving(home: str, environment: Mapping[str, str]) -> float:
    """Seconds from the start of a daemon until it says that it serves."""
    command = (sys.executable, "-m", "vitale_reader", "serve", "--json", "--tls-port", "0", "--home", home)
    return until_line(command, environment)


def until_line(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds from the start of a program until its first line."""
    before = time.perf_counter()
    with serving(command, environment):
        return time.perf_counter() - before


def bare_core(folder: str) -> tuple[str, ...]:
    """The command of the libraries of a core, with nothing of ours."""
    return (*baseline("core"), folder)


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str]) -> Generator[subprocess.Popen[bytes]]:
    """A program that has said its first line; it is ended with the context."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        if process.stdout is not None:
            process.stdout.readline()
        try:
            yield process
        finally:
            process.terminate()


def _commands() -> list[Measure]:
    """The shortest commands, beside an interpreter that does nothing."""
    bare = _ended(sys.executable, "-c", "pass")
    return [
        Measure(
            name=name,
            unit="ms",
            baseline=t("python seul", "bare python"),
            baseline_p50=p50(bare) * MILLISECONDS,
            baseline_p95=p95(bare) * MILLISECONDS,
            ours=t("le processus entier", "the whole process"),
            p50=p50(times) * MILLISECONDS,
            p95=p95(times) * MILLISECONDS,
            promise="" if most is None else f"< {most * MILLISECONDS:g} ms",
            kept=None if most is None else p50(times) < most,
        )
        for name, most, times in (
            ("vitale-reader --help", HELP, _ended(sys.executable, "-m", "vitale_reader", "--help")),
            ("import vitale_reader", IMPORT, _ended(sys.executable, "-c", "import vitale_reader")),
            # With what its first connection and verification load.
            ("import vitale_reader.aio", None, _ended(sys.executable, "-c", "import vitale_reader.aio")),
        )
    ]


def _ended(*command: str) -> list[float]:
    """Seconds until a process has ended, without the first, which compiles what was changed."""
    times: list[float] = []
    for _ in range(ROUNDS * 2 + 1):
        before = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=compiling())
        times.append(time.perf_counter() - before)
    return times[1:]


# ── recovery ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def _recovery(demo: DemoEnvironment) -> list[Measure]:
    """From the fault to a verified token of the card that lay there all along."""

    async def after(fault: Callable[[], Awaitable[None]]) -> float:
        async with aio.connect(home=demo.home, name="bench") as reader:
            await fault()
            before = time.perf_counter()
            while True:
                try:
                    await reader.read(timeout=PATIENCE)
                except VitaleError as error:
                    if not error.retryable:
                        raise
                else:
                    return time.perf_counter() - before

    async def kill_worker() -> None:
        async with aio.connect(home=demo.home, name="bench") as other:
            pid = (await other.station()).drivers[0].pid
        if pid is not None:
            kill(pid)

    async def restart_service() -> None:
        if demo.service is not None:
            await asyncio.to_thread(demo.service.kill)
            await asyncio.to_thread(demo.service.start)

    faults = (
        (t("pilote tué (SIGKILL) → jeton", "worker killed (SIGKILL) → token"), kill_worker),
        (t("pcscd tué et relancé → jeton", "pcscd killed and restarted → token"), restart_service),
    )
    lines: list[Measure] = []
    for name, fault in faults:
        times = [await after(fault) for _ in range(ROUNDS)]
        lines.append(
            Measure(
                name=name,
                unit="s",
                ours=t(f"{ROUNDS} fois", f"{ROUNDS} times"),
                p50=p50(times),
                p95=max(times),
                promise="< 2 s",
                kept=max(times) < 2.0,
            )
        )
    return lines
