"""Correction of a block of a QR symbol: Reed-Solomon over GF(256); pure.

It is done as in ISO/IEC 18004, section 7.5.2. Polynomials are lists of coefficients, the lowest first.
"""

from collections.abc import Sequence

from segno.consts import GALIOS_EXP, GALIOS_LOG

__all__ = ["corrected"]


def corrected(block: Sequence[int], spare: int) -> list[int]:
    """The block without its faults.

    Args:
        block: its codewords, those of correction last.
        spare: number of codewords of correction.

    Raises:
        ValueError: it has more faults than can be corrected.
    """
    word = [*reversed(block)]
    syndromes = [_value(word, GALIOS_EXP[power]) for power in range(spare)]
    if any(syndromes):
        locator = _locator(syndromes)
        faults = _faults(locator, len(word))
        for place in faults:
            word[place] ^= _magnitude(syndromes, locator, place)
        if 2 * len(faults) > spare or any(_value(word, GALIOS_EXP[power]) for power in range(spare)):
            raise ValueError("more faults than can be corrected")
    return word[::-1]


def _locator(syndromes: Sequence[int]) -> list[int]:
    """The polynomial whose roots are the inverse places of the faults, by Berlekamp and Massey."""
    locator, before, last, length, gap = [1], [1], 1, 0, 1
    for number in range(len(syndromes)):
        wrong = 0
        for each, value in enumerate(locator[: number + 1]):
            wrong ^= _times(value, syndromes[number - each])
        if not wrong:
            gap += 1
            continue
        shifted = [0] * gap + [_times(_over(wrong, last), value) for value in before]
        changed = _sum(locator, shifted)
        if 2 * length <= number:
            before, last, length, gap = locator, wrong, number + 1 - length, 0
        locator, gap = changed, gap + 1
    return locator


def _faults(locator: Sequence[int], size: int) -> list[int]:
    return [place for place in range(size) if not _value(locator, GALIOS_EXP[-place % 255])]


def _magnitude(syndromes: Sequence[int], locator: Sequence[int], place: int) -> int:
    """The value that a fault has added, by Forney."""
    inverse = GALIOS_EXP[-place % 255]
    evaluator = [0] * len(syndromes)
    for power in range(len(syndromes)):
        for each, value in enumerate(locator[: power + 1]):
            evaluator[power] ^= _times(value, syndromes[power - each])
    slope = [value if power % 2 == 0 else 0 for power, value in enumerate(locator[1:])]
    return _times(GALIOS_EXP[place], _over(_value(evaluator, inverse), _value(slope, inverse)))


def _value(polynomial: Sequence[int], point: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = _times(value, point) ^ coefficient
    return value


def _sum(one: Sequence[int], other: Sequence[int]) -> list[int]:
    size = max(len(one), len(other))
    return [a ^ b for a, b in zip([*one, *[0] * (size - len(one))], [*other, *[0] * (size - len(other))], strict=True)]


def _times(one: int, other: int) -> int:
    return GALIOS_EXP[GALIOS_LOG[one] + GALIOS_LOG[other]] if one and other else 0


def _over(one: int, other: int) -> int:
    """One divided by another; where that is none, the block cannot be corrected, which its syndromes show."""
    return GALIOS_EXP[(GALIOS_LOG[one] - GALIOS_LOG[other]) % 255] if one and other else 0
