"""Exceptions of nfcpy for a reader that is unplugged, garbles a frame or falls silent.

They are one tuple to catch.
"""

import struct

import usb1
from nfc.clf import pn53x
from nfc.clf.rcs380 import CommunicationError, StatusError

from vitale_drivers.readers.terminals import TERMINAL_FAULTS

__all__ = ["CHIP_FAULTS"]

CHIP_FAULTS: tuple[type[Exception], ...] = (
    OSError,  # pyserial's errors among them, and those of libusb that nfcpy translates
    usb1.USBError,  # the others
    pn53x.Chipset.Error,
    CommunicationError,  # of the RC-S380, like the next; not those of nfc.clf
    StatusError,
    IndexError,  # nfcpy indexes into frames without looking how long they are
    ValueError,
    TypeError,  # the same, where there is no frame at all
    AttributeError,  # the same, on a transport that was closed under it
    AssertionError,
    struct.error,
    *TERMINAL_FAULTS,
)
"""Caught around calls of the binding only, never around our own code."""
