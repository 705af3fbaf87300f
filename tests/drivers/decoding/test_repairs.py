"""Repairs that undo what a bottle and a lens do to a code."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from vitale_drivers.decoding.picture import Picture
from vitale_drivers.decoding.repairs import flattened, thresholded
from vitale_drivers.decoding.stages import STAGES
from vitale_firmware_sim.camera.picture import render
from vitale_firmware_sim.camera.scene import scene


@pytest.mark.parametrize("down", [False, True], ids=["stands", "lies"])
def test_what_goes_round_a_bottle_is_unrolled(down: bool) -> None:
    rows, columns = np.mgrid[:200, :200]
    seen = np.where(((rows if down else columns) // 10) % 2, 255, 0).astype(np.uint8)
    flat = flattened(seen, 40, down=down)
    line = (flat[:, 100] if down else flat[100]).astype(int)
    edges = np.flatnonzero(np.abs(np.diff((line > 127).astype(int))))
    widths = np.diff(edges[(edges > 25) & (edges < 175)])
    # What was of one width all along is wider where the bottle turns away.
    assert widths[len(widths) // 2] < widths[0]
    assert widths[len(widths) // 2] < widths[-1]
    # The edges of the code are where they were, within its margin.
    assert np.array_equal(flat[:, 25] if not down else flat[25], seen[:, 25] if not down else seen[25])


def test_what_is_out_of_focus_is_read() -> None:
    made = replace(scene("plain", seed=4), module=4.4, defocus=4.2)
    held = Picture(render(made))
    names = {stage.name for stage in STAGES if made.payload in {symbol.data for symbol in stage.symbols(held)}}
    assert names & {"focus", "focus-global"}
    assert not names & {"deblur", "sharp", "region"}


@pytest.mark.parametrize("offset", [0, 2])
@pytest.mark.parametrize(("darkest", "lightest"), [(0, 255), (0, 3), (252, 255), (90, 96)])
@pytest.mark.parametrize("size", [(120, 200), (3, 7), (1, 1)])
def test_a_threshold_is_that_of_opencv(size: tuple[int, int], darkest: int, lightest: int, offset: int) -> None:
    pixels = np.random.default_rng(2).integers(darkest, lightest + 1, size).astype(np.uint8)
    block = max(3, max(size) // 12) | 1
    how = cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY
    assert np.array_equal(thresholded(pixels, 12, offset), cv2.adaptiveThreshold(pixels, 255, *how, block, offset))
