"""The cameras of this machine and what they are called for life.

Nothing here opens one so that its lamp lights. On Linux, sysfs lists them, and each node is queried once per plugging
(VIDIOC_QUERYCAP). A camera has several nodes, and only some give pictures. A camera is named by make and serial number.
Make and socket replace that where it has no serial number, or one that other cameras have too. Windows and macOS list
theirs with names and what they are plugged into. What is no device for certain, and not vouched for by the site, counts
as simulated.

Where the library that lists them is missing, only the place in the system's order remains. It changes when cameras are
added or removed. Where a program has registered a camera, any place may be its then.
"""

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vitale_drivers.camera.capture import CameraPlace
from vitale_drivers.camera.settings import CameraAddress, shown_url
from vitale_drivers.camera.system import (
    NAMES_CAMERAS,
    ListedCamera,
    VideoNode,
    ask_node,
    cameras_of_programs,
    listed_cameras,
)

__all__ = ["Devices"]

logger = logging.getLogger(__name__)

_PROGRAMS = frozenset({"v4l2 loopback", "vivid", "vimc"})
"""Kernel drivers whose pictures programs make."""

_AGAIN = 2.0
"""Seconds before the system is asked for its list again: that takes milliseconds, and nothing tells of a change."""

_NUMBER = re.compile(r"video([0-9]+)\Z")
_WORD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class _Found:
    """A node that gives pictures, with the two names that it may have."""

    node: Path
    label: str
    serial: str
    socket: str
    simulated: bool


