"""Base of the byte-stream transports: one connection between a socket and a conversation, with its limits."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.errors import NotAuthenticated
from vitale_protocol.session.framing import LineFraming
from vitale_protocol.session.session import Called, Ended, Event, Session, SessionLimits
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.fairness.connection_turns import Turns
from vitale_reader.daemon.fairness.token_buckets import Places, UnreadBytes

if TYPE_CHECKING:
    from vitale_protocol.web.sealed_frames import SessionKeys

__all__ = ["LITTLE_UNREAD", "SHARES_UNREAD", "Room", "StreamConnection", "StreamLimits", "room"]

logger = logging.getLogger(__name__)

#: Seconds for a client to read what it was sent before its end.
FAREWELL = 1.0

#: Bytes kept of a client that speaks before its connection is made; a ``session.open`` takes some hundred.
MOST_EARLY = 65_536

#: Bytes and lines that are read at once of what a client sent. A refusal costs as much as a call.
PIECE = 1_024
LINES = 8

#: Messages that are no calls, before the session is open.
MOST_REJECTED = 32

#: What an owner may leave unread in all its connections, in shares of what it may in one; and bytes of one that are no
#: matter.
SHARES_UNREAD = 4
LITTLE_UNREAD = 65_536

#: Bytes that are taken from the kernel before they are read; what is beyond waits there.
MOST_UNREAD = 65_536


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one connection.

    Attributes:
        session: of the messages.
        open_seconds: to finish opening the session.
        send_buffer_bytes: unread by the client before it is cut off, so that it slows nobody.
        connections: of one transport at the same time.
        unopened: of one process, or of one holder of a certificate, that have opened no session yet.
    """

    session: SessionLimits
    open_seconds: float = 10.0
    send_buffer_bytes: int = 4_194_304
    connections: int = 2_048
    unopened: int = 128


class Room(msgspec.Struct, frozen=True):
    """The things that connections of one transport share: their places, and their turns.

    Attributes:
        places: of all connections, by user of the machine or holder of a certificate.
        unopened: of those whose session is not open yet, by process or holder of a certificate.
        turns: those of all transports.
        unread: what was sent to them and is not read, by client.
    """

    places: Places
    unopened: Places
    turns: Turns
    unread: UnreadBytes


def room(limits: StreamLimits, turns: Turns, *, each: int) -> Room:
    """The room of a transport.

    Args:
        limits: how much there is of it.
        turns: those of all transports.
        each: places of a user of the machine, or of the holder of a certificate.
    """
    return Room(
        places=Places(limits.connections, each=each),
        unopened=Places(limits.connections, each=limits.unopened),
        turns=turns,
        unread=UnreadBytes(SHARES_UNREAD * limits.send_buffer_bytes, least=LITTLE_UNREAD),
    )


class StreamConnection(asyncio.Protocol):
    """One connection: bytes to the session and back, nothing else."""

    peer: Peer
    #: What the client said before the connection was made.
    early: bytes

    def __init__(
        self,
        service: Dispatcher,
        limits: StreamLimits,
        room: Room,
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
        self._is_unopened = False
        self._lost = False
        self.early = b""
        self._unread = bytearray()
        self._events: Iterator[Event] | None = None
        self._waits = False
        self._paused = False
        self._eof = False

    # ── asyncio.Protocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected: it is refused without a word if nothing vouches for it."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        if self._lost:
            transport.abort()
            return
        peer = self._identify(transport)
        if peer is None or not self._enter(peer):
            transport.abort()
            return
        self._conversation = self._service.connected(self)
        self._deadline = asyncio.get_running_loop().call_later(self._limits.open_seconds, self._not_opened)
        early, self.early = self.early, b""
        if early:
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        """Takes bytes from the socket."""
        conversation = self._conversation
        if conversation is None:
            # After a TLS handshake the first bytes can be quicker than the word that the connection is made.
            self.early = (self.early + data)[:MOST_EARLY] if self._transport is None else b""
            return
        self._unread += data
        if not self._waits:
            self._waits = True
            self._room.turns.ask(self)
        if self._transport is not None and len(self._unread) > MOST_UNREAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client will not speak any more.

        What it said is read. Then nobody is there to be answered.
        """
        self._eof = True
        return self._waits

    # ── turns.Taker ──

    @property
    def owner(self) -> str:
        """The client whose turn it is; the peer's owner while none is known, and for the local client."""
        return self.peer.owner if self._conversation is None else self._conversation.owner

    @property
    def group(self) -> str | None:
        """The user of the machine, where that is another than the daemon's."""
        return self.peer.group

    def take_piece(self) -> bool:
        """Takes one call of what the client sent, also of a batch; whether there is more."""
        conversation = self._conversation
        if conversation is None:
            self._unread.clear()
            self._events = None
        else:
            self._take(conversation)
        self._waits = bool(self._unread) or self._events is not None
        if not self._waits:
            self._resume()
        return self._waits

    def _next_piece(self) -> bytes:
        end, found = min(PIECE, len(self._unread)), -1
        for _ in range(LINES):
            found = self._unread.find(b"\n", found + 1, end)
            if found < 0:
                break
        else:
            end = found + 1
        piece = bytes(self._unread[:end])
        del self._unread[:end]
        return piece

    def _take(self, conversation: Conversation) -> None:
        # One by one: what a call changes holds for the next, however the bytes were cut.
        if self._events is None:
            self._events = iter(self.session.incoming(self._next_piece()))
        match event := next(self._events, None):
            case Called():
                self._service.called(conversation, event)
                if self._is_unopened and conversation.caller is not None:
                    self._opened()
            case Ended():
                self.close()
            case None:
                self._events = None
            case _:
                logger.debug("nothing to do for %s", type(event).__name__)
        if self._is_unopened and self.session.rejected > MOST_REJECTED:
            self.close()
        self.flush()

    def _resume(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._eof:
            self.close()
        elif self._paused:
            self._paused = False
            transport.resume_reading()

    # ── places ──

    def _enter(self, peer: Peer) -> bool:
        if not self._room.places.enter(peer.user):
            return False
        if not self._room.unopened.enter(peer.owner):
            self._room.places.leave(peer.user)
            return False
        self.peer = peer
        self._entered = self._is_unopened = True
        return True

    def _opened(self) -> None:
        if self._is_unopened:
            self._is_unopened = False
            self._room.unopened.leave(self.peer.owner)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._lost = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._unread.clear()
        if self._transport is not None:
            self._room.unread.forget(self._transport)
        if self._entered:
            self._opened()
            self._room.places.leave(self.peer.user)
        self._leave()

    # ── service.Connection ──

    def flush(self) -> None:
        """Sends what the session has to send; a client that does not read is cut off."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if data := self.session.data_to_send():
            transport.write(data)
            is_much = transport.get_write_buffer_size() > self._limits.send_buffer_bytes
            if is_much or self._room.unread.exceeded(self.owner, transport):
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

    def expel(self) -> None:
        """Ends the connection of a client that was revoked."""
        self.close()

    def seal(self, keys: "SessionKeys") -> None:
        """Nothing is sealed here: the kernel or TLS keeps what is said.

        Raises:
            NotAuthenticated: always.
        """
        raise NotAuthenticated("only the channels of pages are sealed")

    def _leave(self) -> None:
        if self._conversation is not None:
            conversation, self._conversation = self._conversation, None
            self._service.disconnected(conversation)

    def _not_opened(self) -> None:
        if self._conversation is not None and self._conversation.caller is None:
            self.close()
