"""PC/SC as each system has it: whether its service lives without readers, and how a reader is told from its like."""

import ctypes
import sys

__all__ = ["SERVICE_COMES_WITH_READERS", "TELLS_INSTANCES", "device_serial"]

SERVICE_COMES_WITH_READERS = sys.platform == "win32"
"""True if the system starts the service with the first reader, and stops it with the last one."""

TELLS_INSTANCES = sys.platform == "win32"
"""True if a reader's device is told without a connection to it, which others on its card would keep from us."""

#: Characters of the name of an instance (MAX_DEVICE_ID_LEN, cfgmgr32.h), and room for its end.
_LONGEST = 256

#: Instances of devices that are plugged in; others are those of programs.
_BUSES = ("USB\\", "PCMCIA\\", "BTHENUM\\")


def serial_of(instance: str) -> str:
    r"""Serial number in the name of an instance, ``USB\VID_08E6&PID_3437\0001``; empty where it has none.

    For a device without a serial number Windows makes up one of its place, which has an ``&`` in it.
    """
    serial = instance.rpartition("\\")[2]
    return "" if "&" in serial or not instance.upper().startswith(_BUSES) else serial


if sys.platform == "win32":

    def device_serial(context: int, reader: str) -> str:
        """Serial number of a reader's device, or empty; its card is left alone."""
        length, instance = ctypes.c_uint32(_LONGEST), ctypes.create_unicode_buffer(_LONGEST)
        library = ctypes.WinDLL("winscard")
        code = library.SCardGetReaderDeviceInstanceIdW(
            ctypes.c_void_p(context), ctypes.c_wchar_p(reader), instance, ctypes.byref(length)
        )
        return "" if code else serial_of(instance.value)

else:

    def device_serial(context: int, reader: str) -> str:  # noqa: ARG001
        """Empty: only Windows has instances."""
        return ""
