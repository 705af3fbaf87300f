"""Devices on USB that others have: a reader for phones and a camera, mocked by umockdev.

``python -m tests.situations.held_devices`` prints the folder of the mock, and serves it until its input ends. A program
that is started with ``HeldDevices.environment`` finds the devices there. Their nodes and their files in sysfs are real
files; what it asks a node by ``ioctl`` is answered here. To claim an interface, or to have the buffers of a
camera, is refused with ``EBUSY``, as the kernel refuses whoever comes second.
"""

import ctypes
import ctypes.util
import errno
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["CAMERA", "CAMERA_NODE", "READER", "HeldDevices", "held_devices"]

PRELOADED = "libumockdev-preload.so.0"

#: A driver that is confined may write there, as libumockdev has to.
SHARED = "/run/lock"

MODULE = "pn533_usb 45056 0 - Live 0x0000000000000000\n"

#: The ACR122U, which PC/SC takes where it runs.
VENDOR, PRODUCT = 0x072F, 0x2200
READER = "nfc:072f:2200:1-1"
READER_NODE = "/dev/bus/usb/001/002"
CAMERA = "camera:046d:0825:1-2"
CAMERA_NODE = "/dev/video7"

# Linux, include/uapi/linux/usbdevice_fs.h and videodev2.h.
GET_CAPABILITIES, CLAIM_INTERFACE = 0x8004551A, 0x8004550F
QUERY_CAPABILITIES, REQUEST_BUFFERS = 0x80685600, 0xC0145608
CAPABILITY = struct.pack("16s32s32s3I12x", b"uvcvideo", b"Essai", b"usb-1", 0x0005_0000, 0x8420_0001, 0x0420_0001)


def _descriptors() -> bytes:
    """USB 2.0, §9.6: a device with one interface, of two bulk endpoints."""
    endpoints = b"".join(struct.pack("<4BHB", 7, 5, address, 2, 64, 0) for address in (0x02, 0x82))
    interface = struct.pack("<9B", 9, 4, 0, 0, 2, 0xFF, 0, 0, 0)
    total = 9 + len(interface) + len(endpoints)
    configuration = struct.pack("<BBHBBBBB", 9, 2, total, 1, 1, 0, 0x80, 50)
    device = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0110, 0, 0, 0, 8, VENDOR, PRODUCT, 0x0100, 0, 0, 0, 1)
    return device + configuration + interface + endpoints


#: As ``umockdev-record`` writes them.
DEVICES = f"""P: /devices/usb1/1-1
N: {READER_NODE.removeprefix("/dev/")}
E: BUSNUM=001
E: DEVNAME={READER_NODE}
E: DEVNUM=002
E: DEVTYPE=usb_device
E: PRODUCT={VENDOR:x}/{PRODUCT:x}/100
E: SUBSYSTEM=usb
A: bConfigurationValue=1\\n
A: busnum=1\\n
A: devnum=2\\n
A: idProduct={PRODUCT:04x}\\n
A: idVendor={VENDOR:04x}\\n
A: speed=12\\n
H: descriptors={_descriptors().hex().upper()}

P: /devices/usb1/1-2
E: DEVTYPE=usb_device
E: SUBSYSTEM=usb
A: idProduct=0825\\n
A: idVendor=046d\\n

P: /devices/usb1/1-2/1-2:1.0
E: DEVTYPE=usb_interface
E: SUBSYSTEM=usb
A: bInterfaceNumber=00\\n

P: /devices/usb1/1-2/1-2:1.0/video4linux/video7
N: {CAMERA_NODE.removeprefix("/dev/")}=00
E: DEVNAME={CAMERA_NODE}
E: MAJOR=81
E: MINOR=7
E: SUBSYSTEM=video4linux
A: index=0\\n
A: name=Essai\\n
L: device=../../../1-2:1.0

"""


class HeldDevices:
    """The mock, while it is served.

    Attributes:
        environment: the variables with which a program finds it.
    """

    def __init__(self, folder: Path) -> None:
        self.environment = {"LD_PRELOAD": PRELOADED, "UMOCKDEV_DIR": str(folder)}
        self._modules = folder / "proc" / "modules"
        self._modules.parent.mkdir()
        self.release()

    def take_by_kernel(self) -> None:
        """A module of the kernel has the reader."""
        self._modules.write_text(MODULE, "ascii")

    def release(self) -> None:
        """No module of the kernel has it."""
        self._modules.write_text("", "ascii")


