"""Driver ``nfc``: phones on NFC readers, by nfcpy. Here the parts are put together; each says its own rules.

``nfc_settings`` are the options; ``nfc_devices`` finds and opens the readers of the machine, ``nfc_pn53x`` and
``nfc_generic`` work them, behind the interface of ``nfc_link``; for each reader ``nfc_reader`` is its thread,
``nfc_watch`` times its calls, and ``nfc_field`` decides what is done with what is in its field.
"""

import threading
import time
from importlib.metadata import version
from typing import ClassVar

from vitale_drivers.base import Arm, Disarm, Driver, Emit, Health, Options, Report, Started, Transmit, Transmitted
from vitale_drivers.nfc_field import MEDIUM
from vitale_drivers.nfc_link import Bus, Place
from vitale_drivers.nfc_reader import NfcReader
from vitale_drivers.nfc_settings import Address, parse_options
from vitale_drivers.reasons import reason_of
from vitale_protocol.errors import ConfigurationInvalid, ReaderError, ReaderGone, ToolMissing

__all__ = ["NfcDriver"]

CLOSE_LIMIT = 2.0
"""Seconds to end the threads in; one that is inside the binding cannot be ended, and goes with the process."""

STUCK = 10.0
"""Seconds in one call of the binding: far beyond what any of them may take."""


class NfcDriver(Driver):
    """NFC readers; its options are those of ``nfc_settings.Settings``."""

    name: ClassVar[str] = "nfc"
    media: ClassVar[tuple[str, ...]] = (MEDIUM,)

    def __init__(self, options: Options, bus: Bus | None = None) -> None:
        """Checks the options; ``bus`` finds the readers, unless a test brings another than nfcpy's.

        Raises:
            ConfigurationInvalid: an option cannot be used.
        """
        super().__init__(options)
        self._settings, self._addresses, self._profiles = parse_options(options)
        self._bus = bus
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._armed: Arm | None = None
        self._seen: set[Address] = set()
        self._readers: dict[str, NfcReader] = {}
        self._troubles: dict[str, ReaderError] = {}
        self._emit_to: Emit | None = None
        self._finder = threading.Thread(target=self._find, name="nfc readers", daemon=True)

    # ── told by the worker ──

    def open(self, emit: Emit) -> None:
        """Starts to look for readers.

        Raises:
            ToolMissing: nfcpy or libusb is not installed.
        """
        if self._bus is None:
            self._bus = _nfcpy_bus()
        self._emit_to = emit
        media = self.media if self._profiles else ()
        self._emit(Started(driver=self.name, media=media, version=f"nfcpy {version('nfcpy')}"))
        self._emit(self._health())
        self._look(self._bus)
        self._finder.start()

    def arm(self, command: Arm) -> None:
        """Turns fields on, and reads what comes into them."""
        with self._lock:
            self._armed = command
            for reader in self._readers.values():
                reader.order(command)

    def disarm(self) -> None:
        """Turns fields off, as soon as what was read has left them."""
        with self._lock:
            self._armed = None
            for reader in self._readers.values():
                reader.order(Disarm())

    def transmit(self, command: Transmit) -> None:
        """Passes raw APDUs; ``61xx`` and ``6Cxx`` are the caller's to handle."""
        with self._lock:
            reader = self._readers.get(command.reader)
            if reader is not None:
                reader.order(command)
        if reader is None:
            self._emit(Transmitted(id=command.id, responses=(), reason=ReaderGone.reason))

    def stuck(self) -> str:
        """Names a reader that has been in one call for longer than any may take."""
        now = time.monotonic()
        with self._lock:
            readers = tuple(self._readers.values())
        return next((f"call to {reader.id}" for reader in readers if reader.busy_for(now) > STUCK), "")

    def close(self) -> None:
        """Ends the threads that can be ended; the fields are off then."""
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

    # ── told by the readers: the interface Supervisor ──

    def trouble(self, reader: str, error: ReaderError | None) -> None:
        """A reader is there and cannot be used; None: it is well, or gone."""
        with self._lock:
            before = self._health()
            if error is None:
                self._troubles.pop(reader, None)
            else:
                self._troubles[reader] = error
            after = self._health()
        if after != before:
            self._emit(after)

    def _health(self) -> Health:
        if not self._profiles:
            detail = "without a profile no phone can be read"
            return Health(state="degraded", reason=ConfigurationInvalid.reason, detail=detail)
        if not self._troubles:
            return Health(state="ok")
        reader, error = next(iter(sorted(self._troubles.items())))
        holder = error.data.get("holder")
        detail = f"{reader}: {error.detail}" + (f" ({holder})" if holder else "")
        return Health(state="degraded", reason=reason_of(error), detail=detail)

    # ── finding ──

    def _find(self) -> None:
        """Readers may come at any time, and the systems differ in how they would tell; so they are asked."""
        while self._bus is not None and self._open_addresses() and not self._closed.wait(self._settings.look):
            self._look(self._bus)

    def _open_addresses(self) -> list[Address]:
        """Where to look on: an address that stands for one reader is done with once that was seen."""
        return [address for address in self._addresses if address.kind == "usb" or address not in self._seen]

    def _look(self, bus: Bus) -> None:
        for address in self._open_addresses():
            for place in bus.places(address):
                self._seen.add(address)
                self._add(place, bus)

    def _add(self, place: Place, bus: Bus) -> None:
        with self._lock:
            if place.id in self._readers or self._closed.is_set():
                return
            reader = NfcReader(place, bus, self._profiles, self._settings, self._emit, self)
            self._readers[place.id] = reader
            if self._armed is not None:
                reader.order(self._armed)
            reader.start()

    def _emit(self, report: Report) -> None:
        if self._emit_to is not None and not self._closed.is_set():
            self._emit_to(report)


def _nfcpy_bus() -> Bus:
    try:
        from vitale_drivers.nfc_devices import NfcpyBus  # noqa: PLC0415 - needs native libraries, where this need not
    except (ImportError, OSError) as error:
        tool = getattr(error, "name", None) or "libusb-1.0"
        raise ToolMissing(f"driver nfc needs {tool}, which cannot be loaded", data={"tool": tool}) from error
    return NfcpyBus()
