"""A connection of a page: first its program's user, then its head, its site, and frames both ways.

1. A program of another user is disconnected before a byte is read. So is whoever comes when no place is left.
2. What is not let in gets one answer, the same for all, and is gone.
3. A page that is let in has its channel before it hears so. What it says goes to the core as one text of its value.
4. What goes on too slowly has an end: the head, one message, silence, the parting words.
5. What comes too fast waits: frames past a rate stay with the system, and with whoever sends them.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

import msgspec

from vitale_protocol.errors import ParseError
from vitale_protocol.web.channels import CLOSE_PROTOCOL, Preamble, Via, rewrite
from vitale_reader.web.channel import ChannelEnd
from vitale_reader.web.http_rules import MALFORMED, REFUSED, Admission, RequestHead, judge
from vitale_reader.web.peer_users import is_other_user, peer_uid
from vitale_reader.web.request_head import HeadReader
from vitale_reader.web.websocket import PageSocket

__all__ = ["TRY_AGAIN_LATER", "PageConnection", "PageLimits", "PageServing"]

logger = logging.getLogger(__name__)

# Close codes of the registry of RFC 6455, section 11.7.
INVALID_DATA = 1007
TRY_AGAIN_LATER = 1013

#: Bytes that are read of a request that was refused, so that its sender sees the answer and no reset.
MOST_IGNORED = 65_536

#: Bytes that are read of a connection at a time, before others have their turn.
PIECE = 4_096


class PageLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of each connection, in seconds.

    Attributes:
        head: to finish a request's head.
        refusal: from a request's head to its refusal, whatever was wrong.
        message: from the first byte of a message to its last.
        ping: between two questions for a sign of life.
        silence: without any sign of life.
        farewell: for parting words.
        frames: that are read at once, of messages, pings and parting words alike; no time, but a number.
        pace: for each frame past these. A page makes ten calls a second at most.
    """

    head: float = 5.0
    refusal: float = 0.02
    message: float = 10.0
    ping: float = 20.0
    silence: float = 45.0
    farewell: float = 2.0
    frames: int = 256
    pace: float = 1 / 128


class PageServing(Protocol):
    """The gateway, as its connections see it."""

    hosts: Collection[bytes]
    limits: PageLimits

    def enter(self, connection: "PageConnection") -> bool:
        """Counts a connection; False if no place is left."""
        ...

    def leave(self, connection: "PageConnection") -> None:
        """The connection is gone."""

    async def channel(self, end: ChannelEnd, site: str) -> bool:
        """Opens a channel for a page; False if its site may not come."""
        ...


