"""Phones before a counter's camera: the same from the same seed, in the shares that are told."""

from collections import Counter

import numpy as np

from tests.benchmarks.screens import HELD_OUT, KINDS, SHARES, screens, shuffled
from vitale_drivers.decoding import decode


def test_a_seed_gives_the_same_phones() -> None:
    ((kind, picture, content),) = screens(1, 4, (640, 360))
    ((same, again, said),) = screens(1, 4, (640, 360))
    assert (kind, content) == (same, said)
    assert np.array_equal(picture, again)
    assert (np.dtype(np.uint8), (360, 640)) == (picture.dtype, picture.shape)


def test_the_shares_are_those_of_a_hundred_pictures() -> None:
    assert KINDS.keys() == SHARES.keys()
    assert 100 == sum(SHARES.values())
    assert SHARES == Counter(shuffled(4))


def test_what_is_held_well_is_read_and_nothing_is_made_up() -> None:
    for kind, picture, content in screens(6, HELD_OUT + 7):
        read = {symbol.data for symbol in decode(picture, budget_ms=60_000)}
        assert read <= {content}
        assert read or kind != "held"
