"""What nfcpy lets out when a reader is unplugged, garbles a frame or falls silent, as one tuple to catch."""

import struct
import sys

import usb1
from nfc.clf import pn53x
from nfc.clf.rcs380 import CommunicationError, StatusError

__all__ = ["CHIP_FAULTS"]


def _of_the_platform() -> tuple[type[Exception], ...]:
    if sys.platform == "win32":
        return ()
    import termios  # noqa: PLC0415 - exists on these platforms only

    # A serial line that went away while it is flushed; not an OSError.
    return (termios.error,)


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
    *_of_the_platform(),
)
"""Caught around calls of the binding only, never around our own code."""
