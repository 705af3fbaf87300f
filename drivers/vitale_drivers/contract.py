"""The suite that every driver passes: the rules of ``base``, checked with something to present to it.

A driver's tests import it, from this project or another::

    class MyBench(Bench):
        medium = "ins-datamatrix"

        def driver(self) -> Driver: ...
        def insert(self) -> None: ...
        def remove(self) -> None: ...


    class TestMyDriver(DriverContract):
        @pytest.fixture
        def bench(self) -> Iterator[Bench]: ...

and pytest runs every test of the class with that bench. pytest itself is imported by the tests only.
"""

import abc
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import ClassVar, TypeVar, get_args

import msgspec

from vitale_drivers.base import (
    Arm,
    Driver,
    Failed,
    Health,
    LeaseCommand,
    Leased,
    Presented,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    Settled,
    Started,
    Transmit,
    Transmitted,
    Unlease,
    Unleased,
)
from vitale_drivers.host.pipe import encode
from vitale_drivers.registry import load
from vitale_protocol import media
from vitale_protocol.errors import MediumUnsupported, VitaleError
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_protocol.records import Medium

__all__ = ["Bench", "DriverContract", "Inbox", "Outcome"]

R = TypeVar("R")

Outcome = Presented | Failed

TIMEOUT = 30.0
"""Seconds: far more than any step takes, since what runs these tests is often busy with others."""

LEASED = 600.0
"""Seconds of a lease that is to last for as long as its test."""


class Bench(abc.ABC):
    """A device and the hands that put a medium before it; a driver's author overrides what the device has.

    Attributes:
        medium: one of ``vitale_protocol.records.Medium``: ``insert`` presents it, readable by the driver.
        has_service: whether ``stop_service`` and ``start_service`` work; their tests are skipped otherwise.
        has_plug: whether ``unplug`` and ``plug`` work, likewise.
        threads: names of the bench's own threads, which ``insert`` may start.
    """

    medium: str
    has_service: bool = False
    has_plug: bool = False
    threads: frozenset[str] = frozenset()

    @abc.abstractmethod
    def driver(self) -> Driver:
        """A new driver, not open, for a device that is plugged and in which nothing lies."""

    @abc.abstractmethod
    def insert(self) -> None:
        """Presents the medium to the reader."""

    @abc.abstractmethod
    def remove(self) -> None:
        """Takes the medium away."""

    def stop_service(self) -> None:
        """Stops what all the devices depend on."""
        raise NotImplementedError

    def start_service(self) -> None:
        """Restarts what ``stop_service`` stopped."""
        raise NotImplementedError

    def unplug(self) -> None:
        """Unplugs the device from the machine."""
        raise NotImplementedError

    def plug(self) -> None:
        """Plugs the device in again."""
        raise NotImplementedError


class Inbox:
    """Collects a driver's reports, for tests that wait for them. Give it to ``Driver.open``."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._changed = threading.Condition()
        self._read = 0

    def __call__(self, report: Report) -> None:
        """Takes a report, from any thread."""
        encode(report)  # one that cannot travel to the supervisor is a fault of the driver
        with self._changed:
            self.reports.append(report)
            self._changed.notify_all()

    def wait(
        self,
        kind: type[R],
        where: Callable[[R], bool] = lambda _: True,
        timeout: float = TIMEOUT,
    ) -> R:
        """The next report of a kind for which ``where`` holds, after the one that was waited for last.

        Raises:
            AssertionError: it did not come; all that came is in the text.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                while self._read < len(self.reports):
                    report = self.reports[self._read]
                    self._read += 1
                    if isinstance(report, kind) and where(report):
                        return report
                if not self._changed.wait(end - time.monotonic()):
                    raise AssertionError(f"no {kind.__name__} among {self.reports}")

    def forget(self) -> None:
        """Begins anew, as if nothing had come so far."""
        with self._changed:
            self.reports.clear()
            self._read = 0

    def outcomes(self) -> list[Outcome]:
        """Outcomes of all presentations so far."""
        with self._changed:
            return [report for report in self.reports if isinstance(report, Presented | Failed)]