class Devices:
    """The cameras of the machine, asked for again and again."""

    def __init__(
        self,
        system: Path = Path("/sys/class/video4linux"),
        devices: Path = Path("/dev"),
        ask: Callable[[Path], VideoNode | None] = ask_node,
        *,
        named: bool = NAMES_CAMERAS,
        programs: Callable[[], tuple[str, ...]] = cameras_of_programs,
        listed: Callable[[], tuple[ListedCamera, ...] | None] = listed_cameras,
        physical: Iterable[int | str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes the folders of sysfs and of the nodes, and how a node is asked; nothing is looked at.

        Args:
            system: the folder of sysfs.
            devices: the folder of the nodes.
            ask: asks a node what it is.
            named: whether this system has nodes, by which cameras are named.
            programs: names of the cameras that programs have registered, where cameras have no names.
            listed: the cameras in the system's order, where it has no nodes; None where they cannot be listed.
            physical: places in the order, and names, that the site vouches for.
            clock: seconds, of a clock that only goes forward.
        """
        self._system = system
        self._devices = devices
        self._ask = ask
        self._named = named
        self._programs = programs
        self._listed = listed
        self._physical = frozenset(one if isinstance(one, int) else one.casefold() for one in physical)
        self._clock = clock
        self._told: set[tuple[str, ...]] = set()
        self._cameras: tuple[ListedCamera, ...] | None = None
        self._listed_at: float | None = None
        self._answers: dict[tuple[str, int], VideoNode | None] = {}

    def places(self, address: CameraAddress) -> tuple[CameraPlace, ...]:
        """The cameras at an address now."""
        match address.kind:
            case "auto":
                return self._all(address) if self._named else self._in_order()
            case "node":
                return self._at(address)
            case "name":
                return self._called(address)
            case "index":
                return self._numbered(address)
            case "file":
                path = Path(address.where)
                there = os.path.isfile(path)  # noqa: PTH113 - never raises, also where it may not be asked
                return (
                    (CameraPlace(f"camera:{path}", path.name, address, simulated=True, where=str(path)),)
                    if there
                    else ()
                )
            case "url":
                return (_stream(address),)

    def is_still(self, place: CameraPlace) -> bool:
        """True if a camera that was found by its place in an order still has that place.

        It is then what it was taken for. Another one has the place once a camera is plugged in or removed, or a program
        offers one.
        """
        self._listed_at = None
        return place.address.kind != "index" or place in self._numbered(place.address)

    def _in_order(self) -> tuple[CameraPlace, ...]:
        cameras = self._now()
        if cameras is None:
            return (self._unlisted(CameraAddress("index", "0")),)
        return tuple(self._place(number, camera) for number, camera in enumerate(cameras))

    def _called(self, address: CameraAddress) -> tuple[CameraPlace, ...]:
        """The cameras of a name; there may be several of a kind."""
        wanted = address.where.casefold()
        if self._named:
            return tuple(place for label, place in self._labelled(address) if label.casefold() == wanted)
        cameras = enumerate(self._now() or ())
        return tuple(self._place(number, camera) for number, camera in cameras if camera.name.casefold() == wanted)

    def _numbered(self, address: CameraAddress) -> tuple[CameraPlace, ...]:
        cameras, number = self._now(), int(address.where)
        if cameras is None:
            return (self._unlisted(address),)
        return (self._place(number, cameras[number]),) if number < len(cameras) else ()

    def _now(self) -> tuple[ListedCamera, ...] | None:
        """The cameras in the system's order; None where it does not list them."""
        if self._named:
            return None
        now = self._clock()
        if self._listed_at is None or now - self._listed_at >= _AGAIN:
            self._cameras, self._listed_at = self._listed(), now
        return self._cameras

    def _place(self, number: int, camera: ListedCamera) -> CameraPlace:
        # Several places may be of one make on one socket, so that the second of them has to be told apart.
        before = sum(one.lasting == camera.lasting for one in (self._cameras or ())[:number])
        twin = f"~{before + 1}" if before else ""
        simulated = not (camera.device or number in self._physical or camera.name.casefold() in self._physical)
        if simulated:
            self._tell_once("camera %r is of a program, or not known to be a device: simulated", camera.name)
        return CameraPlace(
            f"camera:{camera.lasting}{twin}",
            f"{camera.name or 'Camera'} ({number + 1})",
            CameraAddress("index", str(number)),
            simulated=simulated,
            where=str(number),
        )

    def _unlisted(self, address: CameraAddress) -> CameraPlace:
        number, programs = int(address.where), self._programs()
        simulated = bool(programs) and number not in self._physical
        if simulated:
            self._tell_once("any camera may be one of a program (%s): simulated", ", ".join(programs))
        name = f"Camera {number + 1}"
        return CameraPlace(f"camera:index:{number}", name, address, simulated=simulated, where=str(number))

    def _tell_once(self, text: str, what: str) -> None:
        if (text, what) not in self._told:
            self._told.add((text, what))
            logger.warning(text, what)

    def _all(self, address: CameraAddress) -> tuple[CameraPlace, ...]:
        return tuple(place for _, place in self._labelled(address))

    def _labelled(self, address: CameraAddress) -> list[tuple[str, CameraPlace]]:
        found = self._found()
        shared = Counter(one.serial for one in found)
        return [
            (
                one.label,
                CameraPlace(
                    # Some makers give all their cameras the same serial number.
                    f"camera:{one.serial if one.serial and shared[one.serial] == 1 else one.socket}",
                    f"{one.label} ({one.node.name})",
                    address,
                    simulated=one.simulated,
                    where=str(one.node),
                ),
            )
            for one in found
        ]

    def _at(self, address: CameraAddress) -> tuple[CameraPlace, ...]:
        # Links of udev, such as /dev/v4l/by-id, lead to nodes.
        node = Path(os.path.realpath(address.where))
        return tuple(place for place in self._all(address) if Path(place.where).name == node.name)

    def _found(self) -> list[_Found]:
        try:
            entries = sorted(self._system.iterdir(), key=_number)
        except OSError:
            return []  # no camera was ever plugged in
        nodes = [one for entry in entries if _NUMBER.match(entry.name) and (one := self._examine(entry)) is not None]
        self._answers = {key: answer for key, answer in self._answers.items() if key[0] in {e.name for e in entries}}
        return nodes

    def _examine(self, entry: Path) -> _Found | None:
        """A node, if it gives pictures.

        One that may not be asked is taken to do so if it is the first of its device.
        """
        device = Path(os.path.realpath(entry / "device"))
        answer = self._asked(entry.name)
        captures = answer.captures if answer is not None else _text(entry / "index") in {"", "0"}
        if not captures:
            return None
        virtual = "virtual" in Path(os.path.realpath(entry)).parts
        label = _text(entry / "name").partition(": ")[0] or entry.name
        serial, socket = _usb_names(device) if (device / "bInterfaceNumber").exists() else ("", "")
        return _Found(
            node=self._devices / entry.name,
            label=label,
            serial=serial,
            socket=socket or _other_name(device, label, virtual=virtual),
            simulated=virtual or (answer is not None and answer.driver in _PROGRAMS),
        )

    def _asked(self, name: str) -> VideoNode | None:
        """Returns a node's answer, asked once per plugging; a node that may not be asked is asked again."""
        path = self._devices / name
        with suppress(OSError):
            key = (name, path.stat().st_ctime_ns)
            if self._answers.get(key) is None:
                self._answers[key] = self._ask(path)
            return self._answers[key]
        return None


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _stream(address: CameraAddress) -> CameraPlace:
    shown = shown_url(address.where)
    return CameraPlace(f"camera:{shown}", shown, address, simulated=True, where=address.where)


def _usb_names(device: Path) -> tuple[str, str]:
    """Names a device by make and serial number, and by make and socket; a device may have several cameras."""
    usb = device.parent
    make = f"{_text(usb / 'idVendor')}:{_text(usb / 'idProduct')}"
    number = _text(device / "bInterfaceNumber")
    which = "" if number in {"", "00"} else f":{number}"
    serial = _WORD.sub("_", _text(usb / "serial"))
    return (f"{make}:{serial}{which}" if serial else ""), f"{make}:{usb.name}{which}"


def _other_name(device: Path, label: str, *, virtual: bool) -> str:
    return f"virtual:{_WORD.sub('_', label)}" if virtual else f"platform:{_WORD.sub('_', device.name)}"


def _number(entry: Path) -> tuple[int, str]:
    found = _NUMBER.match(entry.name)
    return (int(found[1]) if found else -1), entry.name


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace").strip()
    return ""
