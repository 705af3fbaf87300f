"""Search for the way that a code moved while the frame was exposed, in one frame; and its undoing.

A blur by motion has a spectrum with dark stripes across its direction, the narrower the longer it is. So the spectrum
of that spectrum's logarithm, the *cepstrum*, has one deep point at the very vector of the motion. Nothing has to be
known of the exposure, nor of the frame before. A code is dense in edges, which is why the stripes can be seen at all.

Spectra are in the packed form of ``cv2.dft`` for real numbers, a fifth of the time of complex ones.
"""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.picture import Grey

__all__ = ["find_motion", "unmoved"]

Values = npt.NDArray[np.float32]

SHORTEST = 4
"""Pixels: what is less is the lens, or a module."""

LONGEST = 44
"""Pixels: of what moved farther, nothing can be read."""

AROUND = 41
"""Pixels over which light is evened out: what is larger than a few modules says nothing of motion."""

EDGE = 24
"""Pixels around what is undone, so that its opposite edges, neighbours to a Fourier transform, do not mix."""

NOISE = 0.005
"""Of the picture's power: below, there is more noise in a stripe than code."""


def find_motion(pixels: Grey) -> tuple[float, float]:
    """The way across and down, in pixels, by which a motion explains these pixels best; which end is first is open."""
    height, width = pixels.shape
    side = _side(max(height, width, 2 * LONGEST + 6))
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
    """Undoes a motion of so many pixels, as far as noise permits (Wiener's filter)."""
    height, width = pixels.shape
    side = _side(max(height, width) + 2 * EDGE)
    below, right = side - height - EDGE, side - width - EDGE
    wide = cv2.copyMakeBorder(pixels, EDGE, below, EDGE, right, cv2.BORDER_REPLICATE)
    columns, rows = _frequencies(side)
    passed = np.sinc(columns * np.float32(across) + rows * np.float32(down))
    gain = _packed(np.asarray(passed / (passed * passed + NOISE), np.float32))
    sharp = cv2.idft(
        cv2.mulSpectrums(cv2.dft(wide.astype(np.float32)), gain, 0), flags=cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE
    )
    inner = sharp[EDGE : EDGE + height, EDGE : EDGE + width]
    return np.clip(inner, 0, 255).astype(np.uint8)


def _deepest(cepstrum: Values) -> tuple[float, float]:
    """The deepest point of the half plane below, the farther the more it counts: it spreads there."""
    near = np.concatenate((cepstrum[: LONGEST + 2, -LONGEST - 1 :], cepstrum[: LONGEST + 2, : LONGEST + 2]), axis=1)
    smooth = np.asarray(cv2.GaussianBlur(near, (5, 5), 0.8), np.float32)
    weight = _weight()
    depth = np.where(weight > 0, smooth[: LONGEST + 1] * weight, np.inf)
    down, across = (int(at) for at in np.unravel_index(int(np.argmin(depth)), depth.shape))
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


def _side(pixels: int) -> int:
    """A side that is even, and quick to transform."""
    return 2 * cv2.getOptimalDFTSize((pixels + 1) // 2)


@lru_cache(maxsize=8)
def _window(height: int, width: int) -> Values:
    return np.asarray(np.outer(np.hanning(height), np.hanning(width)), np.float32)


@lru_cache(maxsize=4)
def _frequencies(side: int) -> tuple[Values, Values]:
    """Frequencies across and down, of the half of a spectrum that says all."""
    return (
        np.asarray(np.fft.rfftfreq(side)[None, :], np.float32),
        np.asarray(np.fft.fftfreq(side)[:, None], np.float32),
    )


@lru_cache(maxsize=4)
def _real(side: int) -> Values:
    """1 where a packed spectrum has a real part, 0 where an imaginary one."""
    return _packed(np.ones((side, side // 2 + 1), np.float32))


def _packed(half: Values) -> Values:
    """Half a spectrum without imaginary parts, as ``cv2.dft`` packs them: of the outer columns, half the rows do."""
    side = half.shape[0]
    packed = np.zeros((side, side), np.float32)
    packed[:, 1:-1:2] = half[:, 1:-1]
    for column, source in ((0, 0), (-1, -1)):
        packed[0, column] = half[0, source]
        packed[1::2, column] = half[1 : side // 2 + 1, source]
    return packed
