"""Driver ``scanner``: handheld imagers in serial mode, by pyserial. Here the parts are put together.

``scanner_settings`` are the options; ``scanner_ports`` finds and opens the ports, behind the interface of
``scanner_link``; for each imager ``scanner_reader`` is its thread, ``scanner_lines`` and ``scanner_aim`` cut what it
sends into scans, and ``scanner_scans`` decides what becomes of them.
"""

import threading
import time
from importlib.metadata import version
from typing import ClassVar

from vitale_drivers.base import Arm, Driver, Emit, Health, Options, Report, Started, Transmit, Transmitted
from vitale_drivers.scanner_link import Bus, Place
from vitale_drivers.scanner_reader import ScannerReader
from vitale_drivers.scanner_scans import MEDIA
from vitale_drivers.scanner_settings import parse_options
from vitale_drivers.troubles import Troubles
from vitale_protocol.errors import MediumUnsupported, ReaderGone, ToolMissing

__all__ = ["ScannerDriver"]

CLOSE_LIMIT = 2.0
"""Seconds to end the threads in; one that is inside the system cannot be ended, and goes with the process."""

STUCK = 10.0
"""Seconds to open or close a port in: far beyond what a port takes that works."""


class ScannerDriver(Driver):
    """Imagers; its options are those of ``scanner_settings.Settings``."""

    name: ClassVar[str] = "scanner"
    media: ClassVar[tuple[str, ...]] = MEDIA

    def __init__(self, options: Options, bus: Bus | None = None) -> None:
        """Checks the options; ``bus`` finds the imagers, unless a test brings another than pyserial's.

        Raises:
            ConfigurationInvalid: an option cannot be used.
        """
        super().__init__(options)
        self._settings, self._addresses, self._framing = parse_options(options)
        self._bus = bus
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._armed: Arm | None = None
        self._readers: dict[str, ScannerReader] = {}
        self._troubles = Troubles(self._emit)
        self._emit_to: Emit | None = None
        self._finder = threading.Thread(target=self._find, name="imagers", daemon=True)

    # ── told by the worker ──

    def open(self, emit: Emit) -> None:
        """Starts to look for imagers.

        Raises:
            ToolMissing: pyserial is not installed.
        """
        if self._bus is None:
            self._bus = self._serial_bus()
        self._emit_to = emit
        self._emit(Started(driver=self.name, media=self.media, version=f"pyserial {version('pyserial')}"))
        self._emit(Health(state="ok"))
        self._look(self._bus)
        self._finder.start()

    def arm(self, command: Arm) -> None:
        """Presents what was scanned a moment ago, and what is scanned from now on."""
        with self._lock:
            self._armed = command
            readers = tuple(self._readers.values())
        for reader in readers:
            reader.arm(command)

    def disarm(self) -> None:
        """Ends the effect of ``arm``; imagers are heard all the same."""
        with self._lock:
            self._armed = None
            readers = tuple(self._readers.values())
        for reader in readers:
            reader.disarm()

    def transmit(self, command: Transmit) -> None:
        """There is nothing behind an imager that takes APDUs."""
        with self._lock:
            reason = MediumUnsupported.reason if command.reader in self._readers else ReaderGone.reason
        self._emit(Transmitted(id=command.id, responses=(), reason=reason))

    def stuck(self) -> str:
        """Names an imager whose port has been opening or closing for longer than any may take."""
        now = time.monotonic()
        with self._lock:
            readers = tuple(self._readers.values())
        return next((f"port of {reader.id}" for reader in readers if reader.busy_for(now) > STUCK), "")

    def close(self) -> None:
        """Ends the threads that can be ended."""
        self._closed.set()
        with self._lock:
            readers = tuple(self._readers.values())
        end = time.monotonic() + CLOSE_LIMIT
        for reader in readers:
            reader.end()
        for reader in readers:
            reader.join(max(0.0, end - time.monotonic()))
        if self._finder.ident is not None:
            self._finder.join(max(0.0, end - time.monotonic()))

    # ── finding ──

    def _serial_bus(self) -> Bus:
        try:
            from vitale_drivers.scanner_ports import SerialBus  # noqa: PLC0415 - only where it is needed
        except ImportError as error:
            tool = error.name or "pyserial"
            raise ToolMissing(f"driver scanner needs {tool}, which cannot be loaded", data={"tool": tool}) from error
        return SerialBus(self._settings)

    def _find(self) -> None:
        """Imagers may come at any time, and the systems differ in how they would tell; so they are asked."""
        while self._bus is not None and not self._closed.wait(self._settings.look):
            self._look(self._bus)

    def _look(self, bus: Bus) -> None:
        for address in self._addresses:
            for place in bus.places(address):
                self._add(place, bus)

    def _add(self, place: Place, bus: Bus) -> None:
        with self._lock:
            if place.id in self._readers or self._closed.is_set():
                return
            reader = ScannerReader(place, bus, self._settings, self._framing, self._emit, self._troubles)
            self._readers[place.id] = reader
            if self._armed is not None:
                reader.arm(self._armed)
            reader.start()

    def _emit(self, report: Report) -> None:
        if self._emit_to is not None and not self._closed.is_set():
            self._emit_to(report)
