"""Obstacles to using a camera, found by asking the system: OpenCV only says that it did not open."""

import errno
import os

from vitale_drivers.base import FindHolders
from vitale_drivers.camera.capture import CameraPlace
from vitale_drivers.camera.system import forbidden_by_privacy, refusal
from vitale_protocol.errors import JsonValue, ReaderBusy, ReaderError, ReaderGone, ReaderUnavailable
from vitale_protocol.problems import Problem

__all__ = ["explain", "is_there", "obstacle", "refused"]

_NODES = frozenset({"auto", "name", "node"})
"""Kinds of addresses at which there are nodes; what a system lists in order has the address of its place."""


def is_there(place: CameraPlace) -> bool:
    """True if what opens a camera is still there, as far as that can be told."""
    return place.address.kind in {"index", "url"} or os.path.exists(place.where)  # noqa: PTH110 - never raises


def refused(place: CameraPlace) -> ReaderError | None:
    """Returns a known obstacle to opening a camera as this user, found without opening it."""
    if place.address.kind == "index":
        return _forbidden() if forbidden_by_privacy() else None
    if place.address.kind == "url" or os.access(place.where, os.R_OK) or not is_there(place):
        return None
    return _forbidden()


def explain(place: CameraPlace, find_holders: FindHolders) -> ReaderError:
    """Returns the error for a camera that cannot be opened or delivers nothing; its variant is the reason."""
    if not is_there(place):
        return ReaderGone("the camera is not there any more")
    if (forbidden := refused(place)) is not None:
        return forbidden
    if place.address.kind in _NODES and place.where:
        number = refusal(place.where)
        if number in {errno.EACCES, errno.EPERM}:
            return _forbidden()
        if number == errno.EBUSY:
            holder = ", ".join(find_holders(place.where))
            data: dict[str, JsonValue] = {"holder": holder} if holder else {}
            return ReaderBusy("something else uses the camera", variant="camera", data=data)
        if number in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
            return ReaderGone("the camera is not there any more")
    return ReaderUnavailable("the camera gives no pictures", variant="camera")


def obstacle(place: CameraPlace) -> Problem | None:
    """Returns what keeps a camera from being opened now, found without opening it."""
    if (error := refused(place)) is not None:
        return Problem.of(error)
    if place.address.kind in _NODES and place.where and refusal(place.where) == errno.EBUSY:
        return Problem(ReaderBusy.reason, "camera")
    return None


def _forbidden() -> ReaderError:
    return ReaderUnavailable("this user may not use the camera", variant="camera-permission")
