"""Finds the part of a picture to be looked at anew, where one shortly before it was looked at in every way there is.

Where nothing has changed, nothing is new. A code is dense in edges and of one piece: where a part of something dense
has changed, all of it is looked at, for a hand that lay on a code may have uncovered the rest of it. When in doubt, it
is the whole picture.
"""

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.picture import Grey, Picture
from vitale_drivers.decoding.regions import Region
from vitale_drivers.decoding.symbol import Symbol

__all__ = ["CELL", "find_changed"]

CELL = 8
"""Pixels of the half picture: a cell is less than the smallest code that is read."""

STEPS = 1.5
"""Steps of grey by which a cell differs where it has changed, beside noise: of a code with a contrast of 20, five."""

NOISES = 2.5
"""Times the noise of the quietest cells, likewise: what is bright has more of it."""

QUIETEST = 10
"""Per cent of the cells, of which the noise is taken: most of a picture may have changed."""

LOUDEST = 5.0
"""Steps of grey: of more noise, nothing can be told."""

LIGHTER = 16.0
"""Steps of grey by which the light of the whole may have changed: with more of it, other codes can be read."""

BLUR = 7
"""Pixels of the half picture over which edges are counted."""

DENSE = 16.0
"""Of Sobel's operator, across and down: what is even has three, a code of a contrast of 20 has twenty or more."""

MARGIN = 2
"""Cells around what is looked at: quiet zones."""

WORTH = 0.7
"""Of the picture: what is larger is looked at as a whole."""

Cells = npt.NDArray[np.bool_]


def find_changed(picture: Picture, known: Grey, symbols: Iterable[Symbol]) -> Region | None:
    """The part of a picture that is not as it was; None where all of it is.

    Args:
        picture: the picture.
        known: the half of the one that was looked at before.
        symbols: what was read in either: their places count as changed.
    """
    height, width = picture.grey.shape
    whole = Region(0, 0, width, height)
    half = picture.half.pixels
    rows, columns = half.shape[0] // CELL, half.shape[1] // CELL
    if half.shape != known.shape or min(rows, columns) < 1 or half is picture.grey:
        return whole
    changed = _changed(half, known, (columns, rows))
    if changed is None:
        return whole
    for symbol in symbols:
        changed |= _covered(symbol, (width / columns, height / rows), changed.shape)
    if not changed.any():
        return None
    found = _grown(changed, _dense(half, (columns, rows)))
    down, across = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    part = Region(
        _edge(int(across[0]) - MARGIN, columns, width),
        _edge(int(down[0]) - MARGIN, rows, height),
        _edge(int(across[-1]) + 1 + MARGIN, columns, width),
        _edge(int(down[-1]) + 1 + MARGIN, rows, height),
    )
    return whole if part.pixels > WORTH * whole.pixels else part


def _changed(half: Grey, known: Grey, size: tuple[int, int]) -> Cells | None:
    """Cells that differ by more than noise and the light as a whole; None where that cannot be told."""
    light = float(np.median(_cells(half, size) - _cells(known, size)))
    if abs(light) > LIGHTER:
        return None
    cells = _cells(cv2.absdiff(half, cv2.addWeighted(known, 1, known, 0, light)), size)
    noise = float(np.percentile(cells, QUIETEST))
    return None if noise > LOUDEST else cells > STEPS + NOISES * noise


def _dense(half: Grey, size: tuple[int, int]) -> Cells:
    """Cells that are dense in edges of both directions."""
    across = cv2.blur(cv2.convertScaleAbs(cv2.Sobel(half, cv2.CV_16S, 1, 0)), (BLUR, BLUR))
    down = cv2.blur(cv2.convertScaleAbs(cv2.Sobel(half, cv2.CV_16S, 0, 1)), (BLUR, BLUR))
    return _cells(cv2.min(across, down), size) > DENSE


def _grown(changed: Cells, dense: Cells) -> Cells:
    """What has changed, and all that is of one piece with it."""
    count, parts = cv2.connectedComponents((changed | dense).astype(np.uint8))
    labels = np.asarray(parts, np.int32)
    touched = np.zeros(count, np.bool_)
    touched[labels[changed]] = True
    return np.asarray(touched[labels], np.bool_)


def _covered(symbol: Symbol, cell: tuple[float, float], shape: tuple[int, ...]) -> Cells:
    """Cells of the rectangle around a symbol."""
    across = [x / cell[0] for x, _ in symbol.corners]
    down = [y / cell[1] for _, y in symbol.corners]
    cells = np.zeros(shape, np.bool_)
    cells[max(0, int(min(down))) : int(max(down)) + 1, max(0, int(min(across))) : int(max(across)) + 1] = True
    return cells


def _cells(values: object, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.resize(np.asarray(values, np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _edge(cell: int, cells: int, pixels: int) -> int:
    """Where a cell begins, on an even pixel; within the picture."""
    return pixels if cell >= cells else max(0, cell) * pixels // cells & ~1
