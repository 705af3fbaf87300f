"""Simulated photographs: the same from the same seed, and of what they say that they are."""

import numpy as np
import pytest

from tests.benchmarks.photographs import KINDS, photographs
from vitale_drivers.decoding import decode


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_gives_the_same_picture_from_the_same_seed(kind: str) -> None:
    ((picture, content),) = photographs(kind, 1, 4, (640, 360))
    ((again, same),) = photographs(kind, 1, 4, (640, 360))
    assert (np.dtype(np.uint8), (360, 640)) == (picture.dtype, picture.shape)
    assert content == same
    assert np.array_equal(picture, again)
    assert picture.std() > 5


@pytest.mark.parametrize("matrix", [False, True], ids=["QR", "Datamatrix"])
def test_what_nothing_is_wrong_with_is_read(matrix: bool) -> None:
    for picture, content in photographs("nominal", 3, 4, matrix=matrix):
        assert {content} == {symbol.data for symbol in decode(picture, budget_ms=60_000)}


def test_no_kind_gives_anything_but_what_it_shows() -> None:
    for kind in KINDS:
        for picture, content in photographs(kind, 1, 9):
            assert {symbol.data for symbol in decode(picture, budget_ms=60_000)} <= {content}
