"""A reader is announced once for each thing that is new of it."""

import pytest

from vitale_drivers.base import Health, Progress, ReaderAdded, ReaderChanged, ReaderRemoved, Report
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.status import ReaderStatus
from vitale_protocol.errors import ReaderBusy
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem

READER = Reader(id="r", name="r", driver="d", media=(), state="empty", simulated=True)
BUSY = Reader(id="r", name="r", driver="d", media=(), state="unavailable", simulated=True, error="reader_busy")


@pytest.fixture
def reports() -> list[Report]:
    return []


@pytest.fixture
def status(reports: list[Report]) -> ReaderStatus:
    return ReaderStatus("r", reports.append, HealthOfReaders(reports.append, Health(state="ok")))


def test_a_reader_is_added_changed_and_removed_once(status: ReaderStatus, reports: list[Report]) -> None:
    for _ in range(2):
        status.well(READER)
    assert status.ill(READER, ReaderBusy("held"))
    assert not status.ill(READER, ReaderBusy("held"))
    for _ in range(2):
        status.gone()

    degraded = Health(state="degraded", problem=Problem("reader_busy", detail="r: held"))
    assert reports == [
        ReaderAdded(reader=READER),
        ReaderChanged(reader=BUSY),
        degraded,
        Health(state="ok"),
        ReaderRemoved(reader="r"),
    ]


def test_another_cause_of_the_same_error_is_new(status: ReaderStatus) -> None:
    assert status.ill(READER, ReaderBusy("held"))
    assert status.ill(READER, ReaderBusy("held", variant="pcscd"))


def test_only_a_reader_in_trouble_reminds(status: ReaderStatus, reports: list[Report]) -> None:
    status.well(READER)
    status.remind()
    assert reports == [ReaderAdded(reader=READER)]
    status.ill(READER, ReaderBusy("held", variant="pcscd"))
    status.remind()
    assert reports[-1] == Progress(reader="r", step="retry", problem=Problem("reader_busy", "pcscd", "held"))


def test_a_reader_that_was_changed_by_its_driver_is_not_announced_again(
    status: ReaderStatus, reports: list[Report]
) -> None:
    present = ReaderChanged(reader=Reader(id="r", name="r", driver="d", media=(), state="present", simulated=True))
    status.well(READER)
    status.report(present)
    status.show(present.reader)
    assert reports == [ReaderAdded(reader=READER), present]
