"""The imagers of this machine as pyserial finds and opens them, and what keeps them from it."""

import errno
import logging
import os
import re
from contextlib import suppress
from pathlib import Path

import serial

from vitale_drivers.base import FindHolders
from vitale_drivers.readers.serial_ports import PortList, UsbPort
from vitale_drivers.readers.terminals import (
    TERMINAL_FAULTS,
    is_behind_pseudo_terminal,
    is_no_device,
    is_pseudo_terminal,
    keep_others_out,
    require_no_terminal,
)
from vitale_drivers.scanner.settings import ScannerAddress, ScannerSettings
from vitale_drivers.scanner.transport import ScannerPlace, SerialTransport
from vitale_protocol.errors import JsonValue, ReaderBusy, ReaderError, ReaderGone, ReaderUnavailable

__all__ = ["PortFaults", "PortOutput", "PortTransport", "SerialBus"]

logger = logging.getLogger(__name__)

_CHUNK = 4096
_WRITE_LIMIT = 0.5
"""Seconds; a scan is waited for no longer by the imagers that share the way."""
_BY_PATH = "/dev/serial/by-path/"
# All zeros, one character only, or counted up: what is burnt into a whole series of devices names none of them.
_NO_SERIAL = re.compile(r"(.)\1*\Z|0123456789\w*\Z|123456789\w*\Z")
_PARITIES = {"none": "N", "even": "E", "odd": "O", "mark": "M", "space": "S"}
_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO})
_BUSY = frozenset({errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK})
_REFUSED = frozenset({errno.EACCES, errno.EPERM})


# pyserial's own are OSErrors; TypeError is what it makes of a port that was closed under it.
PortFaults: tuple[type[Exception], ...] = (OSError, ValueError, TypeError, *TERMINAL_FAULTS)
"""Caught around calls of pyserial only."""


class SerialBus:
    """Imagers on USB, in serial mode, and on serial lines.

    Args:
        settings: for what is set at opening.
        find_holders: names the programs that have a port open.
    """

    def __init__(self, settings: ScannerSettings, find_holders: FindHolders) -> None:
        self._settings = settings
        self._find_holders = find_holders
        self._ports = PortList()
        self._warned: set[str] = set()
        self._behind: dict[str, tuple[int, int, str]] = {}

    def places(self, address: ScannerAddress) -> tuple[ScannerPlace, ...]:
        """The imagers at an address now."""
        if address.kind == "port":
            return self._at_path(address)
        found: dict[str, ScannerPlace] = {}
        for port in self._ports.usb():
            if address.fits(port.vid, port.pid, port.serial_number):
                place = _usb_place(port, address)
                if place.id in found:
                    self._tell_double(place.id)
                else:
                    found[place.id] = place
        return tuple(found.values())

    def _at_path(self, address: ScannerAddress) -> tuple[ScannerPlace, ...]:
        if not address.path.startswith("/"):
            return self._at_number(address)
        path = Path(address.path)
        if not os.path.exists(path):  # noqa: PTH110 - never raises, also where it may not be asked
            return ()
        real = os.path.realpath(path)
        usb = next((port for port in self._ports.usb() if port.device == real), None)
        if usb is not None and not address.path.startswith(_BY_PATH):
            return (_usb_place(usb, address),)
        name = f"imager ({address.path})" if usb is None or not usb.product else f"{usb.product} ({address.path})"
        simulated = is_pseudo_terminal(path)
        return (ScannerPlace(f"scanner:{address.path}", name, address, address.path, simulated=simulated),)

    def _at_number(self, address: ScannerAddress) -> tuple[ScannerPlace, ...]:
        """The imager at ``COM3``; Windows may give one on USB another number, and it is followed there."""
        ports = self._ports.usb()
        port = next((port for port in ports if port.device == address.path), None)
        if port is not None:
            self._behind[address.path] = _identity(port)
            self._tell_number(address.path, port)
            return (_usb_place(port, address),)
        if (known := self._behind.get(address.path)) is not None:
            return tuple(_usb_place(port, address) for port in ports if _identity(port) == known)[:1]
        return (ScannerPlace(f"scanner:{address.path}", f"imager ({address.path})", address, address.path),)

    def _tell_number(self, path: str, port: UsbPort) -> None:
        if path not in self._warned:
            self._warned.add(path)
            own = f":{port.serial_number}" if _own_number(port) else ""
            logger.warning("%s may get another number: name the imager usb:%04x:%04x%s", path, port.vid, port.pid, own)

    def _tell_double(self, reader: str) -> None:
        if reader not in self._warned:
            self._warned.add(reader)
            logger.warning("two devices call themselves %s: name them by /dev/serial/by-path to use both", reader)

    def open(self, place: ScannerPlace) -> SerialTransport:
        """Opens the port of an imager."""
        simulated = place.simulated
        if simulated:
            require_no_terminal(place.where, self._find_holders)
        if not simulated and (holders := self._find_holders(place.where)):
            # Without a lock both would get half of each scan.
            raise _busy(holders)
        try:
            return PortTransport(place.where, self._settings)
        except PortFaults as error:
            raise self._explained(error, place) from error

    def _explained(self, error: Exception, place: ScannerPlace) -> ReaderError:
        """The error of the project for one of the binding's; its variant tells more."""
        number = error.errno if isinstance(error, OSError) else None
        # On Windows pyserial puts the system's error into its text; "access denied" is a port that is open elsewhere.
        said = str(error) if number is None else ""
        if is_no_device(place.where):  # what confines the driver refuses files too: no right of the user is missing
            return ReaderUnavailable("this is no port", variant="no-device")
        if number in _REFUSED:
            return ReaderUnavailable("this user may not use the port", variant="scanner-permission")
        if number in _BUSY or "PermissionError" in said:
            return _busy(self._find_holders(place.where))
        if number in _GONE or "FileNotFoundError" in said:
            return ReaderGone("the imager is not there any more")
        return ReaderUnavailable("the port cannot be used", variant="scanner")


