"""A blocking program's wait for the SDK's thread: interruptible, with short errors in the user's words."""

import asyncio
import concurrent.futures
import functools
import queue
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Self, TypeVar

from vitale_protocol.catalogue import Language
from vitale_protocol.errors import Cancelled, LocalMisuse, VitaleError
from vitale_protocol.events import PresentationProgress
from vitale_reader.client.session_transport import OnProgress
from vitale_reader.client.system import SLICE

__all__ = ["BlockingPendingRead", "result_of", "run_until_stopped", "start"]

T = TypeVar("T")


def run_until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    """Runs the event loop of the SDK's thread.

    ``sys.exit()`` in a callback does not end the loop, for others wait for it. Whoever waits for that call is told.
    """
    while True:
        try:
            return loop.run_forever()
        except (KeyboardInterrupt, SystemExit) as error:
            told = "a callback in the SDK's own thread ends the program: it ends its own call"
            loop.call_exception_handler({"message": told, "exception": error})


def start(work: Callable[[], Coroutine[Any, Any, T]], future: concurrent.futures.Future[T]) -> None:
    """Begins work, in the thread of its event loop, and gives a future what becomes of it.

    The program's thread makes the future and no coroutine. Ctrl-C may come between any two of its steps. It leaves
    nothing behind that was never awaited, and cancels what was begun.
    """
    if future.cancelled():
        return
    loop = asyncio.get_running_loop()
    task = loop.create_task(_begun(work))
    task.add_done_callback(functools.partial(_tell, future))
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(task.cancel))


async def _begun(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    # Within the task: what is wrong with a call itself, as an argument that it does not know, is its error too.
    return await work()


def _tell(future: concurrent.futures.Future[T], task: asyncio.Task[T]) -> None:
    failed = None if task.cancelled() else task.exception()
    if task.cancelled():
        future.cancel()
    elif not future.set_running_or_notify_cancel():
        return
    elif failed is not None:
        future.set_exception(failed)
    else:
        future.set_result(task.result())


def result_of(future: concurrent.futures.Future[T], language: Language) -> T:
    """The result of a coroutine that the SDK's thread runs.

    Raises:
        Cancelled: it was cancelled, by itself or with the connection.
        VitaleError: what the coroutine raised.
    """
    while True:
        try:
            return future.result(SLICE)
        except concurrent.futures.CancelledError as error:
            cancelled = Cancelled("cancelled by this program, or its connection was closed")
            cancelled.language = language
            raise cancelled from error
        except concurrent.futures.TimeoutError:
            if future.done():
                raise
        except VitaleError as error:
            raise _without_frames(error)  # noqa: B904 - the same error, with the causes that it has


def _without_frames(error: VitaleError) -> VitaleError:
    """An error and its causes without the frames of the SDK's thread: dozens, about none of the caller's lines."""
    told: BaseException | None = error
    while told is not None:
        told.__traceback__ = None
        told = told.__cause__ or told.__context__
    return error


class BlockingPendingRead(Generic[T]):
    """A read that waits, for ``with``, which cancels it at its end. Any thread may use it.

    Args:
        begin: begins it. It is given a callback for the steps, called in the SDK's thread, and a future for the result.
        check: refuses a caller that no result would reach.
        on_progress: called for each step, in the thread that waits for the result.
        language: of its errors.
    """

    def __init__(
        self,
        begin: Callable[[Callable[[PresentationProgress | None], None], concurrent.futures.Future[T]], None],
        check: Callable[[], None],
        on_progress: OnProgress | None,
        language: Language,
    ) -> None:
        self._begin = begin
        self._check = check
        self._on_progress = on_progress
        self._language: Language = language
        self._steps: queue.SimpleQueue[PresentationProgress | None] = queue.SimpleQueue()
        self._future: concurrent.futures.Future[T] | None = None

    def __enter__(self) -> Self:
        future = self._future = concurrent.futures.Future[T]()
        future.add_done_callback(lambda _: self._steps.put(None))
        try:
            self._begin(self._steps.put, future)
        except BaseException:
            future.cancel()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._started().cancel()

    @property
    def done(self) -> bool:
        """True if the read has ended: ``result()`` then waits no more."""
        return self._started().done()

    def cancel(self) -> None:
        """Cancels this read and no other; from any thread. Without effect once it is done."""
        self._started().cancel()

    def result(self) -> T:
        """Waits for the presentation; calls ``on_progress`` meanwhile, in this thread.

        Raises:
            Cancelled: ``cancel()`` was called, or the connection was closed.
            VitaleError: as ``read()`` does.
        """
        self._check()
        future = self._started()
        while (step := self._next()) is not None:
            if self._on_progress is not None:
                self._on_progress(step)
        self._steps.put(None)  # for whoever else waits for it
        return result_of(future, self._language)

    def _next(self) -> PresentationProgress | None:
        while True:
            try:
                return self._steps.get(timeout=SLICE)
            except queue.Empty:
                continue

    def _started(self) -> concurrent.futures.Future[T]:
        if self._future is None:
            raise LocalMisuse("the read has not begun; use `with reader.reading() as read:`")
        return self._future
