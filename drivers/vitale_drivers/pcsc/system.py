"""PC/SC as each system has it: the life of its service, and what it tells of readers' devices."""

import ctypes
import sys

__all__ = ["SERVICE_COMES_WITH_READERS", "TELLS_INSTANCES", "device_serial", "is_redirected"]

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
    #: GetSystemMetrics: this session is seen on another machine (winuser.h, SM_REMOTESESSION).
    _REMOTE_SESSION = 0x1000

    def device_serial(context: int, reader: str) -> str:
        """Serial number of a reader's device, or empty; its card is left alone."""
        return serial_of(_instance(context, reader))

    def is_redirected(context: int, reader: str) -> bool:
        """True if a reader is plugged into the machine on which this session is seen.

        In a remote session winscard.dll hands its calls on. This machine has no device for such a reader.
        """
        remote = ctypes.WinDLL("user32").GetSystemMetrics(_REMOTE_SESSION)
        return bool(remote) and not _instance(context, reader)

    def _instance(context: int, reader: str) -> str:
        length, instance = ctypes.c_uint32(_LONGEST), ctypes.create_unicode_buffer(_LONGEST)
        library = ctypes.WinDLL("winscard")
        code = library.SCardGetReaderDeviceInstanceIdW(
            ctypes.c_void_p(context), ctypes.c_wchar_p(reader), instance, ctypes.byref(length)
        )
        return "" if code else instance.value

else:

    def device_serial(context: int, reader: str) -> str:  # noqa: ARG001
        """Empty: only Windows has instances."""
        return ""

    def is_redirected(context: int, reader: str) -> bool:  # noqa: ARG001
        """False: only Windows hands its readers on."""
        return False
