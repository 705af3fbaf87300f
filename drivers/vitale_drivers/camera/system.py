"""Cameras as each system has them: the questions that a node of Video4Linux answers, and who opens a camera by number.

Elsewhere than on Linux there are no nodes; OpenCV is told a place in the system's order. What programs and the settings
for privacy have to do with cameras is asked where it is kept.
"""

import itertools
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BY_DIRECT_SHOW",
    "NAMES_CAMERAS",
    "Node",
    "ask_node",
    "cameras_of_programs",
    "forbidden_by_privacy",
    "refusal",
]

# OpenCV's other way on Windows, Media Foundation, takes seconds to tens of seconds to open a camera.
BY_DIRECT_SHOW = sys.platform == "win32"

# Linux, include/uapi/linux/videodev2.h.
_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("16s32s32s3I12x")
_VIDEO_CAPTURE = 0x0000_0001
_DEVICE_CAPS = 0x8000_0000
_REQBUFS = 0xC0145608


@dataclass(frozen=True, slots=True)
class Node:
    """The answer of a node: the kernel's driver, and whether it gives pictures."""

    driver: str
    captures: bool


if sys.platform == "linux":
    import fcntl

    NAMES_CAMERAS = True

    def ask_node(path: Path) -> Node | None:
        """Asks a node of Video4Linux what it is; None where it may not be asked."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            answer = fcntl.ioctl(descriptor, _QUERYCAP, bytes(_CAPABILITY.size))
        except OSError:
            return None
        finally:
            os.close(descriptor)
        driver, _, _, _, of_device, of_node = _CAPABILITY.unpack(answer)
        flags = of_node if of_device & _DEVICE_CAPS else of_device
        return Node(driver.rstrip(b"\0").decode(errors="replace"), bool(flags & _VIDEO_CAPTURE))

    def refusal(node: str) -> int:
        """The errno with which a node refuses itself; 0 where it does not.

        A node may be opened by several programs; who streams is told by who may have its buffers.
        """
        try:
            descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return error.errno or 0
        try:
            # struct v4l2_requestbuffers: no buffers, of type VIDEO_CAPTURE, in memory that is mapped.
            fcntl.ioctl(descriptor, _REQBUFS, struct.pack("=5I", 0, 1, 1, 0, 0))
        except OSError as error:
            return error.errno or 0
        else:
            return 0
        finally:
            os.close(descriptor)

else:
    NAMES_CAMERAS = False

    def ask_node(path: Path) -> Node | None:  # noqa: ARG001
        """None: there are no nodes."""
        return None

    def refusal(node: str) -> int:  # noqa: ARG001
        """0: there is no node that could refuse itself."""
        return 0


if sys.platform == "win32":
    import winreg

    # Filters that programs register among the cameras (CLSID_VideoInputDeviceCategory, uuids.h); devices are not here.
    _FILTERS = r"SOFTWARE\Classes\CLSID\{860BB310-5D01-11D0-BD3B-00A0C911CE86}\Instance"

    # Where Windows keeps what Settings, "Privacy", "Camera" says: for all, and for desktop applications.
    _CONSENT = r"SOFTWARE\Microsoft\Windows\CurrentVersion\CapabilityAccessManager\ConsentStore\webcam"

    _HIVES = (winreg.HKEY_LOCAL_MACHINE, winreg.HKEY_CURRENT_USER)

    def cameras_of_programs() -> tuple[str, ...]:
        """Names of the cameras that programs have registered, such as that of OBS."""
        return tuple(sorted({name for hive in _HIVES for name in _filters(hive)}))

    def _filters(hive: int) -> Iterator[str]:
        with suppress(OSError), winreg.OpenKey(hive, _FILTERS) as filters:  # ends after the last one
            for number in itertools.count():
                key = winreg.EnumKey(filters, number)
                yield _value(hive, rf"{_FILTERS}\{key}", "FriendlyName") or key

    def forbidden_by_privacy() -> bool:
        """True if the settings for privacy keep the camera from programs such as this one."""
        places = (_CONSENT, rf"{_CONSENT}\NonPackaged")
        return any(_value(hive, place, "Value") == "Deny" for hive in _HIVES for place in places)

    def _value(hive: int, place: str, name: str) -> str:
        try:
            with winreg.OpenKey(hive, place) as key:
                return str(winreg.QueryValueEx(key, name)[0])
        except OSError:
            return ""

else:
    #: Where programs put cameras on macOS. Those that come as system extensions cannot be told from devices here.
    _PLUG_INS = Path("/Library/CoreMediaIO/Plug-Ins/DAL")

    def cameras_of_programs() -> tuple[str, ...]:
        """Names of the cameras that programs have registered, such as that of OBS."""
        return tuple(sorted(found.stem for found in _PLUG_INS.glob("*.plugin")))

    def forbidden_by_privacy() -> bool:
        """False: nothing tells without asking the person."""
        return False
