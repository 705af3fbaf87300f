"""The options of the driver ``camera``, and the addresses of its cameras; checked once, at the edge."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from vitale_drivers.base import Options
from vitale_protocol.configuration.settings import convert_settings, refusal

__all__ = ["CameraAddress", "CameraSettings", "parse_address", "parse_options", "shown_url"]

TABLE = "drivers.options.camera"
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=600)]
_Pause = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
_Pixels = Annotated[int, msgspec.Meta(ge=160, le=7680)]
_Address = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=99)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

_NODE = re.compile(r"/dev/(?:video[0-9]{1,3}|v4l/by-(?:id|path)/[A-Za-z0-9_.:@+-]+)\Z")
_INDEX = re.compile(r"index:([0-9]{1,2})\Z")
_CALLED = re.compile(r"name:\s*(\S.{0,199}?)\s*\Z")
_STILL = 1.0
"""Seconds for which no sensor gives the same picture."""

_SCHEMES = frozenset({"http", "https", "rtsp", "rtsps"})


@dataclass(frozen=True, slots=True)
class CameraAddress:
    """Address at which cameras are searched.

    Attributes:
        kind: ``auto`` for all cameras, or ``name`` for those of a name. ``node`` is a device of Video4Linux, ``index``
            a place in the order of the system. ``file`` is a video and ``url`` a stream.
        where: the name, the path, the number or the URL; empty for ``auto``.
    """

    kind: Literal["auto", "name", "node", "index", "file", "url"]
    where: str = ""

    def __str__(self) -> str:
        """As people know it; a URL without what may be secret in it."""
        return shown_url(self.where) if self.kind == "url" else self.where or self.kind


def shown_url(url: str) -> str:
    """A URL without the name, the password and the query that may stand in it."""
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    return f"{parts.scheme}://{host}{parts.path}"


class CameraSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options; all times are seconds.

    Attributes:
        devices: addresses: ``auto``; ``name:HD Webcam``; ``/dev/v4l/by-id/…``, ``/dev/video0`` (Linux); ``index:0``
            (Windows, macOS). Also the path of a video file, or an ``http``, ``https`` or ``rtsp`` URL of a stream. A
            name is what ``vitale-reader readers`` shows before the brackets.
        physical: names of cameras, and numbers as in ``index:0``, that the site vouches for on Windows and macOS.
            Without it, cameras of programs, such as that of OBS, count as simulated. So do all that are not known to be
            devices.
        width: pixels that the camera is asked for; it takes what it has next to it.
        height: likewise.
        fps: pictures a second, likewise.
        loop: whether a video file begins again when it has ended.
        warm: how long a camera stays open after use, so that the next reading need not wait for it. True is for ever
            and from the start. Its pictures are ignored meanwhile.
        settle: a code that was not seen for so long has left.
        linger: how long a code that was read is watched after disarming.
        collect: how long the parts of a code in several parts may take to come.
        open_limit: the longest that opening a camera may take, its first picture included.
        frame_limit: the longest that any other picture may take.
        slow_limit: the same for a picture of a stream that has always been slow, or has just begun.
        still: a camera whose picture does not change in the least for so long has stopped. Where it is not set, it is
            1.0 for real cameras. Network cameras may then show the same picture for ever.
        dark: how long the picture is black before that is reported.
        apcv_formats: published formats that the strings of this site's apCVs have; the daemon has them from
            ``apcv.formats``.
        look: pause between two looks for cameras, and between two attempts to open one that does not work.
    """

    devices: Annotated[tuple[_Address, ...], msgspec.Meta(min_length=1, max_length=16)] = ("auto",)
    physical: Annotated[tuple[_Number | _Name, ...], msgspec.Meta(max_length=16)] = ()
    width: _Pixels = 1280
    height: _Pixels = 720
    fps: Annotated[int, msgspec.Meta(ge=1, le=120)] = 30
    loop: bool = False
    warm: bool | _Pause = False
    settle: _Seconds = 1.0
    linger: _Seconds = 5.0
    collect: _Seconds = 5.0
    open_limit: _Seconds = 10.0
    frame_limit: _Seconds = 2.0
    slow_limit: _Seconds = 6.0
    still: _Seconds | None = None
    dark: _Seconds = 2.0
    apcv_formats: tuple[str, ...] = ()
    look: _Seconds = 0.5

    def still_for(self, address: CameraAddress, *, simulated: bool) -> float:
        """Seconds without change after which the camera at an address has stopped; 0 for never.

        A program may show the same picture as long as it likes. Behind a URL is a camera, or a program: who sets the
        option says that it is a camera.
        """
        if not simulated:
            return _STILL if self.still is None else self.still
        return self.still or 0.0 if address.kind == "url" else 0.0


def parse_options(options: Options) -> tuple[CameraSettings, tuple[CameraAddress, ...]]:
    """Checks the options.

    Raises:
        ConfigurationInvalid: an option or an address cannot be used.
    """
    settings = convert_settings(options, CameraSettings, table=TABLE)
    return settings, tuple(dict.fromkeys(parse_address(text) for text in settings.devices))


def parse_address(text: str) -> CameraAddress:
    """Reads the address of a camera.

    Raises:
        ConfigurationInvalid: it is none.
    """
    if text == "auto":
        return CameraAddress("auto")
    if (found := _CALLED.match(text)) and text.isprintable():
        return CameraAddress("name", found[1])
    if _NODE.match(text):
        return CameraAddress("node", text)
    if found := _INDEX.match(text):
        return CameraAddress("index", str(int(found[1])))
    if _is_stream(text):
        return CameraAddress("url", text)
    if _is_file(text):
        return CameraAddress("file", text)
    raise refusal(f"{TABLE}.devices", "one of them is not the address of a camera")  # a URL may hold a password


def _is_stream(text: str) -> bool:
    try:
        parts: SplitResult = urlsplit(text)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        return False


def _is_file(text: str) -> bool:
    absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    # OpenCV takes a % in a path for the number of a picture in a series, and finds nothing.
    return absolute and text.isprintable() and "%" not in text and not text.startswith("/dev/")
