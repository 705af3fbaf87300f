"""The contract of all drivers, kept by ``pcsc`` on a real PC/SC service with a simulated card."""

from collections.abc import Iterator

import pytest

from tests.drivers.conftest import UNHURRIED
from vitale_drivers.base import Driver
from vitale_drivers.contract import Bench, DriverContract
from vitale_drivers.pcsc.driver import PcscDriver
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.images import load_image
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.vpcd import VpcdLink

pytestmark = pytest.mark.pcscd


class PcscBench(Bench):
    medium = "vitale-card"
    has_service = True
    has_plug = False  # a virtual reader goes only with its service; see test_pcsc_fakes.py

    def __init__(self, service: PcscService) -> None:
        port = service.ports[0]
        self.threads = frozenset({f"vpcd-{port}"})
        self._service = service
        self._link = VpcdLink(Card(load_image("adulte")), port=port)

    def driver(self) -> Driver:
        return PcscDriver(UNHURRIED)

    def insert(self) -> None:
        self._link.insert()

    def remove(self) -> None:
        self._link.remove()

    def stop_service(self) -> None:
        self._service.kill()

    def start_service(self) -> None:
        self._service.start()

    def close(self) -> None:
        self._link.close()


class TestPcsc(DriverContract):
    leases = True

    @pytest.fixture
    def bench(self, pcsc_service: PcscService) -> Iterator[Bench]:
        bench = PcscBench(pcsc_service)
        yield bench
        bench.close()
