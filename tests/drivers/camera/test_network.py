"""Network cameras that are silent, that drip, that are slow, that send damaged pictures; and a good one beside them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import cv2
import numpy as np
import pytest

from tests.holders import nobody
from vitale_drivers.base import Arm, Presented
from vitale_drivers.camera.capture import CameraPlace, Capture, Feed
from vitale_drivers.camera.driver import CameraDriver
from vitale_drivers.camera.feeds import Feeds
from vitale_drivers.camera.network import await_answer
from vitale_drivers.camera.opencv import OpenCvBus
from vitale_drivers.camera.settings import CameraAddress, CameraSettings
from vitale_drivers.contract import Inbox
from vitale_firmware_sim.camera.live import LiveCamera
from vitale_firmware_sim.camera.stream import MjpegServer, Source
from vitale_protocol.errors import ReaderUnavailable

STRING = b"VITALESIM.an opaque string"
JPEG = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (240, 320)).astype(np.uint8))[1].tobytes()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=x\r\n\r\n"

Talk = Callable[[socket.socket, threading.Event], None]
Serve = Callable[[Talk], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server whose connections talk as they are told; gives its port."""
    over = threading.Event()
    with ExitStack() as stack:
        threads: list[threading.Thread] = []

        def begin(talk: Talk) -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.settimeout(0.02)
            thread = threading.Thread(target=_accept, args=(listener, talk, over))
            threads.append(thread)
            thread.start()
            port: int = listener.getsockname()[1]
            return port

        yield begin
        over.set()
        for thread in threads:
            thread.join()


def _accept(listener: socket.socket, talk: Talk, over: threading.Event) -> None:
    talks: list[threading.Thread] = []
    while not over.is_set():
        with suppress(TimeoutError):
            plug, _ = listener.accept()
            talks.append(threading.Thread(target=_talk, args=(plug, talk, over)))
            talks[-1].start()
    for one in talks:
        one.join()


def _talk(plug: socket.socket, talk: Talk, over: threading.Event) -> None:
    with plug, suppress(OSError):
        plug.settimeout(60)
        talk(plug, over)


def silent(plug: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def dripping(plug: socket.socket, over: threading.Event) -> None:
    plug.sendall(HEAD)
    while not over.wait(0.05):
        plug.sendall(b"-")


def hangs_up(plug: socket.socket, over: threading.Event) -> None:
    plug.recv(1000)


def says(answer: bytes) -> Talk:
    def talk(plug: socket.socket, over: threading.Event) -> None:
        plug.recv(1000)
        plug.sendall(answer)
        over.wait(30)

    return talk


@pytest.mark.parametrize("talk", [silent, dripping, hangs_up])
@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_camera_that_does_not_answer_is_told_in_time(serve: Serve, talk: Talk, scheme: str) -> None:
    began = time.monotonic()
    url = f"{scheme}://name:secret@127.0.0.1:{serve(talk)}/camera?size=1"
    if (talk, scheme) == (dripping, "rtsp"):
        await_answer(url, 60.0)  # it said something, and FFmpeg will see what
        return
    with pytest.raises(ReaderUnavailable):
        await_answer(url, 0.3)
    assert time.monotonic() - began < 25, "not the thirty seconds for which it would be silent"


@pytest.mark.parametrize(
    ("scheme", "answer"),
    [
        ("http", HEAD + b"--x\r\nContent-Type: image/jpeg\r\n\r\n" + JPEG),
        ("http", b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
        ("http", b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"),
        ("http", HEAD + bytes(1 << 20)),
        ("rtsp", b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"),
    ],
)
def test_a_camera_that_answers_is_left_to_opencv(serve: Serve, scheme: str, answer: bytes) -> None:
    await_answer(f"{scheme}://127.0.0.1:{serve(says(answer))}/camera", 60.0)


def test_what_takes_too_long_before_it_is_asked_is_refused() -> None:
    with pytest.raises(ReaderUnavailable):
        await_answer("http://127.0.0.1:1/", 0.0)


@pytest.mark.parametrize("talk", [silent, dripping])
def test_a_camera_that_is_silent_never_takes_a_good_one_with_it(serve: Serve, talk: Talk) -> None:
    with LiveCamera() as good:
        good.show(STRING)
        bad = [f"http://127.0.0.1:{serve(talk)}/camera" for _ in range(3)]
        driver, inbox = CameraDriver({"devices": [*bad, good.url], "open_limit": 60.0}), Inbox()
        driver.open(inbox)
        try:
            driver.arm(Arm(media=("apcv-qr",), deadline=time.monotonic() + 600))
            # It is not waited for as long as one silent camera is given.
            assert inbox.wait(Presented, timeout=50.0).evidence["string"] == STRING
        finally:
            driver.close()


def place_at(url: str) -> CameraPlace:
    return CameraPlace("camera:stream", "stream", CameraAddress("url", url), simulated=True, where=url)


def alternating(bad: bytes) -> Source:
    numbers = iter(range(1 << 30))
    return lambda: JPEG if (number := next(numbers)) < 10 or number % 2 else bad


@pytest.mark.parametrize("bad", [JPEG[: len(JPEG) // 2], b"no picture at all" * 50, JPEG[:20], b""])
def test_a_damaged_picture_does_not_end_a_stream(bad: bytes) -> None:
    server = MjpegServer(alternating(bad))
    server.open()
    try:
        capture = OpenCvBus(CameraSettings(), nobody).open(place_at(server.url))
        for _ in range(30):
            assert capture.read() is not None
        capture.close()
    finally:
        server.close()


def feed_with(pauses: list[float], kind: str = "url") -> tuple[Feeds, Feed]:
    """A feed in which pictures came at these intervals, and its room."""
    settings = CameraSettings(frame_limit=2.0, slow_limit=6.0)
    changed = threading.Condition()
    feeds = Feeds(_NoBus(), settings, changed)  # type: ignore[arg-type]
    where = "http://127.0.0.1:1/" if kind == "url" else "1"
    place = CameraPlace("camera:1", "first", CameraAddress(kind, where), where=where)  # type: ignore[arg-type]
    feeds.open(place)
    feed = feeds.current
    assert feed is not None
    feed.join(60)
    vars(feed)["_pauses"].extend(pauses)
    vars(feed)["_shot"] = object()
    vars(feed)["_since"] = 100.0
    return feeds, feed


class _NoBus:
    def open(self, place: CameraPlace) -> Capture:
        raise ReaderUnavailable("the camera gives no pictures", variant="camera")


@pytest.mark.parametrize(
    ("pauses", "kind", "limit"),
    [
        ([], "url", 6.0),  # its first picture came, and the next may be long in coming
        ([1 / 30] * 4, "url", 2.0),
        ([2.5], "url", 5.0),
        ([2.5, 2.5, 5.0], "url", 6.0),
        ([], "auto", 2.0),
        ([2.5], "auto", 2.0),
    ],
)
def test_a_stream_that_is_slow_is_not_silent(pauses: list[float], kind: str, limit: float) -> None:
    feeds, feed = feed_with(pauses, kind)
    assert feeds.overdue(feed, 100.0 + limit - 0.01) < 0
    assert feeds.overdue(feed, 100.0 + limit + 0.01) > 0
