"""Cameras, files and streams as OpenCV opens them, and its pictures made grey: the only module that knows it.

OpenCV is set to log nothing, use one thread and time out. That is done before it is loaded: it reads its environment
once.
"""

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
# Seconds that a node of Video4Linux may take for a picture; ten by default.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "5")
# A JPEG of a few hundred bytes may say that it has a thousand million pixels; the largest that can be asked for has 59.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 26))
# A camera is where the site says, and nowhere that its answer sends to. The first is what OpenCV has without any.
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = (
    os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_flags;prefer_tcp") + "|max_redirects;0"
)

import cv2
import numpy as np

from vitale_drivers.base import FindHolders
from vitale_drivers.camera.capture import CameraPlace, Capture, Pixels
from vitale_drivers.camera.devices import Devices
from vitale_drivers.camera.network import await_answer
from vitale_drivers.camera.obstacles import explain, is_there, refused
from vitale_drivers.camera.settings import CameraAddress, CameraSettings
from vitale_drivers.camera.system import BY_DIRECT_SHOW
from vitale_protocol.errors import ReaderError, ReaderGone, ReaderUnavailable
from vitale_protocol.privacy import concealed

__all__ = ["VERSION", "CvPicture", "Form", "OpenCvBus"]

VERSION = f"OpenCV {cv2.__version__}"

# Pictures are decoded in one thread, so that a camera takes one core at most.
cv2.setNumThreads(1)

_JPEG = b"\xff\xd8\xff"
"""Its first bytes: the start of the image, and that of the next marker (ITU-T T.81, annex B.1.1)."""

_PREVIEW_WIDTH = 640
_PREVIEW_QUALITY = 60

_MOST_MISSES = 10
"""Pictures in a row that cannot be read, of a camera that answers: cables lose one now and then."""

_PAUSE = 0.02
"""Seconds before a stream is asked again that gave none: one that has ended says so at once, and again."""

_LEAST_LEFT = 1.0
"""Seconds that FFmpeg has to study a stream, however long that took to answer."""

Form: TypeAlias = Literal["mjpg", "yuyv", "uyvy", "grey", "bgr"]
"""A JPEG, two bytes a pixel with the light in the first or in the second, light alone, or what OpenCV makes."""

_FORMS: dict[str, Form] = {"MJPG": "mjpg", "YUYV": "yuyv", "UYVY": "uyvy", "GREY": "grey"}
"""Those of a camera's formats that are taken as they come; OpenCV makes BGR of all others."""


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class CvPicture:
    """A picture in one of the forms that cameras deliver."""

    __repr__ = concealed

    form: Form
    pixels: Pixels

    def grey(self) -> Pixels | None:
        """Rows of pixels; None where the picture is damaged."""
        pixels = self.pixels
        match self.form:
            case "mjpg":
                return _from_jpeg(pixels, cv2.IMREAD_GRAYSCALE)
            case "yuyv" if pixels.ndim == 3:
                return np.ascontiguousarray(pixels[:, :, 0])
            case "uyvy" if pixels.ndim == 3:
                return np.ascontiguousarray(pixels[:, :, 1])
            case "bgr" if pixels.ndim == 3:
                return _bytes(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
            case _:
                return pixels if pixels.ndim == 2 else None

    def glance(self) -> Pixels | None:
        """An eighth of a JPEG, of whose blocks the mean alone is decoded.

        None for what is damaged or no JPEG.
        """
        return _from_jpeg(self.pixels, cv2.IMREAD_REDUCED_GRAYSCALE_8) if self.form == "mjpg" else None

    def jpeg(self) -> bytes | None:
        """Encodes at most 640 pixels of width, in colour where that costs nothing; None for a damaged picture."""
        image = _from_jpeg(self.pixels, cv2.IMREAD_REDUCED_COLOR_2) if self.form == "mjpg" else None
        if image is None:
            image = self.pixels if self.form == "bgr" else self.grey()
        if image is None:
            return None
        height, width = image.shape[:2]
        if width > _PREVIEW_WIDTH:
            size = (_PREVIEW_WIDTH, max(1, round(height * _PREVIEW_WIDTH / width)))
            image = _bytes(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _PREVIEW_QUALITY])
        return jpeg.tobytes() if done else None


