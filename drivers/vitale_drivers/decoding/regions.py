"""Search for regions that may hold a code: those with much change from pixel to pixel, across and down.

A two-dimensional code is the one thing in most pictures that is dense in edges of both directions. Text has fewer, bar
codes and the borders of things have one direction. Edges count by the contrast around them. A code on a dimmed screen
is therefore as strong as one in full light. What is found may be wrong: it only says where to look harder.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["SIDE", "Busy", "Region", "find_busy", "find_leaning", "find_regions", "find_squares", "halved"]

SIDE = 170
"""Pixels that the shorter side has at least where edges are looked for: a code of a sixteenth of it keeps its edges."""

BLUR = 11
"""Pixels over which edges are counted: larger than the gap between two modules, smaller than a code."""

AROUND = 25
"""Pixels over which contrast is taken."""

FLAT = 8
"""Steps of grey that are added to it: below, there is noise and nothing else."""

STRONG = 32.0
"""Steps of grey that a contrast of 1 becomes."""

SPECK = np.ones((5, 5), np.uint8)
"""What is smaller than this is no code, and no bridge to one."""

LEAST = 11
"""Pixels of the smallest region there."""

MOST = 2
"""Regions that are worth looking at."""

LEVELS = (1.1, 1.5)
"""Thresholds by which squares are cut out, as multiples of Otsu's."""

SLIMMEST = 0.35
"""Height to width of a square that is seen aslant."""

SQUARES = 2
"""Squares that are worth looking at."""

SAME = 0.45
"""Of what two squares cover together, that both cover: then the likelier stands for both."""

BESIDE = 0.1
"""Of its longer side, that a square is widened by."""

MARGIN = 0.08
"""Of its longer side, that a region is widened by: what has no edge, as the quiet zone, belongs to it."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle in pixels; right and bottom are the first that are outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Edges of the region: left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def side(self) -> int:
        """Pixels of its longer side."""
        return max(self.right - self.left, self.bottom - self.top)

    def widened(self, share: float, width: int, height: int) -> "Region":
        """Widens the region on each side by a share of its longer side, within a picture of this size."""
        more = round(self.side * share)
        return Region(
            max(0, self.left - more),
            max(0, self.top - more),
            min(width, self.right + more),
            min(height, self.bottom + more),
        )

    def enlarged(self, factor: int) -> "Region":
        """The same region in a picture so many times larger."""
        return Region(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)

    def shares(self, other: "Region") -> float:
        """The share of what this and another region cover together that both cover."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        both = max(0, wide) * max(0, high)
        return both / (self.pixels + other.pixels - both)

    @property
    def pixels(self) -> int:
        """Number of its pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True, slots=True)
class Busy:
    """Edges of both directions around each pixel of a small copy of a picture.

    Attributes:
        pixels: of the copy.
        factor: how many times smaller it is.
        width: of the picture.
        height: likewise.
    """

    pixels: npt.NDArray[np.uint8] = field(repr=False)
    factor: int
    width: int
    height: int

    @property
    def threshold(self) -> float:
        """From where on a pixel is busy, by Otsu's method."""
        return cv2.threshold(self.pixels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0]


