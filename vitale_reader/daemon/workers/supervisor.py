"""Driver processes: started, listened to, beaten for a pulse, killed when they hang, restarted when they die.

A driver that crashes takes only its own process with it. Its readers go, and come back with the next process; the
first restart is immediate, the following ones wait longer and longer until one has lived for a while.
"""

import asyncio
import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import msgspec

from vitale_drivers.base import (
    Arm,
    Command,
    Disarm,
    Health,
    Log,
    Options,
    OutOfReach,
    Ping,
    Pong,
    Report,
    Start,
    Started,
    Stop,
    Transmit,
    Transmitted,
    WhoHolds,
)
from vitale_drivers.host.pipe import Decoder, StreamError, encode
from vitale_drivers.host.programs import own_program
from vitale_protocol.configuration.settings import refusal
from vitale_protocol.errors import (
    ConfigurationInvalid,
    MediumUnsupported,
    ReaderGone,
    ReaderUnavailable,
    VitaleError,
)
from vitale_protocol.methods import DriverHealth
from vitale_protocol.problems import Problem
from vitale_protocol.records import Medium
from vitale_reader.daemon.process import adopts
from vitale_reader.daemon.process_ancestry import Orphans
from vitale_reader.daemon.workers.child_process import ChildProcess, begun
from vitale_reader.daemon.workers.holders import HolderDesk
from vitale_reader.daemon.workers.native_output import NativeOutput
from vitale_reader.daemon.workers.offspring import Offspring
from vitale_reader.daemon.workers.worker_limits import Restraint

__all__ = ["WORKER", "Beat", "Supervisor", "Worker", "require_known_tables"]

logger = logging.getLogger(__name__)

#: Bytes of reports that are taken at once; a hundred of the short ones, so that nobody else waits for long.
READ_BYTES = 16_384

#: Seconds that reading is put off at most at a time.
LONGEST_PAUSE = 1.0

MEDIA: frozenset[str] = frozenset(get_args(Medium))

#: Seconds that the end of what a process printed may take to come; somebody whom it started may hold it open.
LAST_WORDS = 1.0

#: Generations of orphans that are ended at the end, and seconds between them.
MOST_GENERATIONS, NEXT_GENERATION = 200, 0.01

#: Bytes of commands that a worker has not read. A command takes a few hundred.
MOST_UNREAD = 1 << 20

WORKER = own_program("vitale_drivers.host.worker", "worker")

#: The name of a logger, as modules have them; what else a worker calls one is not repeated.
LOGGER = re.compile(r"(?![\s\S]{101})[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")

#: Exit status of a worker that lacks something (sysexits.h EX_UNAVAILABLE), which may be installed meanwhile.
UNAVAILABLE = 69

#: Exit status of a worker whose configuration is wrong (EX_CONFIG): the next one would end like it.
MISCONFIGURED = 78

#: Of a driver whose readers nobody could ask for.
UNKNOWN_MEDIUM = Problem(MediumUnsupported.reason, "driver")