class PageConnection(asyncio.BufferedProtocol):
    """One connection, from its first byte to its last."""

    def __init__(self, server: PageServing, *, body_bytes: int = 0) -> None:
        self._server = server
        self._limits = server.limits
        self._transport: asyncio.Transport | None = None
        self._head: HeadReader | None = HeadReader(body_bytes)
        self._socket: PageSocket | None = None
        self._channel: ChannelEnd | None = None
        self._uid: int | None = None
        self._piece = bytearray(PIECE)
        self._ignored = 0
        self._owed = 0.0
        self._counted = 0.0
        self._holds = 0
        self._parts = False
        self._heard = 0.0
        self._judged = 0.0
        self._admission: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._message: asyncio.TimerHandle | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._pings: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None

    # ── asyncio.BufferedProtocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there; reading begins only after this."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        if not self._server.enter(self) or not self._is_of_our_user(transport):
            transport.abort()
            return
        self._deadline = _later(self._limits.head, self.abort)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Room for the next bytes."""
        return self._piece

    def buffer_updated(self, nbytes: int) -> None:
        """Takes bytes: of the head, of messages, or of what was refused."""
        data = bytes(memoryview(self._piece)[:nbytes])
        if self._socket is not None:
            self._receive(self._socket, data)
        elif self._head is not None:
            self._read_head(self._head, data)
        else:
            self._ignored += len(data)
            if self._ignored > MOST_IGNORED or self._admission is not None:
                self.abort()

    def eof_received(self) -> bool:
        """The page speaks no more, and so do we."""
        if self._socket is not None:
            self._socket.receive_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and its channel with it."""
        for timer in (self._deadline, self._message, self._silence, self._pings, self._pause):
            if timer is not None:
                timer.cancel()
        if self._admission is not None:
            self._admission.cancel()
        if self._channel is not None:
            self._channel.close()
        self._server.leave(self)

    def pause_writing(self) -> None:
        """The page is slow to read: neither is more read for it, nor what it asks."""
        self.hold()
        if self._channel is not None:
            self._channel.hold()

    def resume_writing(self) -> None:
        """The page reads again."""
        self.go_on()
        if self._channel is not None:
            self._channel.go_on()

    # ── the head ──

    def _is_of_our_user(self, transport: asyncio.Transport) -> bool:
        connection = transport.get_extra_info("socket")
        try:
            self._uid = peer_uid(connection)
        except OSError:  # gone already
            return False
        return not is_other_user(self._uid)

    def _read_head(self, reader: HeadReader, data: bytes) -> None:
        head = reader.receive(data)
        if head is None:
            return
        self._head = None
        self._judged = asyncio.get_running_loop().time()
        if head == "malformed":
            self._refuse(MALFORMED)
        else:
            self._answer(head)

    def _answer(self, head: RequestHead) -> None:
        """Answers a request whose form is right."""
        verdict = judge(head, self._server.hosts)
        if not isinstance(verdict, Admission):
            self._refuse(MALFORMED if verdict == "malformed" else REFUSED)
            return
        self._begin(self._admit(head, verdict))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Begins what an answer waits for."""
        self._admission = asyncio.get_running_loop().create_task(work)

    async def _admit(self, head: RequestHead, admission: Admission, via: Via = "websocket") -> None:
        preamble = Preamble(via=via, site=admission.site, peer_uid=self._uid, host=admission.host, opened=time.time())
        channel = ChannelEnd(preamble, self, lost=TRY_AGAIN_LATER)
        socket = PageSocket()
        is_let_in = await self._server.channel(channel, admission.site)
        self._admission = None
        self._channel = channel
        if not is_let_in or not socket.accept(head):
            self._refuse(REFUSED)
            return
        self._socket = socket
        if self._deadline is not None:
            self._deadline.cancel()
        self._heard = asyncio.get_running_loop().time()
        self._pings = _later(self._limits.ping, self._ping)
        self._silence = _later(self._limits.silence, self._is_silent)
        self._flush()
        if not channel.is_open:  # it ended meanwhile
            self.end(TRY_AGAIN_LATER)

    def _refuse(self, answer: bytes) -> None:
        """Refuses after a fixed time.

        Otherwise the delay would tell what was wrong. A flood has to wait for each refusal.
        """
        if self._deadline is not None:
            self._deadline.cancel()
        self.hold()  # nothing more is read until then, or whoever sends the most would be answered first
        left = self._judged + self._limits.refusal - asyncio.get_running_loop().time()
        self._deadline = _later(left, lambda: self._say_refusal(answer))

    def _say_refusal(self, answer: bytes) -> None:
        self.go_on()
        self._say(answer)

    def _say(self, answer: bytes) -> None:
        """Sends an answer, the last word of this connection."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(answer)
        _say_no_more(transport)
        self._part()

    # ── messages ──

    def _receive(self, socket: PageSocket, data: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()
        before = socket.frames
        is_complete = False
        for message in socket.receive(data):
            is_complete = True
            try:
                frame = rewrite(message)
            except ParseError:
                socket.close(CLOSE_PROTOCOL if _is_text(message) else INVALID_DATA)
                break
            if self._channel is not None:
                self._channel.send(frame)
        self._time_message(is_complete=is_complete, goes_on=socket.is_within_a_message)
        self._flush()
        self._have_wait(socket.frames - before)

    def _have_wait(self, frames: int) -> None:
        """Reads on when it is time, after so many frames: whoever sends them without end slows nobody but itself."""
        elapsed, self._counted = self._heard - self._counted, self._heard
        self._owed = max(0.0, self._owed - elapsed) + frames * self._limits.pace
        too_much = self._owed - self._limits.frames * self._limits.pace
        if too_much > 0:
            self.hold()
            self._pause = _later(too_much, self.go_on)

    def _time_message(self, *, is_complete: bool, goes_on: bool) -> None:
        """Gives a message that has begun its time, and takes it back where none goes on."""
        if self._message is not None and (is_complete or not goes_on):
            self._message.cancel()
            self._message = None
        if goes_on and self._message is None:
            self._message = _later(self._limits.message, lambda: self.end(CLOSE_PROTOCOL))

    def _ping(self) -> None:
        if self._socket is not None:
            self._socket.ping()
            self._pings = _later(self._limits.ping, self._ping)
            self._flush()

    def _is_silent(self) -> None:
        left = self._heard + self._limits.silence - asyncio.get_running_loop().time()
        if left > 0:
            self._silence = _later(left, self._is_silent)
        else:
            self.end(TRY_AGAIN_LATER)

    def _flush(self) -> None:
        transport, socket = self._transport, self._socket
        if transport is None or socket is None or transport.is_closing():
            return
        for piece in socket.to_send():
            if piece:
                transport.write(piece)
            else:
                _say_no_more(transport)
        if not socket.is_open:
            self._part()

    def _part(self) -> None:
        """Leaves the other end one moment, whatever it sends, to read the last words and go by itself."""
        if self._parts:
            return
        self._parts = True
        if self._channel is not None:
            self._channel.close()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = _later(self._limits.farewell, self.abort)

    def abort(self) -> None:
        """Ends the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    # ── channel.Receiver ──

    def tell(self, frame: bytes) -> None:
        """Sends the page a frame of the core."""
        if self._socket is not None:
            self._socket.send(frame)
            self._flush()

    def end(self, code: int) -> None:
        """Ends the connection, with a code that says why."""
        if self._socket is not None and self._socket.is_open:
            self._socket.close(code)
            self._flush()

    def hold(self) -> None:
        """Reads nothing more of the page."""
        self._holds += 1
        if self._holds == 1 and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Reads the page again, once nothing holds it any more."""
        self._holds -= 1
        if self._holds == 0 and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


def _later(seconds: float, act: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, act)


def _say_no_more(transport: asyncio.Transport) -> None:
    with contextlib.suppress(OSError):  # the other end is gone already
        transport.write_eof()


def _is_text(message: bytes) -> bool:
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True
