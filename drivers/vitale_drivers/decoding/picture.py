"""A picture on its way through the stages: grey, with what several of them need made once.

A *view* is a part of the picture at some scale. Its stages differ in what they do to it before it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.regions import (
    SIDE,
    Busy,
    Region,
    find_busy,
    find_leaning,
    find_regions,
    find_squares,
    halved,
)

__all__ = ["MARGIN", "Grey", "Outline", "Picture", "Projection", "View", "grey_of"]

Grey = npt.NDArray[np.uint8]
"""Height × width, one byte a pixel."""

Projection = npt.NDArray[np.float64]
"""3 × 3, of homogeneous coordinates."""

Outline = tuple[tuple[float, float], ...]
"""Four corners in pixels of the picture."""

MARGIN = 0.125
"""Of its side, that is left around what is made upright: its quiet zone, and what was taken for its edge in error."""

LOOKED_AT = 200
"""Pixels of the region in which it is found how a code is turned."""


@dataclass(frozen=True, slots=True)
class View:
    """Pixels, and how to get from a point in them to one in the picture: ``point / scale + (left, top)``.

    ``stretch`` is by how much more it is enlarged downwards than across. What was made upright has ``back`` instead,
    the projection of its points to those of the picture.
    """

    pixels: Grey
    scale: float = 1.0
    left: float = 0.0
    top: float = 0.0
    stretch: float = 1.0
    back: Projection | None = None

    def point(self, x: float, y: float) -> tuple[float, float]:
        """The point of the picture that is at (x, y) here."""
        if self.back is not None:
            across, down, share = self.back @ (x, y, 1.0)
            return float(across / share), float(down / share)
        return x / self.scale + self.left, y / (self.scale * self.stretch) + self.top


@dataclass
class Picture:
    """A grey picture, its half, its regions and the views of these."""

    grey: Grey
    _views: dict[tuple[int, int], View] = field(default_factory=dict[tuple[int, int], View])
    _leaning: dict[int, Outline | None] = field(default_factory=dict[int, Outline | None])

    @property
    def whole(self) -> View:
        """View of the whole picture."""
        return View(self.grey)

    @cached_property
    def half(self) -> View:
        """All of it at half its size."""
        return View(halved(self.grey), 0.5)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """Regions that may hold a code, the likeliest first."""
        return find_regions(self.busy)

    @cached_property
    def squares(self) -> tuple[Region, ...]:
        """Regions that may hold one square code, the likeliest first."""
        return find_squares(self.busy)

    @cached_property
    def busy(self) -> Busy:
        """Edges in each part of it."""
        return find_busy(self.half.pixels, 2) if min(self.grey.shape) >= 2 * SIDE else find_busy(self.grey)

    def region(self, number: int, side: int) -> View | None:
        """The view of a region, with ``side`` pixels on its longer side; None where there is no such region."""
        if number >= len(self.regions):
            return None
        view = self._views.get((number, side))
        if view is None:
            view = self._views[number, side] = self.cut(self.regions[number], side)
        return view

    def squared(self, number: int, side: int) -> View | None:
        """The view of a region made as wide as high, or None where there is no such region.

        This shape undoes most of the distortion of a code that is seen aslant.
        """
        view = self.region(number, side)
        if view is None:
            return None
        height, width = view.pixels.shape
        pixels = np.asarray(cv2.resize(view.pixels, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        return View(pixels, view.scale * side / width, view.left, view.top, width / height)

    def upright(self, number: int, side: int) -> View | None:
        """The busy part of a region, turned upright and made square; None where nothing is busy."""
        if number not in self._leaning:
            view = self.region(number, LOOKED_AT)
            self._leaning[number] = None if view is None else _leaning(view)
        outline = self._leaning[number]
        return None if outline is None else self.straightened(outline, side)

    def square(self, number: int) -> Outline | None:
        """The corners of the busy part of a square, turned as it may be; None where there is none."""
        return _leaning(self.cut(self.squares[number], LOOKED_AT)) if number < len(self.squares) else None

    def straightened(self, corners: Sequence[tuple[float, float]], side: int) -> View:
        """The part between four corners and a margin around it, seen straight on: a square of so many pixels."""
        near, far = side * MARGIN, side * (1 - MARGIN)
        square = np.array(((near, near), (far, near), (far, far), (near, far)), dtype=np.float32)
        back = cv2.getPerspectiveTransform(square, np.array(corners, dtype=np.float32))
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        pixels = cv2.warpPerspective(self.grey, back, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE)
        return View(np.asarray(pixels, dtype=np.uint8), back=np.asarray(back, dtype=np.float64))

    def cut(self, region: Region, side: int) -> View:
        """A part of the picture, so that its longer side has so many pixels."""
        level = self._level(region, side)
        near = cv2.INTER_CUBIC if side > region.side * level.scale else cv2.INTER_LINEAR
        left, top, right, bottom = (round(edge * level.scale) for edge in region.edges)
        part = level.pixels[top:bottom, left:right]
        scale = side / max(part.shape)
        size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        pixels = np.asarray(cv2.resize(part, size, interpolation=near), dtype=np.uint8)
        return View(pixels, scale * level.scale, left / level.scale, top / level.scale)

    def _level(self, region: Region, side: int) -> View:
        """The smallest copy of the picture in which a region still has so many pixels.

        From there it is less than halved, which interpolation does well, and several times quicker than a mean.
        """
        return self.half if region.side / 2 >= side else self.whole


def _leaning(view: View) -> Outline | None:
    corners = find_leaning(view.pixels)
    return None if corners is None else tuple(view.point(x, y) for x, y in corners.tolist())


def grey_of(image: npt.NDArray[np.uint8]) -> Grey:
    """A picture of any size as grey.

    Args:
        image: bytes, height × width (grey), × 1, × 3 (BGR) or × 4 (BGRA).

    Raises:
        ValueError: it is no picture.
    """
    if image.dtype != np.uint8 or image.ndim not in {2, 3} or 0 in image.shape:
        raise ValueError("a picture is an array of bytes, height × width, or × 3 in BGR")
    if image.ndim == 2:
        return np.ascontiguousarray(image)
    channels = image.shape[2]
    if channels == 1:
        return np.ascontiguousarray(image[:, :, 0])
    if channels == 3:
        return _as_grey(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    if channels == 4:
        return _as_grey(cv2.cvtColor(image, cv2.COLOR_BGRA2GRAY))
    raise ValueError("a picture has 1, 3 or 4 channels")


def _as_grey(pixels: npt.NDArray[np.generic]) -> Grey:
    return np.asarray(pixels, dtype=np.uint8)
