"""The contract of all drivers, kept by ``simulated-card``."""

import pytest

from vitale_drivers.base import Driver
from vitale_drivers.contract import Bench, DriverContract
from vitale_firmware_sim.card.driver import SimulatedCardDriver


class SimulatedBench(Bench):
    medium = "vitale-card"
    has_plug = True

    def __init__(self) -> None:
        self._driver: SimulatedCardDriver | None = None

    def driver(self) -> Driver:
        self._driver = SimulatedCardDriver({"present": False})
        return self._driver

    @property
    def _open(self) -> SimulatedCardDriver:
        assert self._driver is not None
        return self._driver

    def insert(self) -> None:
        self._open.insert("comptoir")

    def remove(self) -> None:
        self._open.remove("comptoir")

    def unplug(self) -> None:
        self._open.unplug("comptoir")

    def plug(self) -> None:
        self._open.plug("comptoir")


class TestSimulatedCard(DriverContract):
    leases = True

    @pytest.fixture
    def bench(self) -> Bench:
        return SimulatedBench()
