"""Desks for the tests of the driver ``scanner``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.scanner.desks import Desk, MakeDesk
from vitale_drivers.base import ReaderAdded
from vitale_drivers.contract import Inbox
from vitale_drivers.scanner.driver import ScannerDriver
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.imager.faults import Behaviour, parse_imager_faults


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[MakeDesk]:
    """``make_desk(count, behaviour=…, baud=…, faults=…, **options)``: a driver whose imagers are there, not armed."""
    desks: list[Desk] = []

    def make(
        count: int = 1, *, behaviour: Behaviour | None = None, baud: int | None = None, faults: str = "", **options: Any
    ) -> Desk:
        links = [tmp_path / f"imager-{len(desks)}-{number}" for number in range(count)]
        imagers = [Imager(behaviour, baud, parse_imager_faults(faults), link) for link in links]
        for imager in imagers:
            imager.open()
        driver = ScannerDriver({"devices": [str(link) for link in links], **options})
        desk = Desk(driver, Inbox(), imagers, [f"scanner:{link}" for link in links])
        desks.append(desk)
        driver.open(desk.inbox)
        for _ in imagers:
            desk.inbox.wait(ReaderAdded)
        return desk

    yield make
    for desk in desks:
        desk.driver.close()
        for imager in desk.imagers:
            imager.unplug()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()
