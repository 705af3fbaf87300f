"""Structured append: whether a QR code is one of several that are one message (ISO/IEC 18004:2015, section 8).

zxing-cpp gives the bytes of such a symbol and not its place. The place is in the first 20 bits of the symbol's data:
mode 0011, index, count less one, parity. These bits are read from the symbol as zxing-cpp draws it again, without
faults. Its modules are taken in the order of the data, without the mask.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
import zxingcpp
from segno import consts

from vitale_drivers.decoding.symbol import Sequence

__all__ = ["sequence_of"]

Modules = npt.NDArray[np.bool_]

_APPENDED = 0b0011

_Mask = Callable[[int, int], bool]

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

# Table 12, and figure 25: the bits of the level and the mask, from the first bit to the last.
_LEVEL_BITS: Mapping[str, int] = {"L": 0b01, "M": 0b00, "Q": 0b11, "H": 0b10}
_FORMAT_PLACES = (
    *((8, column) for column in (0, 1, 2, 3, 4, 5, 7, 8)),
    *((row, 8) for row in (7, 5, 4, 3, 2, 1, 0)),
)


class _Extra(msgspec.Struct, frozen=True, rename="pascal"):
    """Further properties that zxing-cpp gives of a QR code."""

    version: str
    data_mask: int
    level: Annotated[str, msgspec.Meta(pattern="^[LMQH]$")] = msgspec.field(name="ECLevel")


def sequence_of(symbol: zxingcpp.Barcode) -> Sequence | None:
    """The place of a QR code (model 2) among several, or None where it stands alone."""
    extra = msgspec.convert(symbol.extra, _Extra)
    version = int(extra.version)
    modules = _upright(np.asarray(symbol.to_image(scale=1, add_quiet_zones=False)) < 128, extra)
    blocks = sum(group.num_blocks for group in consts.ECC[version][_LEVELS[extra.level]])
    head = _bits(modules, version, _MASKS[extra.data_mask], blocks)
    if head >> 16 != _APPENDED:
        return None
    return Sequence(index=head >> 12 & 0xF, count=(head >> 8 & 0xF) + 1, parity=head & 0xFF)


def _upright(modules: Modules, extra: _Extra) -> Modules:
    """A symbol that was seen in a mirror is drawn as it was seen: its format reads from the other end then."""
    drawn = 0
    for row, column in _FORMAT_PLACES:
        drawn = drawn << 1 | bool(modules[row, column])
    meant = consts.FORMAT_INFO[_LEVEL_BITS[extra.level] << 3 | extra.data_mask]
    return modules if drawn == meant else modules.T


def _bits(modules: Modules, version: int, mask: _Mask, blocks: int) -> int:
    """The first 20 bits of the data: its codewords lie ``blocks`` apart, as those of all blocks take turns."""
    wanted = {8 * blocks * codeword + bit for codeword in range(3) for bit in range(8)}
    value = 0
    for number, (row, column) in enumerate(_data_places(len(modules), version)):
        if number in wanted:
            value = value << 1 | (bool(modules[row, column]) != mask(row, column))
        if number == 8 * blocks * 2 + 7:
            break
    return value >> 4


def _data_places(size: int, version: int) -> Iterator[tuple[int, int]]:
    """The modules of data in the order of section 7.7.3: from the right, two columns upwards, then two downwards."""
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
