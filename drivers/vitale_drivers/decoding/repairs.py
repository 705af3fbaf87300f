"""Repairs that make a picture readable: each is a function from pixels to pixels, for one kind of damage."""

from functools import lru_cache

import cv2
import numpy as np

from vitale_drivers.decoding.picture import MARGIN, Grey
from vitale_drivers.decoding.wiener import Values, frequencies, gain_of, padded, undone

__all__ = [
    "darkened",
    "deblurred",
    "flattened",
    "lightened",
    "refocused",
    "sharpened",
    "smoothed",
    "thickened",
    "thresholded",
]

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
    done = cv2.blur(pixels, (block, block), borderType=cv2.BORDER_REPLICATE | cv2.BORDER_ISOLATED)
    # In place, and step by step: half the time of cv2.adaptiveThreshold, and the same to the pixel.
    if offset == 0:
        return np.asarray(cv2.compare(pixels, done, cv2.CMP_GT, done), dtype=np.uint8)
    cv2.subtract(done, pixels, done)
    return np.asarray(cv2.threshold(done, offset - 1, 255, cv2.THRESH_BINARY_INV, done)[1], dtype=np.uint8)


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
    """Undoes a Gaussian blur of this standard deviation, as far as noise permits."""
    side = padded(pixels)
    return undone(pixels, side, _gaussian(side, radius))


def refocused(pixels: Grey, radius: float, noise: float) -> Grey:
    """Undoes a lens out of focus, which makes a disc of a point.

    Unlike a Gaussian blur, such a disc can turn black into white.

    Args:
        pixels: the picture.
        radius: of the disc, in pixels.
        noise: its share of the picture's power.
    """
    side = padded(pixels)
    return undone(pixels, side, _disc(side, radius, noise))


def flattened(pixels: Grey, degrees: float, *, down: bool = False) -> Grey:
    """Unrolls what goes round a bottle, from the picture of it made upright.

    Args:
        pixels: a square, as ``Picture.upright`` makes it.
        degrees: half of the angle round which the code goes.
        down: whether the bottle lies.
    """
    side = pixels.shape[0]
    rolled = np.repeat(_rolled(side, degrees)[None, :], side, axis=0)
    straight = np.repeat(np.arange(side, dtype=np.float32)[:, None], side, axis=1)
    across, along = (straight.T, rolled.T) if down else (rolled, straight)
    return np.asarray(cv2.remap(pixels, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


@lru_cache(maxsize=8)
def _gaussian(side: int, radius: float) -> Values:
    across, down = frequencies(side)
    return gain_of(np.exp(-2 * (np.pi * radius) ** 2 * (across**2 + down**2)), NOISE)


@lru_cache(maxsize=8)
def _disc(side: int, radius: float, noise: float) -> Values:
    reach = int(radius) + 2
    down, across = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    # The pixels at the rim are covered in part.
    disc = np.clip(radius + 0.5 - np.hypot(across, down), 0, 1)
    kernel = np.zeros((side, side))
    kernel[: 2 * reach + 1, : 2 * reach + 1] = disc / disc.sum()
    return gain_of(np.fft.rfft2(np.roll(kernel, (-reach, -reach), (0, 1))).real, noise)


@lru_cache(maxsize=8)
def _rolled(side: int, degrees: float) -> Values:
    """Place of each column of the flat code in the one that is seen.

    Its edges stay where they are.
    """
    inner, half = 1 - 2 * MARGIN, np.deg2rad(degrees)
    turn = np.clip(np.linspace(-1, 1, side) / inner * half, -1.5, 1.5)
    return np.asarray((np.sin(turn) / np.sin(half) * inner + 1) / 2 * (side - 1), np.float32)
