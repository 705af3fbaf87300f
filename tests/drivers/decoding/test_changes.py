"""What is looked at anew: what has changed, all of a code of which a part has, and in doubt the whole."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import segno

from vitale_drivers.decoding.changes import WORTH, find_changed
from vitale_drivers.decoding.picture import Picture
from vitale_drivers.decoding.regions import Region
from vitale_drivers.decoding.symbol import Symbol

Grey = npt.NDArray[np.uint8]

WHOLE = Region(0, 0, 1280, 720)


def code(module: int, contrast: float) -> Grey:
    made = segno.make(b"VITALESIM." + b"c3" * 30, micro=False)
    light = np.array([list(row) for row in made.matrix_iter(border=4)], dtype=np.uint8) == 0
    return np.kron(np.where(light, 255 * contrast, 0), np.ones((module, module))).astype(np.uint8)


def laid(shown: Grey | None = None, x: int = 500, y: int = 240) -> Grey:
    desk = np.full((720, 1280), 120, np.uint8)
    desk[600:, :300] = np.tile(np.repeat(np.array([40, 200], np.uint8), 8), 19)[:300]  # a grating, far from it
    if shown is not None:
        desk[y : y + shown.shape[0], x : x + shown.shape[1]] = shown
    return desk


def seen(desk: Grey, seed: int, noise: float = 2.0, light: float = 0.0) -> Grey:
    more = np.random.default_rng(seed).normal(light, noise, desk.shape)
    return np.clip(desk + more, 0, 255).astype(np.uint8)


def changed(before: Grey, after: Grey, *symbols: Symbol) -> Region | None:
    return find_changed(Picture(after), Picture(before).half.pixels, symbols)


def holds(part: Region, shown: Grey, x: int = 500, y: int = 240) -> bool:
    right, bottom = x + shown.shape[1], y + shown.shape[0]
    return part.left <= x and part.top <= y and part.right >= right and part.bottom >= bottom


def small(part: Region | None) -> Region:
    assert part is not None
    assert part.pixels < WORTH * WHOLE.pixels
    return part


@pytest.mark.parametrize("noise", [0.0, 2.0, 6.0])
@pytest.mark.parametrize("light", [0.0, 6.0, -6.0])
def test_noise_and_the_light_as_a_whole_are_no_change(noise: float, light: float) -> None:
    shown = laid(code(4, 0.8))
    assert changed(seen(shown, 1, noise), seen(shown, 2, noise, light)) is None


@pytest.mark.parametrize("module", [2, 3, 5, 8])
@pytest.mark.parametrize("contrast", [0.8, 0.2, 0.12])
def test_a_code_that_came_is_looked_at_with_its_edge(module: int, contrast: float) -> None:
    shown = code(module, contrast)
    assert holds(small(changed(seen(laid(), 1), seen(laid(shown), 2))), shown)


@pytest.mark.parametrize("module", [2, 3, 5])
@pytest.mark.parametrize("contrast", [0.8, 0.2])
@pytest.mark.parametrize("uncovered", [0.1, 0.5])
def test_of_a_code_that_is_uncovered_all_is_looked_at(module: int, contrast: float, uncovered: float) -> None:
    shown = code(module, contrast)
    hand = shown.copy()
    hand[:, -round(hand.shape[1] * uncovered) - 4 * module :] = 90
    modules = shown[4 * module : -4 * module, 4 * module : -4 * module]
    part = small(changed(seen(laid(hand), 1), seen(laid(shown), 2)))
    assert holds(part, modules, 500 + 4 * module, 240 + 4 * module)


def test_a_code_that_has_become_sharp_has_changed() -> None:
    shown = laid(code(3, 0.5))
    blurred = np.asarray(cv2.GaussianBlur(shown, (0, 0), 3), np.uint8)
    assert holds(small(changed(seen(blurred, 1), seen(shown, 2))), code(3, 0.5))


def test_where_something_was_read_is_looked_at_whether_it_changed_or_not() -> None:
    shown = laid(code(4, 0.8))
    corners = ((600.0, 300.0), (640.0, 300.0), (640.0, 340.0), (600.0, 340.0))
    symbol = Symbol(b"x", "x", "qr", corners, "whole")
    assert holds(small(changed(seen(shown, 1), seen(shown, 2), symbol)), code(4, 0.8))


IN_DOUBT: dict[str, Callable[[], tuple[Grey, Grey]]] = {
    "another size": lambda: (laid()[:480, :640], laid()),
    "another light": lambda: (seen(laid(), 1), seen(laid(), 2, light=40)),
    "more noise than can be told from changes": lambda: (seen(laid(), 1, 40), seen(laid(), 2, 40)),
    "another scene": lambda: (seen(laid(), 1, 60), laid(code(8, 0.8), 20, 20)),
}


@pytest.mark.parametrize("doubt", IN_DOUBT)
def test_in_doubt_it_is_the_whole(doubt: str) -> None:
    assert changed(*IN_DOUBT[doubt]()) == WHOLE


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (15, 15), (33, 70), (719, 1277)])
def test_any_size_will_do(shape: tuple[int, int]) -> None:
    before, after = np.full(shape, 90, np.uint8), np.full(shape, 90, np.uint8)
    after[: shape[0] // 2 + 1] = 200
    part = changed(before, after)
    assert part is not None
    assert (part.right <= shape[1], part.bottom <= shape[0]) == (True, True)
