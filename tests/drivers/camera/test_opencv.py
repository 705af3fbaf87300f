"""Pictures in the forms that cameras deliver, and video files and streams, through OpenCV itself."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, get_args

import cv2
import numpy as np
import pytest

from tests.holders import nobody
from vitale_drivers.camera import opencv
from vitale_drivers.camera.capture import CameraPlace, Capture, Feed, Pixels
from vitale_drivers.camera.devices import Devices
from vitale_drivers.camera.opencv import CvPicture, Form, OpenCvBus
from vitale_drivers.camera.settings import CameraAddress, CameraSettings
from vitale_drivers.camera.system import ListedCamera
from vitale_protocol.errors import ReaderError, ReaderGone, ReaderUnavailable

FPS = 60


def ramp(height: int = 480, width: int = 640) -> Pixels:
    return np.asarray(np.tile(np.linspace(40, 220, width), (height, 1)), dtype=np.uint8)


def jpeg(grey: Pixels) -> Pixels:
    return np.asarray(cv2.imencode(".jpg", grey)[1], dtype=np.uint8)


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", get_args(Form))
def test_every_form_becomes_the_same_grey(form: str) -> None:
    grey = ramp()
    colourless = np.full_like(grey, 128)
    picture = {
        "mjpg": lambda: CvPicture("mjpg", jpeg(grey).reshape(1, -1)),
        "yuyv": lambda: CvPicture("yuyv", np.dstack((grey, colourless))),
        "uyvy": lambda: CvPicture("uyvy", np.dstack((colourless, grey))),
        "grey": lambda: CvPicture("grey", grey),
        "bgr": lambda: CvPicture("bgr", np.dstack((grey, grey, grey))),
    }[form]()
    seen = picture.grey()
    assert seen is not None
    assert seen.flags["C_CONTIGUOUS"]
    assert np.abs(seen.astype(int) - grey).max() <= 4


def test_a_glance_is_the_same_picture_an_eighth_as_large() -> None:
    picture = CvPicture("mjpg", jpeg(ramp()))
    grey, glance = picture.grey(), picture.glance()
    assert grey is not None
    assert glance is not None
    means = cv2.resize(grey, (80, 60), interpolation=cv2.INTER_AREA)
    assert np.abs(glance.astype(int) - np.asarray(means, int)).max() <= 2


def test_there_is_no_glance_at_what_is_no_jpeg() -> None:
    assert CvPicture("grey", ramp()).glance() is None
    assert CvPicture("mjpg", np.frombuffer(b"no picture", np.uint8)).glance() is None


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (1080, 1920), (90, 160)])
@pytest.mark.parametrize("form", ["mjpg", "yuyv", "bgr"])
def test_a_picture_for_people_is_a_small_jpeg(form: str, size: tuple[int, int]) -> None:
    grey = ramp(*size)
    picture = {
        "mjpg": lambda: CvPicture("mjpg", jpeg(grey)),
        "yuyv": lambda: CvPicture("yuyv", np.dstack((grey, grey))),
        "bgr": lambda: CvPicture("bgr", np.dstack((grey, grey, grey))),
    }[form]()
    small = picture.jpeg()
    assert small is not None
    image = cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape[1] <= 640
    assert abs(image.shape[1] / image.shape[0] - size[1] / size[0]) < 0.02
    assert len(small) < 60_000


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"not a picture at all", jpeg(ramp()).tobytes()[:400]])
def test_a_picture_that_is_damaged_is_none(data: bytes) -> None:
    picture = CvPicture("mjpg", np.frombuffer(data, np.uint8))
    assert picture.grey() is None
    assert picture.jpeg() is None
    assert CvPicture("yuyv", np.frombuffer(data, np.uint8)).grey() is None


def test_a_picture_in_another_format_than_jpeg_is_damaged() -> None:
    # A PNG of some hundred bytes has OpenCV take as many bytes of memory as its chunk says that it has: 1 476 395 750.
    formats = [each for each in (".png", ".bmp", ".webp", ".tiff", ".pgm", ".jp2") if cv2.haveImageWriter(each)]
    assert ".png" in formats
    for each in formats:
        picture = CvPicture("mjpg", np.asarray(cv2.imencode(each, ramp(60, 80))[1], np.uint8))
        assert picture.grey() is None, each
        assert picture.jpeg() is None, each


def test_a_picture_is_in_no_repr() -> None:
    assert repr(CvPicture("grey", ramp())) == "<CvPicture>"


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def video(path: Path, pictures: int) -> Path:
    """A video whose pictures are each brighter than the one before."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (320, 240))
    assert writer.isOpened()
    for at in range(pictures):
        writer.write(np.full((240, 320, 3), 20 + at * 200 // pictures, np.uint8))
    writer.release()
    return path


class FilmClock(threading.Event):
    """Time as whoever shows a film has it: it passes while a picture is waited for, and not otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()


Show = Callable[..., Capture]


@pytest.fixture
def clock() -> FilmClock:
    return FilmClock()


@pytest.fixture
def show(tmp_path: Path, clock: FilmClock, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Opens a film of so many pictures, shown by the clock: ``show(30, loop=True)``."""

    def opened(pictures: int, *, loop: bool = False) -> Capture:
        monkeypatch.setattr(opencv, "time", SimpleNamespace(monotonic=lambda: clock.now))
        capture = OpenCvBus(CameraSettings(loop=loop), nobody).open(place_of(video(tmp_path / "video.avi", pictures)))
        monkeypatch.setattr(capture, "_cancelled", clock)
        return capture

    return opened


def place_of(path: Path) -> CameraPlace:
    return CameraPlace(f"camera:{path}", path.name, CameraAddress("file", str(path)), simulated=True, where=str(path))


def brightness(picture: CvPicture) -> float:
    grey = picture.grey()
    assert grey is not None
    return float(grey.mean())


def test_a_file_is_shown_at_its_pace_and_ends(show: Show, clock: FilmClock) -> None:
    capture, began = show(30), clock.now
    seen: list[float] = []
    while (picture := capture.read()) is not None:
        assert isinstance(picture, CvPicture)
        seen.append(brightness(picture))
    assert pytest.approx(30 / FPS) == clock.now - began
    assert len(seen) == 30
    assert seen == sorted(seen)
    assert seen[-1] > 200
    capture.close()


def test_what_was_missed_of_a_file_is_passed_over(show: Show, clock: FilmClock) -> None:
    capture = show(30)
    first = capture.read()
    clock.now += 20 / FPS
    second = capture.read()
    assert isinstance(first, CvPicture)
    assert isinstance(second, CvPicture)
    assert brightness(second) - brightness(first) > 100
    capture.close()


def test_a_file_may_begin_again(show: Show) -> None:
    capture = show(5, loop=True)
    seen = [brightness(one) for _ in range(12) if isinstance(one := capture.read(), CvPicture)]
    assert len(seen) == 12
    assert seen != sorted(seen)
    capture.close()


def test_whoever_waits_for_a_picture_of_a_file_can_be_called_away(show: Show) -> None:
    capture = show(5)
    capture.cancel()
    assert [capture.read() for _ in range(2)][-1] is None
    capture.close()


def test_a_feed_of_a_file_that_has_ended_is_no_fault(show: Show) -> None:
    feed = Feed(lambda: show(3), threading.Condition(), "file")
    feed.start()
    feed.join(60)
    assert (feed.alive, feed.fault, feed.flows) == (False, None, True)


@pytest.mark.parametrize(("text", "error"), [(None, ReaderGone), ("no video", ReaderUnavailable)])
def test_what_is_no_video_is_told(tmp_path: Path, text: str | None, error: type[ReaderError]) -> None:
    path = tmp_path / "video.avi"
    if text is not None:
        path.write_text(text)
    with pytest.raises(error):
        OpenCvBus(CameraSettings(), nobody).open(place_of(path))


# ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stream() -> Iterator[tuple[str, threading.Event]]:
    """The URL of pictures that come until the event is set, when the connection ends; with ``?3`` three come."""
    over = threading.Event()
    picture = jpeg(ramp()).tobytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            most = int(self.path.partition("?")[2] or 10**6)
            while not over.wait(1 / 30 if (most := most - 1) >= 0 else 60):
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + picture + b"\r\n")
                except OSError:
                    return

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - named by the base class

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/camera", over
    over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def place_at(url: str) -> CameraPlace:
    return CameraPlace("camera:stream", "stream", CameraAddress("url", url), simulated=True, where=url)


def test_a_stream_comes_as_it_is_sent_and_its_end_is_told(stream: tuple[str, threading.Event]) -> None:
    url, over = stream
    # Nothing is held back to be studied: FFmpeg would wait for more than these.
    capture = OpenCvBus(CameraSettings(open_limit=30.0), nobody).open(place_at(f"{url}?3"))
    picture = capture.read()
    assert isinstance(picture, CvPicture)
    assert picture.form == "mjpg"
    assert picture.pixels.tobytes() == jpeg(ramp()).tobytes()
    over.set()
    with pytest.raises(ReaderUnavailable):
        deque(iter(capture.read, None), maxlen=0)
    capture.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_stream_that_sends_elsewhere_is_not_followed(
    stream: tuple[str, threading.Event], status: int, host: str
) -> None:
    """A camera, or whoever answers in its place, leads the daemon to no other service of the network."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Location", stream[0].replace("127.0.0.1", host))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - named by the base class

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with pytest.raises(ReaderUnavailable):
                OpenCvBus(CameraSettings(), nobody).open(place_at(f"http://127.0.0.1:{server.server_port}/camera"))
        finally:
            server.shutdown()
            thread.join()
    assert asked, "it was asked, and nobody else"


def test_a_stream_that_nobody_sends_is_told(stream: tuple[str, threading.Event]) -> None:
    with pytest.raises(ReaderUnavailable):
        OpenCvBus(CameraSettings(), nobody).open(place_at("http://127.0.0.1:1/camera"))


def test_a_stream_that_falls_silent_is_told_in_time(unused_server: Callable[[], str]) -> None:
    began = time.monotonic()
    with pytest.raises(ReaderUnavailable):
        OpenCvBus(CameraSettings(open_limit=0.5), nobody).open(place_at(unused_server()))
    assert time.monotonic() - began < 25, "FFmpeg itself would wait for thirty seconds"


@pytest.fixture
def unused_server() -> Iterator[Callable[[], str]]:
    """The URL of a server that takes connections and says nothing."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    yield lambda: f"http://127.0.0.1:{listener.getsockname()[1]}/camera"
    listener.close()


# ── quiet ────────────────────────────────────────────────────────────────────────────────────────────────────────

NOISY = """
import sys
from pathlib import Path
from vitale_drivers.camera.capture import CameraPlace
from vitale_drivers.camera.opencv import OpenCvBus
from vitale_drivers.camera.settings import CameraAddress, CameraSettings
from vitale_protocol.errors import ReaderError
for kind, where in (("file", sys.argv[1]), ("url", "http://127.0.0.1:1/"), ("node", "/dev/video987")):
    try:
        place = CameraPlace("camera:1", "first", CameraAddress(kind, where), where=where)
        OpenCvBus(CameraSettings(), lambda device: ()).open(place)
    except ReaderError as error:
        print(type(error).__name__)
import cv2
print(cv2.getNumThreads())
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of its own, for OpenCV reads its environment once, when it is loaded."""
    path = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def test_opencv_says_nothing_by_itself(tmp_path: Path) -> None:
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"RIFF\xff\xff\xff\xffAVI LIST" + bytes(200))
    answer = run(NOISY, str(broken))
    assert (answer.stderr, answer.returncode) == ("", 0)
    assert answer.stdout.split() == ["ReaderUnavailable", "ReaderUnavailable", "ReaderGone", "1"]


