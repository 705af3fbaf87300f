"""Effects of lens, sensor and compression on a picture: pure functions of the picture, numbers and a seed.

Pictures between lens and sensor are ``float32``, 0 to 255. Their gamma is 2: the square of a value is light.
"""

import io
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from vitale_firmware_sim.camera.scene import Scene

__all__ = ["Picture", "Values", "compressed", "disc", "exposed", "line", "moire", "softened", "spread"]

Picture = NDArray[np.uint8]
Values = NDArray[np.float32]
Kernel = list[tuple[int, int, float]]

_POOL: Final = 1 << 21


def line(length: float, angle: float) -> Kernel:
    """The way of a point that moves so many pixels while it is exposed."""
    steps = max(round(length * 2), 1)
    along = (np.arange(steps) + 0.5) / steps - 0.5
    rows, columns = along * length * np.sin(np.radians(angle)), along * length * np.cos(np.radians(angle))
    return _gathered(np.column_stack((rows, columns)))


def disc(radius: float) -> Kernel:
    """Returns the blur of a point out of focus under an open lens: a uniform disc."""
    span = np.arange(-radius, radius + 0.25, 0.25)
    rows, columns = np.meshgrid(span, span, indexing="ij")
    inside = rows**2 + columns**2 <= radius**2
    return _gathered(np.column_stack((rows[inside], columns[inside])))


def _gathered(points: NDArray[np.float64]) -> Kernel:
    cells, counts = np.unique(np.rint(points).astype(int), axis=0, return_counts=True)
    return [
        (int(row), int(column), float(count / len(points))) for (row, column), count in zip(cells, counts, strict=True)
    ]


def spread(values: Values, kernel: Kernel) -> Values:
    """Every point spread as the kernel says; what leaves at an edge is lost."""
    total = np.zeros_like(values)
    height, width = values.shape[:2]
    for row, column, weight in kernel:
        to_rows, from_rows = _shifted(row, height)
        to_columns, from_columns = _shifted(column, width)
        total[to_rows, to_columns] += values[from_rows, from_columns] * np.float32(weight)
    return total


def _shifted(by: int, length: int) -> tuple[slice, slice]:
    by = min(max(by, -length), length)
    return slice(max(by, 0), length + min(by, 0)), slice(max(-by, 0), length - max(by, 0))


def softened(picture: Picture, sigma: float) -> Picture:
    """A Gaussian over all."""
    if sigma <= 0:
        return picture
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


def moire(u: Values, v: Values, depth: Values, *, colour: bool) -> Values:
    """The gain by the grid of a screen whose pixels are at whole ``u`` and ``v``.

    It is sampled, which makes it beat as a real one does.
    """
    turn = np.float32(2 * np.pi)
    # The three colours of a screen pixel lie side by side, so their fringes follow one another.
    across = 0.5 - 0.5 * np.cos(turn * (u[..., None] + np.arange(3 if colour else 1, dtype=np.float32) / 3))
    down = 0.5 - 0.5 * np.cos(turn * v[..., None])
    gain: Values = (1 - depth[..., None] * (0.75 * across + 0.25 * down)).astype(np.float32)
    return gain if colour else gain[..., 0]


def exposed(values: Picture, scene: Scene, lamps: Values | None, random: np.random.Generator) -> Picture:
    """Turns the light of the lens into the sensor's picture: light, exposure, spilling, bands, noise."""
    light = np.square(values, dtype=np.float32)
    light *= np.float32(scene.exposure / 255**2)
    if lamps is not None:
        light += _like(lamps * np.float32(scene.exposure), light)
    light *= _like(_vignette(light.shape[0], light.shape[1]), light)
    if scene.banding:
        light *= _bands(len(light), scene, random).reshape((-1,) + (1,) * (light.ndim - 1))
    if scene.exposure > 1 or lamps is not None:
        light += _spilled(light, scene.bloom)
    np.minimum(light, 1, out=light)
    np.sqrt(light, out=light)
    light *= 255
    if scene.noise:
        light += _noise(light.shape, random) * np.float32(scene.noise)
    light += 0.5
    np.clip(light, 0, 255, out=light)
    return light.astype(np.uint8)


def compressed(picture: Picture, quality: int) -> Picture:
    """Compresses and decompresses by JPEG of so much quality (1 to 95)."""
    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored))


def _like(plane: Values, light: Values) -> Values:
    return plane if light.ndim == plane.ndim else plane[..., None]


@lru_cache(maxsize=4)
def _vignette(height: int, width: int) -> Values:
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    fall: Values = (1 - 0.16 * (x**2 + y**2)).astype(np.float32)
    return fall


def _bands(height: int, scene: Scene, random: np.random.Generator) -> Values:
    """Lines are exposed one after another, while the screen is dimmed by switching it on and off."""
    phase = np.arange(height) / height * scene.bands + random.random()
    on = np.clip(0.5 + 1.6 * np.sin(2 * np.pi * phase), 0, 1)
    dimmed: Values = (1 - scene.banding * (1 - on)).astype(np.float32)
    return dimmed


def _spilled(light: Values, bloom: float) -> Values:
    """Light over what the sensor bears, spread around; worked out on an eighth of the picture."""
    height, width = light.shape[:2]
    bright = light if light.ndim == 2 else light.mean(axis=2)
    over = np.clip(bright[::8, ::8] - 1, 0, 8) * np.float32(255 / 8)
    small = Image.fromarray(over.astype(np.uint8)).filter(ImageFilter.GaussianBlur(max(width / 500, 1)))
    spilled = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)
    return _like(spilled * np.float32(bloom * 8 / 255 / 2), light)


@lru_cache(maxsize=1)
def _pool() -> Values:
    return np.random.default_rng(2026).standard_normal(_POOL + 4096, dtype=np.float32)


def _noise(shape: tuple[int, ...], random: np.random.Generator) -> Values:
    """Noise out of a pool, from a place that differs from frame to frame.

    Drawing it anew would take as long as everything else.
    """
    count = int(np.prod(shape))
    if count > _POOL // 2:
        plane = _noise(shape[:2], random) if len(shape) == 3 else random.standard_normal(shape, dtype=np.float32)
        return np.repeat(plane[..., None], shape[2], axis=2) if len(shape) == 3 else plane
    start = int(random.integers(_POOL - count))
    return _pool()[start : start + count].reshape(shape)
