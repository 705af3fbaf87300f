"""The live camera, as OpenCV and a bare socket see it: what is shown, what goes wrong, and when it was sent."""

import http.client
import itertools
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
import zxingcpp

from vitale_firmware_sim.camera import live as camera
from vitale_firmware_sim.camera.live import LiveCamera
from vitale_firmware_sim.camera.scene import scene
from vitale_firmware_sim.camera.sequence import PhoneShowing, sequence
from vitale_firmware_sim.camera.stream import MjpegServer

SIZE = (640, 480)
ONE, OTHER = b"VITALESIM.one", b"VITALESIM.other"
IN_TIME = 30.0


@pytest.fixture
def live() -> Iterator[LiveCamera]:
    with LiveCamera(size=SIZE) as made:
        yield made


def watch(live: LiveCamera, patience: float = IN_TIME) -> "cv2.VideoCapture":
    wanted, patient = round(1_000 * IN_TIME), round(1_000 * patience)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wanted, cv2.CAP_PROP_READ_TIMEOUT_MSEC, patient]
    opened = cv2.VideoCapture(live.url, cv2.CAP_FFMPEG, limits)
    assert opened.isOpened()
    return opened


def picture(opened: "cv2.VideoCapture") -> np.ndarray:
    good, read = opened.read()
    assert good
    return np.asarray(read)


def code(opened: "cv2.VideoCapture") -> bytes | None:
    found = zxingcpp.read_barcodes(picture(opened))
    return found[0].bytes if found else None


def until(opened: "cv2.VideoCapture", payload: bytes | None) -> float:
    """Reads until a frame has that code; when it was there."""
    end = time.monotonic() + IN_TIME
    while code(opened) != payload:
        assert time.monotonic() < end
    return time.monotonic()


def test_opencv_sees_what_is_shown(live: LiveCamera) -> None:
    opened = watch(live)
    assert code(opened) is None
    assert picture(opened).shape == (480, 640, 3)

    for payload in (ONE, OTHER):
        live.show(payload)
        seen_at = until(opened, payload)
        sent_at = live.sent_at(payload)
        assert sent_at is not None
        assert seen_at > sent_at
    live.clear()
    until(opened, None)
    assert live.connections == 1


def test_it_sends_so_many_frames_a_second_and_no_two_alike() -> None:
    with LiveCamera(size=SIZE, fps=20, colour=True) as live:
        # Before anything can have been sent: a loaded machine may be late, and finds many that wait for it.
        began = time.monotonic()
        connection = asked(live)
        response = connection.getresponse()
        parts = [part(response) for _ in range(21)]
        took = time.monotonic() - began
        connection.close()
    assert took > 0.999 * 20 / 20
    pictures = [cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR) for one in parts]
    shown = [picture.tobytes() for picture in pictures if picture is not None]
    assert len(parts) == len(shown)
    assert not any(one == following for one, following in itertools.pairwise(shown))


def test_frames_sent_closer_together_than_they_should_be_differ_as_well(live: LiveCamera) -> None:
    live.show(ONE)
    frames = [live._next() for _ in range(40)]  # pyright: ignore[reportPrivateUsage]
    assert not any(one == following for one, following in itertools.pairwise(frames))


def test_a_scene_and_a_sequence(live: LiveCamera) -> None:
    opened = watch(live)
    live.show(replace(scene("dark_mode", "light", payload=ONE), module=4.0, at=(0.5, 0.5)))
    until(opened, ONE)
    live.play(sequence(PhoneShowing(seconds=0.2, arrives=-1, focus=0), codes=lambda at: OTHER, size=(1280, 720)))
    until(opened, OTHER)
    # Its last frame stays.
    assert [code(opened) for _ in range(20)] == [OTHER] * 20


def test_frozen_it_repeats_its_last_frame(live: LiveCamera) -> None:
    opened = watch(live)
    live.show(ONE)
    until(opened, ONE)
    live.freeze()
    live.show(OTHER)

    # No two that were on their way are alike.
    last, end = picture(opened), time.monotonic() + IN_TIME
    while not np.array_equal(last, following := picture(opened)):
        assert time.monotonic() < end
        last = following
    assert all(np.array_equal(last, picture(opened)) for _ in range(10))
    assert live.sent_at(OTHER) is None
    live.come_back()
    until(watch(live), OTHER)