def halved(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Halves height and width; each pixel is the mean of four."""
    rows, columns = grey.shape[0] // 2, grey.shape[1] // 2
    if not rows or not columns:  # a picture of one line has no half
        return grey
    even = grey[: rows * 2, : columns * 2]
    return np.asarray(cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def find_busy(grey: npt.NDArray[np.uint8], factor: int = 1) -> Busy:
    """Finds how busy each part of a picture is.

    Args:
        grey: the picture, or a smaller copy of it.
        factor: how many times smaller.
    """
    height, width = grey.shape[0] * factor, grey.shape[1] * factor
    small = grey
    while min(small.shape) >= 2 * SIDE:
        # Halved again and again: cv2 has a quick path for just that.
        small, factor = halved(small), factor * 2
    even = _evened(small)
    across = cv2.blur(cv2.convertScaleAbs(cv2.Sobel(even, cv2.CV_16S, 1, 0)), (BLUR, BLUR))
    down = cv2.blur(cv2.convertScaleAbs(cv2.Sobel(even, cv2.CV_16S, 0, 1)), (BLUR, BLUR))
    return Busy(np.asarray(cv2.min(across, down), dtype=np.uint8), factor, width, height)


def find_regions(busy: Busy) -> tuple[Region, ...]:
    """The regions of a picture, the likeliest first, ``MOST`` at most."""
    found: list[tuple[float, Region]] = []
    for part in _parts(busy, busy.threshold):
        left, top, wide, high = cv2.boundingRect(part.outline)
        if min(wide, high) < LEAST:
            continue
        box = Region(left, top, left + wide, top + high).enlarged(busy.factor)
        found.append((part.likeness(wide, high), box.widened(MARGIN, busy.width, busy.height)))
    found.sort(key=lambda entry: -entry[0])
    return tuple(region for _, region in found[:MOST])


def find_squares(busy: Busy) -> tuple[Region, ...]:
    """Regions that may hold one square code, however it is turned, the likeliest first, ``SQUARES`` at most.

    What is beside a code is often busy too, and less so. So parts are cut out at several levels, each within the last.
    """
    found: list[tuple[float, Region]] = []
    for level in LEVELS:
        for part in _parts(busy, busy.threshold * level):
            _, (wide, high), _ = cv2.minAreaRect(part.outline)
            if min(wide, high) < max(LEAST, SLIMMEST * max(wide, high)):
                continue
            left, top, across, down = cv2.boundingRect(part.outline)
            box = Region(left, top, left + across, top + down).enlarged(busy.factor)
            found.append((part.likeness(wide, high), box.widened(BESIDE, busy.width, busy.height)))
    found.sort(key=lambda entry: -entry[0])
    kept: list[Region] = []
    for _, region in found:
        if not any(region.shares(other) > SAME for other in kept):
            kept.append(region)
        if len(kept) == SQUARES:
            break
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part that is busy: its outline, and how busy it is in the mean."""

    outline: npt.NDArray[np.int32]
    strength: float

    def likeness(self, wide: float, high: float) -> float:
        """Likeness to a code, in a rectangle of this size.

        A code is about as wide as high, and all of it is busy. How large it is says little: a counter is full of
        larger things.
        """
        filled = cv2.contourArea(self.outline) / (wide * high)
        return float(filled**2 * min(wide, high) / max(wide, high) * self.strength * max(wide, high) ** 0.5)


def _parts(busy: Busy, threshold: float) -> Iterator[_Part]:
    """The parts that are busier than a threshold, each by itself."""
    _, there = cv2.threshold(busy.pixels, threshold, 255, cv2.THRESH_BINARY)
    there = cv2.morphologyEx(there, cv2.MORPH_OPEN, SPECK)
    # Their outlines, not their pixels: a tenth of the time of labelling.
    outlines, _ = cv2.findContours(there, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for outline in outlines:
        left, top, wide, high = cv2.boundingRect(outline)
        if max(wide, high) < LEAST:
            continue
        part = (slice(top, top + high), slice(left, left + wide))
        yield _Part(np.asarray(outline, dtype=np.int32), cv2.mean(busy.pixels[part], there[part])[0])


def find_leaning(region: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
    """The corners of the smallest rectangle, however it is turned, around the busiest part of a region's pixels."""
    near = max(3, max(region.shape) // 21) | 1
    across = cv2.blur(cv2.convertScaleAbs(cv2.Sobel(region, cv2.CV_16S, 1, 0)), (near, near))
    down = cv2.blur(cv2.convertScaleAbs(cv2.Sobel(region, cv2.CV_16S, 0, 1)), (near, near))
    _, busy = cv2.threshold(cv2.addWeighted(across, 0.5, down, 0.5, 0), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    gap = np.ones((near * 2 // 3, near * 2 // 3), np.uint8)
    speck = np.ones((near * 4 // 3, near * 4 // 3), np.uint8)
    busy = cv2.morphologyEx(cv2.morphologyEx(busy, cv2.MORPH_CLOSE, gap), cv2.MORPH_OPEN, speck)
    outlines, _ = cv2.findContours(busy, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return None
    return np.asarray(cv2.boxPoints(cv2.minAreaRect(max(outlines, key=cv2.contourArea))), dtype=np.float32)


def _evened(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """Returns each pixel's difference from its surroundings, divided by their contrast."""
    mean = cv2.blur(grey, (AROUND, AROUND))
    contrast = cv2.blur(cv2.absdiff(grey, mean), (AROUND, AROUND))
    difference = cv2.subtract(grey, mean, dtype=cv2.CV_16S)
    floor = contrast.astype(np.int16) + FLAT
    return np.asarray(cv2.divide(difference, floor, scale=STRONG, dtype=cv2.CV_16S), dtype=np.int16)
