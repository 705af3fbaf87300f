"""Repairs that make a picture readable: each is a function from pixels to pixels, for one kind of damage."""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.picture import Grey

__all__ = ["darkened", "deblurred", "lightened", "sharpened", "smoothed", "thickened", "thresholded"]

EDGE = 16
"""Pixels around what is deblurred, so that its opposite edges, neighbours to a Fourier transform, do not mix."""

_DARKER = np.array([round(255 * (value / 255) ** 2.2) for value in range(256)], dtype=np.uint8)

_LIGHTER = np.array([round(255 * (value / 255) ** 0.5) for value in range(256)], dtype=np.uint8)

NOISE = 0.005
"""Of the picture's power: below, deblurring would bring out noise and nothing else."""


def sharpened(pixels: Grey, radius: float, amount: float) -> Grey:
    """Sharpens against blur, defocus and motion: differences from the surroundings grow.

    Args:
        pixels: the picture.
        radius: of the surroundings, in pixels: about half a module.
        amount: how much more; 5 and above leave little but black and white, which is what is wanted here.
    """
    blurred = cv2.GaussianBlur(pixels, (0, 0), radius)
    return np.asarray(cv2.addWeighted(pixels, 1 + amount, blurred, -amount, 0), dtype=np.uint8)


def thresholded(pixels: Grey, parts: int, offset: int) -> Grey:
    """Thresholds against low contrast, glare and bands: a pixel darker than the mean around it is black.

    Args:
        pixels: the picture.
        parts: how many such surroundings lie along its longer side.
        offset: how much darker it has to be.
    """
    block = max(3, max(pixels.shape) // parts) | 1
    done = cv2.adaptiveThreshold(pixels, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, offset)
    return np.asarray(done, dtype=np.uint8)


def thickened(pixels: Grey) -> Grey:
    """Against light that spills over dark modules, and print that has worn: what is dark grows by a pixel."""
    return np.asarray(cv2.erode(pixels, np.ones((3, 3), np.uint8)), dtype=np.uint8)


def darkened(pixels: Grey) -> Grey:
    """Against glare: a curve (gamma 2.2) that tells light from lighter."""
    return np.asarray(cv2.LUT(pixels, _DARKER), dtype=np.uint8)


def lightened(pixels: Grey) -> Grey:
    """Against little light: a curve (gamma 0.5) that tells dark from darker."""
    return np.asarray(cv2.LUT(pixels, _LIGHTER), dtype=np.uint8)


def smoothed(pixels: Grey) -> Grey:
    """Smooths noise and the grid of a screen."""
    return np.asarray(cv2.GaussianBlur(pixels, (3, 3), 0), dtype=np.uint8)


def deblurred(pixels: Grey, radius: float) -> Grey:
    """Undoes a Gaussian blur of this standard deviation, as far as noise permits (Wiener's filter)."""
    height, width = pixels.shape
    side = cv2.getOptimalDFTSize(max(height, width) + 2 * EDGE)
    below, right = side - height - EDGE, side - width - EDGE
    wide = cv2.copyMakeBorder(pixels, EDGE, below, EDGE, right, cv2.BORDER_REPLICATE)
    # Real numbers in and out, so half of each spectrum (CCS) does.
    spectrum = cv2.mulSpectrums(cv2.dft(wide.astype(np.float32)), _gain(side, radius), 0)
    sharp = cv2.idft(spectrum, flags=cv2.DFT_REAL_OUTPUT | cv2.DFT_SCALE)
    inner = sharp[EDGE : EDGE + height, EDGE : EDGE + width]
    return np.clip(inner, 0, 255).astype(np.uint8)


@lru_cache(maxsize=8)
def _gain(side: int, radius: float) -> npt.NDArray[np.float32]:
    """Returns the gain of each frequency, as ``cv2.dft`` lays them out."""
    frequencies = np.fft.fftfreq(side)
    squares = frequencies[:, None] ** 2 + frequencies[None, :] ** 2
    passed = np.exp(-2 * (np.pi * radius) ** 2 * squares)
    kernel = np.fft.ifft2(passed / (passed**2 + NOISE)).real
    return np.asarray(cv2.dft(kernel.astype(np.float32)), dtype=np.float32)
