"""One connection to the daemon: a client's session over an asyncio transport, and the calls that wait on it."""

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

import msgspec

from vitale_protocol.errors import DaemonUnreachable, DaemonUntrusted, NotAuthenticated
from vitale_protocol.events import ContextExpiring, Event, PresentationProgress
from vitale_protocol.methods import Params, PresentationCancel, Result
from vitale_protocol.session.framing import LineFraming
from vitale_protocol.session.session import Called, Ended, Notified, Refused, Returned, Session, State
from vitale_reader.client.address import Address, TlsAddress, UnixAddress, check_pin, tls_context
from vitale_reader.client.pairing import Pairing

__all__ = ["OnEvent", "OnExpiring", "OnProgress", "SessionTransport", "WireCall", "open_session", "typed"]

ResultT = TypeVar("ResultT", bound=Result)
OnProgress = Callable[[PresentationProgress], None]
OnEvent = Callable[[str, Event | None], None]
OnExpiring = Callable[[ContextExpiring], None]


class WireCall(msgspec.Struct, frozen=True):
    """A call on the wire: its id, the future of its raw result, and who hears of its progress."""

    id: int | str
    future: asyncio.Future[Result]
    on_progress: OnProgress | None = None


class SessionTransport(asyncio.Protocol):
    """A session over one transport. Once lost it stays lost; its waiting calls then raise ``DaemonUnreachable``.

    Args:
        on_event: hears by its name every event that is not about one call; the session's loss is ``("lost", None)``.
        on_expiring: hears of every context that ends soon.

    Attributes:
        can_be_quiet: a request may say that nobody hears its progress; a daemon of before refuses that.
    """

    def __init__(self, on_event: OnEvent, on_expiring: OnExpiring | None = None) -> None:
        self.can_be_quiet = True
        self._session = Session("client", LineFraming())
        self._calls: dict[int | str, WireCall] = {}
        self._on_event = on_event
        self._on_expiring = on_expiring
        self._transport: asyncio.Transport | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def lost(self) -> bool:
        """True if the connection has ended."""
        return self._gone.done() or self._session.state is State.CLOSED

    def call(self, method: str, params: Params, on_progress: OnProgress | None = None) -> WireCall:
        """Sends a call; await its ``future``.

        Raises:
            DaemonUnreachable: the session is lost.
        """
        if self._transport is None or self.lost:
            raise DaemonUnreachable("the connection to the daemon is lost")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        call = WireCall(self._session.call(method, params), future, on_progress)
        self._calls[call.id] = call
        future.add_done_callback(lambda _: self._calls.pop(call.id, None))
        self._flush()
        return call

    async def ask(self, method: str, params: Params, result: type[ResultT], *, within: float) -> ResultT:
        """A call and its typed result, in at most ``within`` seconds.

        Raises:
            VitaleError: what the daemon answered.
            DaemonUnreachable: the session was lost, or no answer came in time; the session is then of no more use.
        """
        call = self.call(method, params)
        try:
            async with asyncio.timeout(within):
                return typed(await call.future, result)
        except TimeoutError as error:
            self.abort()
            raise DaemonUnreachable(f"no answer in {within:g} s", variant="silent") from error

    def cancel(self, call: WireCall) -> None:
        """Tells the daemon that nobody waits for a ``presentation.request`` any more."""
        if not self.lost:
            # The cancelled call's own answer says what came of it; nobody waits for the answer to this one.
            self.call("presentation.cancel", PresentationCancel(request=call.id)).future.add_done_callback(_forget)

    def abort(self) -> None:
        """Ends the connection at once."""
        # Python before 3.11.3 (Debian 12 has 3.11.2) cannot abort a TLS transport that is gone.
        if self._transport is not None and not self._gone.done():
            self._transport.abort()

    async def close(self) -> None:
        """Ends the connection and waits until it has ended."""
        if self._transport is not None:
            self._transport.close()
            await asyncio.wait((self._gone,), timeout=1.0)
            self.abort()

    # ── asyncio.Protocol ─────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there; nothing is sent yet."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes of the daemon's."""
        for event in self._session.receive_data(data):
            self._take(event)
        self._flush()

    def eof_received(self) -> bool:
        """The daemon says no more; the transport may close."""
        for event in self._session.receive_eof():
            self._take(event)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Every waiting call fails, and the watchers hear of it."""
        self._gone.set_result(None)
        for call in tuple(self._calls.values()):
            if not call.future.done():
                call.future.set_exception(_loss(exc))
                call.future.exception()  # a call may have been abandoned before
        self._on_event("lost", None)

    # ── events of the session ────────────────────────────────────────────────────────────────────────────────────

    def _take(self, event: object) -> None:
        match event:
            case Returned(id=id_, result=result) if (call := self._calls.get(id_)) and not call.future.done():
                call.future.set_result(result)
            case Refused(id=id_, error=error) if (call := self._calls.get(id_)) and not call.future.done():
                call.future.set_exception(error)
            case Notified(event=PresentationProgress(request=int() | str() as request) as progress):
                call = self._calls.get(request)
                if call is not None and call.on_progress is not None and not call.future.done():
                    call.on_progress(progress)
            case Notified(event=ContextExpiring() as expiring):
                if self._on_expiring is not None:
                    # Not within the reading of the bytes: what it raises is its own, and ends no connection.
                    asyncio.get_running_loop().call_soon(self._on_expiring, expiring)
            case Notified(name=name, event=happened):
                self._on_event(name, happened)
            case Called() | Ended():
                self.abort()  # a daemon calls nobody; and what is no JSON-RPC is no daemon of ours
            case _:
                pass  # the answer to a call that was given up

    def _flush(self) -> None:
        if self._transport is not None and (data := self._session.data_to_send()):
            self._transport.write(data)


def typed(value: Result, result: type[ResultT]) -> ResultT:
    """The result as what it is: the session made it of the method's own type."""
    if not isinstance(value, result):
        raise TypeError(f"{type(value).__name__} where {result.__name__} was asked for")
    return value


