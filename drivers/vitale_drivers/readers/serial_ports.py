"""The serial ports of this machine: which there are, what they are called for life.

For every driver with devices on serial lines.
"""

import time
from dataclasses import dataclass

from serial.tools import list_ports

from vitale_drivers.readers.terminals import nodes_changed_at

__all__ = ["PortList", "UsbPort"]

_SETTLING = 3_000_000_000
"""Nanoseconds: the clock of files is coarse, and what a device says of itself may be there only after its node."""

AGAIN = 1.5
"""Seconds before the system is asked again where nothing tells that a port came or went (Windows, macOS)."""


@dataclass(frozen=True, slots=True)
class UsbPort:
    """A serial port of a USB device.

    Attributes:
        device: what opens it now: ``/dev/ttyACM0``, ``COM3``; the number changes from one plugging to the next.
        vid: the maker.
        pid: the product.
        serial_number: as the device tells it; empty where it tells none.
        socket: where it is plugged, such as ``1-2.4``; empty where the system does not tell.
        product: what the device calls itself.
    """

    device: str
    vid: int
    pid: int
    serial_number: str = ""
    socket: str = ""
    product: str = ""


class PortList:
    """The serial ports of USB devices. To ask the system takes milliseconds, so it is asked when something changed.

    Args:
        again: seconds before the system is asked again where nothing tells that a port came or went.
    """

    def __init__(self, again: float = AGAIN) -> None:
        self._again = again
        self._changed_at: int | None = None
        self._asked_at: float | None = None
        self._ports: tuple[UsbPort, ...] = ()

    def usb(self) -> tuple[UsbPort, ...]:
        """USB ports plugged now, in the order of their sockets."""
        changed_at = nodes_changed_at()
        if changed_at is None:
            now = time.monotonic()
            if self._asked_at is None or now - self._asked_at >= self._again:
                self._ports, self._asked_at = _usb_ports(), now
        elif changed_at != self._changed_at or time.time_ns() - changed_at < _SETTLING:
            self._ports = _usb_ports()
            self._changed_at = changed_at
        return self._ports


def _usb_ports() -> tuple[UsbPort, ...]:
    found = [
        UsbPort(
            port.device,
            port.vid,
            port.pid,
            port.serial_number or "",
            # "1-2.4:1.0": what follows the colon is the interface.
            (port.location or "").partition(":")[0],
            port.product or "",
        )
        for port in list_ports.comports()
        if port.vid is not None and port.pid is not None
    ]
    return tuple(sorted(found, key=lambda port: (port.socket, port.device)))
