"""What the pictures of a camera look like: none, black, dim, blinding, blurred, with a code, with a small one."""

import numpy as np
import pytest
import segno

from tests.drivers.camera.fakes import FIRST
from vitale_drivers.camera.capture import Capture, Pixels
from vitale_drivers.camera.device_examination import BLURRED, brightness, examine, sharpness
from vitale_drivers.camera.opencv import CvPicture
from vitale_drivers.decoding import StreamDecoder
from vitale_protocol.diagnosis.check_results import CheckResult


class Pictures(Capture):
    """A camera that always sees the same."""

    def __init__(self, *grey: Pixels) -> None:
        self._grey = list(grey)

    def read(self) -> CvPicture | None:
        if not self._grey:
            return None
        return CvPicture("grey", self._grey[0] if len(self._grey) == 1 else self._grey.pop(0))

    def close(self) -> None:
        self._grey = []


def canvas(light: int) -> Pixels:
    return np.full((720, 1280), light, np.uint8)


def with_code(pixels: int, *, light: int = 190) -> Pixels:
    made, code = canvas(light), segno.make("3400930000000", error="m", micro=False)
    modules = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    drawn = np.kron(np.where(modules > 0, 20, 235), np.ones((pixels, pixels))).astype(np.uint8)
    height, width = drawn.shape
    made[100 : 100 + height, 300 : 300 + width] = drawn
    return made


def blurred(picture: Pixels, width: int) -> Pixels:
    """A mean over squares, as an objective does that focuses elsewhere."""
    total = np.cumsum(np.cumsum(picture.astype(np.float64), axis=0), axis=1)
    mean = (
        total[width:, width:] - total[:-width, width:] - total[width:, :-width] + total[:-width, :-width]
    ) / width**2
    return mean.astype(np.uint8)


def seen(picture: Pixels, seconds: float = 0.3) -> tuple[list[CheckResult], bytes]:
    rows = list[CheckResult]()
    jpeg = examine(Pictures(picture), FIRST, StreamDecoder, rows.append, seconds)
    return rows, jpeg


@pytest.mark.parametrize(
    ("picture", "expected", "state"),
    [
        (with_code(12), "camera_code", "ok"),
        (with_code(3), "camera_code_small", "note"),
        (canvas(0), "reader_unavailable.camera-dark", "wrong"),
        (canvas(35), "camera_dim", "wrong"),
        (canvas(250), "camera_blinding", "wrong"),
        (blurred(with_code(12), 60), "camera_blurred", "wrong"),
    ],
    ids=["a code", "a small code", "covered", "dim", "blinding", "blurred"],
)
def test_what_is_the_matter_with_a_picture(picture: Pixels, expected: str, state: str) -> None:
    rows, jpeg = seen(picture)
    assert [row.id for row in rows] == ["camera_flow", expected]
    assert rows[-1].state == state
    assert (rows[0].values["width"], rows[0].values["height"]) == picture.shape[::-1]
    assert jpeg.startswith(b"\xff\xd8")


def test_a_sharp_picture_without_a_code() -> None:
    rows, _ = seen(np.where(np.indices((720, 1280)).sum(axis=0) // 40 % 2, 60, 200).astype(np.uint8))
    assert rows[-1].id == "camera_no_code"


def test_no_pictures_come() -> None:
    rows = list[CheckResult]()
    assert examine(Pictures(), FIRST, StreamDecoder, rows.append, 1.0) == b""
    assert [row.id for row in rows] == ["reader_unavailable.camera"]


def test_the_measures() -> None:
    assert brightness(canvas(100)) == 100.0
    assert sharpness(canvas(100)) == 0.0
    assert sharpness(with_code(12)) == 1.0
    assert sharpness(blurred(with_code(12), 60)) < BLURRED