def _forget(future: asyncio.Future[Result]) -> None:
    if not future.cancelled():
        future.exception()


def _loss(cause: Exception | None) -> Exception:
    # TLS 1.3 tells a client that its certificate is refused only after the handshake, as an alert on the first read.
    error: Exception = DaemonUnreachable("the connection to the daemon was lost")
    if isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or ""):
        error = NotAuthenticated("the daemon refused this client's certificate")
    error.__cause__ = cause
    return error


async def open_session(
    address: Address, pairing: Pairing | None, on_event: OnEvent, on_expiring: OnExpiring | None = None
) -> SessionTransport:
    """Connects; over TLS, checks the pin before anything is said.

    Raises:
        DaemonUnreachable: nobody answers there.
        DaemonUntrusted: somebody else does.
        LocalMisuse: the pairing has no material for TLS.
    """
    loop = asyncio.get_running_loop()
    try:
        if isinstance(address, UnixAddress):
            _, opened = await loop.create_unix_connection(lambda: SessionTransport(on_event, on_expiring), address.path)
            return opened
        return await _open_tls(
            address, pairing or Pairing(client_id=""), lambda: SessionTransport(on_event, on_expiring)
        )
    except ssl.SSLCertVerificationError as error:
        raise DaemonUntrusted("the certificate is not the one of the pairing") from error
    except OSError as error:
        raise DaemonUnreachable(f"{address}: {error.strerror or error}") from error


async def _open_tls(
    address: TlsAddress, pairing: Pairing, make_session: Callable[[], SessionTransport]
) -> SessionTransport:
    loop = asyncio.get_running_loop()
    transport, opened = await loop.create_connection(
        make_session, address.host, address.port, ssl=tls_context(pairing), server_hostname=""
    )
    try:
        secured: ssl.SSLObject = transport.get_extra_info("ssl_object")
        check_pin(pairing, secured.getpeercert(binary_form=True))
    except DaemonUntrusted:
        transport.abort()
        raise
    return opened