class PortTransport:
    """A port that is open, for this program alone.

    Args:
        device: what opens it.
        settings: speed, bits and parity.

    Raises:
        OSError: it cannot be opened; or another one of ``PortFaults``.
    """

    def __init__(self, device: str, settings: ScannerSettings) -> None:
        self._serial = serial.Serial(
            device,
            settings.speed,
            bytesize=settings.data_bits,
            parity=_PARITIES[settings.parity],
            stopbits=settings.stop_bits,
            exclusive=True,
        )
        self._seconds: float | None = None
        self.simulated = is_behind_pseudo_terminal(self._serial)
        if not self.simulated:
            with suppress(*PortFaults):
                keep_others_out(self._serial)

    def read(self, seconds: float | None) -> bytes:
        """Waits for bytes from the port."""
        try:
            if seconds != self._seconds:
                self._serial.timeout = self._seconds = seconds
            first = self._serial.read(1)
            return first + self._serial.read(min(self._serial.in_waiting, _CHUNK)) if first else b""
        except PortFaults as error:
            raise ReaderGone("the port is no more") from error

    def cancel(self) -> None:
        """Makes ``read`` return. On Windows one that is only about to begin is missed: the caller tries again."""
        with suppress(*PortFaults):
            self._serial.cancel_read()

    def close(self) -> None:
        """Lets go of the port."""
        with suppress(*PortFaults):
            self._serial.close()


class PortOutput:
    """A port by which codes are written on to another program.

    It is opened for a code where it is not open.

    Args:
        device: its path, or ``COM5``.
        speed: bits a second.
    """

    def __init__(self, device: str, speed: int) -> None:
        self._device = device
        self._speed = speed
        self._serial: serial.Serial | None = None
        self._told = False

    def write(self, data: bytes) -> bool:
        """Writes, for half a second at most; whether all of it is on its way."""
        try:
            if self._serial is None:
                self._serial = serial.Serial(self._device, self._speed, write_timeout=_WRITE_LIMIT, exclusive=True)
            written = self._serial.write(data) == len(data)
        except PortFaults as error:
            if not self._told:
                logger.warning("codes cannot be written to %s: %s", self._device, type(error).__name__)
            self._told = True
            self.close()
            return False
        self._told = False
        return written

    def close(self) -> None:
        """Lets go of the port."""
        port, self._serial = self._serial, None
        if port is not None:
            with suppress(*PortFaults):
                port.close()


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _own_number(port: UsbPort) -> str:
    return "" if _NO_SERIAL.match(port.serial_number) else re.sub(r"[^\w.+-]", "_", port.serial_number)[:64]


def _identity(port: UsbPort) -> tuple[int, int, str]:
    """Returns a device's make, and its number or its socket: it keeps them when it is plugged in again."""
    return port.vid, port.pid, _own_number(port) or port.socket or port.device


def _usb_place(port: UsbPort, address: ScannerAddress) -> ScannerPlace:
    last = _identity(port)[2]
    return ScannerPlace(
        f"scanner:{port.vid:04x}:{port.pid:04x}:{last}",
        f"{port.product or 'imager'} (USB {port.socket or port.device})",
        address,
        port.device,
    )


# ── why not ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _busy(holders: tuple[str, ...]) -> ReaderBusy:
    data: dict[str, JsonValue] = {"holder": ", ".join(holders)} if holders else {}
    return ReaderBusy("another program has the port", variant="scanner", data=data)
