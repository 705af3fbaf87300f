"""The serial ports of this machine: which there are, what they are called for life, which are programs.

For every driver with devices on serial lines.
"""

import os
import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

__all__ = ["PortList", "UsbPort", "is_pseudo_terminal"]

_PSEUDO_TERMINAL = re.compile(r"/dev/(pts/\d+|ttys\d+)\Z")
_PSEUDO_TERMINAL_MAJORS = range(136, 144)
"""Linux, Documentation/admin-guide/devices.txt: Unix98 PTY slaves."""

_NODES = Path("/dev")
_SETTLING = 3_000_000_000
"""Nanoseconds: the clock of files is coarse, and what a device says of itself may be there only after its node."""


def is_pseudo_terminal(which: Path | int) -> bool:
    """Whether a path or an open line leads to a program; by its name, and by its device, which may have any name."""
    with suppress(OSError):
        name = os.ttyname(which) if isinstance(which, int) else str(which.resolve())
        if _PSEUDO_TERMINAL.match(name):
            return True
    with suppress(OSError):
        status = os.fstat(which) if isinstance(which, int) else which.stat()
        return sys.platform == "linux" and os.major(status.st_rdev) in _PSEUDO_TERMINAL_MAJORS
    return False


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
    """The serial ports of USB devices. To ask the system takes milliseconds, so it is asked when something changed."""

    def __init__(self) -> None:
        self._changed_at: int | None = None
        self._ports: tuple[UsbPort, ...] = ()

    def usb(self) -> tuple[UsbPort, ...]:
        """Those that are plugged now, in the order of their sockets."""
        changed_at = _nodes_changed_at()
        if changed_at is None or changed_at != self._changed_at or time.time_ns() - changed_at < _SETTLING:
            self._ports = _usb_ports()
            self._changed_at = changed_at
        return self._ports


def _nodes_changed_at() -> int | None:
    """When a device node came or went last; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    with suppress(OSError):
        return _NODES.stat().st_mtime_ns
    return None


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
