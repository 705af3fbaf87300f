"""The threads of a store: few, and each can be given up if what it waits for never comes.

The time limit of a piece of work begins when a thread takes it up, not earlier. That there is much to do is no sign
that the database is away. Every sign of life begins the limit anew. When it is over, the connection is severed from
outside, which ends the wait of the thread. A thread that does not even end then is left behind, and another one takes
its place. They are daemon threads: none keeps the process from ending.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Any, Generic, TypeVar

__all__ = ["Job", "ThreadPool"]

T = TypeVar("T")

#: Seconds in which a thread whose connection was severed has to come back.
GRACE = 0.5


class Job(Generic[T]):
    """One piece of work, on its way through a thread."""

    def __init__(
        self, work: Callable[["Job[T]"], T], loop: asyncio.AbstractEventLoop, limit: float | None = None
    ) -> None:
        self._work = work
        self.limit = limit
        self._loop = loop
        self._lock = threading.Lock()
        self._severs: Callable[[], None] | None = None
        self.answer: asyncio.Future[T] = loop.create_future()
        self.asked_at = time.monotonic()
        self.alive_at: float | None = None
        self.severed = False
        self.over = False
        self.left_behind = False

    def touch(self) -> None:
        """Notes a sign of life."""
        self.alive_at = time.monotonic()

    def left(self) -> float:
        """Seconds until it is given up; all of them until a thread takes it up."""
        limit = inf if self.limit is None else self.limit
        return limit if self.alive_at is None else self.alive_at + limit - time.monotonic()

    def hold(self, sever: Callable[[], None]) -> None:
        """Says how to sever what the thread is about to wait for; severs it at once if due."""
        with self._lock:
            self._severs = sever
            due = self.severed
        if due:
            sever()

    def sever(self) -> None:
        """Ends whatever the thread waits for."""
        with self._lock:
            self.severed = True
            sever = self._severs
        if sever is not None:
            sever()

    def do(self) -> None:
        """Does it, in a thread, and brings the answer to the loop."""
        if self.answer.cancelled():
            self.over = True
            return
        self.touch()
        try:
            done: T = self._work(self)
        except BaseException as error:  # noqa: BLE001  handed to whoever waits for it
            self._bring(self.answer.set_exception, error)
        else:
            self._bring(self.answer.set_result, done)
        with self._lock:
            self._severs = None

    def _bring(self, settle: Callable[[Any], None], outcome: object) -> None:
        self.over = True

        def settled() -> None:
            if not self.answer.done():
                settle(outcome)

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(settled)


class ThreadPool:
    """Threads that do one job after the other.

    Args:
        most: how many there are.
        name: of the threads.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._queue: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = self._pending = 0  # of one moment, unlike the length of the queue: both change under the lock
        self._running: dict[Job[Any], threading.Thread] = {}
        self._waited_for: dict[Job[Any], Callable[[], None]] = {}

    async def do(self, work: Callable[[Job[T]], T], *, limit: float | None, gone: Callable[[], Exception]) -> T:
        """Does one job.

        Args:
            work: the job.
            limit: seconds without a sign of life after which it is severed; None for as long as it takes.
            gone: makes the error that is raised then.
        """
        loop = asyncio.get_running_loop()
        job: Job[T] = Job(work, loop, limit)
        self._submit(job)
        if limit is None:
            return await job.answer
        look = partial(self._look, loop, job, gone)
        self._waited_for[job] = look
        timer = loop.call_later(limit, look)
        try:
            return await job.answer
        finally:
            timer.cancel()
            del self._waited_for[job]

    def hasten(self, limit: float) -> None:
        """Waits for a sign of life for so many seconds at most from now on."""
        for job, look in self._waited_for.items():
            job.limit = limit
            asyncio.get_running_loop().call_later(limit, look)

    def _look(self, loop: asyncio.AbstractEventLoop, job: Job[T], gone: Callable[[], Exception]) -> None:
        if job.answer.done():
            return
        if (left := job.left()) > 0:
            loop.call_later(left, self._look, loop, job, gone)
            return
        job.sever()
        job.answer.set_exception(gone())
        loop.call_later(GRACE, self._leave_behind, job)

    def _submit(self, job: Job[T]) -> None:
        with self._lock:
            self._pending += 1
            self._queue.put(job)
            if self._pending > self._idle and len(self._threads) < self._most:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            job = self._queue.get()
            with self._lock:
                self._idle -= 1
                if job is None:
                    return
                self._pending -= 1
                self._running[job] = threading.current_thread()
            job.do()
            with self._lock:
                del self._running[job]
                if job.left_behind:
                    return

    def _leave_behind(self, job: Job[T]) -> None:
        with self._lock:
            if job.over:
                return
            job.left_behind = True
            self._most += 1
            if self._pending:
                self._start()

    async def close(self, patience: float) -> None:
        """Lets what was begun end, for some seconds; what does not end is severed and left behind.

        What was given up before is left behind at once: nobody waits for what it does.
        """
        for _ in self._threads:
            self._queue.put(None)
        until = time.monotonic() + patience
        given_up = {thread for job, thread in self._at_work().items() if job.severed}
        await asyncio.to_thread(_join, [thread for thread in self._threads if thread not in given_up], until)
        # One of those that came back may have taken up what waited.
        await asyncio.to_thread(_join, [thread for job, thread in self._at_work().items() if not job.severed], until)
        left = {job: thread for job, thread in self._at_work().items() if not job.severed}
        for job in left:
            job.sever()
        await asyncio.to_thread(_join, list(left.values()), time.monotonic() + GRACE)

    def _at_work(self) -> dict[Job[Any], threading.Thread]:
        with self._lock:
            return dict(self._running)


def _join(threads: Sequence[threading.Thread], until: float) -> None:
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
