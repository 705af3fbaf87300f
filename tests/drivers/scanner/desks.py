"""A desk with imagers in software, behind the driver and real pyserial."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.drivers.scanner.clocks import ScannerClock
from tests.problems import named
from vitale_drivers.base import Arm, Presented, Progress
from vitale_drivers.contract import Inbox
from vitale_drivers.scanner.driver import ScannerDriver
from vitale_drivers.scanner.scans import MEDIA
from vitale_firmware_sim.imager.device import Imager
from vitale_protocol.media.apcv import SIMULATED_PREFIX

STRING = SIMULATED_PREFIX + b"an opaque string of the simulator, as long as they are " * 3
OTHER = SIMULATED_PREFIX + b"another opaque string"
INS = b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU\x1dS4GARCIA"


@dataclass
class Desk:
    """An open driver, its imagers, and the hand that scans."""

    driver: ScannerDriver
    inbox: Inbox
    imagers: list[Imager]
    ids: list[str] = field(default_factory=list[str])
    clock: ScannerClock | None = None

    @property
    def imager(self) -> Imager:
        return self.imagers[0]

    @property
    def id(self) -> str:
        return self.ids[0]

    def arm(self, *again: str) -> None:
        self.driver.arm(Arm(media=MEDIA, again=again, deadline=time.monotonic() + 600))

    def scanned(self, data: bytes, symbology: str = "qr") -> Presented:
        self.imager.scan(data, symbology)
        self.pause()
        return self.inbox.wait(Presented)

    def pause(self) -> None:
        """Lets a pause follow, where the clock of the imagers stands."""
        if self.clock is not None:
            # What was fetched is dealt with before the thread looks at its clock for the fourth time.
            assert vars(self.imager)["_line"].fetched(60)
            self.clock.wait_looked(4)
            self.clock.pass_by(1.0)

    def retries(self, reader: str) -> list[str]:
        reports = [report for report in list(self.inbox.reports) if isinstance(report, Progress)]
        return [named(report.problem) for report in reports if report.step == "retry" and report.reader == reader]


MakeDesk = Callable[..., Desk]
