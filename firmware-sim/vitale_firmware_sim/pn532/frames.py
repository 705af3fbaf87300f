"""The frames between a host and a PN532: bytes of a serial line in, frames out, and back.

UM0701-02 §6.2.1. A frame is ``00 00 FF``, length and its checksum, data and its checksum, ``00``; the sums are zero.
The data begin with D4 from the host and D5 from the chip. Longer data travel in extended frames with a length of two
bytes. What lies between frames, such as the bytes that wake the chip up, is skipped and counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

__all__ = [
    "ACK",
    "ERROR",
    "MAX_DATA",
    "NACK",
    "Ack",
    "Data",
    "Event",
    "FrameReader",
    "Garbled",
    "Nack",
    "encode",
]

ACK: Final = bytes.fromhex("0000FF00FF00")
NACK: Final = bytes.fromhex("0000FFFF0000")
# §6.2.1.5: the answer to what is no command, or to a command with the wrong number of parameters.
ERROR: Final = bytes.fromhex("0000FF01FF7F8100")

# §6.2.1.2: TFI and at most 264 bytes.
MAX_DATA: Final = 265

_START: Final = b"\x00\xff"
# nfcpy 1.0.4 takes any frame with a length byte of FF for an extended one; the longest normal frame is therefore one
# byte shorter than it could be, which every host accepts.
_NORMAL_MAX: Final = 254


@dataclass(frozen=True, slots=True)
class Ack:
    """Acknowledgement by the receiver; from the host while a command runs, an order to stop it."""


@dataclass(frozen=True, slots=True)
class Nack:
    """Say the last answer again."""


@dataclass(frozen=True, slots=True)
class Data:
    """An information frame.

    Attributes:
        content: the data, direction byte first.
        skipped: how many bytes came before the frame's own preamble since the last frame.
    """

    content: bytes
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Garbled:
    """A frame began and did not hold together."""


Event = Ack | Nack | Data | Garbled


def encode(event: Event) -> bytes:
    """The bytes of a frame, extended where its length asks for it.

    Raises:
        ValueError: more data than a PN532 takes, none at all, or a garbled frame.
    """
    match event:
        case Ack():
            return ACK
        case Nack():
            return NACK
        case Data(content):
            return _encode_data(content)
        case Garbled():
            raise ValueError("nobody sends a garbled frame on purpose")
        case _:
            assert_never(event)


def _encode_data(content: bytes) -> bytes:
    if not 1 <= len(content) <= MAX_DATA:
        raise ValueError(f"a frame of {len(content)} bytes of data")
    if len(content) <= _NORMAL_MAX:
        length = bytes((len(content), -len(content) & 0xFF))
    else:
        high, low = divmod(len(content), 256)
        length = bytes((0xFF, 0xFF, high, low, -(high + low) & 0xFF))
    return b"\x00" + _START + length + content + bytes((-sum(content) & 0xFF, 0x00))


class FrameReader:
    """Finds the frames in a stream that arrives in any pieces. Memory is bounded by one frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skipped = 0

    def receive(self, data: bytes) -> list[Event]:
        """Takes bytes of the line and gives the frames that they complete."""
        self._buffer += data
        return list(self._frames())

    def _frames(self) -> Iterator[Event]:
        while self._to_start():
            found = _frame_at_start(self._buffer)
            if found is None:
                return
            event, used = found
            del self._buffer[:used]
            if isinstance(event, Data):
                # One byte of preamble belongs to the frame.
                event = Data(event.content, max(self._skipped - 1, 0))
            # The postamble is skipped with what follows, and counts for nothing.
            self._skipped = -1
            yield event

    def _to_start(self) -> bool:
        """Drops what comes before a start code; whether there is one."""
        start = self._buffer.find(_START)
        if start < 0:
            # The last byte may be the first half of a start code.
            start = max(len(self._buffer) - self._buffer.endswith(b"\x00"), 0)
            found = False
        else:
            found = True
        self._skipped += start
        del self._buffer[:start]
        return found


def _frame_at_start(buffer: bytearray) -> tuple[Event, int] | None:
    """The frame at the beginning and how many bytes it has; None while it is not complete."""
    if len(buffer) < 4:
        return None
    length, check = buffer[2], buffer[3]
    if (length, check) == (0x00, 0xFF):
        return Ack(), 4
    if (length, check) == (0xFF, 0x00):
        return Nack(), 4
    if (length, check) == (0xFF, 0xFF):
        if len(buffer) < 7:
            return None
        length, check, header = buffer[4] << 8 | buffer[5], buffer[4] + buffer[5] + buffer[6], 7
    else:
        check, header = length + check, 4
    if check & 0xFF or not 1 <= length <= MAX_DATA:
        # Only the start code is dropped: another may follow within.
        return Garbled(), 2
    # The postamble is not waited for: it is not always sent, and skipped when it is.
    end = header + length + 1
    if len(buffer) < end:
        return None
    if sum(buffer[header:end]) & 0xFF:
        return Garbled(), 2
    return Data(bytes(buffer[header : end - 1])), end
