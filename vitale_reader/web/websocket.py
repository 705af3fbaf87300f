"""A WebSocket of a page, from bytes to messages and back, without I/O: ``websockets`` reads the frames.

Nothing is compressed: where a message holds a secret and an attacker's text, its length would reveal the secret.
"""

from collections.abc import Iterator
from typing import Final

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from vitale_protocol.web.channels import FRAME_BYTES
from vitale_reader.web.http_rules import SUBPROTOCOL, RequestHead

__all__ = ["MOST_FRAGMENTS", "PageSocket"]

MOST_FRAGMENTS: Final = 64

SWITCHING_PROTOCOLS: Final = 101

# Close codes of RFC 6455, section 7.4.1.
UNSUPPORTED_DATA: Final = 1003
MESSAGE_TOO_BIG: Final = 1009


class PageSocket:
    """The server's end of a WebSocket, from its handshake to its end.

    Attributes:
        frames: that came, of any kind.
    """

    frames: int

    def __init__(self) -> None:
        self.frames = 0
        # The request was read already: this one begins with frames.
        self._protocol = ServerProtocol(state=OPEN, max_size=FRAME_BYTES)
        self._answer = b""
        self._message = bytearray()
        self._fragments = 0
        self._is_deaf = False

    def accept(self, head: RequestHead) -> bool:
        """Answers a handshake; whether it is one."""
        fields = Headers((name.decode("ascii"), value.decode("latin-1")) for name, value in head.fields)
        handshake = ServerProtocol(extensions=None, subprotocols=[Subprotocol(SUBPROTOCOL)])
        response = handshake.accept(Request(head.target.decode("ascii"), fields))
        if response.status_code != SWITCHING_PROTOCOLS:
            return False
        # The clock of this machine is nobody's business.
        del response.headers["Date"]
        self._answer = response.serialize()
        return True

    @property
    def is_open(self) -> bool:
        """True until either side begins to close."""
        return self._protocol.state is OPEN

    @property
    def is_within_a_message(self) -> bool:
        """True if a message has begun, and more of it is to come."""
        return self._fragments > 0 or bool(self._protocol.reader.buffer)

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Takes bytes; the messages that they complete. Pings and the end are answered by themselves.

        What a page said before it closed counts, also where both come at once.
        """
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                continue
            self.frames += 1
            if self._is_deaf:
                continue
            if event.opcode is Opcode.CLOSE:
                self._is_deaf = True
            else:
                yield from self._take(event)

    def receive_eof(self) -> None:
        """The page speaks no more."""
        self._protocol.receive_eof()

    def send(self, message: bytes) -> None:
        """Sends a message as one frame; it is lost where the end has begun."""
        if self.is_open:
            self._protocol.send_text(message)

    def ping(self) -> None:
        """Asks the page for a sign of life."""
        if self.is_open:
            self._protocol.send_ping(b"")

    def close(self, code: int) -> None:
        """Begins the end, with a code that says why."""
        self._is_deaf = True
        if self.is_open:
            self._protocol.send_close(code)

    def to_send(self) -> Iterator[bytes]:
        """Bytes to be written; an empty piece is the end of them."""
        if self._answer:
            answer, self._answer = self._answer, b""
            yield answer
        yield from self._protocol.data_to_send()

    def _take(self, frame: Frame) -> Iterator[bytes]:
        if frame.opcode is Opcode.BINARY:
            self.close(UNSUPPORTED_DATA)
        if frame.opcode not in {Opcode.TEXT, Opcode.CONT}:
            return
        self._fragments += 1
        if self._fragments > MOST_FRAGMENTS:
            self.close(MESSAGE_TOO_BIG)
            return
        self._message += frame.data
        if frame.fin:
            message = bytes(self._message)
            self._message.clear()
            self._fragments = 0
            yield message
