"""Incidents: faults of ours, logged in full under an id, of which whoever is outside learns the id alone."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from vitale_protocol.errors import InternalError

__all__ = ["BackgroundTasks", "incident"]

logger = logging.getLogger(__name__)


def incident(error: Exception) -> InternalError:
    """Logs a fault of ours under an incident id; the wire gets the id only."""
    number = secrets.token_hex(4)
    logger.error("incident %s", number, exc_info=error)
    return InternalError(f"incident {number}", data={"incident": number})


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

    def spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Has something done by a task of its own."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

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
