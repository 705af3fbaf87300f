"""Desks for the tests of the driver ``scanner``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.scanner.clocks import ScannerClock
from tests.drivers.scanner.desks import Desk, MakeDesk
from vitale_drivers.base import ReaderAdded
from vitale_drivers.contract import Inbox
from vitale_drivers.scanner.driver import ScannerDriver
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.imager.faults import Behaviour, parse_imager_faults


@pytest.fixture
def make_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeDesk]:
    """``make_desk(count, behaviour=…, baud=…, faults=…, **options)``: a driver whose imagers are there, not armed.

    A scan lies there, and a line may stop, for longer than any test takes, unless the options say how long. Where a
    pause ends a scan, the clock of the imagers stands, and a scan is followed by a pause.
    """
    desks: list[Desk] = []

    def make(
        count: int = 1, *, behaviour: Behaviour | None = None, baud: int | None = None, faults: str = "", **options: Any
    ) -> Desk:
        links = [tmp_path / f"imager-{len(desks)}-{number}" for number in range(count)]
        imagers = [Imager(behaviour, baud, parse_imager_faults(faults), link) for link in links]
        for imager in imagers:
            imager.open()
        clock = ScannerClock(monkeypatch, stands=True) if options.get("framing") == "idle" else None
        limits = {"grace": 60.0, "line_timeout": 60.0}
        driver = ScannerDriver({"devices": [str(link) for link in links], **limits, **options})
        desk = Desk(driver, Inbox(), imagers, [f"scanner:{link}" for link in links], clock)
        desks.append(desk)
        driver.open(desk.inbox)
        for _ in imagers:
            desk.inbox.wait(ReaderAdded)
        return desk

    yield make
    for desk in desks:
        if desk.clock is not None:
            desk.clock.run()
        desk.driver.close()
        for imager in desk.imagers:
            imager.unplug()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()
