"""Message framing on a stream of bytes, for each transport.

A framing keeps at most one incomplete message, and never more of it than ``limit`` allows. When a message exceeds the
limit, the whole messages before it are still returned and ``exceeded`` becomes true. Nothing is read after that. The
start of the next message is no longer known, so the connection has to end.
"""

import struct
from collections.abc import Iterable
from typing import ClassVar, Protocol

from vitale_protocol.errors import LimitExceeded

__all__ = ["MESSAGE_BYTES", "Framing", "LineFraming", "NativeFraming", "NetworkFraming"]

# docs/reference/wire.md, "Limits". Browsers accept no more than 1 MiB from a native messaging host either.
MESSAGE_BYTES = 1_048_576


class Framing(Protocol):
    """Interface that a session needs of a framing.

    Attributes:
        limit: the longest message, in bytes, without its frame.
        exceeded: whether a message was longer; nothing is read any more.
    """

    limit: int
    exceeded: bool

    @property
    def held(self) -> int:
        """Number of bytes of an incomplete message that are remembered."""
        ...

    def receive(self, data: bytes) -> Iterable[bytes]:
        """The messages that ``data`` completes, in order; taken to the end, each dealt with before the next is."""
        ...

    def encode(self, message: bytes) -> bytes:
        """The frame of one message.

        Raises:
            LimitExceeded: the message is longer than the limit.
        """
        ...


class BoundedFraming:
    """The part that all framings share: the limit, in both directions, and what is kept of an incomplete message."""

    def __init__(self, limit: int = MESSAGE_BYTES) -> None:
        self.limit = limit
        self.exceeded = False
        self._incomplete: bytearray = bytearray()

    @property
    def held(self) -> int:
        """Number of bytes kept of an incomplete message, with its frame as far as that is known."""
        return len(self._incomplete)

    def check(self, message: bytes) -> None:
        """Refuses to send what the other end would refuse to read."""
        if len(message) > self.limit:
            raise LimitExceeded(
                "the message is longer than the limit", variant="message_bytes", data={"limit": "message_bytes"}
            )


class LineFraming(BoundedFraming):
    """One message a line: LF ends it, a CR before the LF is dropped, empty lines are skipped."""

    def receive(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes, without their ends."""
        messages: list[bytes] = []
        if self.exceeded:
            return messages
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            line = data[start:end]
            if self._incomplete:
                line = bytes(self._incomplete) + line
                self._incomplete.clear()
            if not self._take(line.removesuffix(b"\r"), messages):
                return messages
            start = end + 1
        self._incomplete += data[start:]
        # A final CR may still turn out to be half of the line's end.
        if len(self._incomplete) - self._incomplete.endswith(b"\r") > self.limit:
            self._exceed()
        return messages

    def encode(self, message: bytes) -> bytes:
        """The line of one message; JSON text has no raw line feed."""
        self.check(message)
        return message + b"\n"

    def _take(self, line: bytes, messages: list[bytes]) -> bool:
        if len(line) > self.limit:
            self._exceed()
            return False
        if line:
            messages.append(line)
        return True

    def _exceed(self) -> None:
        self.exceeded = True
        self._incomplete.clear()


class LengthFraming(BoundedFraming):
    """A length of 32 bits, in the byte order of each kind, then that many bytes."""

    _length: ClassVar[struct.Struct]

    def receive(self, data: bytes) -> list[bytes]:
        """The messages that ``data`` completes; a length above the limit is refused before its bytes are awaited."""
        messages: list[bytes] = []
        if self.exceeded:
            return messages
        self._incomplete += data
        start = 0
        while len(self._incomplete) - start >= self._length.size:
            (length,) = self._length.unpack_from(self._incomplete, start)
            if length > self.limit:
                self.exceeded = True
                self._incomplete.clear()
                return messages
            begin = start + self._length.size
            if len(self._incomplete) < begin + length:
                break
            messages.append(bytes(self._incomplete[begin : begin + length]))
            start = begin + length
        del self._incomplete[:start]
        return messages

    def encode(self, message: bytes) -> bytes:
        """The length and the message."""
        self.check(message)
        return self._length.pack(len(message)) + message


class NativeFraming(LengthFraming):
    """Browser native messaging: the length is in native byte order."""

    _length = struct.Struct("=I")


class NetworkFraming(LengthFraming):
    """Channels between programs of this project: the length is in network byte order."""

    _length = struct.Struct("!I")
