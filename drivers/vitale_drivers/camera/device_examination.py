"""Judges the pictures of a camera, for ``doctor``: their number, brightness and sharpness, and the size of a code."""

import math
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from vitale_drivers.base import Tell
from vitale_drivers.camera.capture import CameraPlace, Capture, Pixels
from vitale_drivers.camera.frames import SymbolDecoder
from vitale_drivers.camera.liveness import is_dark
from vitale_drivers.camera.structured_append import SeenSymbol
from vitale_protocol.diagnosis.check_results import CheckResult, of_error
from vitale_protocol.errors import ReaderUnavailable

__all__ = ["brightness", "examine", "sharpness"]

DIM, BLINDING = 40.0, 225.0
"""Of 255, on average: beyond, the light parts of a code cannot be told from its dark ones."""

BLURRED = 0.12
"""Sharpness: the steepest edges as a share of the contrast. An edge of one pixel is 1, of ten pixels 0.1."""

SMALLEST = 0.12
"""Of the width of a picture: a code that is smaller has too few pixels a module at the least size of pictures."""

LEAST_PICTURES = 5
"""Before anything is said: exposure and focus settle in the first ones."""

SECONDS_LOOKED = 3.0
"""Seconds for which pictures are looked at, if no code comes to be read."""


def examine(
    capture: Capture, place: CameraPlace, decoder: Callable[[], SymbolDecoder], tell: Tell, seconds: float
) -> bytes:
    """Looks at pictures until a code was read, or the time is over.

    Returns the last picture, as a small JPEG.

    Args:
        capture: the camera, open.
        place: of the camera.
        decoder: finds codes.
        tell: takes each step.
        seconds: the longest that is looked.

    Raises:
        ReaderGone: the camera is not there any more.
        ReaderUnavailable: it delivers nothing.
    """
    began, eyes, pictures, jpeg = time.monotonic(), decoder(), list[Pixels](), b""
    times, symbols = list[float](), list[SeenSymbol]()
    limit = min(seconds, SECONDS_LOOKED)
    while time.monotonic() - began < limit or len(times) < LEAST_PICTURES:
        picture = capture.read()
        if picture is None or time.monotonic() - began > seconds:
            break
        times.append(time.monotonic())
        if (grey := picture.grey()) is not None:
            pictures = [*pictures[-LEAST_PICTURES:], grey]
            jpeg = picture.jpeg() or jpeg
            symbols = list(eyes.see(grey, around=True)) or symbols
        if symbols and len(times) >= LEAST_PICTURES:
            break
    if not pictures:
        tell(of_error(ReaderUnavailable("no pictures came", variant="camera"), "picture", {"name": place.name}))
        return b""
    tell(_flow(place, pictures[-1], times))
    _look(pictures, symbols, tell)
    return jpeg


def brightness(grey: Pixels) -> float:
    """The average of a picture, 0 to 255."""
    return float(np.mean(grey[::4, ::4]))


def sharpness(grey: Pixels) -> float:
    """The steepest edges of a picture as a share of its contrast, 0 to 1.

    It is 0 where there is no contrast.
    """
    picture = grey.astype(np.int16)
    low, high = np.percentile(picture, (2, 98))
    if high - low < 16:
        return 0.0
    across, down = np.abs(np.diff(picture, axis=1)), np.abs(np.diff(picture, axis=0))
    steepest = max(float(np.percentile(across, 99.9)), float(np.percentile(down, 99.9)))
    return min(1.0, steepest / float(high - low))


def _flow(place: CameraPlace, grey: Pixels, times: Sequence[float]) -> CheckResult:
    lasted = times[-1] - times[0]
    height, width = grey.shape
    rate = round((len(times) - 1) / lasted, 1) if lasted > 0 else 0.0
    values = {"name": place.name, "width": width, "height": height, "pictures": len(times), "rate": rate}
    return CheckResult(id="camera_flow", subject="picture", state="ok", values=values)


def _look(pictures: Sequence[Pixels], symbols: Sequence[SeenSymbol], tell: Tell) -> None:
    """Says what is the matter with the pictures, the first reason alone; or that a code was read."""
    light = statistics.median(map(brightness, pictures))
    edges = statistics.median(map(sharpness, pictures))
    values = {"light": round(light), "sharpness": round(edges, 2)}
    if symbols:
        size = _size(symbols[0], pictures[-1].shape[1])
        more = values | {"symbology": symbols[0].symbology, "percent": round(size * 100)}
        small = size < SMALLEST
        name = "camera_code_small" if small else "camera_code"
        tell(CheckResult(id=name, subject="picture", state="note" if small else "ok", values=more))
    elif is_dark(pictures[-1]):
        tell(of_error(ReaderUnavailable(variant="camera-dark"), "picture", values))
    elif light < DIM:
        tell(CheckResult(id="camera_dim", subject="picture", state="wrong", values=values))
    elif light > BLINDING:
        tell(CheckResult(id="camera_blinding", subject="picture", state="wrong", values=values))
    elif edges < BLURRED:
        tell(CheckResult(id="camera_blurred", subject="picture", state="wrong", values=values))
    else:
        tell(CheckResult(id="camera_no_code", subject="picture", state="wrong", values=values))


def _size(symbol: SeenSymbol, width: int) -> float:
    """The side of a code, as a share of the picture's width."""
    corners = symbol.corners
    sides = (math.dist(one, other) for one, other in zip(corners, (*corners[1:], corners[0]), strict=True))
    return statistics.mean(sides) / width
