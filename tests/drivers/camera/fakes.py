"""Cameras made of arrays, with the faults of real ones, and a decoder that knows what is shown to them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vitale_drivers.camera.capture import CameraPlace, Capture, Pixels
from vitale_drivers.camera.settings import CameraAddress
from vitale_protocol.errors import ReaderError, ReaderGone

STRING = b"an opaque string"
RENEWED = b"the next opaque string"

FIRST = CameraPlace("camera:1", "first", CameraAddress("auto"), where="1")
SECOND = CameraPlace("camera:2", "second", CameraAddress("auto"), where="2")


@dataclass(frozen=True)
class Symbol:
    data: bytes
    symbology: str = "qr"
    corners: tuple[tuple[float, float], ...] = ((0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0))
    stage: str = "whole"
    sequence: None = None


@dataclass(frozen=True)
class FakePicture:
    pixels: Pixels
    damaged: bool = False

    def grey(self) -> Pixels | None:
        return None if self.damaged else self.pixels

    def glance(self) -> Pixels | None:
        return None

    def jpeg(self) -> bytes | None:
        return b"\xff\xd8 a picture \xff\xd9"


@dataclass
class Scene:
    """What is before one camera, and what is the matter with it.

    Attributes:
        codes: what can be read.
        hidden: what only a look at all of the picture finds besides.
        refusal: opening raises this.
        fault: reading raises this.
        still: the last picture is delivered again and again.
        black: the lens is covered.
        damaged: the pictures cannot be read.
        hold: opening or reading waits for this.
    """

    codes: tuple[Symbol, ...] = ()
    hidden: tuple[Symbol, ...] = ()
    refusal: ReaderError | None = None
    fault: ReaderError | None = None
    still: bool = False
    black: bool = False
    damaged: bool = False
    hold_open: threading.Event | None = None
    hold: threading.Event | None = None
    open: int = 0
    opened: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def show(self, *data: bytes) -> None:
        self.codes = tuple(Symbol(one) for one in data)

    def count(self, difference: int) -> None:
        with self.changed:
            self.open += difference
            self.opened += max(0, difference)
            self.changed.notify_all()

    def wait_closed(self) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.open == 0, 30)

    def wait_opened(self, times: int = 1) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.opened >= times, 30)


class FakeCamera(Capture):
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._pace = threading.Event()
        self._random = np.random.default_rng()
        self._last = self._picture()
        scene.count(1)

    def read(self) -> FakePicture:
        scene = self._scene
        if scene.hold is not None:
            scene.hold.wait(30)
        self._pace.wait(0.002)
        if scene.fault is not None:
            raise scene.fault
        if not scene.still:
            self._last = self._picture()
        return FakePicture(self._last, damaged=scene.damaged)

    def close(self) -> None:
        self._scene.count(-1)

    def _picture(self) -> Pixels:
        return self._random.integers(0, 3 if self._scene.black else 255, (64, 64), dtype=np.uint8)


class FakeBus:
    def __init__(self, *places: CameraPlace) -> None:
        self.there = list(places)
        self.scenes = {FIRST.id: Scene(), SECOND.id: Scene()}
        self.refusal: ReaderError | None = None

    def places(self, address: CameraAddress) -> tuple[CameraPlace, ...]:
        return tuple(self.there)

    def refused(self, place: CameraPlace) -> ReaderError | None:
        return self.refusal

    def open(self, place: CameraPlace) -> Capture:
        scene = self.scenes[place.id]
        if scene.hold_open is not None:
            scene.hold_open.wait(30)
        if place.id not in {one.id for one in self.there}:
            raise ReaderGone("the camera is not there")
        if scene.refusal is not None:
            raise scene.refusal
        return FakeCamera(scene)

    def unplug(self, place: CameraPlace) -> None:
        """The camera goes, in the middle of whatever it does."""
        self.there.remove(place)
        self.scenes[place.id].fault = ReaderGone("the camera is not there any more")

    def plug(self, place: CameraPlace) -> None:
        self.scenes[place.id].fault = None
        self.there.append(place)


class FakeDecoder:
    """Reads what a scene says; a new one for each opening."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    @property
    def at_rest(self) -> bool:
        return False

    def passes(self, glance: Pixels, /) -> bool:
        raise AssertionError("it is never at rest")

    def see(self, frame: Pixels, /, *, around: bool) -> Sequence[Symbol]:
        assert frame.ndim == 2
        return self._scene.codes

    def survey(self) -> Sequence[Symbol]:
        return [*self._scene.codes, *self._scene.hidden]
