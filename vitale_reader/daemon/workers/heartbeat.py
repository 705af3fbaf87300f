"""The heartbeat of a process: pings, the answers to them, and the time that each may take."""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from vitale_drivers.base import Arm, Command, Disarm, Ping

__all__ = ["Beat", "Heartbeat"]


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of the supervisor, in seconds.

    Attributes:
        interval: between two pings, while the driver has something to do.
        rest: likewise while it has not; each ping wakes two processes.
        starting: without a sign of life from a new worker before it is killed. Libraries load slowly on old disks.
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


class Heartbeat:
    """The heartbeat of one process.

    Args:
        beat: the time limits, which may change.
        send: sends a ping.
        sweep: called between two pings.
    """

    def __init__(self, beat: Beat, send: Callable[[Command], None], sweep: Callable[[], object]) -> None:
        self.beat = beat
        self._send = send
        self._sweep = sweep
        self._answered = asyncio.Event()
        self._ordered = asyncio.Event()
        self._armed = False
        self._pinged = 0

    def answered(self) -> None:
        """The process gave a sign of life."""
        self._answered.set()

    def ordered(self, command: Command) -> None:
        """The process was ordered to do something."""
        self._armed = isinstance(command, Arm) or (self._armed and not isinstance(command, Disarm))
        self._ordered.set()

    async def stops(self) -> None:
        """Returns when the process does not answer in time."""
        patience = self.beat.starting
        while True:
            try:
                async with asyncio.timeout(patience):
                    await self._answered.wait()
            except TimeoutError:
                return
            self._sweep()
            await self._pause()
            self._answered.clear()
            self._pinged += 1
            self._send(Ping(id=self._pinged))
            patience = self.beat.patience

    async def _pause(self) -> None:
        """Until the next ping: after a rest, ``interval`` after it was ordered to do something."""
        if not self._armed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self.beat.rest - self.beat.interval, 0.0)):
                    await self._ordered.wait()
            self._ordered.clear()
        await asyncio.sleep(self.beat.interval)
