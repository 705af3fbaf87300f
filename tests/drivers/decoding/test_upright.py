"""What is turned upright or found damaged: where it is in the picture, and that nothing is made of nothing."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import segno

from vitale_drivers.decoding.picture import Picture
from vitale_drivers.decoding.regions import Region, find_leaning
from vitale_drivers.decoding.stages import STAGES, Stage
from vitale_drivers.decoding.zxing import LOCAL, find_damaged

Grey = npt.NDArray[np.uint8]

CONTENT = "VITALESIM." + "c3" * 60


def drawn(module: int = 5) -> Grey:
    modules = np.array([list(row) for row in segno.make(CONTENT, error="m", micro=False).matrix_iter(border=4)])
    return np.kron(np.where(modules > 0, 0, 255), np.ones((module, module))).astype(np.uint8)


def turned(degrees: float) -> tuple[Grey, npt.NDArray[np.float64]]:
    """A code on a grey desk, and the middle of its corners without the quiet zone."""
    code = drawn()
    side = code.shape[0]
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1)
    matrix[:, 2] += (640 - side / 2, 360 - side / 2)
    frame = cv2.warpAffine(code, matrix, (1280, 720), borderValue=140.0)
    edge = 4 * 5
    corners = np.array([[edge, edge], [side - edge, edge], [side - edge, side - edge], [edge, side - edge]])
    return np.asarray(frame, dtype=np.uint8), np.asarray(corners @ matrix[:, :2].T + matrix[:, 2], dtype=np.float64)


@pytest.mark.parametrize("degrees", [0, 12, 33, 45, 80])
def test_what_is_busy_is_turned_upright(degrees: float) -> None:
    frame, corners = turned(degrees)
    view = Picture(frame).upright(0, 280)
    assert view is not None
    assert (280, 280) == view.pixels.shape
    middle = view.point(140, 140)
    assert np.allclose(corners.mean(axis=0), middle, atol=12)


@pytest.mark.parametrize("degrees", [0, 33, 120])
def test_a_code_that_was_turned_upright_is_told_where_it_is_in_the_picture(degrees: float) -> None:
    frame, corners = turned(degrees)
    stage = next(stage for stage in STAGES if stage.name == "upright")
    (symbol,) = stage.symbols(Picture(frame))
    assert CONTENT == symbol.text
    assert np.allclose(corners, symbol.corners, atol=4)


def test_where_nothing_is_busy_nothing_is_upright() -> None:
    assert find_leaning(np.full((200, 200), 90, np.uint8)) is None
    assert Picture(np.full((720, 1280), 90, np.uint8)).upright(0, 280) is None


def damaged() -> Grey:
    """A code of whose middle a third is wrong: more than its correction gives back."""
    frame = np.full((720, 1280), 140, np.uint8)
    code = drawn()
    middle = code[65:-65, 65:-65]
    wrong = np.random.default_rng(1).random((middle.shape[0] // 5, middle.shape[1] // 5)) < 1 / 3
    middle ^= np.kron(wrong, np.full((5, 5), 255)).astype(np.uint8)
    frame[200 : 200 + code.shape[0], 400 : 400 + code.shape[1]] = code
    return frame


def test_a_symbol_with_more_faults_than_can_be_corrected_is_found_and_not_read() -> None:
    picture = Picture(damaged())
    (corners,) = find_damaged(picture.whole, LOCAL)
    assert np.allclose((420, 220), corners[0], atol=8)
    for stage in STAGES:
        assert stage.symbols(picture) == []


def test_what_is_found_is_looked_at_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, corners = turned(20)
    found = [tuple((float(x), float(y)) for x, y in corners)]

    def find(*_arguments: object, **_options: object) -> list[tuple[tuple[float, float], ...]]:
        return found

    monkeypatch.setattr("vitale_drivers.decoding.stages.find_damaged", find)
    (symbol,) = Stage(name="again", side=256, again=True).symbols(Picture(frame))
    assert (CONTENT, "again") == (symbol.text, symbol.stage)
    assert np.allclose(corners, symbol.corners, atol=4)


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (Region(0, 0, 10, 10), 1.0),
        (Region(5, 0, 15, 10), 1 / 3),
        (Region(10, 0, 20, 10), 0.0),
        (Region(50, 50, 60, 60), 0),
    ],
)
def test_the_share_of_two_regions(other: Region, share: float) -> None:
    assert share == pytest.approx(Region(0, 0, 10, 10).shares(other))
