"""The readers of this machine as nfcpy finds and opens them, and what keeps them from it."""

import errno
import importlib
import logging
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import usb1
from nfc.clf import device as nfcpy
from nfc.clf import pn532, pn533, transport

from vitale_drivers.base import FindHolders
from vitale_drivers.nfc.host_iso_dep import GenericTransport
from vitale_drivers.nfc.nfcpy_errors import CHIP_FAULTS
from vitale_drivers.nfc.obstacles import holder_of, node_of
from vitale_drivers.nfc.pn53x import Pn53xTransport
from vitale_drivers.nfc.serial_line import SynchronisedTTY
from vitale_drivers.nfc.settings import NfcAddress
from vitale_drivers.nfc.transport import NfcPlace, ReaderTransport
from vitale_drivers.readers.serial_ports import PortList
from vitale_drivers.readers.terminals import (
    is_behind_pseudo_terminal,
    is_no_device,
    is_pseudo_terminal,
    require_no_terminal,
)
from vitale_protocol.errors import JsonValue, ReaderBusy, ReaderError, ReaderGone, ReaderUnavailable

__all__ = ["NfcpyBus"]

logger = logging.getLogger(__name__)

# nfcpy's traces hold every byte of every frame, those of patients' phones among them; and what it logs as errors is
# raised as well, so that it is logged here, once.
logging.getLogger("nfc").setLevel(logging.CRITICAL)

_HIGH_SPEED = 921_600
_START_SPEED = 115_200

_OPEN_ERRORS: dict[int, type[ReaderError]] = {errno.EBUSY: ReaderBusy, errno.ENOENT: ReaderGone}


class NfcpyBus:
    """Readers on USB, on serial lines, and nfcpy's stand-in for one.

    Args:
        find_holders: names the programs that have a reader open.
    """

    def __init__(self, find_holders: FindHolders) -> None:
        self._find_holders = find_holders
        self._serial: dict[str, NfcPlace] = {}
        self._usb: dict[NfcAddress, tuple[NfcPlace, ...]] = {}
        self._usb_fault = ""

    def places(self, address: NfcAddress) -> tuple[NfcPlace, ...]:
        """The readers at an address now."""
        if address.kind == "usb":
            return self._usb_places(address)
        if address.kind == "udp":
            return (NfcPlace(f"nfc:udp:{address.path}", f"NFC (udp {address.path})", address, simulated=True),)
        path = Path(address.path)
        if address.path.startswith("/") and not path.exists():
            self._serial.pop(address.path, None)
            return ()
        if address.path not in self._serial:  # once for each plugging: asking all ports for their names is not cheap
            self._serial[address.path] = NfcPlace(_serial_id(address.path), f"PN532 ({address.path})", address)
        return (replace(self._serial[address.path], simulated=is_pseudo_terminal(path)),)

    def _usb_places(self, address: NfcAddress) -> tuple[NfcPlace, ...]:
        """Returns the readers on USB; where libusb cannot look, those of before, for that proves nothing."""
        try:
            self._usb[address] = _usb_places(address)
        except usb1.USBError as error:
            if str(error) != self._usb_fault:
                self._usb_fault = str(error)
                logger.warning("libusb cannot look for readers: %s", error)
        else:
            self._usb_fault = ""
        return self._usb.get(address, ())

    def open(self, place: NfcPlace) -> ReaderTransport:
        """Opens a reader through nfcpy."""
        if place.simulated and place.address.path.startswith("/"):
            require_no_terminal(place.address.path, self._find_holders)
        try:
            device = _open(place)
        except CHIP_FAULTS as error:
            raise _explained(error, place, self._find_holders) from error
        transport = _transport(device)
        transport.simulated = place.simulated or _is_behind_pseudo_terminal(device)
        return transport


def _transport(device: nfcpy.Device) -> ReaderTransport:
    if isinstance(device, pn532.Device | pn533.Device) and type(device.chipset) in {pn532.Chipset, pn533.Chipset}:
        return Pn53xTransport(device)
    return GenericTransport(device)


def _open(place: NfcPlace) -> nfcpy.Device:
    address = place.address
    if address.kind == "udp":
        host, _, port = address.path.partition(":")
        return _initialise("udp", host, int(port))
    if address.kind == "usb":
        vid, pid, bus, number = place.usb
        usb = transport.USB(bus, number)
        try:
            return _initialise(nfcpy.usb_device_map[vid, pid], usb)
        except CHIP_FAULTS:
            usb.close()
            raise
    try:
        return _open_serial(address.path)
    except OSError as error:
        if error.errno not in {errno.ENODEV, errno.ETIMEDOUT, errno.EIO}:
            raise
        # Whoever had the chip last may have died with it at high speed, where it stays until it loses power.
        _slow_down(address.path)
        return _open_serial(address.path)