HUGE = """
import struct
from vitale_drivers.camera.opencv import CvPicture
import cv2
import numpy as np
data = bytearray(cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes())
size = data.index(bytes((0xff, 0xc0))) + 5
for height, width in ((7680, 7680), (16_000, 65_000)):
    data[size : size + 4] = struct.pack(">HH", height, width)
    print(CvPicture("mjpg", np.frombuffer(bytes(data), np.uint8)).grey() is None)
"""


def test_a_small_jpeg_that_says_it_is_huge_takes_no_memory() -> None:
    answer = run(HUGE)
    assert (answer.stdout.split(), answer.returncode) == (["False", "True"], 0)


class PickyCapture:
    """A capture of OpenCV's older back-ends: it does not open where one wish at its opening cannot be met."""

    takes: frozenset[int] = frozenset()
    made: ClassVar[list["PickyCapture"]] = []

    def __init__(self, what: int, backend: int, parameters: list[int]) -> None:
        self.given = dict(zip(parameters[::2], parameters[1::2], strict=True))
        self.asked: dict[int, float] = {}
        self.released = False
        self.made.append(self)

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        return self.given.keys() <= self.takes

    def set(self, name: int, value: float) -> bool:
        if name == cv2.CAP_PROP_BUFFERSIZE:
            raise cv2.error("not of this back-end")
        self.asked[name] = value
        return name in self.takes

    def release(self) -> None:
        self.released = True


