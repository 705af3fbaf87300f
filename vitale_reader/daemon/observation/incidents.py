"""Incidents: faults of ours, logged in full under an id, of which whoever is outside learns the id alone.

A fault does not end silently what goes on for as long as the daemon runs. Its next round comes (``attempt``), or its
end is an incident (``BackgroundTasks``).
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from vitale_protocol.errors import InternalError

__all__ = ["BackgroundTasks", "attempt", "incident"]

logger = logging.getLogger(__name__)


def incident(error: Exception) -> InternalError:
    """Logs a fault of ours under an incident id; the wire gets the id only."""
    number = secrets.token_hex(4)
    logger.error("incident %s", number, exc_info=error)
    return InternalError(f"incident {number}", data={"incident": number})


async def attempt(work: Awaitable[object]) -> None:
    """Does one round of something that goes on; a fault in it becomes an incident."""
    try:
        await work
    except Exception as error:  # noqa: BLE001  an edge: whatever went wrong, what goes on must not end by it
        incident(error)


class BackgroundTasks:
    """Tasks whose result nobody waits for: held until they end; a fault in one becomes an incident.

    Args:
        on_end: called when one has ended.
    """

    def __init__(self, on_end: Callable[[], None] = lambda: None) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._on_end = on_end

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, object], name: str | None = None) -> asyncio.Task[object]:
        """Has something done by a task of its own."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """Cancels all that have not ended."""
        for task in self._tasks:
            task.cancel()

    async def finish(self) -> None:
        """Waits until all have ended, also those that they begin."""
        while self._tasks:
            # A gather of tasks that are over is over at once, from Python 3.12 on: they would never be let go.
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self._on_end()
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            incident(error)