def _open_serial(path: str) -> nfcpy.Device:
    tty = SynchronisedTTY(path)
    try:
        return pn532.init(tty)
    except CHIP_FAULTS:
        with suppress(*CHIP_FAULTS):
            tty.close()
        raise


def _slow_down(path: str) -> None:
    tty = SynchronisedTTY(path)
    try:
        tty.baudrate = _HIGH_SPEED
        pn532.Chipset(tty, logging.getLogger("nfc.clf.pn532")).set_serial_baudrate(_START_SPEED)
    except CHIP_FAULTS:
        return  # it is not that; what opening said first stands
    finally:
        with suppress(*CHIP_FAULTS):
            tty.close()


def _is_behind_pseudo_terminal(device: nfcpy.Device) -> bool:
    """Checks the open line, since its path may lead elsewhere by now."""
    if not isinstance(device, pn532.Device):
        return False
    wire = device.chipset.transport
    return isinstance(wire, transport.TTY) and wire.tty is not None and is_behind_pseudo_terminal(wire.tty)


def _initialise(binding: str, *arguments: object) -> nfcpy.Device:
    device: nfcpy.Device = importlib.import_module(f"nfc.clf.{binding}").init(*arguments)
    return device


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _usb_places(address: NfcAddress) -> tuple[NfcPlace, ...]:
    found: list[NfcPlace] = []
    with usb1.USBContext() as context:
        for device in context.getDeviceList(skip_on_error=True):
            vid, pid = device.getVendorID(), device.getProductID()
            if (vid, pid) not in nfcpy.usb_device_map:
                continue
            if address.vid in {None, vid} and address.pid in {None, pid}:
                with suppress(usb1.USBError):  # unplugged meanwhile
                    found.append(_usb_place(device, address, vid, pid))
    return tuple(found)


def _usb_place(device: usb1.USBDevice, address: NfcAddress, vid: int, pid: int) -> NfcPlace:
    bus, number = device.getBusNumber(), device.getDeviceAddress()
    # The socket, not the serial number: most of these have none, and asking for it takes the device from its owner.
    socket = "-".join((str(bus), ".".join(str(port) for port in device.getPortNumberList())))
    model = nfcpy.usb_device_map[vid, pid].upper()
    return NfcPlace(
        f"nfc:{vid:04x}:{pid:04x}:{socket}", f"{model} (USB {socket})", address, usb=(vid, pid, bus, number)
    )


def _serial_id(path: str) -> str:
    """The id of a serial line, by the serial number of its USB adapter where it has one.

    ``ttyUSB0`` is an index, and only the last resort.
    """
    for port in PortList().usb():
        if port.device == path and port.serial_number:
            number = re.sub(r"[^\w.+-]", "_", port.serial_number)[:64]
            return f"nfc:{port.vid:04x}:{port.pid:04x}:{number}"
    return f"nfc:{path}"


# ── why not ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _explained(error: Exception, place: NfcPlace, find_holders: FindHolders) -> ReaderError:
    """The error of the project for one of the binding's.

    The variant names what has the reader, or why it cannot be used.
    """
    if isinstance(error, usb1.USBErrorNotSupported | usb1.USBErrorNotFound):
        # Windows: another driver than WinUSB has the device, or none.
        return ReaderUnavailable("libusb cannot open the reader", variant="nfc-driver")
    number = error.errno if isinstance(error, OSError) else None
    known = holder_of(place)
    if place.address.kind == "serial" and is_no_device(place.address.path):
        return ReaderUnavailable("this is no reader", variant="no-device")
    if number == errno.EACCES:
        return ReaderUnavailable("this user may not use the reader", variant="nfc-permission")
    if number == errno.EBUSY or (known and number in {errno.EIO, errno.ENODEV, errno.ETIMEDOUT}):
        holder = known or ", ".join(find_holders(node_of(place)))
        data: dict[str, JsonValue] = {"holder": holder} if holder else {}
        return ReaderBusy("something else has the reader", variant=known, data=data)
    if number is not None and number in _OPEN_ERRORS:
        return _OPEN_ERRORS[number]("the reader is not there any more")
    return ReaderUnavailable("the reader does not answer", variant="nfc")
