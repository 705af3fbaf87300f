"""Base of the byte-stream transports: one connection between a socket and a conversation, with its limits."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from vitale_protocol.session.framing import LineFraming
from vitale_protocol.session.session import Called, Ended, Limits, Session
from vitale_reader.daemon.access import Peer
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.service import Service

__all__ = ["StreamConnection", "StreamLimits", "TooMany"]

logger = logging.getLogger(__name__)

#: Seconds for a client to read what it was sent before its end.
FAREWELL = 1.0

#: Bytes kept of a client that speaks before its connection is made; a ``session.open`` takes some hundred.
MOST_EARLY = 65_536


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one connection.

    Attributes:
        session: of the messages.
        open_seconds: to finish opening the session.
        send_buffer_bytes: unread by the client before it is cut off, so that it slows nobody.
        connections: of one transport at the same time.
    """

    session: Limits
    open_seconds: float = 10.0
    send_buffer_bytes: int = 4_194_304
    connections: int = 2_048


class TooMany:
    """Counts the connections of a transport, and says when one more is too many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.count = 0

    def enter(self) -> bool:
        """True if there is room for one more; it must ``leave`` in any case."""
        self.count += 1
        return self.count <= self._limit

    def leave(self) -> None:
        """Frees the place of a connection."""
        self.count -= 1


class StreamConnection(asyncio.Protocol):
    """One connection: bytes to the session and back, nothing else."""

    peer: Peer

    def __init__(
        self,
        service: Service,
        limits: StreamLimits,
        room: TooMany,
        identify: Callable[[asyncio.Transport], Peer | None],
    ) -> None:
        self.session = Session(role="server", framing=LineFraming(limits.session.message_bytes), limits=limits.session)
        self._service = service
        self._limits = limits
        self._room = room
        self._identify = identify
        self._transport: asyncio.Transport | None = None
        self._conversation: Conversation | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._entered = False
        self._lost = False
        self._early = b""

    # ── asyncio.Protocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected: it is refused without a word if nothing vouches for it."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        if self._lost:
            transport.abort()
            return
        self._entered = True
        peer = self._identify(transport) if self._room.enter() else None
        if peer is None:
            transport.abort()
            return
        self.peer = peer
        self._conversation = self._service.connected(self)
        self._deadline = asyncio.get_running_loop().call_later(self._limits.open_seconds, self._not_opened)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        """Takes bytes from the socket."""
        conversation = self._conversation
        if conversation is None:
            # After a TLS handshake the first bytes can be quicker than the word that the connection is made.
            self._early = (self._early + data)[:MOST_EARLY] if self._transport is None else b""
            return
        # One by one: what a call changes holds for the next, however the bytes were cut.
        for event in self.session.incoming(data):
            match event:
                case Called():
                    self._service.called(conversation, event)
                case Ended():
                    self.close()
                case _:
                    logger.debug("nothing to do for %s", type(event).__name__)
        self.flush()

    def eof_received(self) -> bool:
        """The client will not speak any more: what it waited for has nobody to go to."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._lost = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self._entered:
            self._room.leave()
        self._leave()

    # ── service.Connection ──

    def flush(self) -> None:
        """Sends what the session has to send; a client that does not read is cut off."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if data := self.session.data_to_send():
            transport.write(data)
            if transport.get_write_buffer_size() > self._limits.send_buffer_bytes:
                logger.warning("a client does not read what it is sent; cut off")
                transport.abort()

    @property
    def has_read_all(self) -> bool:
        """True if all that was sent has left this process."""
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def close(self) -> None:
        """Ends the session now, and the connection once what was sent has gone or nobody reads it."""
        self.flush()
        self.session.close()
        self._leave()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            asyncio.get_running_loop().call_later(FAREWELL, self._transport.abort)

    def _leave(self) -> None:
        if self._conversation is not None:
            conversation, self._conversation = self._conversation, None
            self._service.disconnected(conversation)

    def _not_opened(self) -> None:
        if self._conversation is not None and self._conversation.caller is None:
            self.close()
