r"""Cameras as each system has them: what a node of Video4Linux answers, and who opens a camera by number.

Elsewhere than on Linux there are no nodes. OpenCV is told a place in the system's order, and a library tells that order
with names. Windows tells a camera by the path of its interface, ``\\?\usb#vid_046d&pid_0825#7&2b0c1f4&0&0#{…}``. One of
a program has none, or one on no bus. macOS tells it by a unique id, and by what it is connected through.

What programs and the settings for privacy have to do with cameras is asked where it is kept.
"""

import itertools
import os
import re
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BY_DIRECT_SHOW",
    "NAMES_CAMERAS",
    "ListedCamera",
    "VideoNode",
    "ask_node",
    "cameras_of_programs",
    "forbidden_by_privacy",
    "from_macos",
    "from_windows",
    "listed_cameras",
    "refusal",
]

# videoio.hpp: CAP_DSHOW and CAP_AVFOUNDATION, whose orders are asked for.
_DIRECT_SHOW = 700
_AV_FOUNDATION = 1200

# OpenCV's other way on Windows, Media Foundation, takes seconds to tens of seconds to open a camera.
BY_DIRECT_SHOW = sys.platform == "win32"

# Linux, include/uapi/linux/videodev2.h.
_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("16s32s32s3I12x")
_VIDEO_CAPTURE = 0x0000_0001
_DEVICE_CAPS = 0x8000_0000
_REQBUFS = 0xC0145608

_PATH = re.compile(r"\\\\\?\\(?P<bus>[^#]+)#(?P<device>[^#]*)#(?P<instance>[^#]*)", re.IGNORECASE)
_MAKE = re.compile(r"vid_(?P<vid>[0-9a-f]{4})&pid_(?P<pid>[0-9a-f]{4})", re.IGNORECASE)
_WORD = re.compile(r"[^A-Za-z0-9._-]+")

_BUSES = frozenset({"usb", "pci", "acpi", "display", "1394"})
"""Enumerators of Windows behind which there are devices; ``root`` and ``swd`` are those of software."""

_TRANSPORTS = frozenset({"bltn", "usb ", "pci ", "1394", "thun"})
"""Transport types of macOS that devices have (IOKit/audio/IOAudioTypes.h); ``virt`` is that of software."""


@dataclass(frozen=True, slots=True)
class VideoNode:
    """The answer of a node: the kernel's driver, and whether it gives pictures."""

    driver: str
    captures: bool


@dataclass(frozen=True, slots=True)
class ListedCamera:
    """A camera in the order of the system.

    Attributes:
        name: as the system calls it.
        lasting: what tells it from others while it is plugged into the same socket.
        device: whether it is known to be a device, and no program.
    """

    name: str
    lasting: str
    device: bool


def from_windows(name: str, path: str) -> ListedCamera:
    """A camera by its name and the path of its interface, which is empty for most programs."""
    found = _PATH.match(path)
    if found is None or found["bus"].lower() not in _BUSES:
        return ListedCamera(name, f"virtual:{_slug(name)}", device=False)
    make = _MAKE.match(found["device"])
    kind = f"{make['vid']}:{make['pid']}".lower() if make else f"platform:{_slug(found['device'])}"
    return ListedCamera(name, f"{kind}:{_slug(found['instance'])}", device=True)


def from_macos(name: str, unique_id: str, transport: int) -> ListedCamera:
    """A camera by its name, its unique id and its transport type."""
    device = transport.to_bytes(4, "big", signed=transport < 0).decode("latin-1") in _TRANSPORTS
    return ListedCamera(name, f"{'platform' if device else 'virtual'}:{_slug(unique_id or name)}", device=device)


def _slug(text: str) -> str:
    return _WORD.sub("_", text).strip("_") or "camera"


if sys.platform == "linux":
    import fcntl

    NAMES_CAMERAS = True

    def ask_node(path: Path) -> VideoNode | None:
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
        return VideoNode(driver.rstrip(b"\0").decode(errors="replace"), bool(flags & _VIDEO_CAPTURE))

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

    def ask_node(path: Path) -> VideoNode | None:  # noqa: ARG001
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

    def listed_cameras() -> tuple[ListedCamera, ...] | None:
        """The cameras in OpenCV's order; None where the library that tells it is missing."""
        try:
            from cv2_enumerate_cameras import enumerate_cameras  # noqa: PLC0415 - it loads OpenCV
        except ImportError:
            return None
        return tuple(from_windows(one.name or "", one.path or "") for one in enumerate_cameras(_DIRECT_SHOW))

elif sys.platform == "darwin":
    #: Where programs put cameras on macOS. Those that come as system extensions are told by their transport type alone.
    _PLUG_INS = Path("/Library/CoreMediaIO/Plug-Ins/DAL")

    #: AVAuthorizationStatusRestricted and AVAuthorizationStatusDenied (AVCaptureDevice.h).
    _FORBIDDEN = frozenset({1, 2})

    def cameras_of_programs() -> tuple[str, ...]:
        """Names of the cameras that programs have registered, such as that of OBS."""
        return tuple(sorted(found.stem for found in _PLUG_INS.glob("*.plugin")))

    def forbidden_by_privacy() -> bool:
        """True if the person or an administrator has refused the camera to this program; nobody is asked for it."""
        try:
            import AVFoundation  # noqa: PLC0415 - it loads frameworks of the system
        except ImportError:
            return False
        status = AVFoundation.AVCaptureDevice.authorizationStatusForMediaType_(AVFoundation.AVMediaTypeVideo)
        return status in _FORBIDDEN

    def listed_cameras() -> tuple[ListedCamera, ...] | None:
        """The cameras in OpenCV's order; None where the library that tells it is missing."""
        try:
            import AVFoundation  # noqa: PLC0415
            from cv2_enumerate_cameras import enumerate_cameras  # noqa: PLC0415
        except ImportError:
            return None

        def transport(unique_id: str) -> int:
            device = AVFoundation.AVCaptureDevice.deviceWithUniqueID_(unique_id)
            return device.transportType() if device is not None else 0  # it was unplugged meanwhile

        return tuple(
            from_macos(one.name or "", one.path or "", transport(one.path or ""))
            for one in enumerate_cameras(_AV_FOUNDATION)
        )

else:

    def cameras_of_programs() -> tuple[str, ...]:
        """None: a node tells whether it is a program's."""
        return ()

    def forbidden_by_privacy() -> bool:
        """False: rights to the node decide."""
        return False

    def listed_cameras() -> tuple[ListedCamera, ...] | None:
        """None: cameras are nodes."""
        return None
