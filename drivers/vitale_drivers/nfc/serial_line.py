"""The serial line to a PN532, read by its start codes: what nfcpy expects, whatever lies between the frames.

nfcpy takes the first bytes of the line for a frame of exactly one byte of preamble. The chip may send more: UM0701-02
§6.2.1.6 has the host look for the start code. Adapters add stray bytes, and slow ones deliver late and in pieces.
"""

import errno
import os
import time
from typing import Final

from nfc.clf import transport

__all__ = ["GAP", "PATIENCE", "FrameBuffer", "SynchronisedTTY"]

PATIENCE: Final = 1.0
"""Seconds that any answer is waited for at least: nfcpy waits 0.1 for an ACK, and adapters were seen to take longer."""

GAP: Final = 0.5
"""Seconds between two pieces of one frame."""

_ACK = bytes.fromhex("0000FF00FF00")
_START = b"\x00\xff"
_FROM_HOST = 0xD4
_MAX = 265
"""§6.2.1.2: bytes of data, direction byte included."""


class FrameBuffer:
    """Bytes of the line as they come, and the frames in them.

    Frames are as nfcpy compares them: with one byte on either side.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, data: bytes) -> None:
        """Appends bytes that came over the line."""
        self._bytes += data

    def clear(self) -> None:
        """Discards all bytes that came so far."""
        self._bytes.clear()

    def frame(self) -> bytes | None:
        """The next frame; None while none is complete. One with a wrong checksum is given, for nfcpy to refuse."""
        while (start := self._bytes.find(_START)) >= 0:
            del self._bytes[:start]
            length = _length(self._bytes)
            if length is None:
                return None
            header, size = length
            end = header + size
            if size < 0 or (len(self._bytes) < end and _START in self._bytes[2:]):
                del self._bytes[:2]  # no frame, or one that was broken off: another begins behind it
                continue
            if len(self._bytes) < end:
                return None
            found = bytes(self._bytes[:end])
            spoilt = sum(found[header:]) & 0xFF
            if spoilt and _START in self._bytes[2:]:
                del self._bytes[:2]
                continue
            del self._bytes[:end]
            if size and found[header] == _FROM_HOST:
                continue  # some adapters give back what they are sent
            return b"\x00" + found + b"\x00"
        # The last byte may be the first half of a start code.
        del self._bytes[: max(len(self._bytes) - 1, 0)]
        return None


def _length(frame: bytearray) -> tuple[int, int] | None:
    """Bytes of the header, and of data with their checksum.

    The second number is -1 where it is no header. None means that the header is incomplete.
    """
    if len(frame) < 4:
        return None
    low, check = frame[2], frame[3]
    if (low, check) == (0x00, 0xFF):
        return 4, 0
    if (low, check) != (0xFF, 0xFF):
        return 4, low + 1 if low and not low + check & 0xFF else -1
    if len(frame) < 7:
        return None
    size = frame[4] << 8 | frame[5]
    good = 0 < size <= _MAX and not sum(frame[4:7]) & 0xFF
    return 7, size + 1 if good else -1


class SynchronisedTTY(transport.TTY):
    """nfcpy's serial transport with another way to read."""

    def __init__(self, port: str) -> None:
        self._frames = FrameBuffer()
        self._acknowledged = False
        super().__init__(port)

    def open(self, port: str, baudrate: int = 115200) -> None:
        """Opens the line; what came at another speed is forgotten."""
        self._frames.clear()
        super().open(port, baudrate)

    def write(self, frame: bytes) -> None:
        """Sends a frame; as in nfcpy, what came before it is no answer to it."""
        self._frames.clear()
        self._acknowledged = False
        super().write(frame)

    def read(self, timeout: int) -> bytearray:
        """The next frame of the chip.

        Raises:
            OSError: ``ETIMEDOUT``, it did not come within ``timeout`` milliseconds.
        """
        end = time.monotonic() + max(timeout / 1000, PATIENCE)
        last = end + PATIENCE
        while (frame := self._next()) is None:
            data = self._receive(min(end, last) - time.monotonic())
            if not data:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            self._frames.add(data)
            end = max(end, time.monotonic() + GAP)
        return bytearray(frame)

    def _next(self) -> bytes | None:
        """The next frame, a second acknowledgement of one command left out: nfcpy takes it for the answer."""
        frame = self._frames.frame()
        if frame == _ACK and self._acknowledged:
            frame = self._frames.frame()
        self._acknowledged = self._acknowledged or frame == _ACK
        return frame

    def _receive(self, seconds: float) -> bytes:
        """Waits for a first byte and returns all that is there; empty if the wait ended or was cancelled."""
        tty = self.tty
        if tty is None or seconds <= 0:
            return b""
        tty.timeout = seconds
        first: bytes = tty.read(1)
        return first + tty.read(tty.in_waiting) if first and tty.in_waiting else first
