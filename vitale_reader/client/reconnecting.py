"""The SDK's way to the daemon: a session opened when it is needed, and again after a loss."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from vitale_protocol.errors import (
    Cancelled,
    DaemonUnreachable,
    LimitExceeded,
    LocalMisuse,
    NotAuthenticated,
    ShuttingDown,
    VitaleError,
)
from vitale_protocol.methods import (
    PROTOCOL_VERSION,
    Identity,
    OutboxList,
    OutboxListed,
    OutboxToken,
    Params,
    Result,
    SessionOpen,
    SessionOpened,
)
from vitale_reader.client.address import TlsAddress, resolve
from vitale_reader.client.pairing import Pairing
from vitale_reader.client.session_transport import OnEvent, OnExpiring, SessionTransport, open_session
from vitale_reader.home import Home

__all__ = ["FIRST_DELAY", "LONGEST_DELAY", "SERVICE_TIMEOUT", "ReconnectingTransport", "Settings", "settings_of"]

ResultT = TypeVar("ResultT", bound=Result)

# apcv.timeout is 120 s at most.
SERVICE_TIMEOUT = 125.0
FIRST_DELAY, LONGEST_DELAY = 0.01, 0.5


class Settings(msgspec.Struct, frozen=True):
    """Way to the daemon; ``connect()`` documents each member but the last.

    Attributes:
        reconnect_timeout: seconds to go on trying after a loss; as ``connect_timeout`` where it is None.
    """

    home: Home
    address: str | None = None
    pairing: Pairing | None = None
    language: Literal["fr", "en"] = "fr"
    name: str = "vitale-reader-sdk"
    version: str = ""
    connect_timeout: float = 5.0
    call_timeout: float = 10.0
    on_context_expiring: OnExpiring | None = None
    reconnect_timeout: float | None = None

    @contextlib.contextmanager
    def spoken(self) -> Generator[None, None, None]:
        """Errors raised within speak the client's language."""
        try:
            yield
        except VitaleError as error:
            error.language = self.language
            raise

    def check_callbacks(self, **given: object) -> None:
        """Refuses, by its name, what would never be called, or called and never awaited.

        Raises:
            LocalMisuse: it is no function, or an ``async`` one.
        """
        for name, callback in given.items():
            if callback is not None and (not callable(callback) or inspect.iscoroutinefunction(callback)):
                with self.spoken():
                    raise LocalMisuse(f"{name} must be a plain function, not an async one")


def settings_of(
    *,
    home: Path | str | None = None,
    address: str | None = None,
    pairing: Pairing | Path | str | None = None,
    language: Literal["fr", "en"] = "fr",
    name: str = "vitale-reader-sdk",
    version: str = "",
    connect_timeout: float = 5.0,
    call_timeout: float = 10.0,
    on_context_expiring: OnExpiring | None = None,
) -> Settings:
    """A connection to the daemon, opened by ``with``; in ``vitale_reader.aio``, by ``async with``.

    Args:
        home: the daemon's home; ``VITALE_READER_HOME`` or the platform's own folders by default.
        address: ``unix:///path`` or ``tls://host:port``; by default the daemon's home tells.
        pairing: the material of ``vitale-reader clients add``, or the path of its file; needed for TLS.
        language: of the messages of progress and errors.
        name: what this client calls itself in the audit trail.
        version: its version.
        connect_timeout: seconds to go on trying where no daemon listens, the first time and after a loss.
        call_timeout: seconds for the daemon to answer a call that waits for no medium, the first one included.
        on_context_expiring: told once of each apCV context that ends soon, in time to act. It is called in the event
            loop. In a blocking program that is the SDK's own thread, where it must not call this connection.

    Raises:
        LocalMisuse: the pairing file cannot be used, a time is no time, or the callback no plain function.
    """
    settings = Settings(
        home=Home.chosen(home),
        address=address,
        language=language,
        name=name,
        version=version,
        connect_timeout=connect_timeout,
        call_timeout=call_timeout,
        on_context_expiring=on_context_expiring,
    )
    settings.check_callbacks(on_context_expiring=on_context_expiring)
    with settings.spoken():
        # Turned about: what is no number, or no time, is refused, and not waited for.
        if not connect_timeout >= 0:
            raise LocalMisuse("connect_timeout is in seconds, from 0")
        if not call_timeout > 0:
            raise LocalMisuse("call_timeout is in seconds, more than 0")
        paired = pairing if pairing is None or isinstance(pairing, Pairing) else Pairing.load(Path(pairing))
    return msgspec.structs.replace(settings, pairing=paired)


