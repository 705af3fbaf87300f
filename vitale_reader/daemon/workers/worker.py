"""A worker process: started, listened to, pinged, killed when it hangs, restarted when it dies.

A driver that crashes takes only its own process with it. Its readers go, and come back with the next process. The first
restart is immediate. The following ones wait longer and longer until one has lived for a while.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import msgspec

from vitale_drivers.base import (
    Command,
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
    Transmitted,
    WhoHolds,
)
from vitale_drivers.host.pipe import Decoder, StreamError, encode
from vitale_drivers.host.programs import own_program
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
from vitale_reader.daemon.observation.incidents import BackgroundTasks, attempt, incident
from vitale_reader.daemon.workers.child_process import ChildProcess, begun
from vitale_reader.daemon.workers.environment import temporary_folder, worker_environment
from vitale_reader.daemon.workers.heartbeat import Beat, Heartbeat
from vitale_reader.daemon.workers.holders import HolderDesk
from vitale_reader.daemon.workers.native_output import NativeOutput
from vitale_reader.daemon.workers.offspring import Offspring
from vitale_reader.daemon.workers.reports import LONGEST, bounded
from vitale_reader.daemon.workers.transmissions import Transmissions
from vitale_reader.daemon.workers.worker_limits import Restraint
from vitale_reader.daemon.workers.worker_log import repeat

__all__ = ["WORKER", "OnEnd", "OnReport", "Worker"]

logger = logging.getLogger(__name__)

#: Bytes of reports that are taken at once; a hundred of the short ones, so that nobody else waits for long.
READ_BYTES = 16_384

#: Seconds that reading is put off at most at a time.
LONGEST_PAUSE = 1.0

MEDIA: frozenset[str] = frozenset(get_args(Medium))

#: Seconds that the end of what a process printed may take to come; somebody whom it started may hold it open.
LAST_WORDS = 1.0

#: Bytes of commands that a worker has not read. A command takes a few hundred.
MOST_UNREAD = 1 << 20

WORKER = own_program("vitale_drivers.host.worker", "worker")

#: Exit status of a worker that lacks something (sysexits.h EX_UNAVAILABLE), which may be installed meanwhile.
UNAVAILABLE = 69

#: Exit status of a worker whose configuration is wrong (EX_CONFIG): the next one would end like it.
MISCONFIGURED = 78

#: Of a driver whose readers nobody could ask for.
UNKNOWN_MEDIUM = Problem(MediumUnsupported.reason, "driver")

#: What the supervisor tells of a driver: its name with a report, or with the problem that its process ended with.
OnReport = Callable[[str, Report], None]
OnEnd = Callable[[str, Problem | None], None]

#: What the supervisor tells of a driver whose next process is begun.
OnRestart = Callable[[str], None]

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
    on_restart: OnRestart = lambda _: None
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
    _heart: Heartbeat | None = None
    _transmissions: Transmissions = msgspec.field(default_factory=Transmissions)

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
            if not self._stopping:
                self.on_restart(self.name)
        self.state = "stopped"
        self._end_of_process()

    def send(self, command: Command) -> None:
        """Sends a command to the process; without one it is dropped, since the hub arms each new process again."""
        process = self._process
        if process is None or process.stdin.is_closing():
            return
        process.stdin.write(encode(command))
        if self._heart is not None and not isinstance(command, Ping):
            self._heart.ordered(command)
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
        command, answer = self._transmissions.begin(reader, apdus, lease=lease)
        self.send(command)
        return await answer

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
            async with temporary_folder() as temporary:
                return await self._live_in(temporary)
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        except Exception as error:  # noqa: BLE001  an edge: whatever went wrong, the driver is started again
            await self._abandon()
            return f"cannot be kept alive: {incident(error).detail}"

    async def _abandon(self) -> None:
        """Ends a process that is supervised no longer."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()
            process.close()

    async def _live_in(self, temporary: str) -> str:
        self.spawning = True
        try:
            with self.inherit() as inherited:
                process = await begun(
                    (*self.command, self.name, *self.arguments),
                    environment=worker_environment() | {"TMPDIR": temporary},
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
            process.close()
            return f"cannot be held: {error.strerror}"
        self._process, self.state = process, "starting"
        self._heart = Heartbeat(self.beat, self.send, self.sweep)
        self._renewing = False
        self._restraint = Restraint(self.title)
        self._holders = HolderDesk(self.send, {process.pid, os.getpid()})
        self.send(Start(options={**self.options, **inherited}, hidden=self.hidden))
        if self._stopping:  # told so while the process was being made
            self.send(Stop())
        beside = BackgroundTasks()
        beside.spawn(self._end_in_silence(process, self._heart), f"heartbeat {self.name}")
        beside.spawn(self._holders.run(), f"who holds devices of {self.name}")
        native_output = asyncio.create_task(self._overhear(process), name=f"printed by {self.name}")
        try:
            fault = await self._listen(process)
        finally:
            beside.cancel()
            await beside.finish()
            process.stdin.close()
            self._status = await self._bury(process)
            offspring.end()
            self._process = None
            self.sweep()
            self._restraint.end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await attempt(native_output)
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
                self._answered()
                await asyncio.sleep(min(wait, LONGEST_PAUSE))
        return ""

    def _take(self, said: Report) -> None:
        match report := bounded(said):
            case Pong(stuck=stuck):
                if stuck and self._process is not None:
                    logger.error("%s is stuck in %s; killed", self.title, stuck)
                    self._process.kill()
                self._answered()
            case Log():
                if self._restraint is None or self._restraint.tells():
                    repeat(report)
            case WhoHolds() if self._holders is not None:
                self._holders.ask(report)
            case OutOfReach():
                self._renew()
            case Transmitted():
                self._transmissions.answer(report)
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
            self.problem = msgspec.structs.replace(UNKNOWN_MEDIUM, detail=", ".join(unknown)[:LONGEST])
            if self._process is not None:
                self._process.kill()
            return
        if self._is_missed:
            logger.info("%s is back", self.title)
        self._is_missed = False
        self.state, self.media, self.version = "ready", tuple(dict.fromkeys(report.media)), report.version
        self.problem = None
        self._answered()
        self.on_report(self.name, report)

    def _renew(self) -> None:
        """Asks the process to end: the next one can open what was plugged in after this one was confined."""
        if not self._renewing:
            logger.info("%s is started again, to reach a device that was plugged in", self.title)
            self._renewing = True
            self.send(Stop())

    def _answered(self) -> None:
        if self._heart is not None:
            self._heart.answered()

    async def _end_in_silence(self, process: ChildProcess, heart: Heartbeat) -> None:
        """Kills the process when it does not answer; its restart follows from its end."""
        await attempt(heart.stops())
        logger.error("%s does not answer; killed", self.title)
        process.kill()

    async def _overhear(self, process: ChildProcess) -> None:
        """Takes what native libraries print; tells the last of it where the process was not asked to end."""
        native_output = NativeOutput(self.title)
        await native_output.listen(process.stderr)
        if not self._stopping:
            for line in native_output.last:
                logger.warning("%s printed last: %s", self.title, line)

    async def _bury(self, process: ChildProcess) -> int:
        """The exit status of a process that was told to end or closed its output.

        It is killed if it takes its time.
        """
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
        self._transmissions.fail(ReaderGone(f"{self.title} ended"))
        self.on_end(self.name, self.problem)


def _ending(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
