"""A driver has settled when each reader of its first look has told how it is."""

import threading
from functools import partial
from queue import Queue
from typing import ClassVar, Literal

from vitale_drivers.base import Arm, Disarm, Emit, Health, ReaderAdded, Report, Settled, Started
from vitale_drivers.readers.discovery import PollingDriver
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.lifecycle import ReaderThread
from vitale_protocol.errors import ReaderBusy
from vitale_protocol.events import Reader

PATIENCE = 60.0
STARTED = Started(driver="folder", media=("ins-datamatrix",))
WELL = Health(state="ok")

State = Literal["well", "ill", "gone", "added"]


class OneReader(ReaderThread[Arm | Disarm]):
    """A reader that tells how it is once it may, and nothing else."""

    def __init__(self, name: str, state: State, may: threading.Event, emit: Emit, health: HealthOfReaders) -> None:
        self.reader = Reader(id=name, name=name, driver="folder", media=("ins-datamatrix",), state="empty")
        super().__init__(self.reader, emit, health)
        self._state, self._may = state, may

    def run(self) -> None:
        assert self._may.wait(PATIENCE)
        match self._state:
            case "well":
                self.status.well(self.reader)
            case "ill":
                self.status.ill(self.reader, ReaderBusy("taken"))
            case "gone":
                self.status.gone()
            case _:
                self.emit(ReaderAdded(reader=self.reader))

    def is_stuck(self, now: float) -> bool:
        return False


class ManyReaders(PollingDriver[OneReader]):
    """A driver of such readers."""

    name: ClassVar[str] = "folder"
    media: ClassVar[tuple[str, ...]] = ("ins-datamatrix",)

    def __init__(self, *states: State) -> None:
        super().__init__({}, 60.0)
        self.may = {f"{number}": threading.Event() for number, _ in enumerate(states)}
        self._states = states

    def open(self, emit: Emit) -> None:
        self.begin(emit, STARTED)

    def look(self) -> None:
        for (name, may), state in zip(self.may.items(), self._states, strict=True):
            self.add(name, partial(OneReader, name, state, may, self.emit, self.reader_health))

    def has_to_look(self) -> bool:
        return False


def test_it_has_settled_when_the_last_of_its_readers_has_told_how_it_is() -> None:
    driver, told = ManyReaders("well", "ill", "gone", "added", "well"), Queue[Report]()
    driver.open(told.put)
    reports: list[Report] = [told.get(timeout=PATIENCE) for _ in range(2)]
    for name, may in driver.may.items():
        assert not any(isinstance(report, Settled) for report in reports), name
        may.set()
        reader = driver.reader(name)
        assert reader is not None
        reader.join(PATIENCE)
        while not told.empty():
            reports.append(told.get())
    driver.close()
    assert [STARTED, WELL] == reports[:2]
    assert 1 == reports.count(Settled())
    assert ["0", "1", "3", "4"] == [each.reader.id for each in reports if isinstance(each, ReaderAdded)]


def test_without_any_reader_it_has_settled_at_once() -> None:
    driver, told = ManyReaders(), list[Report]()
    driver.open(told.append)
    driver.close()
    assert [STARTED, WELL, Settled()] == told
