"""The contract of all drivers, kept by ``camera``: on arrays that can be unplugged, and on a stream through OpenCV."""

from collections.abc import Iterator

import pytest

from tests.drivers.camera.fakes import FIRST, STRING, FakeBus, FakeDecoder
from vitale_drivers.base import Driver
from vitale_drivers.camera.driver import CameraDriver
from vitale_drivers.contract import Bench, DriverContract
from vitale_firmware_sim.camera.live import LiveCamera

UNHURRIED = {"open_limit": 60.0, "frame_limit": 60.0, "slow_limit": 60.0}


class ArrayBench(Bench):
    medium = "apcv-qr"
    has_plug = True

    def __init__(self) -> None:
        self._bus = FakeBus(FIRST)
        self._scene = self._bus.scenes[FIRST.id]

    def driver(self) -> Driver:
        return CameraDriver({"look": 0.02, "settle": 0.1, **UNHURRIED}, self._bus, lambda: FakeDecoder(self._scene))

    def insert(self) -> None:
        self._scene.show(STRING)

    def remove(self) -> None:
        self._scene.show()

    def unplug(self) -> None:
        self._bus.unplug(FIRST)

    def plug(self) -> None:
        self._bus.plug(FIRST)


class TestCameraOfArrays(DriverContract):
    silent_unless_armed = True

    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        bench = ArrayBench()
        yield bench
        bench.remove()


class _Connections(frozenset[str]):
    """The threads of the simulated camera's connections, which end a frame later than those."""

    def __contains__(self, name: object) -> bool:
        return "process_request_thread" in str(name)


class LiveBench(Bench):
    medium = "apcv-qr"
    has_plug = False  # what is at an address is not known to be plugged

    def __init__(self, camera: LiveCamera) -> None:
        self._camera = camera
        self.threads = _Connections()

    def driver(self) -> Driver:
        return CameraDriver({"devices": [self._camera.url], "settle": 0.3, **UNHURRIED})

    def insert(self) -> None:
        self._camera.show(STRING)

    def remove(self) -> None:
        self._camera.clear()


@pytest.fixture(scope="module")
def live_camera() -> Iterator[LiveCamera]:
    with LiveCamera() as camera:
        camera.prepare(STRING)
        yield camera


class TestLiveCamera(DriverContract):
    silent_unless_armed = True

    @pytest.fixture
    def bench(self, live_camera: LiveCamera) -> Bench:
        live_camera.clear()
        return LiveBench(live_camera)
