"""Wiener's filter: undoes a blur that is known by its spectrum, as far as noise permits.

Blurs here look the same from both sides, so their spectra are real. They are kept in the packed form of ``cv2.dft`` for
real numbers. It takes a fifth of the time of complex ones.
"""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Values", "even_side", "frequencies", "gain_of", "packed", "padded", "undone"]

Grey = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]

EDGE = 24
"""Pixels around what is undone, so that its opposite edges, neighbours to a Fourier transform, do not mix."""


def undone(pixels: Grey, side: int, gain: Values) -> Grey:
    """Pixels after a gain of each frequency, packed, of a square of ``padded`` pixels."""
    height, width = pixels.shape
    below, right = side - height - EDGE, side - width - EDGE
    wide = cv2.copyMakeBorder(pixels, EDGE, below, EDGE, right, cv2.BORDER_REPLICATE)
    spectrum = cv2.mulSpectrums(cv2.dft(wide.astype(np.float32)), gain, 0)
    sharp = cv2.idft(spectrum, flags=cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE)
    return np.clip(sharp[EDGE : EDGE + height, EDGE : EDGE + width], 0, 255).astype(np.uint8)


def padded(pixels: Grey) -> int:
    """The side of the square in which pixels are undone."""
    return even_side(max(pixels.shape) + 2 * EDGE)


def gain_of(passed: npt.NDArray[np.floating], noise: float) -> Values:
    """The gain that undoes a blur.

    Args:
        passed: by what each frequency is multiplied in the blur, of the half of a spectrum that says all.
        noise: its share of the picture's power: below, it would be brought out and nothing else.
    """
    return packed(np.asarray(passed / (passed * passed + noise), np.float32))


def even_side(pixels: int) -> int:
    """A side of at least so many pixels that is even, and quick to transform."""
    return 2 * cv2.getOptimalDFTSize((pixels + 1) // 2)


@lru_cache(maxsize=8)
def frequencies(side: int) -> tuple[Values, Values]:
    """Frequencies across and down, of the half of a spectrum that says all."""
    across, down = np.fft.rfftfreq(side)[None, :], np.fft.fftfreq(side)[:, None]
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def packed(half: Values) -> Values:
    """Half a spectrum without imaginary parts, as ``cv2.dft`` packs them: of the outer columns, half the rows do."""
    side = half.shape[0]
    done = np.zeros((side, side), np.float32)
    done[:, 1:-1:2] = half[:, 1:-1]
    for column in (0, -1):
        done[0, column] = half[0, column]
        done[1::2, column] = half[1 : side // 2 + 1, column]
    return done
