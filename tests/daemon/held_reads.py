"""A store whose next answer takes its time: it was read, and has not arrived."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from vitale_reader.daemon.store.store import Need, Store

T = TypeVar("T")


class HeldReads(Store):
    """A store; after ``hold()`` its next answer is kept until ``release``, and ``held`` says that there is one."""

    def __init__(self, place: Path | str) -> None:
        super().__init__(place)
        self.held, self.release = asyncio.Event(), asyncio.Event()
        self._next = False

    def hold(self) -> None:
        """Keeps the next answer."""
        self._next = True

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        needs: Need = "any",
        single: bool = False,
        in_spool: Callable[[Connection], T] | None = None,
    ) -> T:
        """Runs work as every store does."""
        kept, self._next = self._next, False
        answer = await super().run(work, needs=needs, single=single, in_spool=in_spool)
        if kept:
            self.held.set()
            await self.release.wait()
        return answer


async def both(store: HeldReads, first: Coroutine[Any, Any, object], second: Coroutine[Any, Any, object]) -> None:
    """Begins the first, whose answer is held, then the second; lets go when the second is done, or waits for it."""
    store.hold()
    one = asyncio.create_task(first)
    await store.held.wait()
    two = asyncio.create_task(second)
    await asyncio.wait({two}, timeout=0.2)
    store.release.set()
    await asyncio.gather(one, two)
