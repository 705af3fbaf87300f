"""The driver ``nfc`` on readers made of lists, held by others, stuck; and the field by itself."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.clocks import Clock
from tests.problems import detail_of, named
from vitale_drivers.base import (
    Arm,
    Failed,
    Health,
    Presented,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Started,
)
from vitale_drivers.contract import Inbox
from vitale_drivers.nfc import driver as nfc
from vitale_drivers.nfc.driver import NfcDriver
from vitale_drivers.nfc.field import NfcField
from vitale_drivers.nfc.reader import NfcReader
from vitale_drivers.nfc.settings import NfcAddress, NfcSettings
from vitale_drivers.nfc.transport import NfcPlace, NfcTarget, ReaderTransport
from vitale_drivers.readers.presence import Presence
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_protocol.errors import (
    MediumRemoved,
    ReaderBusy,
    ReaderError,
    ReaderGone,
    ReaderUnavailable,
    ToolMissing,
)
from vitale_protocol.events import Reader
from vitale_protocol.media.apcv_profile import parse_profile

PROFILE = profile_text("simulator")
FIRST = NfcPlace("nfc:1", "first", NfcAddress("usb"), usb=(1,))
SECOND = NfcPlace("nfc:2", "second", NfcAddress("usb"), usb=(2,))
STRING = b"an opaque string of the simulator"


class FakeTransport(ReaderTransport):
    """A reader whose field is a list."""

    def __init__(self) -> None:
        self.field: list[PhoneCard] = []
        self.on = False
        self.fault: ReaderError | None = None
        self.wait: Callable[[], object] = lambda: None
        self.looks = 0

    def find(self) -> tuple[NfcTarget, ...]:
        self.wait()
        self._check()
        self.on, self.looks = True, self.looks + 1
        return tuple(NfcTarget(phone.uid, iso_dep=True) for phone in self.field)

    def choose(self, target: NfcTarget) -> None:
        pass

    def transmit(self, apdu: bytes, limit: float) -> bytes:
        self._check()
        if not self.field:
            raise MediumRemoved("the phone left the field")
        return self.field[0].transmit(apdu)

    def present(self) -> bool:
        self._check()
        return bool(self.field)

    def quiet(self) -> None:
        self._check()
        self.on = False

    def cancel(self) -> None: ...

    def lit(self) -> bool:
        return self.on

    def close(self) -> None:
        self.on = False

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault


class FakeBus:
    def __init__(self, *places: NfcPlace) -> None:
        self.there = list(places)
        self.refusal: ReaderError | None = None
        self.links = {FIRST.id: FakeTransport(), SECOND.id: FakeTransport()}

    def places(self, address: NfcAddress) -> tuple[NfcPlace, ...]:
        return tuple(self.there)

    def open(self, place: NfcPlace) -> ReaderTransport:
        if self.refusal is not None:
            raise self.refusal
        return self.links[place.id]


Open = Callable[..., tuple[NfcDriver, Inbox]]


@pytest.fixture
def open_driver() -> Iterator[Open]:
    drivers: list[NfcDriver] = []

    def start(bus: FakeBus, **options: object) -> tuple[NfcDriver, Inbox]:
        driver, inbox = NfcDriver({"profiles": [PROFILE], "look": 0.01, **options}, bus), Inbox()
        drivers.append(driver)
        driver.open(inbox)
        return driver, inbox

    yield start
    for driver in drivers:
        driver.close()


def arm(*again: str, readers: tuple[str, ...] = ()) -> Arm:
    return Arm(media=("apcv-nfc",), readers=readers, again=again, deadline=time.monotonic() + 600)


def test_readers_come_one_after_the_other_and_are_armed_like_those_that_were_there(open_driver: Open) -> None:
    bus = FakeBus(FIRST)
    driver, inbox = open_driver(bus)
    assert inbox.wait(ReaderAdded).reader.id == FIRST.id
    driver.arm(arm(readers=(SECOND.id,)))
    bus.links[SECOND.id].field = [PhoneCard(lambda: STRING)]
    bus.there.append(SECOND)
    assert inbox.wait(ReaderAdded).reader.id == SECOND.id
    assert inbox.wait(Presented).reader == SECOND.id
    assert bus.links[FIRST.id].looks == 0


def test_a_reader_that_something_else_holds_is_shown_with_the_remedy_until_it_is_let_go(open_driver: Open) -> None:
    bus = FakeBus(FIRST)
    bus.refusal = ReaderBusy("something else has the reader", variant="pn533", data={"holder": "pn533"})
    driver, inbox = open_driver(bus)
    shown = inbox.wait(ReaderAdded).reader
    assert (shown.state, shown.error) == ("unavailable", "reader_busy")
    health = inbox.wait(Health, lambda one: one.state == "degraded")
    assert (named(health.problem), "pn533" in detail_of(health.problem)) == ("reader_busy.pn533", True)
    driver.arm(arm())
    assert named(inbox.wait(Progress).problem) == "reader_busy.pn533"
    bus.refusal = None
    assert inbox.wait(ReaderChanged).reader.state == "empty"
    assert inbox.wait(Health).state == "ok"


def test_a_reader_that_turns_out_to_be_a_program_is_shown_as_one_for_good(open_driver: Open) -> None:
    bus = FakeBus(FIRST)
    bus.refusal = ReaderBusy("something else has the reader")
    _, inbox = open_driver(bus)
    assert not inbox.wait(ReaderAdded).reader.simulated
    bus.links[FIRST.id].simulated = True
    bus.refusal = None
    shown = inbox.wait(ReaderChanged).reader
    assert (shown.state, shown.simulated) == ("empty", True)
    bus.links[FIRST.id].simulated = False
    bus.there.clear()
    inbox.wait(ReaderRemoved)
    bus.there.append(FIRST)
    assert inbox.wait(ReaderAdded).reader.simulated


def test_a_reader_that_falls_silent_while_it_reads_fails_that_reading(open_driver: Open) -> None:
    bus = FakeBus(FIRST)
    driver, inbox = open_driver(bus)
    inbox.wait(ReaderAdded)
    transport = bus.links[FIRST.id]

    def falls_silent() -> bytes:
        bus.refusal = transport.fault = ReaderUnavailable("the reader does not answer any more")
        raise transport.fault

    transport.field = [PhoneCard(falls_silent)]
    driver.arm(arm())
    assert inbox.wait(Failed).problem.reason == "reader_unavailable"
    assert inbox.wait(ReaderChanged).reader.state == "unavailable"
    transport.field = [PhoneCard(lambda: STRING)]
    transport.fault = bus.refusal = None
    inbox.wait(Presented)


def test_without_a_profile_the_field_stays_off_and_that_is_said(open_driver: Open) -> None:
    bus = FakeBus(FIRST)
    driver, inbox = open_driver(bus, profiles=[])
    assert inbox.wait(Started).media == ()
    assert named(inbox.wait(Health).problem) == "configuration_invalid"
    assert inbox.wait(ReaderAdded).reader.media == ()
    driver.arm(arm())
    driver.close()
    assert bus.links[FIRST.id].looks == 0


def test_a_reader_that_does_not_return_is_named(open_driver: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NfcReader, "stuck_after", 0.0)
    bus = FakeBus(FIRST)
    driver, inbox = open_driver(bus)
    inbox.wait(ReaderAdded)
    called, go = threading.Event(), threading.Event()

    def wait() -> None:
        called.set()
        go.wait(30)

    bus.links[FIRST.id].wait = wait
    driver.arm(arm())
    assert called.wait(30)
    assert driver.stuck() == f"call to {FIRST.id}"
    go.set()


def test_the_exchanges_of_one_reading_are_not_one_long_call(open_driver: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[NfcReader] = []
    begun: list[float] = []
    before: list[bool] = []

    class Noted(NfcReader):
        def start(self) -> None:
            readers.append(self)
            super().start()

    class NotingLink(FakeTransport):
        def transmit(self, apdu: bytes, limit: float) -> bytes:
            now = time.monotonic()
            if begun:
                before.append(readers[0].is_stuck(begun[-1]))
            begun.append(now)
            return super().transmit(apdu, limit)

    monkeypatch.setattr(nfc, "NfcReader", Noted)
    monkeypatch.setattr(NfcReader, "stuck_after", 0.0)
    bus = FakeBus(FIRST)
    bus.links[FIRST.id] = NotingLink()
    bus.links[FIRST.id].field = [PhoneCard(lambda: STRING, block=4)]
    driver, inbox = open_driver(bus)
    driver.arm(arm())
    inbox.wait(Presented)
    # A call that began after the one before it had was not yet there when that one began.
    assert len(before) > 3
    assert not any(before)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_find_holders: object) -> None:
        raise ToolMissing("driver nfc needs usb1", data={"tool": "usb1"})

    monkeypatch.setattr(nfc, "_nfcpy_bus", missing)
    with pytest.raises(ToolMissing):
        NfcDriver({}).open(Inbox())


# ── the field alone, with a clock of its own ─────────────────────────────────────────────────────────────────────


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
def field(clock: Clock) -> tuple[NfcField, FakeTransport, Presence, Inbox]:
    transport, presence, inbox = FakeTransport(), Presence("nfc:1"), Inbox()
    reader = Reader(id="nfc:1", name="first", driver="nfc", media=("apcv-nfc",), state="empty")
    return (
        NfcField(transport, reader, presence, (parse_profile(PROFILE),), NfcSettings(), inbox, clock),
        transport,
        presence,
        inbox,
    )


def run(field: NfcField, clock: Clock, seconds: float) -> None:
    """Steps as the reader's thread would, until so much time has passed or there is nothing to do."""
    end = clock.now + seconds
    while clock.now < end and (pause := field.step()) is not None:
        clock.now += max(pause, 0.001)


