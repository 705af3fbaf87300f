"""One imager: what its thread does with the port while it is open.

The thread sleeps in the port until bytes come. Orders come from other threads and are carried out there, under a lock.
The thread takes this lock for each piece that it has read.
"""

import time

from vitale_drivers.base import Arm, Disarm, Emit
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.lifecycle import PluggedReader
from vitale_drivers.scanner.framing import LineReader, ScanFraming
from vitale_drivers.scanner.scans import MEDIA, PassOn, Scans
from vitale_drivers.scanner.settings import ScannerSettings
from vitale_drivers.scanner.transport import ScannerBus, ScannerPlace, SerialTransport
from vitale_protocol.errors import ReaderError
from vitale_protocol.events import Reader

__all__ = ["ScannerReader"]

Order = Arm | Disarm

_BREATH = 0.05
"""Seconds between two attempts to end a read that had not yet begun when it was cancelled."""


class ScannerReader(PluggedReader[Order, ScannerPlace, SerialTransport]):
    """An imager, from ``start`` to ``end``."""

    def __init__(
        self,
        place: ScannerPlace,
        bus: ScannerBus,
        settings: ScannerSettings,
        framing: ScanFraming,
        pass_on: PassOn,
        emit: Emit,
        reader_health: HealthOfReaders,
    ) -> None:
        """Stores; nothing is touched."""
        reader = Reader(
            id=place.id, name=place.name, driver="scanner", media=MEDIA, state="empty", simulated=place.simulated
        )
        super().__init__(place, bus, reader, settings.look, emit, reader_health)
        self._settings = settings
        self._framing = framing
        others = tuple(text.encode() for text in settings.others)
        self._scans = Scans(
            reader,
            settings.grace,
            settings.repeat,
            self.status.report,
            pass_on=pass_on,
            others=others,
            formats=settings.apcv_formats,
        )

    @property
    def wanted(self) -> bool:
        """True if a request waits for a scan here."""
        return self._scans.wanted

    def order(self, order: Order) -> None:
        """Presents what was scanned a moment ago, and what is scanned from now on; or does so no more."""
        with self.changed:
            if isinstance(order, Disarm):
                self._scans.disarm()
                return
            self._scans.arm(order)
            if self.wanted:
                self.status.remind()

    def join(self, timeout: float) -> None:
        """Waits for the thread; one that is inside the system ends with the process."""
        end = time.monotonic() + timeout
        while self.is_alive and time.monotonic() < end:
            super().join(min(_BREATH, timeout))
            self.end()

    def serve(self, device: SerialTransport) -> None:
        """Reads until the port is no more.

        Raises:
            ReaderGone: that.
        """
        settings = self._settings
        lines = LineReader(self._framing, settings.max_bytes, settings.idle_gap, settings.line_timeout)
        with self.changed:
            self._scans.appear(self.reader)
            self.status.well(self.reader)
        while not self.closed:
            data = device.read(self._pause(lines))
            with self.changed:
                now = time.monotonic()
                for event in lines.receive(data, now) if data else lines.expire(now):
                    self._scans.take(event)
                self._scans.expire()

    def abandon(self, error: ReaderError) -> bool:
        """Forgets the held scan; a request meanwhile was answered at once."""
        self._scans.leave()
        return False

    def _pause(self, lines: LineReader) -> float | None:
        """Returns the seconds until something is due without new bytes; None: nothing is."""
        due = [instant for instant in (lines.due, self._scans.due) if instant is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None
