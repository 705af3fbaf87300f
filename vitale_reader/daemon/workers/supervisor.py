"""All the worker processes of a station, begun together and ended together, with their orphans."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from vitale_drivers.base import Command, Options, Transmitted
from vitale_protocol.configuration.settings import refusal
from vitale_protocol.methods import DriverHealth
from vitale_reader.daemon.observation.incidents import BackgroundTasks
from vitale_reader.daemon.process import adopts
from vitale_reader.daemon.process_ancestry import Orphans
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.worker import OnEnd, OnReport, OnRestart, Worker

__all__ = ["Supervisor", "require_known_tables"]

logger = logging.getLogger(__name__)

#: Generations of orphans that are ended at the end, and seconds between them.
MOST_GENERATIONS, NEXT_GENERATION = 200, 0.01


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
        on_restart: OnRestart = lambda _: None,
        beat: Beat,
        hidden: tuple[str, ...] = (),
    ) -> None:
        self.beat = beat
        self.hidden = hidden
        self.workers = {
            name: Worker(
                name, options, on_report, on_end, beat=beat, hidden=hidden, sweep=self._sweep, on_restart=on_restart
            )
            for name, options in drivers.items()
        }
        self._beside: list[Worker] = []
        self._tasks = BackgroundTasks()
        self._orphans = Orphans(adopts=False)

    def start(self) -> None:
        """Starts a process for each driver, all at once."""
        self._orphans = Orphans(adopts=adopts())
        for name, worker in self.workers.items():
            self._tasks.spawn(worker.run(), f"driver {name}")

    def add(self, worker: Worker) -> None:
        """Starts a process that drives nothing, and ends with the others."""
        self._beside.append(worker)
        self._tasks.spawn(worker.run(), worker.name)

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
        await self._tasks.finish()
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
