"""A PN532 on a pseudo-terminal, for any program that knows this chip.

A thread takes the frames of the host and has the firmware act on them.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import TracebackType

from vitale_firmware_sim.pn532.faults import NO_FAULTS, NfcFaults
from vitale_firmware_sim.pn532.field import RfField
from vitale_firmware_sim.pn532.firmware import Pn532Firmware, SyntaxRefused
from vitale_firmware_sim.pn532.frames import ACK, ERROR, Ack, Data, Event, FrameReader, Nack, encode
from vitale_firmware_sim.serial.device import SerialDevice
from vitale_firmware_sim.serial.line import Baud, SerialLine, Unplugged

__all__ = ["Pn532Reader"]

_PIECE = 7
"""Bytes that come together where a frame is split."""

_FROM_HOST, _FROM_CHIP = b"\xd4", b"\xd5"


class _Aborted(Exception):
    """The host sent an ACK or another command during a command."""


class Pn532Reader(SerialDevice):
    """A reader on a serial line, from ``with`` or ``open`` to ``unplug``.

    The end of ``with`` also empties the field.

    Args:
        field: what lies on the reader; an empty field by default.
        baud: the speed of the wire in bits a second, "agreed" for what host and chip agree upon. None is for at once.
        faults: those of a reader; the others belong to a target, see ``RfField.put``.
        link: where a symbolic link to the pseudo-terminal is made; nothing may be there yet. None for no link.

    Attributes:
        field: as given.
        commands: how many commands were answered, or are being answered.
    """

    def __init__(
        self,
        field: RfField | None = None,
        baud: Baud = None,
        faults: NfcFaults = NO_FAULTS,
        link: Path | None = None,
    ) -> None:
        super().__init__(baud, link)
        self.field = field or RfField()
        self.commands = 0
        self._faults = faults
        self._line: SerialLine | None = None
        self._thread: threading.Thread | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self.field.remove()

    def open(self) -> None:
        """Plugs the reader in, with a new pseudo-terminal."""
        if self._thread is not None:
            return
        line = self._line = self._line_of_its_own()
        chip = _Chip(line, self.field, self._faults, self._count)
        self.field.listen(line.wake)
        self._thread = threading.Thread(target=chip.run, name=f"pn532-{line.path}", daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Takes the reader away from its host, in the middle of whatever it does.

        What lies on it stays there.
        """
        line, thread = self._line, self._thread
        if line is None or thread is None:
            return
        self._line = self._thread = None
        line.unplug()
        thread.join()
        self.field.listen(lambda: None)
        self._close(line)
        self.field.power(on=False)

    def _count(self) -> None:
        self.commands += 1


class _Chip:
    """Host interface: acknowledges, runs, answers, repeats, and stops on order."""

    def __init__(self, line: SerialLine, field: RfField, faults: NfcFaults, count: Callable[[], None]) -> None:
        self._line = line
        self._faults = faults
        self._count = count
        self._frames = FrameReader()
        self._events: deque[Event] = deque()
        self._firmware = Pn532Firmware(field, self._wait)
        self._answer = b""
        self._sent = 0
        self._frames_sent = 0

    def run(self) -> None:
        try:
            while True:
                while not self._events:
                    self._receive(None)
                self._take(self._events.popleft())
        except Unplugged:
            return

    def _receive(self, seconds: float | None) -> None:
        self._events.extend(self._frames.receive(self._line.receive(seconds)))

    def _wait(self, ready: Callable[[], bool], seconds: float | None) -> bool:
        """Waits for a card, and listens to the host meanwhile."""
        deadline = None if seconds is None else monotonic() + seconds
        while not ready():
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return False
            self._receive(left)
            if any(isinstance(event, Ack | Data) for event in self._events):
                raise _Aborted
        return True

    def _take(self, event: Event) -> None:
        self._line.settle()
        match event:
            case Data(content, skipped) if content[:1] == _FROM_HOST and len(content) > 1:
                # UM0701-02 §6.3.2.3: asleep, the chip misses the first bytes; the host sends some to be missed.
                if not (self._firmware.asleep and not skipped):
                    self._command(content[1:])
            case Ack():
                # The end of the handshake of SetSerialBaudRate; otherwise nothing is left to stop.
                self._line.agreed = self._firmware.baud
            case Nack() if self._answer:
                self._line.send(self._answer)
            case _:
                # An invalid frame, or one for another device: a chip stays silent, and the host asks again.
                pass

    def _command(self, command: bytes) -> None:
        self._firmware.asleep = False
        if self._faults.mute:
            return
        try:
            self._pause(self._faults.slow_ack)
            self._send(ACK)
            if _is_nth(self._sent + 1, self._faults.twice_every):
                self._send(ACK)
            frame = encode(Data(_FROM_CHIP + self._firmware.execute(command)))
        except SyntaxRefused:
            frame = ERROR
        except _Aborted:
            return
        self._answer = frame
        self._sent += 1
        # Before it is sent: a host that has the answer finds it counted.
        self._count()
        with contextlib.suppress(_Aborted):
            self._send(_garbled(frame) if _is_nth(self._sent, self._faults.garble_every) else frame)

    def _send(self, frame: bytes) -> None:
        """Sends a frame as the faults have it."""
        self._frames_sent += 1
        stray = b"\x55" if _is_nth(self._frames_sent, self._faults.stray_every) else b""
        data = bytes(self._faults.preamble) + stray + frame
        size = _PIECE if self._faults.split else len(data)
        for start in range(0, len(data), size):
            if start:
                self._pause(self._faults.split)
            self._line.send(data[start : start + size])

    def _pause(self, seconds: float) -> None:
        if seconds:
            self._wait(lambda: False, seconds)


def _is_nth(count: int, every: int) -> bool:
    return bool(every) and count % every == 0


def _garbled(frame: bytes) -> bytes:
    """The same with a wrong checksum of its data."""
    return frame[:-2] + bytes((frame[-2] ^ 0x55, frame[-1]))