@pytest.mark.parametrize(
    "takes",
    [
        {cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS},
        {cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS},
        set[int](),
    ],
    ids=["DirectShow", "AVFoundation", "neither"],
)
def test_a_camera_that_cannot_have_what_is_wished_for_opens(takes: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PickyCapture, "takes", frozenset(takes))
    monkeypatch.setattr(cv2, "VideoCapture", PickyCapture)
    bus = OpenCvBus(CameraSettings(width=640), nobody, Devices(named=False, programs=tuple, listed=lambda: None))
    (place,) = bus.places(CameraAddress("index", "0"))
    bus.open(place).close()
    assert PickyCapture.made[-1].asked[cv2.CAP_PROP_FRAME_WIDTH] == 640


def test_a_camera_whose_place_another_one_took_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PickyCapture, "takes", frozenset(range(100)))
    monkeypatch.setattr(cv2, "VideoCapture", PickyCapture)
    order = [ListedCamera("HD Webcam", "046d:0825:1", device=True)]
    devices = Devices(named=False, programs=tuple, listed=lambda: tuple(order))
    bus = OpenCvBus(CameraSettings(), nobody, devices)
    (place,) = bus.places(CameraAddress("auto"))
    bus.open(place).close()
    order.insert(0, ListedCamera("OBS Virtual Camera", "virtual:OBS", device=False))
    with pytest.raises(ReaderGone):
        bus.open(place)
    assert PickyCapture.made[-1].released