@contextmanager
def held_devices() -> Generator[HeldDevices | None]:
    """The mock; None where umockdev is not installed, or this user may not write where a confined driver may."""
    if ctypes.util.find_library("umockdev") is None or not os.access(SHARED, os.W_OK):
        yield None
        return
    environment = {**os.environ, "TMPDIR": SHARED}
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        folder = program.stdout.readline().rstrip("\n")
        assert folder, "umockdev serves nothing"
        try:
            yield HeldDevices(Path(folder))
        finally:
            program.stdin.close()


# ── the program ──


def _library(name: str) -> ctypes.CDLL:
    library = ctypes.CDLL(name)
    for function in POINTERS:
        if hasattr(library, function):
            getattr(library, function).restype = ctypes.c_void_p
    return library


POINTERS = (
    "umockdev_testbed_new",
    "umockdev_ioctl_base_new",
    "umockdev_ioctl_client_get_arg",
    "umockdev_ioctl_data_resolve",
    "g_main_loop_new",
)
Handler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def main() -> None:
    """Serves the mock until the input ends."""
    umockdev, glib, gobject = map(_library, ("libumockdev.so.0", "libglib-2.0.so.0", "libgobject-2.0.so.0"))
    umockdev.umockdev_ioctl_client_get_request.restype = ctypes.c_ulong
    umockdev.umockdev_testbed_get_root_dir.restype = ctypes.c_char_p
    pointer = ctypes.c_void_p

    def answer(client: int, result: int, error: int = 0) -> int:
        umockdev.umockdev_ioctl_client_complete(pointer(client), ctypes.c_long(result), ctypes.c_int(error))
        return 1

    def of_reader(_: int, client: int, __: int) -> int:
        asked = umockdev.umockdev_ioctl_client_get_request(pointer(client)) & 0xFFFF_FFFF
        if asked == GET_CAPABILITIES:
            return answer(client, 0)
        return answer(client, -1, errno.EBUSY if asked == CLAIM_INTERFACE else errno.ENOTTY)

    def of_camera(_: int, client: int, __: int) -> int:
        asked = umockdev.umockdev_ioctl_client_get_request(pointer(client)) & 0xFFFF_FFFF
        if asked != QUERY_CAPABILITIES:
            return answer(client, -1, errno.EBUSY if asked == REQUEST_BUFFERS else errno.ENOTTY)
        where = umockdev.umockdev_ioctl_client_get_arg(pointer(client))
        data = umockdev.umockdev_ioctl_data_resolve(pointer(where), ctypes.c_size_t(0), ctypes.c_size_t(104), None)
        size = ctypes.c_int(len(CAPABILITY))
        umockdev.umockdev_ioctl_data_update(pointer(data), ctypes.c_size_t(0), CAPABILITY, size)
        return answer(client, 0)

    testbed = pointer(umockdev.umockdev_testbed_new())
    assert umockdev.umockdev_testbed_add_from_string(testbed, DEVICES.encode(), None)
    handlers: list[tuple[str, Callable[[int, int, int], int]]] = [(READER_NODE, of_reader), (CAMERA_NODE, of_camera)]
    kept = [Handler(handle) for _, handle in handlers]
    for (node, _), called in zip(handlers, kept, strict=True):
        base = pointer(umockdev.umockdev_ioctl_base_new())
        gobject.g_signal_connect_data(base, b"handle-ioctl", called, None, None, 0)
        assert umockdev.umockdev_testbed_attach_ioctl(testbed, node.encode(), base, None)
    print(umockdev.umockdev_testbed_get_root_dir(testbed).decode(), flush=True)
    loop = pointer(glib.g_main_loop_new(None, 0))
    threading.Thread(target=lambda: (sys.stdin.read(), glib.g_main_loop_quit(loop)), daemon=True).start()
    glib.g_main_loop_run(loop)
    gobject.g_object_unref(testbed)  # removes its folder


if __name__ == "__main__":
    main()
