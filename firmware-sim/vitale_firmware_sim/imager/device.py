"""A handheld imager in serial mode on a pseudo-terminal, for any program that reads serial ports.

What it sends, it sends as USB does, in packets. A program that does not read loses them, as the buffers of an imager
are small. What the host sends is not looked at: these imagers need no host.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from vitale_firmware_sim.imager.faults import NO_FAULTS, Behaviour, ImagerFaults, framed
from vitale_firmware_sim.serial.device import SerialDevice
from vitale_firmware_sim.serial.line import SerialLine, Unplugged
from vitale_protocol.errors import LocalMisuse

__all__ = ["Imager"]

# USB 2.0 §5.8.3: the bulk packets of a full-speed device.
_PACKET: Final = 64
# For a program that has the port open and reads late, as on a busy machine.
_PATIENCE: Final = 30.0
_LETTERS: Final = b"QWERTYUIOP" * 6


class Imager(SerialDevice):
    """An imager, from ``with`` or ``open`` to ``unplug``.

    Args:
        manners: how it is set up.
        baud: the speed of the wire in bits a second; None for at once, as over USB.
        faults: its faults; ``tear_after`` and ``endless`` are of the next scan only.
        link: where a symbolic link to the pseudo-terminal is made; nothing may be there yet. None for no link.

    Attributes:
        faults: as given; may be changed between two scans.
        scans: how many scans were sent whole.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        baud: int | None = None,
        faults: ImagerFaults = NO_FAULTS,
        link: Path | None = None,
    ) -> None:
        super().__init__(baud, link)
        self.faults = faults
        self.scans = 0
        self._behaviour = behaviour or Behaviour()
        self._line: SerialLine | None = None
        self._sending = threading.Lock()

    @property
    def plugged(self) -> bool:
        """True if it is plugged in."""
        return self._line is not None

    def open(self) -> None:
        """Plugs the imager in, with a new pseudo-terminal."""
        if self._line is None:
            self._line = self._line_of_its_own()

    def unplug(self) -> None:
        """Takes the imager away from its host, in the middle of whatever it sends."""
        line, self._line = self._line, None
        if line is None:
            return
        line.unplug()
        with self._sending:
            self._close(line)

    def scan(self, data: bytes, symbology: str = "qr") -> None:
        """Reads a code, and sends it; returns when it is sent, or when the imager is unplugged.

        Raises:
            LocalMisuse: it is not plugged in.
        """
        self.scan_together([(data, symbology)])

    def scan_together(self, codes: list[tuple[bytes, str]]) -> None:
        """Reads several codes, each with its symbology, and sends them at once: the host gets them in one read.

        Raises:
            LocalMisuse: it is not plugged in.
        """
        line = self._line
        if line is None:
            raise LocalMisuse("the imager is not open")
        faults, self.faults = self.faults, replace(self.faults, tear_after=None, endless=False)
        sent = b"".join(framed(data, symbology, self._behaviour, faults) for data, symbology in codes)
        try:
            with self._sending:
                for packet in _packets(sent, faults, together=len(codes) > 1):
                    line.send(packet)
                if faults.tear_after is not None:
                    # Torn after these bytes have arrived: a line that goes takes along what was not read.
                    line.fetched(_PATIENCE)
        except Unplugged:
            return
        if faults.tear_after is not None:
            self.unplug()
            return
        self.scans += len(codes)

    def send(self, data: bytes) -> None:
        """Sends bytes as they are: what is no scan, or only a part of one.

        Raises:
            LocalMisuse: it is not plugged in.
        """
        line = self._line
        if line is None:
            raise LocalMisuse("the imager is not open")
        with self._sending:
            line.send(data)


def _packets(sent: bytes, faults: ImagerFaults, *, together: bool) -> Iterator[bytes]:
    if faults.endless:
        while True:
            yield _LETTERS
    if faults.tear_after is not None:
        sent = sent[: faults.tear_after]
    size = faults.split or (len(sent) if together else _PACKET) or 1
    yield from (sent[at : at + size] for at in range(0, len(sent), size))
