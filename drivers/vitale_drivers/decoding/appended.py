"""Structured append: a QR code's place among several that are one message (ISO/IEC 18004:2015, section 8).

zxing-cpp gives the bytes of such a symbol and not its place. The place is in the first 20 bits of the symbol's data:
mode 0011, index, count less one, parity. These bits are read from the symbol as zxing-cpp draws it again. It draws what
was seen, so that a finger on a corner changes them. So the block that they are in is corrected first.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
import zxingcpp
from segno import consts

from vitale_drivers.decoding.reed_solomon import corrected
from vitale_drivers.decoding.symbol import Sequence

__all__ = ["sequence_of"]

Modules = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

_APPENDED = 0b0011

_Mask = Callable[[Indices, Indices], Modules]

# Table 10: where the mask turns a module over, by row and column.
_MASKS: tuple[_Mask, ...] = (
    lambda i, j: (i + j) % 2 == 0,
    lambda i, _: i % 2 == 0,
    lambda _, j: j % 3 == 0,
    lambda i, j: (i + j) % 3 == 0,
    lambda i, j: (i // 2 + j // 3) % 2 == 0,
    lambda i, j: i * j % 2 + i * j % 3 == 0,
    lambda i, j: (i * j % 2 + i * j % 3) % 2 == 0,
    lambda i, j: ((i + j) % 2 + i * j % 3) % 2 == 0,
)

_LEVELS: Mapping[str, int] = {
    "L": consts.ERROR_LEVEL_L,
    "M": consts.ERROR_LEVEL_M,
    "Q": consts.ERROR_LEVEL_Q,
    "H": consts.ERROR_LEVEL_H,
}


class _Extra(msgspec.Struct, frozen=True, rename="pascal"):
    """Further properties that zxing-cpp gives of a QR code."""

    version: str
    data_mask: int
    level: Annotated[str, msgspec.Meta(pattern="^[LMQH]$")] = msgspec.field(name="ECLevel")


def sequence_of(symbol: zxingcpp.Barcode) -> Sequence | None:
    """The place of a QR code (model 2) among several, or None where it stands alone."""
    extra = msgspec.convert(symbol.extra, _Extra)
    drawn = np.asarray(symbol.to_image(scale=1, add_quiet_zones=False)) < 128
    # One that was seen in a mirror is drawn as it was seen: no block of it can be corrected before it is turned over.
    for modules in (drawn, drawn.T):
        try:
            first, second, third, *_ = corrected(*_first_block(modules, extra))
        except ValueError:
            continue
        return _sequence(first << 12 | second << 4 | third >> 4)
    return None


def _sequence(head: int) -> Sequence | None:
    if head >> 16 != _APPENDED:
        return None
    return Sequence(index=head >> 12 & 0xF, count=(head >> 8 & 0xF) + 1, parity=head & 0xFF)


def _first_block(modules: Modules, extra: _Extra) -> tuple[list[int], int]:
    """The codewords of the first block, and how many of them are there for correction: all blocks take turns."""
    version = int(extra.version)
    groups = consts.ECC[version][_LEVELS[extra.level]]
    blocks = sum(group.num_blocks for group in groups)
    data = sum(group.num_blocks * group.num_data for group in groups)
    spare = groups[0].num_total - groups[0].num_data
    rows, columns = _data_places(len(modules), version)
    words = np.packbits(modules[rows, columns] != _MASKS[extra.data_mask](rows, columns))
    return [*words[: groups[0].num_data * blocks : blocks].tolist(), *words[data::blocks][:spare].tolist()], spare


@lru_cache(maxsize=8)
def _data_places(size: int, version: int) -> tuple[Indices, Indices]:
    """The rows and the columns of the modules of data, in their order."""
    rows, columns = zip(*_walk(size, version), strict=True)
    return np.array(rows), np.array(columns)


def _walk(size: int, version: int) -> Iterator[tuple[int, int]]:
    """The modules of data in the order of section 7.7.3.

    They begin at the right: two columns upwards, then two downwards.
    """
    taken = _function_modules(size, version)
    upwards = True
    for right in (column if column > 6 else column - 1 for column in range(size - 1, 0, -2)):
        for row in range(size - 1, -1, -1) if upwards else range(size):
            for column in (right, right - 1):
                if not taken[row, column]:
                    yield row, column
        upwards = not upwards


def _function_modules(size: int, version: int) -> Modules:
    """Masks the modules without data: finder, timing and alignment patterns, format and version."""
    taken = np.zeros((size, size), dtype=np.bool_)
    taken[:9, :9] = taken[:9, -8:] = taken[-8:, :9] = True
    taken[6, :] = taken[:, 6] = True
    places = consts.ALIGNMENT_POS[version - 2] if version > 1 else ()
    for row in places:
        for column in places:
            in_a_corner = (row, column) in {(6, 6), (6, size - 7), (size - 7, 6)}
            if not in_a_corner:
                taken[row - 2 : row + 3, column - 2 : column + 3] = True
    if version >= 7:
        taken[:6, -11:-8] = taken[-11:-8, :6] = True
    return taken
