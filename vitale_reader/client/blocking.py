"""The SDK for blocking programs: the same connection, run by an event loop in a thread of its own.

Each method is the twin of one of ``vitale_reader.client.connection``, which has its signature and its text.

Example:
    ::

        with vitale_reader.connect() as reader:
            presentation = reader.read(scopes=["identity", "nir"])
            print(presentation.proof.method, presentation.token)
"""

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from vitale_protocol.errors import Cancelled, LocalMisuse
from vitale_protocol.events import CodeRead, PresentationProgress
from vitale_reader.client import connection, leasing, presentation
from vitale_reader.client.connection import Presentation as AsyncPresentation
from vitale_reader.client.connection import Settings
from vitale_reader.client.presentation import ReaderChange
from vitale_reader.client.reconnecting import settings_of
from vitale_reader.client.session_transport import OnProgress
from vitale_reader.client.sync_wrappers import Twin, blocking, factory, twin
from vitale_reader.client.waiting import BlockingPendingRead, result_of, run_until_stopped, start

__all__ = ["Connection", "Lease", "PendingRead", "Presentation", "connect"]

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")

IN_THIS_THREAD = (
    "``on_progress`` is called in this thread. Ctrl-C, and an exception that it raises, cancel the request."
)
IN_THE_SDK = "The callbacks are called in the SDK's own thread."


@dataclass(frozen=True, repr=False)
class Presentation(presentation.Presentation):
    """A presentation of the blocking SDK."""

    connection: "Connection" = field(repr=False, compare=False)

    @twin(AsyncPresentation.acknowledge)
    def acknowledge(self) -> None:  # noqa: D102 - its text is the twin's
        self.connection.acknowledge(self.jti)


Lease = leasing.BlockingLease
PendingRead = BlockingPendingRead[Presentation]


def _read(
    method: Callable[Concatenate[connection.Connection, P], Coroutine[Any, Any, AsyncPresentation]],
) -> Callable[Concatenate["Connection", P], Presentation]:
    """The twin of a method that gives a presentation."""
    begin = _reading(method, method)

    @twin(method, says=IN_THIS_THREAD, returns=Presentation)
    def call(self: "Connection", /, *args: P.args, **kwargs: P.kwargs) -> Presentation:
        with begin(self, *args, **kwargs) as read:
            return read.result()

    return call


def _reading(
    method: Callable[Concatenate[connection.Connection, P], Coroutine[Any, Any, AsyncPresentation]],
    of: Callable[..., object],
) -> Callable[Concatenate["Connection", P], PendingRead]:
    """The twin of a method that gives a handle, made of the method that gives the presentation."""

    @twin(of, says="Any thread may use the handle.", returns=PendingRead)
    def call(self: "Connection", /, *args: P.args, **kwargs: P.kwargs) -> PendingRead:
        on_progress = cast("OnProgress | None", kwargs.get("on_progress"))
        settings = self._settings  # pyright: ignore[reportPrivateUsage]  # made for that class
        settings.check_callbacks(on_progress=on_progress)

        def begin(
            told: Callable[[PresentationProgress | None], None], future: concurrent.futures.Future[Presentation]
        ) -> None:
            if on_progress is not None:
                kwargs["on_progress"] = told
            work = self._begin  # pyright: ignore[reportPrivateUsage]  # made for that class
            work(lambda inner: method(inner, *args, **kwargs), future)

        check = self._check_caller  # pyright: ignore[reportPrivateUsage]  # made for that class
        return BlockingPendingRead(begin, check, on_progress, settings.language)

    return call


def _stream(
    method: Callable[Concatenate[connection.Connection, P], AsyncGenerator[T, None]],
    given: Callable[["Connection", T], U],
    *,
    returns: object,
    says: str = "",
) -> Callable[Concatenate["Connection", P], Generator[U, None, None]]:
    """The twin of a method that gives one thing after the other."""

    @twin(method, says=says, returns=returns)
    def call(self: "Connection", /, *args: P.args, **kwargs: P.kwargs) -> Generator[U, None, None]:
        iterate = self._iterate  # pyright: ignore[reportPrivateUsage]  # made for that class
        with contextlib.closing(iterate(lambda inner: method(inner, *args, **kwargs))) as stream:
            for each in stream:
                yield given(self, each)

    return call


