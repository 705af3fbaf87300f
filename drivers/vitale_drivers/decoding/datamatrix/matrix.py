"""Datamatrix read by its grid of modules.

What is around it is drawn anew, and its correction works on modules alone. Other decoders look for the L of a
Datamatrix and count along its dotted sides. Where a printer spoilt these, they lose both, and with them all of the
code. Here the grid is found by all modules together (``grid``); then:

- the code lies where its L and its dotted sides fit best, and light is around the L. The code may be turned any way,
  and be light on dark;
- a module is dark if it is darker than those around it;
- where that has more faults than can be corrected, a filter of its neighbours says it. It is learnt from the code
  itself, and undoes blur;
- the symbol is drawn as it should be, and handed to zxing-cpp.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.datamatrix.grid import FINAL, FIRST, Grid, Levels, count_modules, find_grid
from vitale_drivers.decoding.picture import Grey, Picture
from vitale_drivers.decoding.symbol import Corners, Symbol
from vitale_drivers.decoding.zxing import read_drawn

__all__ = ["read_matrix"]

SIZES = (22, 24, 26, 32, 36, 40, 44, 48, 52, 64, 72, 80, 88, 96, 104)
"""Modules a side (ISO/IEC 16022, table 7), without the five largest and the smallest.

Of a smaller one, a guess in a few hundred is corrected into something; of these, one in three million (10!, for the ten
codewords that can be corrected). What a patient shows holds a hundred bytes, and has 36 modules a side or more.
"""

FITS = 6.5
"""How well its L and dotted sides must fit, in deviations from chance: those of a symbol of 36 modules give 16 where
they are whole, those that are taken for them in a QR code 6."""

SURROUNDINGS = 9
"""Modules across, of whose mean one is darker or lighter."""

WIDE = (15, 15)
"""Modules, of whose mean a filter sees the difference."""

TAPS = 2
"""Neighbours on each side that blur a module."""

SHARP = (0.0, 2.0, 5.0)
"""How much a module's difference from its neighbours grows before the first filter is learnt."""

ROUNDS = 2
"""A filter learns from what the one before it said."""


class SymbolPlace(NamedTuple):
    """Place of a symbol in a grid, and how well it fits there.

    ``turns`` are quarter turns to the left, and ``sign`` is the polarity.
    """

    fit: float
    side: int
    turns: int
    row: int
    column: int
    sign: int


def read_matrix(picture: Picture, number: int, stage: str) -> list[Symbol]:
    """Reads the Datamatrix in one of the squares of a picture, if there is one."""
    outline = picture.square(number)
    if outline is None:
        return []
    count = count_modules(picture, outline)
    if count is None:
        return []
    for powers, ways in ((FIRST, 1), (FINAL, None)):
        grid = find_grid(picture, outline, count, powers)
        place = _find_place(np.sign(_darkness(_sharpened(grid.levels, SHARP[1]))), count)
        if place.fit < FITS:
            return []
        levels = np.rot90(grid.levels, place.turns) * place.sign
        for modules in islice(_readings(levels, place), ways):
            if found := read_drawn(_drawn(modules), _corners(grid, place), stage):
                return found
        outline = grid.outline
    return []


