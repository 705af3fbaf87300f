"""Search for the way that a code moved while the frame was exposed, in one frame; and its undoing.

A blur by motion has a spectrum with dark stripes across its direction, the narrower the longer it is. So the spectrum
of its logarithm, the *cepstrum*, has one deep point at the very vector of the motion. Nothing has to be known of the
exposure, nor of the frame before. A code is dense in edges, which is why the stripes can be seen at all.
"""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.picture import Grey
from vitale_drivers.decoding.wiener import Values, even_side, frequencies, gain_of, packed, padded, undone

__all__ = ["find_motion", "unmoved"]

SHORTEST = 4
"""Pixels: what is less is the lens, or a module."""

LONGEST = 44
"""Pixels: of what moved farther, nothing can be read."""

AROUND = 41
"""Pixels over which light is evened out: what is larger than a few modules says nothing of motion."""

EVIDENT = 4.5
"""Standard deviations of a cepstrum by which a motion stands out: what has none comes to four."""

NOISE = 0.005
"""Of the picture's power: below, there is more noise in a stripe than code."""


def find_motion(pixels: Grey) -> tuple[float, float] | None:
    """The way across and down, in pixels, of what moved; which end is first is open. None where nothing shows it."""
    height, width = pixels.shape
    side = even_side(max(height, width, 2 * LONGEST + 6))
    even = np.zeros((side, side), np.float32)
    even[:height, :width] = _window(height, width) * cv2.subtract(
        pixels, cv2.blur(pixels, (AROUND, AROUND)), dtype=cv2.CV_32F
    )
    spectrum = cv2.dft(even)
    power = np.asarray(cv2.mulSpectrums(spectrum, spectrum, 0, conjB=True), np.float32)
    # The finest frequencies hold little but noise: below that, a logarithm would show nothing else.
    middle = side // 2
    floor = float(power[middle - 8 : middle + 8, -17:].mean()) * 2 + 1
    logarithm = np.log(np.maximum(power, 0) + np.float32(floor)) * _real(side)
    cepstrum = cv2.dft(logarithm, flags=cv2.DFT_INVERSE | cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE)
    return _deepest(np.asarray(cepstrum, np.float32))


def unmoved(pixels: Grey, across: float, down: float) -> Grey:
    """Undoes a motion of so many pixels, as far as noise permits."""
    side = padded(pixels)
    columns, rows = frequencies(side)
    return undone(pixels, side, gain_of(np.sinc(columns * np.float32(across) + rows * np.float32(down)), NOISE))


def _deepest(cepstrum: Values) -> tuple[float, float] | None:
    """The deepest point of the half plane below, the farther the more it counts: it spreads there."""
    near = np.concatenate((cepstrum[: LONGEST + 2, -LONGEST - 1 :], cepstrum[: LONGEST + 2, : LONGEST + 2]), axis=1)
    smooth = np.asarray(cv2.GaussianBlur(near, (5, 5), 0.8), np.float32)
    weight = _weight()
    depth = smooth[: LONGEST + 1] * weight
    down, across = (int(at) for at in np.unravel_index(int(np.argmin(depth)), depth.shape))
    if -depth[down, across] <= EVIDENT * float(depth[weight > 0].std()):
        return None
    beside = smooth[down, across - 1 : across + 2]
    # Of the row above the first, the other half plane has the mirror image.
    above = smooth[down - 1, across] if down else smooth[1, 2 * (LONGEST + 1) - across]
    along = np.array((above, smooth[down, across], smooth[down + 1, across]))
    return across - LONGEST - 1 + _vertex(beside), down + _vertex(along)


def _vertex(three: npt.NDArray[np.floating]) -> float:
    """Lowest point of the parabola through three values, -0.5 to 0.5 from the middle one."""
    bend = float(three[0] - 2 * three[1] + three[2])
    return 0.0 if bend <= 0 else min(0.5, max(-0.5, float(three[0] - three[2]) / (2 * bend)))


@lru_cache(maxsize=1)
def _weight() -> Values:
    down, across = np.mgrid[: LONGEST + 1, -LONGEST - 1 : LONGEST + 2].astype(np.float32)
    length = np.hypot(across, down)
    return np.asarray(np.where((length >= SHORTEST) & (length <= LONGEST), np.sqrt(length), 0), np.float32)


@lru_cache(maxsize=8)
def _window(height: int, width: int) -> Values:
    return np.asarray(np.outer(np.hanning(height), np.hanning(width)), np.float32)


@lru_cache(maxsize=4)
def _real(side: int) -> Values:
    """1 where a packed spectrum has a real part, 0 where an imaginary one."""
    return packed(np.ones((side, side // 2 + 1), np.float32))
