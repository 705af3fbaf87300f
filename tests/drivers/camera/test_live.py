"""The driver ``camera`` on a stream of pictures, with OpenCV and the decoder that it has in practice."""

import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import segno

from tests.problems import named
from vitale_drivers.base import Arm, Presented, Preview, PreviewPicture, Progress, ReaderChanged
from vitale_drivers.camera.capture import Pixels
from vitale_drivers.camera.driver import CameraDriver
from vitale_drivers.contract import Inbox
from vitale_firmware_sim.camera.live import LiveCamera
from vitale_firmware_sim.camera.picture import Frame

FIRST, SECOND = b"VITALESIM.an opaque string", b"VITALESIM.the next opaque string"
LONG = FIRST + b" that goes on in other codes"
POSTER = b"mdoc:owBjMS4wAYIB2BhYS6QBAiABIVgg"
PIXELS = 6


def picture(*codes: tuple[bytes, int]) -> Frame:
    """A frame with these codes, each with the column that it begins at."""
    canvas = np.full((720, 1280), 190, np.uint8)
    for data, left in codes:
        place(canvas, segno.make(data, error="m", micro=False), left)
    return Frame(canvas)


def place(canvas: Pixels, code: segno.QRCode, left: int) -> None:
    modules = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    drawn = np.kron(np.where(modules > 0, 20, 235), np.ones((PIXELS, PIXELS))).astype(np.uint8)
    height, width = drawn.shape
    canvas[200 : 200 + height, left : left + width] = drawn


@pytest.fixture(scope="module")
def live_camera() -> Iterator[LiveCamera]:
    with LiveCamera() as camera:
        yield camera


Open = Callable[..., tuple[CameraDriver, Inbox]]


@pytest.fixture
def open_driver(live_camera: LiveCamera) -> Iterator[Open]:
    drivers: list[CameraDriver] = []

    def start(**options: object) -> tuple[CameraDriver, Inbox]:
        limits = {"open_limit": 60.0, "frame_limit": 60.0, "slow_limit": 60.0}
        driver, inbox = CameraDriver({"devices": [live_camera.url], "settle": 0.5, **limits, **options}), Inbox()
        drivers.append(driver)
        driver.open(inbox)
        driver.arm(Arm(media=("apcv-qr",), deadline=time.monotonic() + 600))
        return driver, inbox

    yield start
    for driver in drivers:
        driver.close()


def test_of_two_codes_none_is_presented_until_one_is_left(live_camera: LiveCamera, open_driver: Open) -> None:
    live_camera.play([picture((FIRST, 100), (SECOND, 700))])
    _, inbox = open_driver()
    told = inbox.wait(Progress)
    assert (told.step, named(told.problem)) == ("ambiguous", "ambiguous_medium.codes")
    assert live_camera.wait_frames(30, 60)
    assert inbox.outcomes() == []
    live_camera.play([picture((SECOND, 700))])
    assert inbox.wait(Presented).evidence["string"] == SECOND


def test_a_second_code_is_seen_beside_one_that_is_held_still(live_camera: LiveCamera, open_driver: Open) -> None:
    live_camera.play([picture((FIRST, 100))])
    _, inbox = open_driver()
    inbox.wait(Presented)
    live_camera.play([picture((FIRST, 100), (SECOND, 700))])
    assert inbox.wait(Progress).step == "ambiguous"
    assert len(inbox.outcomes()) == 1


def test_a_phone_is_seen_beside_a_poster(live_camera: LiveCamera, open_driver: Open) -> None:
    live_camera.play([picture((POSTER, 100))])
    _, inbox = open_driver()
    assert named(inbox.wait(Progress).problem) == "medium_unsupported.mdoc"
    live_camera.play([picture((POSTER, 100), (FIRST, 700))])
    assert inbox.wait(Presented).evidence["string"] == FIRST


def test_the_parts_of_a_code_are_joined(live_camera: LiveCamera, open_driver: Open) -> None:
    parts: list[segno.QRCode] = list(segno.make_sequence(LONG, error="m", symbol_count=3))
    frames: list[Frame] = []
    for part in parts:
        canvas = np.full((720, 1280), 190, np.uint8)
        place(canvas, part, 300)
        frames.append(Frame(canvas))
    live_camera.play(frames[:1])
    _, inbox = open_driver(collect=60.0)
    end = time.monotonic() + 60
    # Round and round, as a phone shows them: whoever misses one sees it the next time.
    for frame in itertools.cycle(frames):
        live_camera.play([frame])
        assert live_camera.wait_frames(6, 60)
        if inbox.outcomes():
            break
        assert time.monotonic() < end
    assert inbox.wait(Presented).evidence["string"] == LONG


def test_a_renewed_code_is_presented_anew_and_one_that_stays_is_not(live_camera: LiveCamera, open_driver: Open) -> None:
    live_camera.play([picture((FIRST, 300))])
    _, inbox = open_driver()
    inbox.wait(Presented)
    assert live_camera.wait_frames(30, 60)
    live_camera.play([picture((SECOND, 300))])
    assert inbox.wait(Presented).evidence["string"] == SECOND
    live_camera.play([picture()])
    inbox.wait(ReaderChanged, lambda one: one.reader.state == "empty")
    assert len(inbox.outcomes()) == 2


def test_a_covered_lens_is_told(live_camera: LiveCamera, open_driver: Open) -> None:
    live_camera.play([Frame(np.zeros((720, 1280), np.uint8))])
    _, inbox = open_driver(dark=0.2)
    assert named(inbox.wait(Progress).problem) == "reader_unavailable.camera-dark"


def test_people_see_what_it_sees(live_camera: LiveCamera, open_driver: Open) -> None:
    live_camera.play([picture((FIRST, 300))])
    driver, inbox = open_driver()
    reader = inbox.wait(Presented).reader
    driver.preview(Preview(reader=reader, every=0.1, until=time.monotonic() + 600))
    shown = inbox.wait(PreviewPicture)
    assert shown.jpeg.startswith(b"\xff\xd8\xff")
    assert len(shown.jpeg) < 60_000
