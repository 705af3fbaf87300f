"""The contract of all drivers, kept by ``camera`` on cameras that can be unplugged, made of arrays."""

from collections.abc import Iterator

import pytest

from tests.drivers.camera_fakes import FIRST, STRING, FakeBus, FakeDecoder
from vitale_drivers.base import Driver
from vitale_drivers.camera import CameraDriver
from vitale_drivers.contract import Bench, DriverContract


class ArrayBench:
    medium = "apcv-qr"
    has_service = False
    has_plug = True
    threads: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._bus = FakeBus(FIRST)
        self._scene = self._bus.scenes[FIRST.id]

    def driver(self) -> Driver:
        return CameraDriver({"look": 0.02, "settle": 0.1}, self._bus, lambda: FakeDecoder(self._scene))

    def insert(self) -> None:
        self._scene.show(STRING)

    def remove(self) -> None:
        self._scene.show()

    def stop_service(self) -> None:
        raise NotImplementedError

    def start_service(self) -> None:
        raise NotImplementedError

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
