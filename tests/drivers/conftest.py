"""The driver ``pcsc``, open on the run's private service."""

import time
from collections.abc import Callable, Iterator

import pytest

from vitale_drivers.base import Arm, ReaderAdded, ReaderChanged
from vitale_drivers.contract import Inbox
from vitale_drivers.pcsc import access
from vitale_drivers.pcsc.driver import PcscDriver
from vitale_firmware_sim.card.pcscd import PcscService

OpenDriver = Callable[..., tuple[PcscDriver, Inbox]]

UNHURRIED = {"busy_notice": 60.0, "busy_timeout": 600.0}
"""Options of a driver whose cards nobody else uses: a slow machine is not to be taken for another program."""


@pytest.fixture
def arm() -> Callable[..., Arm]:
    def make(*again: str, media: tuple[str, ...] = ("vitale-card",)) -> Arm:
        return Arm(media=media, again=again, deadline=time.monotonic() + 600)

    return make


@pytest.fixture
def long_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits as long as it takes until the service has noticed a removal; for cards that do not stay."""
    monkeypatch.setattr(access, "SETTLE", 60.0)


@pytest.fixture
def open_driver(pcsc_service: PcscService) -> Iterator[OpenDriver]:
    """Opens the driver with options: ``driver, inbox = open_driver(busy_timeout=2.0)``; both slots are empty then.

    It is ``UNHURRIED`` where the test does not say when a card is busy.
    """
    drivers: list[PcscDriver] = []

    def start(**options: float) -> tuple[PcscDriver, Inbox]:
        driver, inbox = PcscDriver({**UNHURRIED, **options}), Inbox()
        drivers.append(driver)
        driver.open(inbox)
        added = [inbox.wait(ReaderAdded).reader for _ in range(2)]
        for _ in filter(lambda reader: reader.state != "empty", added):
            # The card of the test before; the service takes up to 0.4 s to see that it left.
            inbox.wait(ReaderChanged, lambda report: report.reader.state == "empty")
        inbox.forget()
        return driver, inbox

    yield start
    for driver in drivers:
        driver.close()