class ReconnectingTransport:
    """The session there is, or the next one.

    Args:
        settings: how to reach the daemon.
        on_event: hears the events of every session, as ``SessionTransport`` tells them.
    """

    def __init__(self, settings: Settings, on_event: OnEvent) -> None:
        self._settings = settings
        self._on_event = on_event
        self._session: SessionTransport | None = None
        self._opened: SessionOpened | None = None
        self._opening = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self.closed = False

    async def close(self) -> None:
        """Ends the session; there will be no other."""
        self.closed = True
        if self._session is not None:
            await self._session.close()

    @property
    def call_timeout(self) -> float:
        """Seconds for the daemon to answer a call that does not wait for a medium."""
        return self._settings.call_timeout

    @property
    def lost(self) -> bool:
        """True if there is no session now."""
        return self._session is None or self._session.lost

    async def outbox(self) -> AsyncGenerator[OutboxToken]:
        """This client's tokens that are not acknowledged, page by page."""
        after: str | None = None
        while True:
            page = await self.ask("outbox.list", OutboxList(after=after), OutboxListed)
            for token in page.tokens:
                yield token
            if page.more is None or page.more == after:
                return
            after = page.more

    async def ask(self, method: str, params: Params, result: type[ResultT]) -> ResultT:
        """A call that is harmless to repeat: made again, once, where the session turns out to be lost.

        A daemon that is silent has had all the time there is.
        """
        try:
            return await self.ask_once(method, params, result)
        except DaemonUnreachable as error:
            if error.variant == "silent":
                raise
            return await self.ask_once(method, params, result)

    async def ask_once(self, method: str, params: Params, result: type[ResultT]) -> ResultT:
        """A call that is not repeated after a loss: the daemon may have done it already."""
        return await self._ask(method, params, result, self._settings.call_timeout)

    async def ask_service(self, method: str, params: Params, result: type[ResultT]) -> ResultT:
        """A call that the daemon answers once the apCV service or a card has answered.

        The daemon has its own time limits for that.
        """
        return await self._ask(method, params, result, SERVICE_TIMEOUT)

    async def _ask(self, method: str, params: Params, result: type[ResultT], within: float) -> ResultT:
        session, _ = await self.open()
        with self._settings.spoken():
            try:
                return await session.ask(method, params, result, within=within)
            except DaemonUnreachable as error:
                if self.closed:
                    raise Cancelled("the connection was closed") from error
                raise

    async def ask_held(
        self,
        method: str,
        params: Params,
        result: type[ResultT],
        within: float,
        let_go: Callable[[ResultT], Coroutine[Any, Any, None]],
    ) -> ResultT:
        """A call for something that the daemon then holds for this client; not repeated after a loss.

        Where the caller is cancelled before it has the answer, ``let_go`` gives it back in the background.
        """
        call = asyncio.ensure_future(self._ask(method, params, result, within))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            self.spawn(_abandon(call, let_go))
            raise

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something in the background; closing waits for it."""
        task = asyncio.ensure_future(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def finish_chores(self) -> None:
        """Waits for what is done in the background, for a second."""
        if self._chores and not self.closed:
            await asyncio.wait(self._chores, timeout=1.0)

    async def open(self, *, within: float | None = None) -> tuple[SessionTransport, SessionOpened]:
        """The session, and what the daemon said when it was opened.

        Raises:
            DaemonUnreachable: no daemon listens ``within`` seconds, by default ``patience``. Or the one that listens is
                silent for that long, by default ``call_timeout``.
            DaemonUntrusted, NotAuthenticated: it is not the right one, or this is not one of its clients.
            LocalMisuse: the connection was closed, or is another event loop's.
        """
        with self._settings.spoken():
            loop = asyncio.get_running_loop()
            if loop is not (self._loop or loop):  # its answers would be heard in that loop, late or never
                raise LocalMisuse("the connection belongs to another event loop; connect in this one")
            self._loop = loop
            if within is None:
                # Whoever listens is there: a machine that has much to do lets it answer late, as it does any call.
                return await self._opened_within(self.patience, self._settings.call_timeout)
            return await self._opened_within(within, within)

    @property
    def patience(self) -> float:
        """Seconds to go on trying where no daemon answers: other ones once there was a session."""
        settings = self._settings
        if self._opened is None or settings.reconnect_timeout is None:
            return settings.connect_timeout
        return settings.reconnect_timeout

    async def _opened_within(self, within: float, silent: float) -> tuple[SessionTransport, SessionOpened]:
        async with self._opening:
            if self.closed:
                raise LocalMisuse("the connection is closed")
            if self._session is None or self._opened is None or self._session.lost:
                self._session, self._opened = await self._retry_open(time.monotonic() + within, silent)
            return self._session, self._opened

    async def _retry_open(self, deadline: float, silent: float) -> tuple[SessionTransport, SessionOpened]:
        delay = FIRST_DELAY
        while True:
            try:
                return await self._open_once(max(deadline - time.monotonic(), silent, 1.0))
            except (DaemonUnreachable, ShuttingDown, LimitExceeded) as error:
                if time.monotonic() + delay > deadline:
                    if error.data.get("ended") == "opening":
                        raise NotAuthenticated(error.detail) from error
                    raise
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _open_once(self, within: float) -> tuple[SessionTransport, SessionOpened]:
        settings = self._settings
        way = resolve(settings.home, settings.address, settings.pairing)
        address, pairing = way.address, way.pairing
        greeting = SessionOpen(
            protocol=(PROTOCOL_VERSION,),
            client=Identity(name=settings.name, version=settings.version),
            credential=pairing.credential if pairing else None,
            language=settings.language,
        )
        try:
            async with asyncio.timeout(within):
                session = await open_session(address, pairing, self._on_event, settings.on_context_expiring)
        except TimeoutError as error:
            raise DaemonUnreachable(f"{address}: no answer in {within:g} s") from error
        try:
            return session, await session.ask("session.open", greeting, SessionOpened, within=within)
        except BaseException as error:
            session.abort()
            if isinstance(error, DaemonUnreachable) and isinstance(address, TlsAddress):
                # TLS 1.3 refuses a client's certificate after the client's own handshake, and asyncio does so without
                # a word. A daemon that was just killed looks the same: it is a refusal only where it goes on.
                told = "the daemon ends the connection at its opening; it may not know this client's certificate"
                raise DaemonUnreachable(told, data={"ended": "opening"}) from error
            raise


async def _abandon(call: asyncio.Future[ResultT], let_go: Callable[[ResultT], Coroutine[Any, Any, None]]) -> None:
    with contextlib.suppress(VitaleError):  # then there is nothing to give back
        await let_go(await call)