@contextmanager
def _opened(bench: Bench) -> Generator[tuple[Driver, Inbox]]:
    driver, inbox = bench.driver(), Inbox()
    driver.open(inbox)
    try:
        yield driver, inbox
    finally:
        driver.close()


def _arm(*media: str, readers: tuple[str, ...] = (), again: tuple[str, ...] = (), ends_in: float = 600.0) -> Arm:
    return Arm(media=media, readers=readers, again=again, deadline=time.monotonic() + ends_in)


def _present(report: ReaderAdded | ReaderChanged) -> bool:
    return report.reader.state == "present"


def _empty(report: ReaderAdded | ReaderChanged) -> bool:
    return report.reader.state == "empty"


def _identity(reader: Reader) -> Reader:
    """The reader without its state: one that is slow to answer is announced as unavailable, and is the same."""
    return msgspec.structs.replace(reader, state="empty", medium=None, error=None)


class DriverContract:
    """One test for each rule. The fixture ``bench`` is the subclass's.

    Attributes:
        silent_unless_armed: whether the device sees nothing before it is armed, as an antenna or a camera.
        leases: whether what lies there can be leased.
        momentary: whether a presentation is an event that is over once it was read, as a scan is. ``remove`` may then
            do nothing.
    """

    silent_unless_armed: ClassVar[bool] = False
    momentary: ClassVar[bool] = False
    leases: ClassVar[bool] = False

    def test_its_name_is_that_of_its_entry_point(self, bench: Bench) -> None:
        driver = bench.driver()
        assert load(driver.name) is type(driver)

    def test_it_says_that_it_started_before_anything_else(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            inbox.wait(ReaderAdded)
            first = inbox.reports[0]
            assert isinstance(first, Started)
            assert (first.driver, first.media) == (driver.name, driver.media)

    def test_it_says_once_that_all_that_was_there_is_told(self, bench: Bench) -> None:
        with _opened(bench) as (_, inbox):
            inbox.wait(Settled)
            told = list(inbox.reports)
        assert sum(isinstance(report, Settled) for report in told) == 1
        before = told[: next(at for at, report in enumerate(told) if isinstance(report, Settled))]
        assert any(isinstance(report, ReaderAdded) for report in before), "the reader is told before"

    def test_a_reader_tells_its_driver_and_what_it_can_read(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            reader = inbox.wait(ReaderAdded, _empty).reader
            assert (reader.driver, reader.state, reader.medium) == (driver.name, "empty", None)
            assert bench.medium in reader.media

    def test_its_media_are_those_of_the_protocol(self, bench: Bench) -> None:
        known = frozenset(get_args(Medium))
        with _opened(bench) as (driver, inbox):
            started = inbox.wait(Started)
            reader = inbox.wait(ReaderAdded).reader
        for whose, declared in (("Driver.media", driver.media), ("Started", started.media)):
            strange = sorted(frozenset(declared) - known)
            assert not strange, f"{whose} declares {strange}; the protocol's media are {sorted(known)}"
        more = sorted(frozenset(reader.media) - frozenset(started.media))
        assert not more, f"reader {reader.id} has {more}, which Started does not declare"

    def test_what_it_presents_can_be_interpreted(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            inbox.wait(ReaderAdded)
            driver.arm(_arm(bench.medium))
            bench.insert()
            presented = inbox.wait(Presented)
        try:
            reading = media.interpret(presented.medium, presented.evidence, simulated=presented.simulated)
        except VitaleError as error:
            keys = sorted(presented.evidence)
            raise AssertionError(
                f"{presented.medium} with evidence {keys} gives no reading: {error.reason} ({error.detail})"
            ) from error
        assert reading.medium == presented.medium

    def test_a_medium_is_seen_to_come_and_go_though_nothing_is_armed(self, bench: Bench) -> None:
        _need(not self.silent_unless_armed, "the device is silent unless armed")
        with _opened(bench) as (_, inbox):
            inbox.wait(ReaderAdded)
            bench.insert()
            assert inbox.wait(ReaderChanged, _present).reader.medium == bench.medium
            bench.remove()
            inbox.wait(ReaderChanged, _empty)
            assert inbox.outcomes() == []

    def test_a_medium_that_comes_is_read_once(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            reader = inbox.wait(ReaderAdded).reader
            driver.arm(_arm(bench.medium))
            began, began_at = time.monotonic(), time.time()
            bench.insert()
            presented = inbox.wait(Presented)
            assert (presented.medium, presented.reader) == (bench.medium, reader.id)
            assert presented.simulated == reader.simulated
            assert presented.evidence
            step = _clock_step()
            assert began_at - step <= presented.at <= time.time() + step
            assert 0 <= presented.elapsed <= time.monotonic() - began + step
            _let_it_go(bench, inbox)
            assert inbox.outcomes() == [presented]

    def test_a_medium_that_lies_there_is_read_once_however_often_it_is_armed(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            inbox.wait(ReaderAdded)
            self._insert(bench, inbox)
            driver.arm(_arm(bench.medium))
            presented = inbox.wait(Presented)
            driver.arm(_arm(bench.medium))
            driver.disarm()
            driver.arm(_arm(bench.medium))
            _let_it_go(bench, inbox)
            assert inbox.outcomes() == [presented]

    def test_it_is_read_once_more_each_time_this_is_asked(self, bench: Bench) -> None:
        _need(not self.momentary, "what is presented is an event, and is over once it was read")
        with _opened(bench) as (driver, inbox):
            reader = inbox.wait(ReaderAdded).reader
            bench.insert()
            driver.arm(_arm(bench.medium))
            seen = [inbox.wait(Presented)]
            for _ in range(2):
                driver.arm(_arm(bench.medium, again=(reader.id,)))
                seen.append(inbox.wait(Presented))
            assert len({presented.id for presented in seen}) == 3
            assert all(presented.evidence == seen[0].evidence for presented in seen)
            _let_it_go(bench, inbox)
            assert inbox.outcomes() == seen

    def test_an_event_is_over_once_it_was_read(self, bench: Bench) -> None:
        _need(self.momentary, "what is presented lies there until it is taken away")
        with _opened(bench) as (driver, inbox):
            reader = inbox.wait(ReaderAdded).reader
            driver.arm(_arm(bench.medium))
            bench.insert()
            first = inbox.wait(Presented)
            inbox.wait(ReaderChanged, _empty)
            driver.arm(_arm(bench.medium, again=(reader.id,)))
            assert inbox.outcomes() == [first]
            bench.insert()
            second = inbox.wait(Presented)
            assert inbox.outcomes() == [first, second]

    def test_the_next_presence_is_read_too(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            inbox.wait(ReaderAdded)
            driver.arm(_arm(bench.medium))
            seen: list[Presented] = []
            for _ in range(2):
                bench.insert()
                seen.append(inbox.wait(Presented))
                _let_it_go(bench, inbox)
            assert inbox.outcomes() == seen

    def test_what_is_not_wanted_is_not_read(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            inbox.wait(ReaderAdded)
            self._insert(bench, inbox)
            driver.arm(_arm("no-such-medium"))
            driver.arm(_arm(bench.medium, readers=("no-such-reader",)))
            driver.arm(_arm(bench.medium, ends_in=-1.0))
            driver.arm(_arm(bench.medium, readers=("no-such-reader",)))
            driver.disarm()
            self._remove(bench, inbox)
            assert [self._next(driver, bench, inbox)] == inbox.outcomes()

    def test_a_medium_that_comes_after_the_deadline_or_disarm_is_not_read(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            inbox.wait(ReaderAdded)
            for command in (_arm(bench.medium, ends_in=-1.0), None):
                if command is None:
                    driver.arm(_arm(bench.medium))
                    driver.disarm()
                else:
                    driver.arm(command)
                self._insert(bench, inbox)
                self._remove(bench, inbox)
            assert [self._next(driver, bench, inbox)] == inbox.outcomes()

    def _insert(self, bench: Bench, inbox: Inbox) -> None:
        """Presents the medium to a driver that is not armed."""
        bench.insert()
        if not self.silent_unless_armed:
            inbox.wait(ReaderChanged, _present)

    def _remove(self, bench: Bench, inbox: Inbox) -> None:
        bench.remove()
        if not self.silent_unless_armed:
            inbox.wait(ReaderChanged, _empty)

    def _next(self, driver: Driver, bench: Bench, inbox: Inbox) -> Presented:
        """One more presentation; its outcome comes after whatever the driver did wrong before it."""
        driver.arm(_arm(bench.medium))
        bench.insert()
        return inbox.wait(Presented)

    def test_raw_commands_for_a_reader_that_is_not_there_are_answered(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            driver.transmit(Transmit(id=7, reader="no-such-reader", apdus=(bytes(5),)))
            assert inbox.wait(Transmitted) == Transmitted(id=7, responses=(), problem=Problem("reader_gone"))

    def test_where_nothing_can_be_leased_this_is_said(self, bench: Bench) -> None:
        import pytest

        _need(not self.leases, "what lies there can be leased")
        with _opened(bench) as (driver, inbox):
            reader = inbox.wait(ReaderAdded).reader
            with pytest.raises(MediumUnsupported):
                driver.lease(LeaseCommand(id=1, reader=reader.id, until=time.monotonic() + LEASED))

    def test_a_lease_of_a_reader_that_is_not_there_is_answered(self, bench: Bench) -> None:
        _need(self.leases, "nothing can be leased here")
        with _opened(bench) as (driver, inbox):
            driver.lease(LeaseCommand(id=7, reader="no-such-reader", until=time.monotonic() + LEASED))
            assert inbox.wait(Leased) == Leased(id=7, problem=Problem("reader_gone"))

    def test_what_is_leased_is_read_when_the_lease_has_ended(self, bench: Bench) -> None:
        _need(self.leases, "nothing can be leased here")
        with _opened(bench) as (driver, inbox):
            reader = inbox.wait(ReaderAdded).reader
            self._insert(bench, inbox)
            driver.lease(LeaseCommand(id=7, reader=reader.id, until=time.monotonic() + LEASED))
            inbox.wait(ReaderChanged, lambda report: report.reader.state == "leased")
            assert inbox.wait(Leased).problem is None
            driver.arm(_arm(bench.medium))
            for number in range(3):
                driver.transmit(Transmit(id=number, reader=reader.id, apdus=(bytes(5),), lease=7))
                assert inbox.wait(Transmitted).id == number
            assert inbox.outcomes() == []
            driver.unlease(Unlease(id=7, reader=reader.id))
            assert inbox.wait(Unleased) == Unleased(id=7, why="released")
            inbox.wait(Presented)

    def test_a_lease_ends_with_its_time_and_with_what_was_leased(self, bench: Bench) -> None:
        _need(self.leases, "nothing can be leased here")
        with _opened(bench) as (driver, inbox):
            reader = inbox.wait(ReaderAdded).reader
            self._insert(bench, inbox)
            driver.lease(LeaseCommand(id=1, reader=reader.id, until=time.monotonic() + LEASED))
            driver.lease(LeaseCommand(id=1, reader=reader.id, until=time.monotonic()))
            assert inbox.wait(Unleased) == Unleased(id=1, why="ttl")
            driver.lease(LeaseCommand(id=2, reader=reader.id, until=time.monotonic() + LEASED))
            inbox.wait(Leased, lambda report: report.id == 2)
            bench.remove()
            assert inbox.wait(Unleased) == Unleased(id=2, why="card")

    def test_a_reader_has_the_same_id_in_the_next_life(self, bench: Bench) -> None:
        with _opened(bench) as (_, inbox):
            before = inbox.wait(ReaderAdded).reader
        with _opened(bench) as (_, inbox):
            assert _identity(inbox.wait(ReaderAdded).reader) == _identity(before)

    def test_a_reader_has_the_same_id_when_it_is_plugged_again(self, bench: Bench) -> None:
        _need(bench.has_plug, "the device cannot be unplugged here")
        with _opened(bench) as (driver, inbox):
            before = inbox.wait(ReaderAdded).reader
            driver.arm(_arm(bench.medium))
            bench.unplug()
            assert inbox.wait(ReaderRemoved).reader == before.id
            bench.plug()
            assert _identity(inbox.wait(ReaderAdded).reader) == _identity(before)
            bench.insert()
            assert inbox.wait(Presented).reader == before.id

    def test_the_service_may_go_and_come_back_while_armed(self, bench: Bench) -> None:
        _need(bench.has_service, "the driver depends on no service that can be stopped")
        with _opened(bench) as (driver, inbox):
            reader = inbox.wait(ReaderAdded).reader
            driver.arm(_arm(bench.medium))
            bench.stop_service()
            assert inbox.wait(Health).state == "degraded"
            inbox.wait(ReaderRemoved, lambda report: report.reader == reader.id)
            bench.start_service()
            assert inbox.wait(Health).state == "ok"
            assert inbox.wait(ReaderAdded, lambda report: report.reader.id == reader.id).reader.state == "empty"
            bench.insert()
            inbox.wait(Presented)

    def test_a_service_that_is_absent_at_start_is_waited_for(self, bench: Bench) -> None:
        _need(bench.has_service, "the driver depends on no service that can be stopped")
        bench.stop_service()
        with _opened(bench) as (driver, inbox):
            inbox.wait(Started)
            health = inbox.wait(Health)
            assert health.state == "degraded"
            assert health.problem is not None
            assert health.problem.reason == "reader_unavailable"
            driver.arm(_arm(bench.medium))
            bench.start_service()
            inbox.wait(ReaderAdded)
            bench.insert()
            inbox.wait(Presented)

    def test_it_ends_its_threads_and_says_nothing_after(self, bench: Bench) -> None:
        others = set(threading.enumerate())
        with _opened(bench) as (driver, inbox):
            inbox.wait(ReaderAdded)
            driver.arm(_arm(bench.medium))
            bench.insert()
            inbox.wait(Presented)
            others |= {thread for thread in threading.enumerate() if thread.name in bench.threads}
        end = time.monotonic() + TIMEOUT
        for thread in set(threading.enumerate()) - others:
            # One that was told to end may still be on its way, such as a timer that was cancelled.
            thread.join(max(0.0, end - time.monotonic()))
            assert not thread.is_alive(), f"{thread.name} goes on after the driver was closed"
        said = len(inbox.reports)
        bench.remove()
        assert len(inbox.reports) == said

    def test_nothing_is_stuck_while_all_is_well(self, bench: Bench) -> None:
        with _opened(bench) as (driver, inbox):
            inbox.wait(ReaderAdded)
            assert not driver.stuck()


def _let_it_go(bench: Bench, inbox: Inbox) -> None:
    """Ends the presence; what the driver does wrong in it, it has done by then."""
    bench.remove()
    inbox.wait(ReaderChanged, _empty)


def _clock_step() -> float:
    """Seconds by which what was measured with several clocks may be off: a step of each."""
    return sum(time.get_clock_info(name).resolution for name in ("time", "monotonic", "perf_counter"))


def _need(ability: bool, otherwise: str) -> None:
    import pytest

    if not ability:
        pytest.skip(otherwise)