def _from_jpeg(pixels: Pixels, how: int) -> Pixels | None:
    data = pixels.reshape(-1)
    # OpenCV takes whatever its bytes begin like, and has a parser for some twenty formats, strangers' bytes or not.
    if data[:3].tobytes() != _JPEG:
        return None
    try:
        found = cv2.imdecode(data, how)
    except cv2.error:  # of no bytes, or of a size that cannot be
        return None
    return None if found is None else _bytes(found)


def _taken(pixels: object) -> Pixels:
    """The bytes of a picture that was retrieved; none where there was nothing to retrieve."""
    return np.empty(0, np.uint8) if pixels is None else _bytes(pixels)


def _bytes(pixels: object) -> Pixels:
    """Narrows the type of OpenCV's results, which it declares as anything."""
    return np.asarray(pixels, dtype=np.uint8)


# ── cameras ──────────────────────────────────────────────────────────────────────────────────────────────────────


class OpenCvBus:
    """The cameras of this machine, video files and streams."""

    def __init__(self, settings: CameraSettings, find_holders: FindHolders, devices: Devices | None = None) -> None:
        """Takes the options, and what names the programs that have a camera open; looks at nothing."""
        self._settings = settings
        self._find_holders = find_holders
        self._devices = Devices(physical=settings.physical) if devices is None else devices

    def places(self, address: CameraAddress) -> tuple[CameraPlace, ...]:
        """The cameras at an address now."""
        return self._devices.places(address)

    def refused(self, place: CameraPlace) -> ReaderError | None:
        """Returns a known obstacle to opening a camera as this user, found without opening it."""
        return refused(place)

    def open(self, place: CameraPlace) -> Capture:
        """Opens a camera through OpenCV."""
        match place.address.kind:
            case "file":
                return _File(place, self._opened(place, place.where, cv2.CAP_FFMPEG, []), loop=self._settings.loop)
            case "url":
                began = time.monotonic()
                await_answer(place.where, self._settings.open_limit)
                left = max(self._settings.open_limit - (time.monotonic() - began), _LEAST_LEFT)
                source = self._opened(place, place.where, cv2.CAP_FFMPEG, _limits(self._settings, left))
                return _Device(place, source, _as_sent(source), patience=self._settings.frame_limit)
            case "index":
                backend = cv2.CAP_DSHOW if BY_DIRECT_SHOW else cv2.CAP_ANY
                # Opened bare: DirectShow (OpenCV 4.10) and AVFoundation do not open where one wish cannot be met.
                source = self._opened(place, int(place.where), backend, [])
                if not self._devices.is_still(place):
                    source.release()
                    raise ReaderGone("another camera has its place now")
                _prefer(source, _preferences(self._settings))
                return _Device(place, source)
            case _:
                source = self._opened(place, place.where, cv2.CAP_V4L2, _preferences(self._settings))
                return _Device(place, source, _raw(source))

    def _opened(self, place: CameraPlace, what: str | int, backend: int, parameters: list[int]) -> cv2.VideoCapture:
        source = cv2.VideoCapture(what, backend, parameters)
        if not source.isOpened():
            source.release()
            raise explain(place, self._find_holders)
        return source


def _limits(settings: CameraSettings, left: float) -> list[int]:
    opening, reading = round(left * 1000), round(max(settings.frame_limit, settings.slow_limit) * 1000)
    return [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, opening),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, reading),
        *(cv2.CAP_PROP_N_THREADS, 1),  # several decode several pictures at a time, and hold each back for that
    ]


