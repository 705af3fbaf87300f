"""The grid of a square code's modules: how many there are, and where each of them lies.

Places are found to a fraction of a pixel. Print that is worn, blurred or dim still has its edges where modules end.
They are at one distance all over the code. So:

- the number of modules is the frequency of edges across what was made upright;
- where a module ends is the *phase* of that frequency, block by block. A smooth surface through the phases undoes what
  a rectangle does not: perspective, a bottle, a bent sheet;
- then the middle of each module is a place. Its light is known without a finder that would have to be whole.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from vitale_drivers.decoding.picture import MARGIN, Grey, Outline, Picture, Projection
from vitale_drivers.decoding.repairs import smoothed

__all__ = ["FINAL", "FIRST", "Grid", "Levels", "count_modules", "find_grid"]

Levels = npt.NDArray[np.float32]
"""Light of modules, row by row."""

Numbers = npt.NDArray[np.float64]

MODULE = 4
"""Pixels of a module in which phases are taken."""

AROUND = 3
"""Modules around the outline that are looked at too, for it may be wrong by as many."""

BLOCKS = 6
"""Along each side, that have a phase each: of a code of 36 modules, six modules wide and high."""

COUNTED = 320
"""Pixels of what is made upright, in which modules are counted."""

FIRST, FINAL = 2, 3
"""Powers of the surface by which an outline becomes better, and of the one after."""

BANDS = 8
"""Of its rows, that are counted by themselves: in so few a line of modules that leans stays in step."""

FAR = 0.6
"""Radians of a phase from the surface, a tenth of a module: from there on it is trusted less and less."""

FEWEST = 11
"""Modules across what may be a code."""

MOST = 110

CLEAR = 3.2
"""How far a frequency stands out from those around it where there are modules: of a blurred code 3, of a good one 9."""

VERY_CLEAR = 5.0
"""From where on one direction is enough: aslant, the other is blurred by its perspective."""

ALIKE = 0.13
"""By what share the counts of both directions may differ, since an outline is not the code."""

PADDED = 512
"""Pixels to which a row is lengthened before its frequencies are taken."""

NEAR = 31
"""Frequencies of whose mean one stands out."""

OVERTONE = 0.5
"""How strong a half or a third of a frequency is to it, at least, where that one is an overtone."""

EVEN = (31, 1)
"""Pixels across, of whose mean a pixel's edge is counted: more than two modules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The modules of a code and of ``AROUND`` more on each side.

    Attributes:
        levels: the light of each.
        count: how many there are between the outline's sides.
        powers: of both surfaces.
        back: projection of the pixels in which the grid was found to those of the picture.
        across: surface of the shift of modules across, by powers of their place.
        down: likewise.
    """

    levels: Levels
    count: int
    powers: int
    back: Projection
    across: Numbers
    down: Numbers

    def point(self, column: float, row: float) -> tuple[float, float]:
        """The point of the picture where ``column`` modules of ``levels`` end, and ``row`` of them downwards."""
        place = np.array((column - AROUND, row - AROUND)) / self.count * 2 - 1
        x, y = _seen(_terms(place[0], place[1], self.powers), self.count, self.across, self.down)
        right, below, share = self.back @ (float(x), float(y), 1.0)
        return float(right / share), float(below / share)

    @property
    def outline(self) -> Outline:
        """Corners between which ``count`` modules lie, better than those by which the grid was found."""
        near, far = AROUND, AROUND + self.count
        return tuple(self.point(*corner) for corner in ((near, near), (far, near), (far, far), (near, far)))


def count_modules(picture: Picture, outline: Outline) -> int | None:
    """The number of modules across what lies between four corners; None where nothing is at one distance."""
    pixels = smoothed(picture.straightened(outline, COUNTED).pixels)
    (across, clear_across), (down, clear_down) = _frequency(pixels), _frequency(np.ascontiguousarray(pixels.T))
    clear = max(clear_across, clear_down)
    if clear < CLEAR:
        return None
    if abs(across - down) <= ALIKE * max(across, down):
        return round((across * clear_across + down * clear_down) / (clear_across + clear_down))
    if clear < VERY_CLEAR:
        return None
    return round(across if clear_across > clear_down else down)


def find_grid(picture: Picture, outline: Outline, count: int, powers: int = FINAL) -> Grid:
    """Finds the grid of what lies between four corners, of about so many modules a side.

    Args:
        picture: where it is.
        outline: the corners, top left first.
        count: of the modules; ``AROUND`` fewer or more are still found.
        powers: of the surface through the phases. ``FIRST`` is for an outline that is not sure, ``FINAL`` for a good
            one.
    """
    pixels, back = _flat(picture.grey, outline, count)
    soft = smoothed(pixels)
    across = _surface(*_phases(soft, count), powers)
    phase, weight = _phases(soft.T, count)
    down = _surface(phase.T, weight.T, powers)
    x, y = _seen(_module_terms(count, powers), count, across, down)
    softened = cv2.blur(pixels, (3, 3))
    levels = cv2.remap(
        softened, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return Grid(levels=levels.astype(np.float32), count=count, powers=powers, back=back, across=across, down=down)


def _frequency(pixels: Grey) -> tuple[float, float]:
    """Number of modules across, and the distance by which their frequency stands out."""
    inner = slice(round(COUNTED * MARGIN), round(COUNTED * (1 - MARGIN)))
    edges = cv2.absdiff(pixels[inner, inner.start : inner.stop], pixels[inner, inner.start + 1 : inner.stop + 1])
    width = edges.shape[1]
    bands = cv2.resize(edges.astype(np.float32), (width, BANDS), interpolation=cv2.INTER_AREA)
    bands = (bands - cv2.blur(bands, EVEN)) * _window(width)
    spectrum: npt.NDArray[np.complex128] = np.fft.rfft(bands, PADDED, axis=1)
    energy = np.asarray((np.abs(spectrum) ** 2).sum(axis=0), dtype=np.float32)
    power = np.asarray(energy / (cv2.blur(energy[None], (NEAR, 1))[0] + 1e-6), dtype=np.float32)
    first, last = FEWEST * PADDED // width, MOST * PADDED // width
    best = first + int(np.argmax(power[first:last]))
    # Sharp edges have overtones, that may be as strong as what they are overtones of.
    for times in (3, 2):
        low = round(best / times) - 1
        lower = low + int(np.argmax(power[low : low + 3]))
        if lower >= first and power[lower] > OVERTONE * power[best]:
            best = lower
            break
    return best * width / PADDED, float(power[best])


@lru_cache(maxsize=2)
def _window(width: int) -> Numbers:
    return np.hanning(width)


def _flat(grey: Grey, outline: Outline, count: int) -> tuple[Grey, Projection]:
    near, far = AROUND * MODULE - 0.5, (AROUND + count) * MODULE - 0.5
    square = np.array(((near, near), (far, near), (far, far), (near, far)), dtype=np.float32)
    back = cv2.getPerspectiveTransform(square, np.array(outline, dtype=np.float32))
    side = (count + 2 * AROUND) * MODULE
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = cv2.warpPerspective(grey, back, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(pixels, dtype=np.uint8), np.asarray(back, dtype=np.float64)


def _phases(pixels: Grey, count: int) -> tuple[Numbers, Numbers]:
    """Phase by which modules end later than they should, in each block, and how sure that is."""
    first, last = AROUND * MODULE, (AROUND + count) * MODULE
    edges = cv2.absdiff(pixels[first:last, first:last], pixels[first:last, first - 1 : last - 1])
    rows = cv2.resize(edges.astype(np.float32), (last - first, BLOCKS), interpolation=cv2.INTER_AREA)
    turns = np.exp(2j * np.pi * np.arange(first, last) / MODULE)
    turned = np.asarray(rows * turns, dtype=np.complex128)
    starts = np.linspace(0, last - first, BLOCKS + 1).astype(int)[:-1]
    sums = np.add.reduceat(turned, starts, axis=1)
    return np.angle(sums), np.abs(sums) / (np.add.reduceat(rows, starts, axis=1) + 1e-3)


def _surface(phase: Numbers, weight: Numbers, powers: int) -> Numbers:
    """Lays a surface of so many powers through phases, and leaves out what is far from it."""
    terms = _block_terms(powers)
    turns = _unwound(_unwound(phase).T).T.ravel()
    squared = np.asarray(weight.ravel() ** 2 + 1e-9, dtype=np.float64)
    far = (turns - terms @ _fitted(terms, squared, turns)) / FAR
    trust = np.asarray(squared / (1 + far**2), dtype=np.float64)
    return np.asarray(_fitted(terms, trust, turns) * MODULE / (2 * np.pi), dtype=np.float64)


def _fitted(terms: Numbers, trust: Numbers, turns: Numbers) -> Numbers:
    """The shares of the terms by which they come nearest to turns that are trusted each so much."""
    weighted = terms.T * trust
    products = np.asarray(weighted @ terms, dtype=np.float64)
    stiff = 1e-3 * float(trust.mean()) * np.eye(len(products))
    return np.asarray(np.linalg.solve(products + stiff, weighted @ turns), dtype=np.float64)


def _unwound(phase: Numbers) -> Numbers:
    """Phases along each row without jumps: each is less than half a turn from the one before."""
    steps = np.diff(phase, axis=1, prepend=0)
    steps[:, 1:] -= 2 * np.pi * np.rint(steps[:, 1:] / (2 * np.pi))
    return np.asarray(np.cumsum(steps, axis=1), dtype=np.float64)


def _terms(x: Numbers, y: Numbers, powers: int) -> Numbers:
    """Products of powers of each place, ``powers`` at most in all: a column each."""
    columns = [np.ones_like(x)]
    start = 0
    for total in range(1, powers + 1):
        last = columns[start : start + total]
        start += total
        columns += [x * last[0], *(y * one for one in last)]
    return np.stack(columns, axis=-1)


@lru_cache(maxsize=2)
def _block_terms(powers: int) -> Numbers:
    place = (np.arange(BLOCKS) + 0.5) / BLOCKS * 2 - 1
    x, y = np.meshgrid(place, place)
    return _terms(x.ravel(), y.ravel(), powers)


@lru_cache(maxsize=32)
def _module_terms(count: int, powers: int) -> Numbers:
    place = (np.arange(-AROUND, count + AROUND) + 0.5) / count * 2 - 1
    return _terms(*np.meshgrid(place, place), powers=powers)


def _seen(terms: Numbers, count: int, across: Numbers, down: Numbers) -> tuple[Numbers, Numbers]:
    """Pixels of ``_flat`` in which places of the code, from -1 to 1, are seen."""
    half = count * MODULE / 2
    middle = AROUND * MODULE - 0.5 + half
    return middle + terms[..., 1] * half + terms @ across, middle + terms[..., 2] * half + terms @ down