def test_after_disarming_a_phone_is_watched_until_it_leaves(
    field: tuple[NfcField, FakeTransport, Presence, Inbox], clock: Clock
) -> None:
    it, transport, presence, inbox = field
    transport.field = [PhoneCard(lambda: STRING)]
    presence.arm(arm())
    run(it, clock, 1)
    presence.disarm()
    run(it, clock, 5)
    assert transport.lit()
    transport.field = []
    run(it, clock, 1)
    inbox.wait(ReaderChanged, lambda one: one.reader.state == "empty")
    assert not transport.lit()
    assert len(inbox.outcomes()) == 1


def test_after_disarming_a_phone_that_stays_is_not_watched_for_ever(
    field: tuple[NfcField, FakeTransport, Presence, Inbox], clock: Clock
) -> None:
    it, transport, presence, inbox = field
    transport.field = [PhoneCard(lambda: STRING)]
    presence.arm(arm())
    run(it, clock, 1)
    presence.disarm()
    run(it, clock, 11)
    assert not transport.lit()
    assert it.step() is None
    inbox.wait(ReaderChanged, lambda one: one.reader.state == "empty")


def test_a_phone_lost_for_less_than_it_takes_to_settle_has_not_left(
    field: tuple[NfcField, FakeTransport, Presence, Inbox], clock: Clock
) -> None:
    it, transport, presence, inbox = field
    phone = PhoneCard(lambda: STRING)
    transport.field = [phone]
    presence.arm(arm())
    run(it, clock, 1)
    transport.field = []
    run(it, clock, 0.2)
    transport.field = [PhoneCard(lambda: STRING, uid=bytes.fromhex("08 11 22 33"))]
    run(it, clock, 1)
    assert len(inbox.outcomes()) == 1
    transport.field = []
    run(it, clock, 1)
    transport.field = [phone]
    run(it, clock, 1)
    assert len(inbox.outcomes()) == 2


def test_another_card_in_place_of_the_phone_is_the_next_presence_at_once(
    field: tuple[NfcField, FakeTransport, Presence, Inbox], clock: Clock
) -> None:
    it, transport, presence, inbox = field
    transport.field = [PhoneCard(lambda: STRING)]
    presence.arm(arm())
    run(it, clock, 1)
    transport.field = []
    run(it, clock, 0.15)
    transport.field = [PhoneCard(lambda: STRING, uid=bytes.fromhex("04A1B2C3D4E5F6"))]
    run(it, clock, 0.1)
    assert len(inbox.outcomes()) == 2


@pytest.mark.parametrize("fault", [ReaderGone("unplugged"), ReaderUnavailable("mute")])
def test_a_reader_that_is_lost_ends_the_steps(
    field: tuple[NfcField, FakeTransport, Presence, Inbox], fault: ReaderError
) -> None:
    it, transport, presence, _ = field
    presence.arm(arm())
    transport.fault = fault
    with pytest.raises(type(fault)):
        it.step()
