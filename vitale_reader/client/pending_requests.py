"""One token for one request: the reads that wait on a connection, each across losses of it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Self, TypeVar

import msgspec

from vitale_protocol.claims import Claims
from vitale_protocol.errors import (
    Cancelled,
    DaemonUnreachable,
    InvalidParams,
    LocalMisuse,
    ShuttingDown,
    TokenInvalid,
)
from vitale_protocol.events import PresentationProgress
from vitale_protocol.methods import (
    Empty,
    PresentationRequest,
    PresentationResult,
    PresentationSubmit,
    StationKeys,
)
from vitale_reader.client.reconnecting import (
    FIRST_DELAY,
    LONGEST_DELAY,
    SERVICE_TIMEOUT,
    ReconnectingTransport,
    Settings,
)
from vitale_reader.client.session_transport import OnProgress, SessionTransport, WireCall, typed
from vitale_reader.client.verification import SeenTokens, verify

__all__ = ["PendingRead", "PendingRequests"]

T = TypeVar("T")

Request = PresentationRequest | PresentationSubmit

#: What is told of a read, then None once it has ended or was cancelled.
Updates = asyncio.Queue[PresentationProgress | None]

# docs/reference/wire.md, "presentation.request": timeout_ms is 1 000 at least.
SHORTEST = 1.0
# A daemon answers `timeout` by itself; this much later it is the daemon that is at fault.
GRACE = 5.0


class PendingRequests:
    """The reads of a connection that wait."""

    def __init__(self, transport: ReconnectingTransport, settings: Settings) -> None:
        self._transport = transport
        self._settings = settings
        self._seen = SeenTokens()
        self._waiting: set[Updates] = set()

    async def obtain(self, request: Request, on_progress: OnProgress | None) -> tuple[str, Claims]:
        """The token that answers a request, and what it says.

        Raises:
            Cancelled: ``cancel()`` was called.
            TokenInvalid: the daemon's token does not verify.
            DaemonUnreachable: the daemon went away and did not come back.
            VitaleError: what the daemon answered.
        """
        with self._settings.spoken():
            updates: Updates = asyncio.Queue()
            task = asyncio.ensure_future(self._obtain(request, None if on_progress is None else updates.put_nowait))
            task.add_done_callback(lambda _: updates.put_nowait(None))
            self._waiting.add(updates)
            try:
                # The callback is called out here: nobody takes what it raises for an error of the daemon's.
                while (update := await updates.get()) is not None:
                    if on_progress is not None:
                        on_progress(update)
                if not task.done():
                    raise Cancelled("cancelled by this client")
                return task.result()
            finally:
                self._waiting.discard(updates)
                if not task.done():
                    task.cancel()
                    await asyncio.wait((task,))

    def cancel(self) -> None:
        """Cancels every read that waits."""
        for waiting in self._waiting:
            waiting.put_nowait(None)

    async def _obtain(self, request: Request, on_progress: OnProgress | None) -> tuple[str, Claims]:
        deadline = time.monotonic() + _limit(request)
        session, _ = await self._transport.open()
        delay, lost = 0.0, False
        while True:
            try:
                if lost and (found := await self._recover(request.nonce)) is not None:
                    return found
                token = await self._request(session, request, deadline - time.monotonic(), on_progress)
                return token, await self.verify(token, request.nonce)
            except InvalidParams:
                if on_progress is not None or not session.can_be_quiet:
                    raise
                session.can_be_quiet = False
                continue
            except (DaemonUnreachable, ShuttingDown):
                session.abort()
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(delay)  # a daemon that falls again and again is not to be hammered
            delay, lost = min(delay * 2 or FIRST_DELAY, LONGEST_DELAY), True
            session, _ = await self._transport.open(within=min(self._transport.patience, deadline - time.monotonic()))

    async def _request(
        self, session: SessionTransport, request: Request, left: float, on_progress: OnProgress | None
    ) -> str:
        call = _call(session, request, left, on_progress)
        try:
            await asyncio.wait((call.future,), timeout=max(left, SHORTEST) + GRACE)
            if not call.future.done():
                session.abort()
                raise DaemonUnreachable("the daemon lets a request wait beyond its time")
        finally:
            if not call.future.done():
                session.cancel(call)
                call.future.cancel()
        return typed(call.future.result(), PresentationResult).token

    async def _recover(self, nonce: str) -> tuple[str, Claims] | None:
        # A token with our nonce was issued before the loss and kept in the outbox.
        async for waiting in self._transport.outbox():
            with contextlib.suppress(TokenInvalid):  # another request's
                return waiting.token, await self.verify(waiting.token, nonce)
        return None

    async def recover_all(self, nonce: str) -> list[tuple[str, Claims]]:
        """The tokens with this nonce that were issued, not acknowledged, and not seen here before."""
        found: list[tuple[str, Claims]] = []
        async for waiting in self._transport.outbox():
            with contextlib.suppress(TokenInvalid):  # another request's, or one that was seen
                found.append((waiting.token, await self.verify(waiting.token, nonce)))
        return found

    async def verify(self, token: str, nonce: str) -> Claims:
        """Returns the claims of a token.

        Raises:
            TokenInvalid: it does not verify, or was seen before.
        """
        with self._settings.spoken():
            return await self._verified(token, nonce)

    async def _verified(self, token: str, nonce: str) -> Claims:
        _, opened = await self._transport.open()
        try:
            return verify(token, jwks=opened.jwks, audience=opened.client_id, nonce=nonce, seen=self._seen)
        except TokenInvalid as error:
            if error.data.get("check") != "key":
                raise
        # The station's key was rotated since the session was opened.
        keys = (await self._transport.ask("station.keys", Empty(), StationKeys)).jwks
        return verify(token, jwks=keys, audience=opened.client_id, nonce=nonce, seen=self._seen)


class PendingRead(Generic[T]):
    """A read that waits, for ``async with``, which cancels it at its end."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]], settings: Settings) -> None:
        self._work = work
        self._settings = settings
        self._task: asyncio.Task[T] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        task = self._started()
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()  # whoever leaves without the result does not care for it

    @property
    def done(self) -> bool:
        """True if ``result()`` returns or raises at once."""
        return self._started().done()

    def cancel(self) -> None:
        """Cancels this read and no other; without effect once it is done."""
        self._started().cancel()

    async def result(self) -> T:
        """Waits for the presentation.

        Raises:
            Cancelled: ``cancel()`` was called, or the connection was closed.
            VitaleError: as ``read()`` does.
        """
        task = self._started()
        await asyncio.wait((task,))
        if task.cancelled():
            with self._settings.spoken():
                raise Cancelled("this read was cancelled")
        return task.result()

    def _started(self) -> asyncio.Task[T]:
        if self._task is None:
            raise LocalMisuse("the read has not begun; use `async with reader.reading() as read:`")
        return self._task


def _limit(request: Request) -> float:
    """Seconds that the daemon has for an answer; a submitted code waits for nobody but the apCV service."""
    return request.timeout_ms / 1000 if isinstance(request, PresentationRequest) else SERVICE_TIMEOUT


def _call(session: SessionTransport, request: Request, left: float, on_progress: OnProgress | None) -> WireCall:
    # To make, send and read what nobody hears takes an eighth of the time of a token.
    told = msgspec.structs.replace(request, progress=on_progress is not None or not session.can_be_quiet)
    if isinstance(told, PresentationSubmit):
        return session.call("presentation.submit", told, on_progress)
    timeout_ms = round(max(left, SHORTEST) * 1000)
    return session.call("presentation.request", msgspec.structs.replace(told, timeout_ms=timeout_ms), on_progress)