#: Names of the environment whose values are for the daemon alone: libpq's, systemd's, and whatever says so itself.
_SECRET = re.compile(r"PG[A-Z]|CREDENTIALS_DIRECTORY|.*(?:PASSWORD|PASSWD|SECRET|TOKEN|APIKEY|API_KEY)", re.IGNORECASE)


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of the supervisor, in seconds.

    Attributes:
        interval: between two pings, while the driver has something to do.
        rest: likewise while it has not; each ping wakes two processes.
        starting: without a sign of life from a new worker before it is killed; libraries load slowly on old disks.
        patience: without an answer to a ping, before the worker is killed.
        backoff: waited before the second, third … restart in a row; the last one stays.
        settled: a worker that lived this long is restarted at once again.
        farewell: for a worker to end by itself when the daemon stops.
    """

    interval: float = 2.0
    rest: float = 10.0
    starting: float = 30.0
    patience: float = 5.0
    backoff: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 5.0)
    settled: float = 30.0
    farewell: float = 2.0


#: What the supervisor tells of a driver: its name with a report, or with the problem that its process ended with.
OnReport = Callable[[str, Report], None]
OnEnd = Callable[[str, Problem | None], None]

#: Makes the descriptors that a process inherits, by the names of the options that tell it of them.
Inheritance = Callable[[], AbstractContextManager[Mapping[str, int]]]


def nothing() -> AbstractContextManager[Mapping[str, int]]:
    """The inheritance of a driver."""
    return nullcontext({})


class Worker(msgspec.Struct):
    """One driver, or the gateway, across the processes that run it one after the other.

    Attributes:
        title: its name in the log.
    """

    name: str
    options: Options
    on_report: OnReport
    on_end: OnEnd
    beat: Beat = msgspec.field(default_factory=Beat)
    command: tuple[str, ...] = WORKER
    arguments: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    sweep: Callable[[], object] = lambda: None
    inherit: Inheritance = nothing
    title: str = ""

    spawning: bool = False
    state: Literal["starting", "ready", "degraded", "restarting", "stopped"] = "starting"
    media: tuple[str, ...] = ()
    version: str = ""
    restarts: int = 0
    problem: Problem | None = None
    _restraint: Restraint | None = None
    _holders: HolderDesk | None = None
    _renewing: bool = False
    _process: ChildProcess | None = None
    _status: int = 0
    _stopping: bool = False
    _told: str = ""
    _is_missed: bool = False
    _rest: asyncio.Task[None] | None = None
    _pinged: int = 0
    _answered: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    _ordered: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    _armed: bool = False
    _transmissions: dict[int, asyncio.Future[Transmitted]] = msgspec.field(
        default_factory=dict[int, "asyncio.Future[Transmitted]"]
    )
    _last_transmission: int = 0

    def __post_init__(self) -> None:
        self.title = self.title or f"driver {self.name}"

    @property
    def health(self) -> DriverHealth:
        """The driver as ``station.info`` shows it."""
        beyond = self._restraint.problem if self._restraint is not None else None
        problem = self.problem or beyond or Problem("")
        return DriverHealth(
            name=self.name,
            state="degraded" if beyond is not None and self.state == "ready" else self.state,
            media=self.media,
            restarts=self.restarts,
            pid=self._process.pid if self._process else None,
            version=self.version or None,
            reason=problem.reason or None,
            variant=problem.variant or None,
            detail=problem.detail or None,
        )

    async def run(self) -> None:
        """Keeps a process of the driver alive until ``stop``, or until another one could do no better."""
        quick_deaths = 0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            why = "it was not started" if self._stopping else await self._live()
            if self._stopping:
                break
            # What the worker itself said of its end says more than its exit status.
            if self.state != "degraded":
                self.problem = Problem(self._reason(), detail=why)
            if self._is_hopeless:
                health = self.health
                logger.error("%s is not started again: %s, %s", self.title, health.reason, health.detail)
                break
            self.state = "restarting"
            # One that lacks something says the same at each try.
            if not self._renewing and why != self._told:
                logger.warning("%s: %s", self.title, why)
            self._told = why if self._status == UNAVAILABLE else ""
            self._is_missed = not self._renewing
            self._end_of_process()
            if loop.time() - began >= self.beat.settled:
                quick_deaths = 0
            if self._status == UNAVAILABLE:
                quick_deaths = len(self.beat.backoff)
            await self._rest_for(self.beat.backoff[min(quick_deaths, len(self.beat.backoff) - 1)])
            quick_deaths += 1
            self.restarts += not self._renewing
        self.state = "stopped"
        self._end_of_process()

    def send(self, command: Command) -> None:
        """Sends a command to the process; without one it is dropped, since the hub arms each new process again."""
        process = self._process
        if process is None or process.stdin.is_closing():
            return
        process.stdin.write(encode(command))
        if not isinstance(command, Ping):
            self._armed = isinstance(command, Arm) or (self._armed and not isinstance(command, Disarm))
            self._ordered.set()
        if process.stdin.get_write_buffer_size() > MOST_UNREAD:
            logger.error("%s does not read its commands; killed", self.title)
            process.kill()

    async def transmit(self, reader: str, apdus: tuple[bytes, ...], *, lease: int) -> Transmitted:
        """Exchanges raw APDUs with the medium in a reader, in the transaction of a lease.

        Raises:
            ReaderGone: the driver's process ended before it answered.
        """
        if self._process is None:
            raise ReaderGone(f"{self.title} is not running")
        self._last_transmission += 1
        future: asyncio.Future[Transmitted] = asyncio.get_running_loop().create_future()
        self._transmissions[self._last_transmission] = future
        self.send(Transmit(id=self._last_transmission, reader=reader, apdus=apdus, lease=lease))
        return await future

    def restart(self) -> None:
        """Ends the process, so that the next one begins at once; killed if it does not go by itself."""
        logger.info("%s is started again, as a person asked", self.title)
        if self._rest is not None:
            self._rest.cancel()
        process = self._process
        if process is not None:
            self._renewing = True
            self.send(Stop())
            asyncio.get_running_loop().call_later(self.beat.farewell, self._end_if, process)

    def _end_if(self, process: ChildProcess) -> None:
        if self._process is process and process.returncode is None:
            process.kill()

    async def stop(self) -> None:
        """Ends the process: asked first, killed if it does not answer."""
        self._stopping = True
        if self._rest is not None:
            self._rest.cancel()
        process = self._process
        if process is None:
            return
        self.send(Stop())
        await self._bury(process)

    async def _rest_for(self, seconds: float) -> None:
        """Waits, or until it is to stop."""
        self._rest = asyncio.create_task(asyncio.sleep(seconds))
        try:
            await self._rest
        except asyncio.CancelledError:
            # Ended by ``stop`` or ``restart``; whoever cancels the supervision itself is to be heard.
            if (current := asyncio.current_task()) is not None and current.cancelling():
                raise
        finally:
            self._rest = None

    @property
    def _is_hopeless(self) -> bool:
        problem = self.problem or Problem("")
        return self._status == MISCONFIGURED or msgspec.structs.replace(problem, detail="") == UNKNOWN_MEDIUM

    def _reason(self) -> str:
        return ConfigurationInvalid.reason if self._status == MISCONFIGURED else ReaderUnavailable.reason

    async def _live(self) -> str:
        """One process from its start to its end, with a folder for its temporary files; returns why it ended."""
        try:
            with tempfile.TemporaryDirectory(prefix="vitale-reader-", ignore_cleanup_errors=True) as temporary:
                return await self._live_in(temporary)
        except OSError as error:
            return f"cannot be started: {error.strerror}"

    async def _live_in(self, temporary: str) -> str:
        self.spawning = True
        try:
            with self.inherit() as inherited:
                process = await begun(
                    (*self.command, self.name, *self.arguments),
                    environment=_environment() | {"TMPDIR": temporary},
                    inherited=inherited.values(),
                    leads=True,
                )
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        except VitaleError as error:  # what it would inherit is not to be had
            self.state, self.problem, self._status = "degraded", Problem.of(error), UNAVAILABLE
            return f"cannot be started: {error.detail}"
        finally:
            self.spawning = False
        try:
            offspring = Offspring(process.pid)
        except OSError as error:
            process.kill()
            await process.wait()
            return f"cannot be held: {error.strerror}"
        self._process, self.state = process, "starting"
        self._answered.clear()
        self._armed = False
        self._renewing = False
        self._restraint = Restraint(self.title)
        self._holders = HolderDesk(self.send, {process.pid, os.getpid()})
        self.send(Start(options={**self.options, **inherited}, hidden=self.hidden))
        if self._stopping:  # told so while the process was being made
            self.send(Stop())
        heart = asyncio.create_task(self._beat(process), name=f"heartbeat {self.name}")
        answers = asyncio.create_task(self._holders.run(), name=f"who holds devices of {self.name}")
        native_output = asyncio.create_task(self._overhear(process), name=f"printed by {self.name}")
        try:
            fault = await self._listen(process)
        finally:
            for task in (heart, answers):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            process.stdin.close()
            self._status = await self._bury(process)
            offspring.end()
            self._process = None
            self.sweep()
            self._restraint.end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await native_output
            process.close()
        return fault or _ending(self._status)

    async def _listen(self, process: ChildProcess) -> str:
        """Takes the reports of a process until its stream ends; returns a fault of the stream, or nothing."""
        decoder: Decoder[Report] = Decoder(Report)
        restraint = self._restraint or Restraint(self.title)
        while data := await process.stdout.read(READ_BYTES):
            try:
                reports = decoder.receive(data)
            except StreamError as error:
                return f"it said something that is not a report ({error})"
            try:
                for report in reports:
                    if restraint.hears(report):
                        self._take(report)
            except Exception as error:
                logger.error("%s: a report could not be used", self.title, exc_info=error)
                return "it reported what could not be used"
            if wait := restraint.count(len(reports)):
                # Its answers to pings wait in the pipe, too; that they are not read is not its fault.
                self._answered.set()
                await asyncio.sleep(min(wait, LONGEST_PAUSE))
        return ""

    def _take(self, report: Report) -> None:
        match report:
            case Pong(stuck=stuck):
                if stuck and self._process is not None:
                    logger.error("%s is stuck in %s; killed", self.title, stuck)
                    self._process.kill()
                self._answered.set()
            case Log():
                if self._restraint is None or self._restraint.tells():
                    _pass_on(report)
            case WhoHolds() if self._holders is not None:
                self._holders.ask(report)
            case OutOfReach():
                self._renew()
            case Transmitted(id=number):
                future = self._transmissions.pop(number, None)
                if future is not None and not future.done():
                    future.set_result(report)
            case Started():
                self._begin(report)
            case Health():
                self.state = "ready" if report.state == "ok" else "degraded"
                self.problem = report.problem
                self.on_report(self.name, report)
            case _:
                self.on_report(self.name, report)

    def _begin(self, report: Started) -> None:
        """The driver is open; one for media that nobody could ask for is ended."""
        if unknown := sorted(frozenset(report.media) - MEDIA):
            self.state = "degraded"
            self.problem = msgspec.structs.replace(UNKNOWN_MEDIUM, detail=", ".join(unknown))
            if self._process is not None:
                self._process.kill()
            return
        if self._is_missed:
            logger.info("%s is back", self.title)
        self._is_missed = False
        self.state, self.media, self.version = "ready", report.media, report.version
        self.problem = None
        self._answered.set()
        self.on_report(self.name, report)

    def _renew(self) -> None:
        """Ends the process, as asked, so that the next one can open what was plugged in after it was confined."""
        if not self._renewing:
            logger.info("%s is started again, to reach a device that was plugged in", self.title)
            self._renewing = True
            self.send(Stop())

    async def _beat(self, process: ChildProcess) -> None:
        """Kills the process when it does not answer; its restart follows from its end."""
        patience = self.beat.starting
        while True:
            try:
                async with asyncio.timeout(patience):
                    await self._answered.wait()
            except TimeoutError:
                logger.error("%s does not answer; killed", self.title)
                process.kill()
                return
            self.sweep()
            await self._pause()
            self._answered.clear()
            self._pinged += 1
            self.send(Ping(id=self._pinged))
            patience = self.beat.patience

    async def _pause(self) -> None:
        """Until the next ping: after a rest, ``interval`` after it was ordered to do something."""
        if not self._armed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self.beat.rest - self.beat.interval, 0.0)):
                    await self._ordered.wait()
            self._ordered.clear()
        await asyncio.sleep(self.beat.interval)

    async def _overhear(self, process: ChildProcess) -> None:
        """Takes what native libraries print; tells the last of it where the process was not asked to end."""
        native_output = NativeOutput(self.title)
        await native_output.listen(process.stderr)
        if not self._stopping:
            for line in native_output.last:
                logger.warning("%s printed last: %s", self.title, line)

    async def _bury(self, process: ChildProcess) -> int:
        """The exit status of a process that was told to end or closed its output; killed if it takes its time."""
        try:
            async with asyncio.timeout(self.beat.farewell):
                return await process.wait()
        except TimeoutError:
            process.kill()
            return await process.wait()
        except asyncio.CancelledError:  # nobody waits for it any longer
            process.kill()
            raise

    def _end_of_process(self) -> None:
        for future in self._transmissions.values():
            if not future.done():
                future.set_exception(ReaderGone(f"{self.title} ended"))
        self._transmissions.clear()
        self.on_end(self.name, self.problem)


class Supervisor:
    """All the drivers of a station, and what runs beside them.

    Attributes:
        workers: the drivers, by name.
        beat: how processes are asked whether they live.
        hidden: files and folders of the daemon, which they give up.
    """

    def __init__(
        self,
        drivers: Mapping[str, Options],
        *,
        on_report: OnReport,
        on_end: OnEnd,
        beat: Beat,
        hidden: tuple[str, ...] = (),
    ) -> None:
        self.beat = beat
        self.hidden = hidden
        self.workers = {
            name: Worker(name, options, on_report, on_end, beat=beat, hidden=hidden, sweep=self._sweep)
            for name, options in drivers.items()
        }
        self._beside: list[Worker] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._orphans = Orphans(adopts=False)

    def start(self) -> None:
        """Starts a process for each driver, all at once."""
        self._orphans = Orphans(adopts=adopts())
        self._tasks = [
            asyncio.create_task(worker.run(), name=f"driver {name}") for name, worker in self.workers.items()
        ]

    def add(self, worker: Worker) -> None:
        """Starts a process that drives nothing, and ends with the others."""
        self._beside.append(worker)
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(worker.run(), name=worker.name))

    async def end(self, worker: Worker) -> None:
        """Ends a process that drives nothing, and forgets it."""
        self._beside = [each for each in self._beside if each is not worker]
        await worker.stop()

    def restart(self, driver: str) -> bool:
        """Has a driver begin anew; False if there is none of this name, or none that could.

        One whose settings cannot be used would end like the one before.
        """
        worker = self.workers.get(driver)
        if worker is None or worker.state == "stopped":
            return False
        worker.restart()
        return True

    def send(self, driver: str, command: Command) -> None:
        """Sends a command to a driver."""
        self.workers[driver].send(command)

    async def transmit(self, driver: str, reader: str, apdus: tuple[bytes, ...], *, lease: int) -> Transmitted:
        """Exchanges raw APDUs with a leased medium.

        Raises:
            ReaderGone: the driver's process ended before it answered.
        """
        return await self.workers[driver].transmit(reader, apdus, lease=lease)

    @property
    def processes(self) -> frozenset[int]:
        """The processes that live, of the drivers and beside them."""
        return frozenset(pid for worker in self._all if (pid := worker.health.pid) is not None)

    @property
    def _all(self) -> tuple[Worker, ...]:
        return (*self.workers.values(), *self._beside)

    @property
    def health(self) -> tuple[DriverHealth, ...]:
        """The drivers as ``station.info`` shows them."""
        return tuple(worker.health for worker in self.workers.values())

    @property
    def gateway(self) -> DriverHealth | None:
        """The gateway for web pages, where one runs beside the drivers."""
        return self._named("gateway")

    @property
    def exporter(self) -> DriverHealth | None:
        """The exporter of metrics, likewise."""
        return self._named("exporter")

    def _named(self, name: str) -> DriverHealth | None:
        return next((worker.health for worker in self._beside if worker.name == name), None)

    async def stop(self) -> None:
        """Ends them all, at the same time."""
        await asyncio.gather(*(worker.stop() for worker in self._all))
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                logger.error("the supervision of a process had ended by a fault", exc_info=outcome)
        # What an orphan has started becomes one when it ends.
        for _ in range(MOST_GENERATIONS):
            if not self._sweep():
                break
            await asyncio.sleep(NEXT_GENERATION)

    def _sweep(self) -> int:
        """Waits for drivers' orphans and ends them; not while a process is started, which could be taken for one."""
        if any(worker.spawning for worker in self._all):
            return 0
        return self._orphans.sweep(self.processes)


