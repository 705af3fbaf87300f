"""Obstacles to opening the port of an imager, found without opening it."""

import os

from vitale_drivers.readers.terminals import is_no_device
from vitale_drivers.scanner.transport import ScannerPlace
from vitale_protocol.errors import ReaderUnavailable
from vitale_protocol.problems import Problem

__all__ = ["obstacle"]


def obstacle(place: ScannerPlace) -> Problem | None:
    """Returns what keeps a port from being opened now; None where nothing is known that does."""
    if is_no_device(place.where):
        return Problem(ReaderUnavailable.reason, "no-device")
    # A port of Windows tells by being opened only.
    if place.where.startswith("/") and not os.access(place.where, os.R_OK | os.W_OK):
        return Problem(ReaderUnavailable.reason, "scanner-permission")
    return None