def test_blocked_it_keeps_the_connection_and_sends_nothing(live: LiveCamera) -> None:
    connection = asked(live)
    response = connection.getresponse()
    part(response)
    live.block()
    assert not live.wait_frames(1, 0.3)
    assert live.connections == 1
    live.come_back()
    connection.close()
    assert picture(watch(live)).shape == (480, 640, 3)


def test_opencv_gives_up_what_is_blocked(live: LiveCamera) -> None:
    end = time.monotonic() + IN_TIME
    # A busy machine may be late with the first picture as well.
    while not (opened := watch(live, 0.3)).read()[0]:
        assert time.monotonic() < end
    live.block()
    while opened.read()[0]:
        # What was on its way.
        pass


def test_it_vanishes_and_comes_back_at_the_same_address(live: LiveCamera) -> None:
    opened, url = watch(live), live.url
    picture(opened)
    live.vanish()
    while opened.read()[0]:
        pass
    assert live.connections == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0])))

    live.show(ONE)
    live.come_back()
    assert live.url == url
    until(watch(live), ONE)


def test_it_vanishes_while_nobody_takes_what_it_sends(live: LiveCamera) -> None:
    connection = asked(live)
    assert live.wait_frames(2, IN_TIME)
    # Nothing is read: sooner or later its thread waits for the socket.
    while live.wait_frames(1, 0.5):
        pass
    live.vanish()
    connection.close()


def asked(live: LiveCamera) -> http.client.HTTPConnection:
    host, _, path = live.url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=IN_TIME)
    connection.request("GET", f"/{path}")
    return connection


def part(response: http.client.HTTPResponse) -> bytes:
    """The content of the next part, whose head is as the standard has it."""
    assert response.readline() == b"--frame\r\n"
    assert response.readline() == b"Content-Type: image/jpeg\r\n"
    name, _, length = response.readline().partition(b": ")
    assert (name, response.readline()) == (b"Content-Length", b"\r\n")
    data = response.read(int(length))
    assert response.readline() == b"\r\n"
    return data


def test_the_parts_are_as_the_standard_has_them(live: LiveCamera) -> None:
    connection = asked(live)
    response = connection.getresponse()
    assert response.getheader("Content-Type") == "multipart/x-mixed-replace; boundary=frame"
    for _ in range(3):
        data = part(response)
        assert (data[:2], data[-2:]) == (b"\xff\xd8", b"\xff\xd9")
    connection.close()


def test_there_is_nothing_else_at_its_address(live: LiveCamera) -> None:
    connection = http.client.HTTPConnection(live.url.split("/")[2], timeout=IN_TIME)
    connection.request("GET", "/")
    assert connection.getresponse().status == 404
    connection.close()


def test_the_first_frame_with_a_code_is_timed() -> None:
    ticks = itertools.count(100.0)
    with LiveCamera(size=SIZE, clock=lambda: next(ticks)) as live, ThreadPoolExecutor(1) as pool:
        opened = watch(live)
        assert live.wait_sent(ONE, 0.0) is None
        waits = pool.submit(live.wait_sent, ONE, IN_TIME)
        live.show(ONE)
        # Nothing is sent to a reader that takes nothing.
        until(opened, ONE)
        first = waits.result(IN_TIME)
    assert first == 100.0
    assert live.sent_at(ONE) == first


def test_what_was_prepared_is_shown_without_rendering(live: LiveCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    live.prepare(ONE)
    monkeypatch.setattr(camera, "render", None)
    live.show(ONE)
    until(watch(live), ONE)


def test_a_long_life_does_not_fill_the_memory(live: LiveCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "_PREPARED", 2)
    for payload in (ONE, OTHER, b"VITALESIM.third"):
        live.prepare(payload)
    kept = live._prepared  # pyright: ignore[reportPrivateUsage] - a look inside
    assert [made.payload for made in kept] == [OTHER, b"VITALESIM.third"]


def test_a_port_of_another_is_not_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = MjpegServer(lambda: None, port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            server.open()
        server.close()
        assert server.connections == 0
