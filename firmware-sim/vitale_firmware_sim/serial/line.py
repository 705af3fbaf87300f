"""The pseudo-terminal as a serial line: raw bytes at both ends, and, where wanted, as slow as a wire.

A wire moves ten bits for a byte. Here bytes arrive all at once. A reader waits until a wire would have brought the last
one. Sent bytes arrive when the last one would. The next wait makes up for one that ends late, so errors do not add up.
"""

import os
import select
import threading
import time
from typing import Final, Literal

from vitale_firmware_sim.serial.pseudo_terminal import open_pseudo_terminal

__all__ = ["Baud", "SerialLine", "Unplugged"]

Baud = int | Literal["agreed"] | None

_BITS: Final = 10
_CHUNK: Final = 4096
_LOOK: Final = 0.001


class Unplugged(Exception):
    """The device was unplugged."""


class SerialLine:
    """The device's end of a line.

    Args:
        baud: bits a second of the wire, "agreed" for what host and chip agree upon. None is for no wire at all.
    """

    def __init__(self, baud: Baud = None) -> None:
        self.agreed = 115_200
        self._baud = baud
        self._gone = threading.Event()
        self._lock = threading.Lock()
        self._received_at = 0.0
        self._sent_at = 0.0
        self._late = 0.0
        opened = open_pseudo_terminal()
        self._master, self._slave = opened.master, opened.slave
        self._wake_read, self._wake_write = opened.wake_read, opened.wake_write
        self.path = opened.path

    def wake(self) -> None:
        """Ends a wait of ``receive`` early; from any thread."""
        with self._lock:
            if not self._gone.is_set():
                _put(self._wake_write, b"\0")

    def unplug(self) -> None:
        """Ends every wait; the thread that uses the line then closes it. From any thread."""
        with self._lock:
            # In this order: a thread that is woken must find it gone, or it would wait again, for good.
            self._gone.set()
            _put(self._wake_write, b"\0")

    def close(self) -> None:
        """Closes all; a program at the other end sees the device go."""
        self._gone.set()
        with self._lock:
            for descriptor in (self._master, self._slave, self._wake_read, self._wake_write):
                os.close(descriptor)

    def receive(self, seconds: float | None) -> bytes:
        """Waits for bytes from the host, or until woken, or for so many seconds; None without limit.

        Raises:
            Unplugged: the line is no more.
        """
        ready, _, _ = select.select([self._master, self._wake_read], [], [], seconds)
        if self._gone.is_set():
            raise Unplugged
        if self._wake_read in ready:
            os.read(self._wake_read, _CHUNK)
        if self._master not in ready:
            return b""
        data = os.read(self._master, _CHUNK)
        self._received_at = max(self._received_at, time.monotonic()) + self._duration(len(data))
        return data

    def settle(self) -> None:
        """Waits until a wire would have brought the last byte received.

        Raises:
            Unplugged: the line is no more.
        """
        self._late = 0.0
        if self._received_at > time.monotonic():
            self._until(self._received_at)

    def send(self, data: bytes) -> None:
        """Sends bytes, which are there when this returns; bytes that nobody fetches are lost, as on a wire.

        Raises:
            Unplugged: the line is no more.
        """
        self._sent_at = max(self._sent_at, time.monotonic() - self._late) + self._duration(len(data))
        self._until(self._sent_at)
        _put(self._master, data)

    def fetched(self, seconds: float) -> bool:
        """Waits until the host has read all that was sent, for so many seconds at most; whether it has.

        Raises:
            Unplugged: the line is no more.
        """
        end = time.monotonic() + seconds
        if self._gone.is_set():
            raise Unplugged
        while _unread(self._slave):
            # A terminal wakes its reader when bytes come, and no thread when they are taken.
            if time.monotonic() >= end:
                return False
            if self._gone.wait(_LOOK):
                raise Unplugged
        return True

    def _duration(self, count: int) -> float:
        baud = self.agreed if isinstance(self._baud, str) else self._baud
        return 0.0 if baud is None else count * _BITS / baud

    def _until(self, instant: float) -> None:
        left = instant - time.monotonic()
        if self._gone.wait(left) if left > 0 else self._gone.is_set():
            raise Unplugged
        self._late = max(time.monotonic() - instant, 0.0)


def _unread(slave: int) -> bool:
    return bool(select.select([slave], [], [], 0)[0])


def _put(descriptor: int, data: bytes) -> None:
    try:
        os.write(descriptor, data)
    except BlockingIOError:
        # Full: whoever is to read has enough.
        return
