"""Datamatrix by their grid of modules: what a printer, a lens or a bottle did to them, and nothing from nothing."""

import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tests.benchmarks.paper import Label, datamatrix, ins, lay
from tests.benchmarks.perspective import Turned, perspective
from vitale_drivers.decoding import decode
from vitale_drivers.decoding.datamatrix import read_matrix
from vitale_drivers.decoding.datamatrix.grid import count_modules, find_grid
from vitale_drivers.decoding.picture import Picture
from vitale_drivers.decoding.regions import find_busy, find_squares

Grey = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 1280, 720
CONTENT = ins(np.random.default_rng(8))
MODULES = datamatrix(CONTENT)
SIDE = len(MODULES) - 4
BAD = Label(wear=0.035, module=4.2)


def labelled(label: Label, modules: Grey = MODULES, seed: int = 2) -> Grey:
    """A label on an even desk."""
    frame = np.full((HEIGHT, WIDTH), 90, np.uint8)
    return lay(frame, modules, label, np.random.default_rng(seed))


def corners(label: Label) -> npt.NDArray[np.float64]:
    """Where the symbol of a label is, by the camera that looks at it."""
    sheet, near = (len(MODULES) + 8) * 8, 6 * 8
    far = sheet - near
    turned, at = Turned(label.yaw, label.pitch, label.roll), (label.at[0] * WIDTH, label.at[1] * HEIGHT)
    matrix = perspective((sheet, sheet), label.module / 8, turned, at, 1.2 * WIDTH)
    square = np.array([[[near, near], [far, near], [far, far], [near, far]]], np.float64)
    return np.asarray(cv2.perspectiveTransform(square, matrix)[0], dtype=np.float64)


@pytest.mark.parametrize(
    "label",
    [
        BAD,
        replace(BAD, roll=33),
        replace(BAD, roll=124, inverted=True),
        replace(BAD, roll=-80),
        replace(BAD, yaw=20, pitch=-8),
        replace(BAD, wear=0.02, light=0.15, noise=6),
        Label(module=4, blur=2, roll=4),
        Label(module=2.1, blur=0.4, roll=-5),
    ],
    ids=["worn", "turned", "light on dark", "lies", "aslant", "dim", "blurred", "far"],
)
def test_a_datamatrix_is_read_by_its_modules_and_told_where_it_is(label: Label) -> None:
    (symbol,) = read_matrix(Picture(labelled(label)), 0, "modules")
    assert (CONTENT, "datamatrix", "modules") == (symbol.data, symbol.symbology, symbol.stage)
    assert np.allclose(corners(label), symbol.corners, atol=label.module)


def test_a_bottle_bends_no_code_that_is_read_by_its_modules() -> None:
    for degrees in (30, 42):
        (symbol,) = read_matrix(Picture(labelled(Label(bend=degrees))), 0, "modules")
        assert CONTENT == symbol.data


def test_bad_print_is_read_by_its_modules_alone() -> None:
    found = {symbol.stage for symbol in decode(labelled(BAD), budget_ms=math.inf, first=True)}
    assert {"modules"} == found


def some_text(length: int) -> Grey:
    """A symbol of that many letters."""
    return datamatrix(np.random.default_rng(length).integers(97, 123, length).astype(np.uint8).tobytes())


@pytest.mark.parametrize(("length", "side"), [(30, 22), (60, 26), (100, 36), (190, 44), (300, 52)])
def test_modules_are_counted(length: int, side: int) -> None:
    modules = some_text(length)
    assert side == len(modules) - 4
    picture = Picture(labelled(Label(module=5), modules))
    outline = picture.square(0)
    assert outline is not None
    counted = count_modules(picture, outline)
    assert counted is not None
    assert counted == pytest.approx(side, abs=3)
    (symbol,) = read_matrix(picture, 0, "modules")
    assert length == len(symbol.data)


def test_a_symbol_that_is_corrected_into_anything_is_not_read() -> None:
    assert [] == read_matrix(Picture(labelled(Label(module=5), some_text(20))), 0, "modules")


def test_levels_are_those_of_the_modules() -> None:
    picture = Picture(labelled(Label(roll=12, yaw=15)))
    outline = picture.square(0)
    assert outline is not None
    levels = find_grid(picture, outline, SIDE).levels
    dark = np.where(levels < cv2.blur(levels, (9, 9)), 0, 255).astype(np.uint8)
    likeness = max(
        np.count_nonzero(np.rot90(dark, turns)[top : top + SIDE, left : left + SIDE] == MODULES[2:-2, 2:-2]) / SIDE**2
        for turns in range(4)
        for top in range(7)
        for left in range(7)
    )
    assert likeness > 0.97


def test_what_only_looks_like_a_datamatrix_says_nothing() -> None:
    for seed in range(4):
        random = np.random.default_rng(seed)
        modules = MODULES.copy()
        inner = modules[3:-3, 3:-3]
        inner[...] = np.where(random.random(inner.shape) < 0.5, 0, 255)
        assert [] == read_matrix(Picture(labelled(Label(roll=seed * 25), modules, seed)), 0, "modules")


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (3, 500), (40, 40), (170, 341), (720, 1280)])
def test_nothing_is_made_of_nothing(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, size).astype(np.uint8)
    for pixels in (noise, np.full(size, 77, np.uint8)):
        for number in range(3):
            assert [] == read_matrix(Picture(pixels), number, "modules")


def test_a_grid_is_sought_between_corners_that_are_none() -> None:
    picture = Picture(labelled(BAD))
    for outline in (((0.0, 0.0),) * 4, ((0.0, 0.0), (9.0, 0.0), (5.0, 0.0), (1.0, 0.0)), ((-1e5, 1.0),) * 4):
        assert np.isfinite(find_grid(picture, outline, SIDE).levels).all()


def test_a_code_among_busy_things_is_a_square_by_itself() -> None:
    frame = labelled(Label(module=3.4))
    random = np.random.default_rng(4)
    x, y = corners(Label(module=3.4)).mean(axis=0)
    around = np.ones(frame.shape, bool)
    around[int(y) - 85 : int(y) + 85, int(x) - 85 : int(x) + 85] = False
    clutter = cv2.resize(random.integers(60, 160, (72, 128)).astype(np.uint8), (WIDTH, HEIGHT))
    frame[around] = np.asarray(clutter, dtype=np.uint8)[around]
    squares = find_squares(find_busy(frame))
    assert any(
        square.left < x < square.right and square.top < y < square.bottom and square.side < 300 for square in squares
    )
