"""The contract of all drivers, kept by ``scanner`` on a simulated imager behind real pyserial."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.scanner.clocks import ScannerClock
from vitale_drivers.base import Driver
from vitale_drivers.contract import Bench, DriverContract
from vitale_drivers.scanner.driver import ScannerDriver
from vitale_firmware_sim.imager.device import Imager

pytestmark = pytest.mark.posix

GRACE = 60.0
"""Seconds that a scan lies there: a test that is slow to ask still finds it, and ``remove`` lets them pass."""


class ScannerBench(Bench):
    medium = "apcv-qr"
    has_plug = True

    def __init__(self, link: Path, clock: ScannerClock) -> None:
        self._link = link
        self._clock = clock
        self._number = 0
        self.imager = Imager(link=link)
        self.imager.open()

    def driver(self) -> Driver:
        return ScannerDriver({"devices": [str(self._link)], "grace": GRACE})

    def insert(self) -> None:
        self._number += 1
        self.imager.scan(b"VITALESIM.an opaque string %d" % self._number)

    def remove(self) -> None:
        """A scan passes by itself; the end of a line without content makes the thread look at its clock."""
        self._clock.pass_by(GRACE)
        self.imager.send(b"\r")

    def unplug(self) -> None:
        self.imager.unplug()

    def plug(self) -> None:
        self.imager.open()


class TestScanner(DriverContract):
    momentary = True

    @pytest.fixture
    def bench(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
        bench = ScannerBench(tmp_path / "imager", ScannerClock(monkeypatch, stands=False))
        yield bench
        bench.imager.unplug()
