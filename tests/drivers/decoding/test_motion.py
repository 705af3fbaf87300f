"""A hand that moves: how it moved is found in one frame, and what it blurred is read."""

from dataclasses import replace
from math import cos, hypot, radians, sin

import numpy as np
import numpy.typing as npt
import pytest

from vitale_drivers.decoding import StreamDecoder, decode
from vitale_drivers.decoding.motion import LONGEST, find_motion, unmoved
from vitale_drivers.decoding.picture import Picture
from vitale_drivers.decoding.stages import MOVED_STAGE, STAGES
from vitale_firmware_sim.camera.picture import render
from vitale_firmware_sim.camera.scene import Scene, scene

MOTIONS = [(9, 0), (12, 90), (16, 45), (16, -103), (23, 20), (30, 110)]
"""Pixels and degrees."""

READ = [(9, 90), (12, -103), (16, 60), (20, 100)]
"""Those that are undone well enough; a code of four pixels a module is gone at eight."""


def moving(pixels: float, degrees: float, seed: int = 4) -> Scene:
    return replace(scene("plain", seed=seed), module=4.4, motion=pixels, motion_angle=degrees)


def region(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    seen = Picture(picture)
    view = seen.region(0, seen.regions[0].side)
    assert view is not None
    return view.pixels


@pytest.mark.parametrize(("pixels", "degrees"), MOTIONS)
def test_a_motion_is_found_in_one_frame(pixels: float, degrees: float) -> None:
    found = find_motion(region(render(moving(pixels, degrees))))
    assert found is not None
    across, down = found
    x, y = pixels * cos(radians(degrees)), pixels * sin(radians(degrees))
    assert min(hypot(across - x, down - y), hypot(across + x, down + y)) < 1.5


@pytest.mark.parametrize(("pixels", "degrees"), READ)
def test_what_a_motion_blurred_is_read(pixels: float, degrees: float) -> None:
    made = moving(pixels, degrees)
    picture = render(made)
    held = Picture(picture)
    assert {made.payload} == {symbol.data for symbol in MOVED_STAGE.symbols(held)}
    assert made.payload in {symbol.data for symbol in decode(picture, budget_ms=60_000)}


def test_no_other_stage_reads_what_moved_by_four_modules() -> None:
    held = Picture(render(moving(16, 60)))
    assert {"moved"} == {stage.name for stage in STAGES if stage.region == 0 and stage.symbols(held)}


def test_a_frame_of_something_that_comes_is_read_at_once() -> None:
    made = moving(16, -103)
    decoder = StreamDecoder(budget_ms=0)
    assert [] == decoder.see(render(replace(made, phone=False)))
    assert [(made.payload, "moved")] == [(symbol.data, symbol.stage) for symbol in decoder.see(render(made))]


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3), (37, 41), (360, 360)])
def test_any_pixels_are_borne(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    for pixels in (noise, np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)):
        found = find_motion(pixels)
        assert found is None or hypot(*found) <= LONGEST + 1
        assert unmoved(pixels, 9.5, -3.0).shape == shape


def test_noise_and_plain_surfaces_have_not_moved() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (360, 360)).astype(np.uint8)
    assert [None, None] == [find_motion(pixels) for pixels in (noise, np.full((360, 360), 90, np.uint8))]
