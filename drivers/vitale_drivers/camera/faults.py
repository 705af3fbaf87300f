"""Why a camera cannot be used, asked of the system: OpenCV says no more than that it did not open."""

import errno
import os
import struct
from pathlib import Path

from vitale_drivers.camera.capture import CameraPlace
from vitale_drivers.readers.device_holders import programs_using
from vitale_protocol.errors import JsonValue, ReaderBusy, ReaderError, ReaderGone, ReaderUnavailable

__all__ = ["explain", "is_there", "refused"]

# Linux, include/uapi/linux/videodev2.h.
_REQBUFS = 0xC0145608


def is_there(place: CameraPlace) -> bool:
    """Whether what opens a camera is still there, as far as that can be told."""
    return place.address.kind in {"index", "url"} or os.path.exists(place.where)  # noqa: PTH110 - never raises


def refused(place: CameraPlace) -> ReaderError | None:
    """What can be told to keep this user from a camera without opening it."""
    if place.address.kind in {"index", "url"} or os.access(place.where, os.R_OK) or not is_there(place):
        return None
    return _forbidden()


def explain(place: CameraPlace, proc: Path = Path("/proc")) -> ReaderError:
    """Why a camera cannot be opened, or delivers nothing; its variant says which."""
    if not is_there(place):
        return ReaderGone("the camera is not there any more")
    if place.address.kind in {"auto", "node"} and place.where:
        number = _refusal(place.where)
        if number in {errno.EACCES, errno.EPERM}:
            return _forbidden()
        if number == errno.EBUSY:
            holder = ", ".join(programs_using(place.where, proc))
            data: dict[str, JsonValue] = {"holder": holder} if holder else {}
            return ReaderBusy("something else uses the camera", variant="camera", data=data)
        if number in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
            return ReaderGone("the camera is not there any more")
    return ReaderUnavailable("the camera gives no pictures", variant="camera")


def _forbidden() -> ReaderError:
    return ReaderUnavailable("this user may not use the camera", variant="camera-permission")


def _refusal(node: str) -> int:
    """The errno with which a node refuses itself; 0 where it does not.

    A node may be opened by several programs; who streams is told by who may have its buffers.
    """
    import fcntl  # noqa: PLC0415 - exists on these platforms only

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
