"""Obstacles to opening an NFC reader, and which programs are known to hold readers of its kind."""

import os
from contextlib import suppress
from pathlib import Path

from vitale_drivers.nfc.transport import NfcPlace
from vitale_drivers.readers.terminals import is_no_device
from vitale_protocol.errors import ReaderUnavailable
from vitale_protocol.problems import Problem

__all__ = ["holder_of", "node_of", "obstacle"]

_MODULES = Path("/proc/modules")
_KERNEL_DRIVERS = ("pn533_usb", "port100", "pn533", "pn532_uart")
"""Linux modules that take NFC readers as soon as they are plugged."""
_PCSC_PRODUCTS = frozenset({(0x072F, 0x2200)})
"""Readers that PC/SC takes, where it runs: the ACR122U."""


def holder_of(place: NfcPlace) -> str:
    """Returns the program known to hold readers of this kind: ``pn533``, ``pcscd``, or nothing."""
    if place.address.kind != "usb":
        return ""
    with suppress(OSError):
        loaded = {line.split(" ", 1)[0] for line in _MODULES.read_text("ascii").splitlines()}
        if not loaded.isdisjoint(_KERNEL_DRIVERS):
            return "pn533"
    return "pcscd" if place.usb[:2] in _PCSC_PRODUCTS else ""


def node_of(place: NfcPlace) -> str:
    """The file of the device; empty where this system has none for it."""
    if place.address.kind == "serial":
        return place.address.path
    if not place.usb:
        return ""
    _, _, bus, number = place.usb
    return f"/dev/bus/usb/{bus:03}/{number:03}"  # Documentation/driver-api/usb/usb.rst


def obstacle(place: NfcPlace) -> Problem | None:
    """Returns what keeps a reader from being opened now; None where nothing is known that does."""
    node = node_of(place)
    if place.address.kind == "serial" and is_no_device(node):
        return Problem(ReaderUnavailable.reason, "no-device")
    there = node.startswith("/") and os.path.exists(node)  # noqa: PTH110 - never raises
    if there and not os.access(node, os.R_OK | os.W_OK):
        return Problem(ReaderUnavailable.reason, "nfc-permission")
    return None