class Connection(Twin[connection.Connection]):
    """A connection to the daemon; made by ``vitale_reader.connect()``.

    Any number of threads may use it at once. A lost connection is opened again by the next call. It belongs to the
    process that opened it: after ``os.fork()`` the new process has to open its own. On this one it is refused.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._inner: connection.Connection | None = None
        self._process = 0
        # So that nothing is given to the loop once close() has cancelled what is there: it would wait for ever.
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Connects; ``with`` does it by itself.

        Raises:
            DaemonUnreachable: no daemon answers.
            DaemonUntrusted: what answers is not the daemon of the pairing.
            NotAuthenticated: the daemon does not know this client.
        """
        if self._loop is not None:
            with self._settings.spoken():
                raise LocalMisuse("the connection is open already")
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=run_until_stopped, args=(self._loop,), name="vitale-reader-sdk", daemon=True
        )
        self._thread.start()
        try:
            self._inner = self._run(lambda: _open(self._settings))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the connection and its thread; harmless to repeat.

        What waits on it in other threads raises ``Cancelled``; ``subscribe()`` and ``watch()`` end.

        Raises:
            LocalMisuse: this is the SDK's own thread, in a callback.
        """
        if self._is_forked():
            # The thread is the other process's, and so is the session.
            self._inner = self._thread = self._loop = None
            return
        self._check_caller()
        with self._lock:
            loop, thread, inner = self._loop, self._thread, self._inner
            self._inner = self._thread = self._loop = None
        if loop is None or thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(_close(inner), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    # ── presentations ────────────────────────────────────────────────────────────────────────────────────────────

    read = _read(connection.Connection.read)
    reading = _reading(connection.Connection.read, connection.Connection.reading)
    submit = _read(connection.Connection.submit)
    subscribe = _stream(
        connection.Connection.subscribe,
        lambda self, found: self._given(found),
        returns=Generator[Presentation, None, None],
        says=IN_THE_SDK,
    )

    codes = _stream(connection.Connection.codes, lambda _, code: code, returns=Generator[CodeRead, None, None])

    @twin(connection.Connection.lease, returns=contextlib.AbstractContextManager[Lease])
    @contextlib.contextmanager
    def lease(  # noqa: D102 - its text is the twin's
        self, reader: str, *, ttl: float = 5.0, previous: str | None = None, wait: float = 0.0
    ) -> Generator[Lease, None, None]:
        inner, _ = self._open()
        context = inner.lease(reader, ttl=ttl, previous=previous, wait=wait)
        lease = Lease(self._run(context.__aenter__), self._run)
        try:
            yield lease
        finally:
            self._end(inner, lambda: _leave(context))

    def cancel(self) -> None:
        """Cancels each ``read()`` and ``submit()`` that waits here; from any thread, or from a signal handler."""
        inner, loop = self._open()
        loop.call_soon_threadsafe(inner.cancel)

    pending = blocking(connection.Connection.pending)
    acknowledge = blocking(connection.Connection.acknowledge)

    # ── apCV contexts ────────────────────────────────────────────────────────────────────────────────────────────

    restore_context = blocking(connection.Connection.restore_context)
    sign_invoice = blocking(connection.Connection.sign_invoice)
    release_context = blocking(connection.Connection.release_context)

    # ── readers and station ──────────────────────────────────────────────────────────────────────────────────────

    readers = blocking(connection.Connection.readers)
    watch = _stream(connection.Connection.watch, lambda _, change: change, returns=Generator[ReaderChange, None, None])
    wait_until_empty = blocking(connection.Connection.wait_until_empty, says=IN_THE_SDK)
    station = blocking(connection.Connection.station)
    keys = blocking(connection.Connection.keys)
    ping = blocking(connection.Connection.ping)
    session = blocking(connection.Connection.session)

    # ── administration ───────────────────────────────────────────────────────────────────────────────────────────

    add_client = blocking(connection.Connection.add_client)
    clients = blocking(connection.Connection.clients)
    revoke_client = blocking(connection.Connection.revoke_client)
    open_pairing = blocking(connection.Connection.open_pairing)
    open_dashboard = blocking(connection.Connection.open_dashboard)
    pairing_asked = blocking(connection.Connection.pairing_asked)
    accept_pairing = blocking(connection.Connection.accept_pairing)
    close_pairing = blocking(connection.Connection.close_pairing)
    rotate_keys = blocking(connection.Connection.rotate_keys)
    diagnose = blocking(connection.Connection.diagnose)

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────────

    def _is_forked(self) -> bool:
        """True in a process that was forked from the one that opened the connection: its thread is not there."""
        return self._loop is not None and self._process != os.getpid()

    def _check_process(self) -> None:
        if self._is_forked():
            with self._settings.spoken():
                raise LocalMisuse("the connection was opened before os.fork(); connect in the new process")

    def _check_caller(self) -> None:
        """Refuses whoever would wait for an answer that never comes."""
        self._check_process()
        if self._thread is not None and threading.current_thread() is self._thread:
            with self._settings.spoken():
                raise LocalMisuse("a callback in the SDK's own thread cannot wait for this connection")

    def _open(self) -> tuple[connection.Connection, asyncio.AbstractEventLoop]:
        self._check_process()
        if self._inner is None or self._loop is None:
            with self._settings.spoken():
                raise LocalMisuse("the connection is not open; use `with vitale_reader.connect() as reader:`")
        return self._inner, self._loop

    def _awaited(self, work: Callable[[connection.Connection], Coroutine[Any, Any, T]]) -> T:
        inner, _ = self._open()
        return self._run(lambda: work(inner))

    def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        future = concurrent.futures.Future[T]()
        try:
            self._schedule(work, future)
            return result_of(future, self._settings.language)
        finally:
            future.cancel()  # where Ctrl-C ended this, at whichever step; else without effect

    def _schedule(self, work: Callable[[], Coroutine[Any, Any, T]], future: concurrent.futures.Future[T]) -> None:
        self._check_caller()  # before the lock: whoever held it at the fork never lets it go
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(start, work, future)
                return
        with self._settings.spoken():
            raise LocalMisuse("the connection is closed")

    def _begin(
        self,
        work: Callable[[connection.Connection], Coroutine[Any, Any, AsyncPresentation]],
        future: concurrent.futures.Future[Presentation],
    ) -> None:
        inner, _ = self._open()

        async def give() -> Presentation:
            return self._given(await work(inner))

        self._schedule(give, future)

    def _iterate(self, work: Callable[[connection.Connection], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
        inner, _ = self._open()
        stream = work(inner)
        turn = asyncio.Lock()  # the end waits for the step that Ctrl-C ended, which may still be on its way out

        async def step() -> T | None:
            async with turn:
                return await anext(stream, None)

        async def end() -> None:
            async with turn:
                await stream.aclose()

        try:
            while (each := self._run(step)) is not None:
                yield each
        except Cancelled:
            if self._inner is inner:
                raise
        finally:
            self._end(inner, end)

    def _end(self, inner: connection.Connection, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Ends something that the connection holds; where another thread closes it meanwhile, that has ended too."""
        if self._inner is inner and not self._is_forked():
            try:
                self._run(work)
            except (Cancelled, LocalMisuse):
                if self._inner is inner:
                    raise

    def _given(self, found: AsyncPresentation) -> Presentation:
        return Presentation(token=found.token, claims=found.claims, connection=self)


connect = factory(settings_of, Connection, name="connect", returns=Connection)


async def _open(settings: Settings) -> connection.Connection:
    return await connection.Connection(settings).__aenter__()


async def _leave(context: contextlib.AbstractAsyncContextManager[leasing.Lease]) -> None:
    await context.__aexit__(None, None, None)


async def _close(inner: connection.Connection | None) -> None:
    if inner is not None:
        await inner.close()
    # Threads that still wait in a call get their answer: its cancellation.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
