"""Blocks of codewords: any faults that can be corrected are, and what is no block is never taken for one."""

import random

from hypothesis import given
from hypothesis import strategies as st
from segno.consts import GALIOS_EXP, GALIOS_LOG

from vitale_drivers.decoding.reed_solomon import corrected


def encoded(data: bytes, spare: int) -> list[int]:
    """Data and their codewords of correction: the rest of a division (ISO/IEC 18004, annex A)."""
    generator = [1]
    for power in range(spare):
        raised = [times(value, GALIOS_EXP[power]) for value in generator]
        generator = [one ^ other for one, other in zip([*generator, 0], [0, *raised], strict=True)]
    rest = [*data, *[0] * spare]
    for at in range(len(data)):
        factor = rest[at]
        for place, value in enumerate(generator):
            rest[at + place] ^= times(value, factor)
    return [*data, *rest[len(data) :]]


def times(one: int, other: int) -> int:
    return GALIOS_EXP[GALIOS_LOG[one] + GALIOS_LOG[other]] if one and other else 0


def test_the_example_of_the_standard() -> None:
    """ISO/IEC 18004:2015, annex I: 01234567 in version 1, level M."""
    data = bytes.fromhex("10200C566180EC11EC11EC11EC11EC11")
    assert encoded(data, 10)[16:] == list(bytes.fromhex("A524D4C1ED36C7872C55"))
    assert corrected(encoded(data, 10), 10) == encoded(data, 10)


@given(st.binary(min_size=3, max_size=120), st.integers(1, 30), st.randoms())
def test_whatever_the_faults_the_block_is_found_again(data: bytes, spare: int, chance: random.Random) -> None:
    word = encoded(data, spare)
    seen = [*word]
    for place in chance.sample(range(len(word)), chance.randint(0, spare // 2)):
        seen[place] ^= chance.randint(1, 255)
    assert corrected(seen, spare) == word


@given(st.integers(2, 30).flatmap(lambda spare: st.tuples(st.binary(min_size=spare + 1, max_size=150), st.just(spare))))
def test_any_bytes_are_a_block_with_few_faults_or_none(known: tuple[bytes, int]) -> None:
    seen, spare = known
    try:
        word = corrected(seen, spare)
    except ValueError:
        return
    assert 2 * sum(one != other for one, other in zip(seen, word, strict=True)) <= spare
    assert corrected(word, spare) == word
