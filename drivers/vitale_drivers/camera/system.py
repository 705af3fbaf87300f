"""Cameras as each system has them: the questions that a node of Video4Linux answers, and who opens a camera by number.

Elsewhere than on Linux there are no nodes; OpenCV is told a place in the system's order.
"""

import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BY_DIRECT_SHOW", "NAMES_CAMERAS", "Node", "ask_node", "refusal"]

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