def _preferences(settings: CameraSettings) -> list[int]:
    """Returns the properties requested from a camera; exposure and focus are left to it."""
    return [
        *(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),  # first, for the sizes depend on it
        *(cv2.CAP_PROP_FRAME_WIDTH, settings.width),
        *(cv2.CAP_PROP_FRAME_HEIGHT, settings.height),
        *(cv2.CAP_PROP_FPS, settings.fps),
        # One to be filled while the other is taken; with one alone, a camera skips every other picture. More would be
        # pictures that wait, but for a thread that always takes the next.
        *(cv2.CAP_PROP_BUFFERSIZE, 2),
    ]


def _prefer(source: cv2.VideoCapture, preferences: list[int]) -> None:
    """Asks an open camera for what it may have; it keeps its own where it has not."""
    for name, value in zip(preferences[::2], preferences[1::2], strict=True):
        with suppress(cv2.error):
            source.set(name, value)


def _raw(source: cv2.VideoCapture) -> Form:
    """Asks for pictures as the camera makes them, where they can be decoded."""
    code = int(source.get(cv2.CAP_PROP_FOURCC))
    form = _FORMS.get(code.to_bytes(4, "little", signed=code < 0).decode("latin-1"))
    if form is None or not source.set(cv2.CAP_PROP_CONVERT_RGB, 0):
        return "bgr"
    return form


def _as_sent(source: cv2.VideoCapture) -> Form:
    """Asks a stream of JPEGs for these, not decoded.

    Grey is then made in less time, and only of those that are looked at.
    """
    is_jpeg = int(source.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"MJPG")
    return "mjpg" if is_jpeg and source.set(cv2.CAP_PROP_FORMAT, -1) else "bgr"


class _Device(Capture):
    """A camera or a stream: its pictures come when they come."""

    def __init__(
        self, place: CameraPlace, source: cv2.VideoCapture, form: Form = "bgr", *, patience: float = 0.0
    ) -> None:
        self._place = place
        self._source = source
        self._form: Form = form
        self._patience = patience
        self._cancelled = threading.Event()

    def read(self) -> CvPicture | None:
        """Waits for the next picture."""
        end = time.monotonic() + self._patience
        for _ in range(_MOST_MISSES):
            # A picture of a stream that cannot be decoded at all is told like its end; the next may be well.
            if not self._source.grab():
                if time.monotonic() >= end or self._cancelled.wait(_PAUSE):
                    break
                continue
            # With a picture that is damaged, some of OpenCV's ways end in an exception.
            with suppress(cv2.error):
                found, pixels = self._source.retrieve()
                # Of a JPEG of no bytes there is nothing at all.
                if found and (taken := _taken(pixels)).size:
                    return CvPicture(self._form, taken)
        if not is_there(self._place):
            raise ReaderGone("the camera is not there any more")
        raise ReaderUnavailable("the camera gives no pictures", variant="camera")

    def cancel(self) -> None:
        """Ends the waiting for a picture after one that was damaged."""
        self._cancelled.set()

    def close(self) -> None:
        """Lets go of it."""
        self._source.release()


class _File(Capture):
    """A video file, shown at the pace at which it was taken."""

    def __init__(self, place: CameraPlace, source: cv2.VideoCapture, *, loop: bool) -> None:
        self._place = place
        self._source = source
        self._loop = loop
        self._cancelled = threading.Event()
        self._pause = 1 / min(max(source.get(cv2.CAP_PROP_FPS), 1.0), 120.0)
        self._due = time.monotonic()

    def read(self) -> CvPicture | None:
        """Waits until it is time for the next picture."""
        late = time.monotonic() - self._due
        if late > self._pause:  # what should have been seen by now is passed over
            for _ in range(int(late / self._pause)):
                self._source.grab()
                self._due += self._pause
        elif self._cancelled.wait(-late):
            return None
        self._due += self._pause
        found, pixels = self._source.read()
        if not found and self._loop:
            self._source.set(cv2.CAP_PROP_POS_FRAMES, 0)
            found, pixels = self._source.read()
        return CvPicture("bgr", _bytes(pixels)) if found else None

    def cancel(self) -> None:
        """Ends the wait for the next picture."""
        self._cancelled.set()

    def close(self) -> None:
        """Lets go of it."""
        self._source.release()
