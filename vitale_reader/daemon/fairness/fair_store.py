"""A store whose work is done in turns, client by client; audit lines come after other work.

They never wait for more than ``PATIENCE`` pieces of it. The payer of a piece of work is a context variable. So nothing
between a call and the store has to pass it on.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable
from contextvars import ContextVar
from typing import TypeVar

from sqlalchemy import Connection

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.database.outage import Outage
from vitale_reader.daemon.fairness.processor_shares import spend
from vitale_reader.daemon.observation.events import Observe, StoreWork, unobserved
from vitale_reader.daemon.store.store import CONNECTIONS, Database, Need

__all__ = ["FairStore", "paid_by"]

T = TypeVar("T")

#: Pieces of work that are with SQLite's one thread: one is done, and one is there when it ends.
WITH_SQLITE = 2

#: So many pieces of other work at most are done before one of the background.
PATIENCE = 8

#: What writes audit lines and the like, for which nobody waits.
BACKGROUND = "background"

_payer: ContextVar[Hashable] = ContextVar("payer", default="")


@contextlib.contextmanager
def paid_by(payer: Hashable) -> Generator[None]:
    """Makes the payer's what is asked of the store within, and by tasks begun within."""
    token = _payer.set(payer)
    try:
        yield
    finally:
        _payer.reset(token)


class Timed:
    """The processor time that a piece of work took in a thread of the store."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timing(self, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
        """The same work, whose time is added to ``seconds``."""

        def timed(connection: Connection) -> T:
            began = time.thread_time()
            try:
                return work(connection)
            finally:
                self.seconds += time.thread_time() - began

        return timed


class FairStore:
    """A store, and who waits for it.

    Args:
        store: does the work.
        observe: is told of each piece.
    """

    def __init__(self, store: Database, observe: Observe = unobserved) -> None:
        self._store = store
        self._observe = observe
        self._places = CONNECTIONS if store.shared else WITH_SQLITE
        self._busy = 0
        self._since_background = 0
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._turns: deque[Hashable] = deque()

    @property
    def shared(self) -> bool:
        """True if other stations use it as well."""
        return self._store.shared

    @property
    def degraded(self) -> bool:
        """True if what is kept now is not known to the other stations of the site."""
        return self._store.degraded

    @property
    def outage(self) -> Outage | None:
        """The last time that the database of the site was away."""
        return self._store.outage

    @property
    def waiting(self) -> int:
        """Pieces of work that wait for their turn."""
        return sum(map(len, self._waiting.values()))

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        needs: Need = "any",
        single: bool = False,
        in_spool: Callable[[Connection], T] | None = None,
    ) -> T:
        """Runs work in its payer's turn; see ``Database``."""
        asked_at = time.perf_counter()
        await self._enter()
        begun, answered = time.perf_counter(), True
        timed = Timed()
        try:
            return await self._store.run(
                timed.timing(work), needs=needs, single=single, in_spool=in_spool and timed.timing(in_spool)
            )
        except StoreUnavailable:
            answered = False
            raise
        finally:
            self._busy -= 1
            self._call_next()
            spend(timed.seconds)
            took = time.perf_counter() - begun
            self._observe(StoreWork(waited=begun - asked_at, seconds=took, answered=answered))

    def hasten(self) -> None:
        """Hastens the store beneath; see ``Database``."""
        self._store.hasten()

    async def mirror(self, work: Callable[[Connection], object]) -> None:
        """Mirrors work, and takes no turn for it; see ``Database``."""
        await self._store.mirror(work)

    async def _enter(self) -> None:
        if self._busy < self._places and not self._turns:
            self._busy += 1
            return
        payer, turn = _payer.get(), asyncio.get_running_loop().create_future()
        queue = self._waiting.setdefault(payer, deque())
        if not queue:
            self._turns.append(payer)
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was its turn when it was given up
                self._busy -= 1
                self._call_next()
            raise

    def _call_next(self) -> None:
        while self._turns and self._busy < self._places:
            payer = self._next_payer()
            queue = self._waiting[payer]
            turn = queue.popleft()
            if queue:
                self._turns.append(payer)
            else:
                del self._waiting[payer]
            if not turn.cancelled():
                self._busy += 1
                turn.set_result(None)

    def _next_payer(self) -> Hashable:
        """Takes the payer whose turn it is: the background last, but not never."""
        self._since_background += 1
        is_late = BACKGROUND in self._waiting and self._since_background > PATIENCE
        if is_late or (self._turns[0] == BACKGROUND and len(self._turns) == 1):
            self._since_background = 0
            self._turns.remove(BACKGROUND)
            return BACKGROUND
        if self._turns[0] == BACKGROUND:
            self._turns.rotate(-1)
        return self._turns.popleft()