def require_known_tables(enabled: Iterable[str], options: Iterable[str]) -> None:
    """Refuses options for a driver that does not exist, which would be without effect.

    Raises:
        ConfigurationInvalid: there are such options.
    """
    # The processes of those that are enabled find out by themselves.
    for name in set(options) - set(enabled):
        from vitale_drivers.registry import available  # noqa: PLC0415  what is installed is read for this alone

        if name not in (known := available()):
            raise refusal(f"drivers.options.{name}", f"no driver is called {name}", name, known)


def _pass_on(report: Log) -> None:
    """Logs what a worker logged, under the name that it gave.

    No logger is made of that name, and only the usual levels are used. Logging keeps both for ever, and a driver may
    send new ones without end.
    """
    level = min(max(report.level // 10 * 10, logging.DEBUG), logging.CRITICAL)
    name = report.logger if LOGGER.fullmatch(report.logger) else __name__
    if logger.isEnabledFor(level):
        logger.handle(logger.makeRecord(name, level, __file__, 0, "%s", (report.text,), None))


def _environment() -> dict[str, str]:
    """The environment of a worker: the daemon's, without what opens a database or holds a service's credentials."""
    kept = {name: value for name, value in os.environ.items() if not _SECRET.match(name)}
    return kept | {"PYTHONUNBUFFERED": "1"}


def _ending(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
