from collections.abc import Mapping
from typing import NamedTuple

class EC(NamedTuple):
    num_blocks: int
    num_total: int
    num_data: int

ECC: Mapping[int, Mapping[int, tuple[EC, ...]]]
ALIGNMENT_POS: tuple[tuple[int, ...], ...]
GALIOS_EXP: tuple[int, ...]
GALIOS_LOG: tuple[int, ...]
ERROR_LEVEL_L: int
ERROR_LEVEL_M: int
ERROR_LEVEL_Q: int
ERROR_LEVEL_H: int
