"""Liveness of a camera's pictures: pure, fed with pictures and times.

Where a camera was unplugged or its driver stopped, OpenCV goes on delivering the last picture (opencv/opencv#5221). A
sensor has noise: two of its pictures are never identical to the last byte. A covered camera may give identical black
pictures; that is reported separately, for it is no fault.
"""

import zlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Liveness", "Verdict", "is_dark"]

Verdict: TypeAlias = Literal["unsure", "alive", "dark", "still"]
"""``unsure``: nothing is wrong so far, but nothing has moved yet."""

_FEWEST_SAME = 5
"""Pictures: at a slow rate of pictures, time alone says little."""

_STEP = 16
"""Every which row and column is looked at to tell black: there is no pattern of this size in a lid."""

_DARKEST = 24
"""Of 255: the black of limited-range video is 16, and the noise of a covered sensor a few steps above."""

_SPECKS = 0.01
"""The share of what is looked at that may be brighter: hot pixels, light at an edge of the lid."""


def is_dark(grey: NDArray[np.uint8], *, smaller: int = 1) -> bool:
    """True if a picture, grey, is black all over; ``smaller``: how many times smaller the copy of it is."""
    step = _STEP // smaller
    seen = grey[::step, ::step]
    return int(np.count_nonzero(seen > _DARKEST)) <= seen.size * _SPECKS


@dataclass(slots=True)
class Liveness:
    """Liveness of one feed.

    Attributes:
        still: seconds without any change after which the camera has stopped. It is 0 for a program, which may show the
            same picture as long as it likes.
        dark: seconds of black before that is reported.
    """

    still: float
    dark: float
    _print: int = 0
    _same: int = 0
    _moved: bool = False
    _same_since: float = 0.0
    _dark_since: float | None = None

    def saw(self, pixels: NDArray[np.uint8], *, dark: bool, now: float) -> Verdict:
        """Takes a picture, in whatever form, and whether it is black.

        Returns what is to be thought of the camera.
        """
        if self.still:
            self._compare(zlib.crc32(np.ascontiguousarray(pixels).data), now)
        if dark:
            if self._dark_since is None:
                self._dark_since = now
            return "dark" if now - self._dark_since >= self.dark else "unsure"
        self._dark_since = None
        if self.still and self._same >= _FEWEST_SAME and now - self._same_since >= self.still:
            return "still"
        return "alive" if self._moved or not self.still else "unsure"

    def _compare(self, mark: int, now: float) -> None:
        if self._same and mark == self._print:
            self._same += 1
            return
        self._moved = self._same > 0
        self._print, self._same, self._same_since = mark, 1, now
