"""The contract of all drivers, kept by ``nfc`` on a simulated PN532 behind real nfcpy and pyserial."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vitale_drivers.base import Driver
from vitale_drivers.contract import Bench, DriverContract
from vitale_drivers.nfc.driver import NfcDriver
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_firmware_sim.pn532.reader import Pn532Reader

pytestmark = pytest.mark.posix


class NfcBench(Bench):
    medium = "apcv-nfc"
    has_plug = True

    def __init__(self, link: Path) -> None:
        self._link = link
        self.reader = Pn532Reader(link=link)
        self._phone = PhoneCard(lambda: b"an opaque string of the simulator")
        self.reader.open()
        self.threads = frozenset({f"pn532-{self.reader.path}", "nfc-card"})

    def driver(self) -> Driver:
        options = {"exchange_limit": 600.0, "reading_limit": 600.0}
        return NfcDriver({"devices": [str(self._link)], "profiles": [profile_text("simulator")], **options})

    def insert(self) -> None:
        self.reader.field.put(self._phone)

    def remove(self) -> None:
        self.reader.field.remove()

    def unplug(self) -> None:
        self.reader.unplug()

    def plug(self) -> None:
        self.reader.open()


@pytest.mark.usefixtures("patient_line")
class TestNfc(DriverContract):
    silent_unless_armed = True

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        bench = NfcBench(tmp_path / "reader")
        yield bench
        bench.reader.unplug()
        bench.remove()
