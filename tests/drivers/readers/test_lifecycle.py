"""A reader is opened, served and closed again and again, until it is ended."""

import threading
from dataclasses import dataclass, field

import pytest

from vitale_drivers.base import Arm, Disarm, Health, ReaderAdded, ReaderChanged, ReaderRemoved
from vitale_drivers.contract import Inbox
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.lifecycle import PluggedReader, ReaderPlace
from vitale_protocol.errors import ReaderError, ReaderGone, ReaderUnavailable
from vitale_protocol.events import Reader

PLACE = ReaderPlace("x", "x", "here")


@dataclass
class FakeDevice:
    """A device that is there until its fault is set."""

    simulated: bool = False
    fault: ReaderError | None = None
    changed: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def cancel(self) -> None:
        self.changed.set()

    def close(self) -> None:
        self.closed = True


class FakeBus:
    def __init__(self) -> None:
        self.there = True
        self.refusal: ReaderError | None = None
        self.opened: list[FakeDevice] = []
        self.simulated = False

    def places(self, address: str) -> tuple[ReaderPlace[str], ...]:
        return (PLACE,) if self.there else ()

    def open(self, place: ReaderPlace[str]) -> FakeDevice:
        if self.refusal is not None:
            raise self.refusal
        self.opened.append(FakeDevice(simulated=self.simulated))
        return self.opened[-1]


class FakeReader(PluggedReader[Arm | Disarm, ReaderPlace[str], FakeDevice]):
    @property
    def wanted(self) -> bool:
        return True

    def serve(self, device: FakeDevice) -> None:
        self.status.well(self.reader)
        while not self.closed and device.fault is None:
            device.changed.wait(30)
        if device.fault is not None:
            raise device.fault

    def abandon(self, error: ReaderError) -> bool:
        return False


def reader_on(bus: FakeBus, inbox: Inbox) -> FakeReader:
    reader = Reader(id="x", name="x", driver="d", media=(), state="empty", simulated=False)
    return FakeReader(PLACE, bus, reader, 0.01, inbox, HealthOfReaders(inbox, Health(state="ok")))


def fail(device: FakeDevice, error: ReaderError) -> None:
    device.fault = error
    device.changed.set()


def test_a_device_that_fails_is_closed_and_opened_again() -> None:
    bus, inbox = FakeBus(), Inbox()
    reader = reader_on(bus, inbox)
    reader.start()
    inbox.wait(ReaderAdded)
    fail(bus.opened[0], ReaderUnavailable("mute"))
    assert inbox.wait(ReaderChanged).reader.error == "reader_unavailable"
    assert bus.opened[0].closed
    assert inbox.wait(ReaderChanged).reader.state == "empty"
    reader.end()
    reader.join(30)
    assert (reader.is_alive, [device.closed for device in bus.opened]) == (False, [True, True])


@pytest.mark.parametrize("error", [ReaderGone("pulled"), ReaderUnavailable("mute")])
def test_a_device_that_is_unplugged_is_removed_whatever_its_last_error(error: ReaderError) -> None:
    bus, inbox = FakeBus(), Inbox()
    reader = reader_on(bus, inbox)
    reader.start()
    inbox.wait(ReaderAdded)
    bus.there = False
    fail(bus.opened[0], error)
    inbox.wait(ReaderRemoved)
    bus.there = True
    inbox.wait(ReaderAdded)
    reader.end()
    reader.join(30)


def test_a_reader_that_was_simulated_once_is_never_called_real() -> None:
    bus, inbox = FakeBus(), Inbox()
    bus.simulated = True
    reader = reader_on(bus, inbox)
    reader.start()
    assert inbox.wait(ReaderAdded).reader.simulated
    bus.simulated = False
    fail(bus.opened[0], ReaderGone("pulled"))
    inbox.wait(ReaderRemoved)
    assert inbox.wait(ReaderAdded).reader.simulated
    reader.end()
    reader.join(30)


def test_nothing_is_reported_after_the_end() -> None:
    inbox = Inbox()
    reader = reader_on(FakeBus(), inbox)
    reader.end()
    reader.emit(Health(state="ok"))
    assert inbox.reports == []