def _darkness(levels: Levels) -> Levels:
    around = cv2.blur(levels, (SURROUNDINGS, SURROUNDINGS), borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(around - levels, dtype=np.float32)


def _sharpened(levels: Levels, amount: float) -> Levels:
    near = cv2.blur(levels, (3, 3), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(levels + amount * (levels - near), dtype=np.float32)


def _find_place(dark: Levels, count: int) -> SymbolPlace:
    """Finds where what is dark (1) and light (-1) fits best.

    All places, turns and sizes that are likely are compared.
    """
    best = SymbolPlace(0.0, 0, 0, 0, 0, 1)
    sides = [side for side in SIZES if count - 4 <= side <= count + 2]
    for turns in range(4):
        sums = _Sums(np.rot90(dark, turns))
        for side in sides:
            fits = sums.fits(side)
            at = int(np.argmax(np.abs(fits)))
            fit = float(fits.flat[at])
            if abs(fit) > best.fit:
                row, column = divmod(at, fits.shape[1])
                best = SymbolPlace(abs(fit), side, turns, row, column + 1, 1 if fit > 0 else -1)
    return best


class _Sums:
    """Sums of modules along rows and columns, plain and by turns added and taken away."""

    def __init__(self, dark: Levels) -> None:
        size = len(dark)
        self._size = size
        self._signs = np.where(np.arange(size) % 2, -1, 1)
        self._down, self._along = np.zeros((2, size + 1, size))
        self._dotted_down, self._dotted_along = np.zeros((2, size + 1, size))
        np.cumsum(dark, axis=0, out=self._down[1:])
        np.cumsum(dark.T, axis=0, out=self._along[1:])
        np.cumsum(dark * self._signs[:, None], axis=0, out=self._dotted_down[1:])
        np.cumsum(dark.T * self._signs[:, None], axis=0, out=self._dotted_along[1:])

    def fits(self, side: int) -> npt.NDArray[np.float64]:
        """Fit of a symbol of this side at each row and each column but the first.

        It is counted in deviations from chance.
        """
        regions = _regions(side)
        step, free = side // regions, self._size - side
        one = self._region_fits(step)
        starts = range(0, side, step)
        parts = [one[row : row + free, column : column + free] for row in starts for column in starts]
        # An L counts by what is beside it too: light around the symbol, dots, which are half of it, within.
        return np.asarray(sum(parts) / (step * regions * (3 * regions + 1)) ** 0.5, dtype=np.float64)

    def _region_fits(self, side: int) -> npt.NDArray[np.float64]:
        free = self._size - side
        rows, columns = slice(free), slice(1, free + 1)
        solid = self._down[side : side + free] - self._down[rows]
        left = solid[:, columns] - solid[:, rows]
        lines = (self._along[side + 1 : side + free + 1] - self._along[columns]).T
        bottom = lines[side - 1 : side + free - 1] - lines[side : side + free]
        top = (self._dotted_along[side + 1 : side + free + 1] - self._dotted_along[columns]).T[rows]
        right = (self._dotted_down[rows] - self._dotted_down[side : side + free])[:, side : side + free]
        dotted = top * self._signs[None, columns] + right * self._signs[rows, None]
        return np.asarray((left + bottom) / 2 + dotted, dtype=np.float64)


def _readings(levels: Levels, place: SymbolPlace) -> Iterator[Levels]:
    """The modules of a symbol, by ways that undo more and more blur; above 0 is dark."""
    rows, columns = slice(place.row, place.row + place.side), slice(place.column, place.column + place.side)
    known = _known(place.side)
    near = np.pad(levels, TAPS, mode="edge")
    near = near[place.row : place.row + place.side + 2 * TAPS, place.column : place.column + place.side + 2 * TAPS]
    taps = _neighbours(near - cv2.blur(near, WIDE), place.side)
    for amount in SHARP:
        modules = _darkness(_sharpened(levels, amount))[rows, columns]
        yield modules
        for _ in range(ROUNDS):
            said = np.where(known == 0, np.sign(modules), known).ravel()
            modules = _filtered(taps, said).reshape(place.side, place.side)
            yield modules


def _neighbours(levels: Levels, side: int) -> Levels:
    """A line for each module: its own level and those of its neighbours."""
    reach = range(2 * TAPS + 1)
    return np.stack([levels[row : row + side, column : column + side].ravel() for row in reach for column in reach], 1)


def _filtered(taps: Levels, said: Levels) -> Levels:
    """Levels by the filter that differs least, in the mean of squares, from what was said before."""
    products = taps.T @ taps
    stiff = (0.01 * np.trace(products) / len(products) + 1e-3) * np.eye(len(products), dtype=np.float32)
    return np.asarray(taps @ np.linalg.solve(products + stiff, taps.T @ said), dtype=np.float32)


@lru_cache(maxsize=len(SIZES))
def _known(side: int) -> Levels:
    """The modules that are the same in all symbols of a size.

    1 is dark and -1 light. 0 stands for a module with content.
    """
    regions = _regions(side)
    step = side // regions
    dotted = np.where(np.arange(step) % 2, -1, 1)
    region = np.zeros((step, step), np.float32)
    region[0, :] = dotted
    region[:, -1] = -dotted
    region[:, 0] = region[-1, :] = 1
    return np.tile(region, (regions, regions))


def _regions(side: int) -> int:
    """Regions along a side, each with an L and dotted sides of its own."""
    return 1 if side <= 26 else 2 if side <= 52 else 4


def _drawn(modules: Levels) -> Grey:
    known = _known(len(modules))
    dark = np.where(known == 0, modules > 0, known > 0)
    return np.pad(np.where(dark, 0, 255).astype(np.uint8), 1, constant_values=255)


def _corners(grid: Grid, place: SymbolPlace) -> Corners:
    """Corners of the symbol in the picture, from its top left as it is read."""
    size = len(grid.levels)
    left, top, right, bottom = place.column, place.row, place.column + place.side, place.row + place.side
    points: list[tuple[float, float]] = []
    for column, row in ((left, top), (right, top), (right, bottom), (left, bottom)):
        x, y = column, row
        for _ in range(place.turns):
            x, y = size - y, x
        points.append(grid.point(x, y))
    first, second, third, fourth = points
    return first, second, third, fourth
