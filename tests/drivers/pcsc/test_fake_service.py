"""``pcsc`` on a service made of lists: what no virtual reader can be brought to do."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from smartcard import scard

from tests.drivers.conftest import UNHURRIED
from vitale_drivers.base import (
    Arm,
    Failed,
    Health,
    LeaseCommand,
    Leased,
    Presented,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Settled,
    Started,
    Transmit,
    Transmitted,
    Unleased,
)
from vitale_drivers.cards import lease as card_lease
from vitale_drivers.contract import Inbox
from vitale_drivers.pcsc import access as pcsc_access
from vitale_drivers.pcsc import api as pcsc_api
from vitale_drivers.pcsc import device_examination as pcsc_examination
from vitale_drivers.pcsc import driver as pcsc_driver
from vitale_drivers.pcsc import monitor as pcsc_monitor
from vitale_drivers.pcsc.access import CardAccess
from vitale_drivers.pcsc.api import PNP, CardReset, ExchangeFailed, PcscCard, PcscContext
from vitale_drivers.pcsc.driver import PcscDriver
from vitale_drivers.pcsc.state import ReaderState
from vitale_drivers.pcsc.system import serial_of
from vitale_firmware_sim.card.card import Card as SimulatedCard
from vitale_firmware_sim.card.images import load_image
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.errors import (
    MediumMute,
    MediumRemoved,
    MediumUnreadable,
    NoReader,
    PresentationTimeout,
    ReaderBusy,
    ReaderGone,
    ReaderUnavailable,
    VitaleError,
)
from vitale_protocol.problems import Problem

EMPTY, PRESENT, UNAVAILABLE, UNKNOWN, EXCLUSIVE, INUSE, MUTE = 0x10, 0x20, 0x08, 0x04, 0x80, 0x100, 0x200
VITALE = load_image("adulte").atr
TWIN_A, TWIN_B = "Twin 00 00", "Twin 01 00"

BRIEF = 0.2
"""Seconds for a removal to be noticed, where there is none."""


@dataclass
class FakeCard:
    """A simulated card behind a script of faults: each transmission takes one; None is no fault."""

    service: "Service"
    chip: SimulatedCard = field(default_factory=lambda: SimulatedCard(load_image("adulte")))
    t0: bool = True

    def begin(self) -> None:
        self.chip.reset()

    def transmit(self, apdu: bytes) -> bytes:
        if self.service.faults and (fault := self.service.faults.pop(0)) is not None:
            raise fault
        return self.chip.transmit(apdu)

    def keep(self) -> None:
        with self.service.changed:
            self.service.kept += 1
            self.service.changed.notify_all()
        if self.service.idle_fault is not None:
            raise self.service.idle_fault

    def reset(self) -> None:
        self.service.resets += 1
        if self.service.unsignalled is not None:
            self.service.note(self.service.unsignalled)
        if self.service.reset_fault is not None:
            raise self.service.reset_fault

    def release(self, *, reset: bool = False) -> None:
        if reset and self.service.after_reset is not None:
            self.service.note(self.service.after_reset)
        with self.service.changed:
            self.service.released += 1
            self.service.resets_at_release += reset
            self.service.changed.notify_all()


@dataclass
class Service:
    """PC/SC as a table of readers.

    Attributes:
        unsignalled: the state that a failing reset leaves, and that is not signalled, as with pcscd.
        powered: the state after a connection that powered a mute card, which is not signalled either.
        after_reset: likewise, that after a card was released with a reset.
        overlooked: what is in the reader in truth, which is only noticed when the reader is roused.
        listed: called each time that the readers were told, before whoever asked does anything else.
        failures: how often a wait ended by ``down``.
    """

    states: dict[str, ReaderState] = field(default_factory=dict[str, ReaderState])
    serials: dict[str, str] = field(default_factory=dict[str, str])
    faults: list[VitaleError | None] = field(default_factory=list["VitaleError | None"])
    reset_fault: VitaleError | None = None
    unsignalled: ReaderState | None = None
    overlooked: ReaderState | None = None
    rouse_faults: list[VitaleError] = field(default_factory=list[VitaleError])
    roused: int = 0
    changes: int = 0
    connect_faults: list[VitaleError] = field(default_factory=list[VitaleError])
    down: VitaleError | None = None
    listed: Callable[[], None] = lambda: None
    failures: int = 0
    pnp_known: bool = True
    pnp_deaf: bool = False
    restless: bool = False
    waits: int = 0
    resets: int = 0
    kept: int = 0
    idle_fault: VitaleError | None = None
    powered: ReaderState | None = None
    after_reset: ReaderState | None = None
    connects: int = 0
    released: int = 0
    resets_at_release: int = 0
    redirected: frozenset[str] = frozenset()
    asked_serials: list[str] = field(default_factory=list[str])
    changed: threading.Condition = field(default_factory=threading.Condition)

    def establish(self) -> PcscContext:
        if self.down is not None:
            raise ReaderUnavailable("no service")
        return FakeContext(self)

    def set(self, name: str, bits: int, atr: bytes = b"", *, count: int = 0) -> None:
        self.note(ReaderState(name, bits | count << 16, atr))
        with self.changed:
            self.changes += 1
            self.changed.notify_all()

    def note(self, state: ReaderState) -> None:
        """Sets a state without a signal: only who looks at it anew finds it."""
        with self.changed:
            self.states[state.name] = state

    def card(self, name: str, *, count: int = 1, more: int = 0) -> None:
        self.set(name, PRESENT | more, VITALE, count=count)

    def unplug(self, name: str) -> None:
        with self.changed:
            del self.states[name]
            self.changes += 1
            self.changed.notify_all()

    def fail(self, error: VitaleError | None) -> None:
        with self.changed:
            self.down = error
            self.changed.notify_all()


@dataclass
class FakeContext:
    service: Service
    cancelled: bool = False
    told: frozenset[str] | None = None

    def readers(self) -> tuple[str, ...]:
        with self.service.changed:
            names = tuple(self.service.states)
            self.told = frozenset(names)
            self.service.listed()
            return names

    def wait(self, known: Iterable[ReaderState], timeout: float | None) -> tuple[ReaderState, ...]:
        service, given = self.service, tuple(known)
        if len(given) > 16:
            raise ReaderUnavailable("SCardGetStatusChange: 0x80100004")
        with service.changed:
            service.waits += 1
            service.changed.notify_all()
            # A reader that came since the list was told is signalled, unless plug and play is deaf.
            before, changes = frozenset(service.states) if self.told is None else self.told, service.changes
            unlike = any(self._now(state, before).changed for state in given)

            def look() -> tuple[ReaderState, ...]:
                return tuple(self._now(state, before) for state in given)

            def over() -> bool:
                differs = unlike or (changes != service.changes and any(state.changed for state in look()))
                return differs or self.cancelled or service.down is not None or service.restless

            service.changed.wait_for(over, timeout)
            if service.down is not None:
                service.failures += 1
                raise service.down
            cancelled, self.cancelled = self.cancelled, False
            # As with PC/SC, what has changed already is told, and nothing was waited for that could be cancelled.
            return given if cancelled and not unlike else look()

    def _now(self, state: ReaderState, before: frozenset[str]) -> ReaderState:
        if state.name == PNP:
            if not self.service.pnp_known:
                return ReaderState(PNP, UNKNOWN)
            return ReaderState(PNP, changed=before != frozenset(self.service.states) and not self.service.pnp_deaf)
        now = self.service.states.get(state.name, ReaderState(state.name, UNKNOWN))
        return ReaderState(now.name, now.bits, now.atr, changed=now != state)

    def cancel(self) -> None:
        with self.service.changed:
            self.cancelled = True
            self.service.changed.notify_all()

    def connect(self, reader: str) -> PcscCard:
        self.service.connects += 1
        if self.service.connect_faults:
            raise self.service.connect_faults.pop(0)
        if self.service.powered is not None:
            self.service.note(self.service.powered)
        return FakeCard(self.service)

    def rouse(self, reader: str) -> None:
        with self.service.changed:
            self.service.roused += 1
            self.service.changed.notify_all()
            if self.service.rouse_faults:
                raise self.service.rouse_faults.pop(0)
            if self.service.overlooked is None:
                raise MediumRemoved("E_NO_SMARTCARD")
            self.service.note(self.service.overlooked)

    def serial_number(self, reader: str) -> str:
        self.service.asked_serials.append(reader)
        return self.service.serials.get(reader, "")

    def redirected(self, reader: str) -> bool:
        return reader in self.service.redirected

    def release(self) -> None:
        return


@pytest.fixture
def service() -> Service:
    return Service()


Opened = tuple[PcscDriver, Inbox]


@pytest.fixture
def opening(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Opened]]:
    """Opens the driver on the service, armed for cartes Vitale, with short times.

    That for a removal to be noticed is long: it ends when the removal is. A card that stays gets ``BRIEF``.
    """
    monkeypatch.setattr(pcsc_access, "SETTLE", 60.0)
    monkeypatch.setattr(pcsc_access, "PROBES", (0.02, 0.02, 0.02))
    monkeypatch.setattr(pcsc_monitor, "RELIST", 0.05)
    monkeypatch.setattr(pcsc_monitor, "RETRY", 0.05)
    monkeypatch.setattr(pcsc_monitor, "BREATH", 0.02)
    driver, inbox = PcscDriver(UNHURRIED, service), Inbox()

    def start() -> Opened:
        driver.open(inbox)
        driver.arm(Arm(media=("vitale-card",), deadline=time.monotonic() + 600))
        return driver, inbox

    yield start
    driver.close()


@pytest.fixture
def opened(opening: Callable[[], Opened]) -> Opened:
    return opening()


def test_a_reader_that_comes_back_under_another_number_has_its_id(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.set("Gemalto PC Twin Reader (70D7E2EE) 00 00", EMPTY)
    first = inbox.wait(ReaderAdded).reader
    service.unplug(first.name)
    assert inbox.wait(ReaderRemoved).reader == first.id
    service.set("Gemalto PC Twin Reader (70D7E2EE) 03 00", EMPTY)
    assert inbox.wait(ReaderAdded).reader.id == first.id


@pytest.mark.parametrize(
    ("more", "reasons"), [(MUTE, {"medium_mute"}), (INUSE, {"reader_busy"}), (EXCLUSIVE, {"reader_busy"})]
)
def test_a_connection_that_lasts_is_told_as_busy_only_where_somebody_uses_the_card(
    service: Service, monkeypatch: pytest.MonkeyPatch, more: int, reasons: set[str]
) -> None:
    """Powering a mute card takes as long as a wait for another program's transaction may."""
    looks, told = threading.Semaphore(0), threading.Event()

    def establish() -> PcscContext:
        looks.release()
        return FakeContext(service)

    def connect(_context: FakeContext, _reader: str) -> PcscCard:
        for _ in range(5):  # beyond notice and time-out, if nobody looks
            looks.acquire(timeout=0.2)
        if more != MUTE:
            told.wait(30)
        raise MediumMute("W_UNRESPONSIVE_CARD")

    monkeypatch.setattr(service, "establish", establish)
    monkeypatch.setattr(FakeContext, "connect", connect)
    monkeypatch.setattr(pcsc_access, "SETTLE", 0.02)
    driver, inbox = PcscDriver({"busy_notice": 0.02, "busy_timeout": 0.1, "transmit_limit": 600.0}, service), Inbox()
    service.set(TWIN_A, PRESENT | more, b"" if more == MUTE else VITALE, count=1)
    driver.open(inbox)
    try:
        driver.arm(Arm(media=("vitale-card",), deadline=time.monotonic() + 600))
        reasons_told = {inbox.wait(Failed).problem.reason}
        progress = [report.problem for report in inbox.reports if isinstance(report, Progress)]
        assert reasons == reasons_told | {problem.reason for problem in progress if problem is not None}
    finally:
        told.set()
        driver.close()


@pytest.mark.parametrize("step", ["look", "release"])
def test_a_step_that_lasts_once_the_card_was_obtained_is_not_told_as_busy(
    service: Service, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """pcscd 2.3 answers only at its next look at a reader whose mute card was powered: up to 0.4 s later."""
    asked, waits = threading.Semaphore(0), CardAccess.waits
    wait, release = FakeContext.wait, FakeCard.release

    def ask(access: CardAccess, limit: float) -> bool:
        asked.release()
        return waits(access, limit)

    def last() -> None:
        for _ in range(2 if service.connects == 1 else 0):  # the second comes after what the first told
            asked.acquire(timeout=10)

    def look(context: FakeContext, known: Iterable[ReaderState], timeout: float | None) -> tuple[ReaderState, ...]:
        if step == "look" and timeout == 0:
            last()
        return wait(context, known, timeout)

    def let_go(card: FakeCard, *, reset: bool = False) -> None:
        if step == "release":
            last()
        release(card, reset=reset)

    monkeypatch.setattr(CardAccess, "waits", ask)
    monkeypatch.setattr(FakeContext, "wait", look)
    monkeypatch.setattr(FakeCard, "release", let_go)
    monkeypatch.setattr(pcsc_access, "SETTLE", 0.02)
    driver, inbox = PcscDriver({"busy_notice": 0.02, "busy_timeout": 0.1, "transmit_limit": 600.0}, service), Inbox()
    service.set(TWIN_A, PRESENT | MUTE, count=1)
    driver.open(inbox)
    try:
        driver.arm(Arm(media=("vitale-card",), deadline=time.monotonic() + 600))
        assert inbox.wait(Failed).problem.reason == "medium_mute"
        assert not [report for report in inbox.reports if isinstance(report, Progress) and report.problem is not None]
        assert "busy" not in {report.reader.state for report in inbox.reports if isinstance(report, ReaderChanged)}
    finally:
        driver.close()


def test_a_twin_that_stays_keeps_its_id(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.set(TWIN_A, EMPTY)
    assert inbox.wait(ReaderAdded).reader.id == "pcsc:twin"
    service.set(TWIN_B, EMPTY)
    assert inbox.wait(ReaderAdded).reader.id == "pcsc:twin~2"
    service.unplug(TWIN_A)
    assert inbox.wait(ReaderRemoved).reader == "pcsc:twin"
    service.card(TWIN_B)
    assert inbox.wait(Presented).reader == "pcsc:twin~2"


def test_the_serial_number_is_asked_for_where_the_name_cannot_tell_it(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.serials["Gemplus USB Smart Card Reader 0"] = "AB 12"
    service.set("Gemplus USB Smart Card Reader 0", EMPTY)
    assert inbox.wait(ReaderAdded).reader.id == "pcsc:gemplus-usb-smart-card-reader@ab-12"
    service.set(TWIN_A, EMPTY)
    inbox.wait(ReaderAdded)
    assert service.asked_serials == ["Gemplus USB Smart Card Reader 0"]


def test_a_reader_at_the_far_end_of_a_remote_session_is_named_as_such_and_keeps_its_id(
    service: Service, opened: Opened
) -> None:
    _, inbox = opened
    service.redirected = frozenset({TWIN_A})
    service.set(TWIN_A, EMPTY)
    reader = inbox.wait(ReaderAdded).reader
    assert (reader.id, reader.name) == ("pcsc:twin", f"{TWIN_A} (remote session)")
    service.set(TWIN_B, EMPTY)
    assert inbox.wait(ReaderAdded).reader.name == TWIN_B
    seen = PcscDriver({}, service).survey()
    assert [(one.name, one.redirected) for one in seen[1:]] == [(f"{TWIN_A} (remote session)", True), (TWIN_B, False)]


def test_a_real_reader_is_not_simulated(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.set(TWIN_A, EMPTY)
    assert not inbox.wait(ReaderAdded).reader.simulated
    service.card(TWIN_A)
    assert not inbox.wait(Presented).simulated


def test_a_reader_plugged_between_two_calls_is_found(service: Service, opening: Callable[[], Opened]) -> None:
    service.pnp_deaf = True
    service.set(TWIN_A, EMPTY)
    lists: list[int] = []

    def listed() -> None:
        lists.append(1)
        if len(lists) == 2:  # behind the list that is compared, and before the wait
            service.set(TWIN_B, EMPTY)

    service.listed = listed
    _, inbox = opening()
    assert [inbox.wait(ReaderAdded).reader.name for _ in range(2)] == [TWIN_A, TWIN_B]


def test_readers_are_found_where_plug_and_play_is_not_known(service: Service, opening: Callable[[], Opened]) -> None:
    service.pnp_known = False
    _, inbox = opening()
    service.set("Reader", EMPTY)
    first = inbox.wait(ReaderAdded).reader
    with service.changed:
        waits = service.waits
        assert service.changed.wait_for(lambda: service.waits > waits + 2, 30), "it looks again and again"
    service.set("Reader 01", EMPTY)
    assert (first.id, inbox.wait(ReaderAdded).reader.id) == ("pcsc:reader", "pcsc:reader~2")


@pytest.mark.parametrize("count", [15, 16])
def test_as_many_readers_as_one_call_may_watch_are_read(
    service: Service, opening: Callable[[], Opened], count: int
) -> None:
    names = [f"Reader {chr(ord('A') + at)} {at:02X} 00" for at in range(count)]
    for name in names:
        service.set(name, EMPTY)
    _, inbox = opening()
    assert {inbox.wait(ReaderAdded).reader.name for _ in names} == set(names)
    service.card(names[-1])
    assert inbox.wait(Presented).reader == f"pcsc:reader-{chr(ord('a') + count - 1)}"
    service.unplug(names[0])
    assert inbox.wait(ReaderRemoved).reader == "pcsc:reader-a"
    assert not [report for report in inbox.reports if isinstance(report, Health)]


def test_a_service_that_answers_at_once_for_ever_costs_no_core(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.set(TWIN_A, EMPTY)
    inbox.wait(ReaderAdded)
    with service.changed:
        # The second looks that follow a change are over when a wait has no limit.
        service.restless = True
        service.changed.notify_all()
        assert service.changed.wait_for(lambda: service.waits > 8, 30)
        began, waits = time.monotonic(), service.waits
        assert service.changed.wait_for(lambda: service.waits >= waits + 10, 30)
    assert time.monotonic() - began >= 9 * pcsc_monitor.BREATH


@pytest.mark.parametrize("code", ["SCardGetStatusChange: 0x80100013", "SCardGetStatusChange: 0x8010006A"])
def test_a_service_that_fails_is_told_and_its_return_too(service: Service, opened: Opened, code: str) -> None:
    _, inbox = opened
    service.set(TWIN_A, EMPTY)
    reader = inbox.wait(ReaderAdded).reader
    service.fail(ReaderUnavailable(code))
    assert inbox.wait(Health) == Health(state="degraded", problem=Problem("reader_unavailable", detail=code))
    assert inbox.wait(ReaderRemoved).reader == reader.id
    service.fail(None)
    assert inbox.wait(Health) == Health(state="ok")
    assert inbox.wait(ReaderAdded).reader == reader


class Unheard:
    """A listener of the monitor that takes no notice."""

    def service_up(self) -> None: ...

    def service_down(self, error: ReaderUnavailable) -> None: ...

    def looked(self) -> None: ...

    def plugged(self, context: PcscContext, state: ReaderState) -> None: ...

    def unplugged(self, name: str, error: VitaleError) -> None: ...

    def observed(self, state: ReaderState) -> None: ...


class Pauses(threading.Event):
    """The event of a monitor that closes, which notes for how long it is waited for and never waits as long."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[float | None] = []
        self.enough = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.taken.append(timeout)
        if len(self.taken) >= 8:
            self.enough.set()
        return super().wait(0.001)


@pytest.mark.parametrize(
    ("variant", "pauses"), [("", [0.5] * 8), ("pcsc-refused", [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0])]
)
def test_a_service_that_is_away_is_tried_often_enough_and_one_that_refuses_seldom(
    service: Service, variant: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def establish() -> PcscContext:
        raise ReaderUnavailable("no service", variant=variant)

    monkeypatch.setattr(service, "establish", establish)
    monitor, asked = pcsc_monitor.Monitor(service, Unheard()), Pauses()
    monkeypatch.setattr(monitor, "_closing", asked)
    monitor.start()
    assert asked.enough.wait(30)
    monitor.close(30.0)
    assert asked.taken[:8] == pauses


@pytest.mark.parametrize("code", sorted(pcsc_api.NO_SERVICE))
def test_a_service_that_goes_with_its_last_reader_is_no_reader(
    service: Service, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def establish() -> PcscContext:
        raise ReaderUnavailable("SCardEstablishContext", variant="pcsc", data={"code": code})

    monkeypatch.setattr(service, "establish", establish)
    for comes_with_readers, pause, told in (
        (True, pcsc_monitor.RETRY_WITHOUT_READERS, "up"),
        (False, pcsc_monitor.RETRY, "down"),
    ):
        asked, heard = Pauses(), Heard()
        watched = pcsc_monitor.Monitor(service, heard, service_comes_with_readers=comes_with_readers)
        monkeypatch.setattr(watched, "_closing", asked)
        watched.start()
        assert asked.enough.wait(30)
        watched.close(30.0)
        assert (asked.taken[:8], heard.told[:8]) == ([pause] * 8, [told] * 8)


class Heard:
    """Listener of a monitor that notes what it is told of the service."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def service_up(self) -> None:
        self.told.append("up")

    def service_down(self, error: ReaderUnavailable) -> None:
        self.told.append("down")

    def looked(self) -> None:
        pass

    def plugged(self, context: PcscContext, state: ReaderState) -> None:
        self.told.append("plugged")

    def unplugged(self, name: str, error: VitaleError) -> None:
        self.told.append("unplugged")

    def observed(self, state: ReaderState) -> None:
        self.told.append("observed")


@pytest.mark.parametrize(
    ("instance", "serial"),
    [
        ("USB\\VID_08E6&PID_3437\\0001A2", "0001A2"),
        ("USB\\VID_072F&PID_90CC\\6&1A2B3C&0&2", ""),
        ("USB\\VID_04E6&PID_5790&MI_00\\7&2F1E&0&0000", ""),
        ("ROOT\\SMARTCARDREADER\\0000", ""),
        ("SWD\\SCDEVICEENUM\\1_ABC", ""),
        ("", ""),
    ],
)
def test_the_instance_of_a_device_tells_its_serial_number_or_its_place(instance: str, serial: str) -> None:
    assert serial_of(instance) == serial


def test_a_reader_that_is_gone_before_it_was_looked_at_is_no_fault(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.set(TWIN_A, EMPTY)
    inbox.wait(ReaderAdded)
    service.fail(ReaderGone("SCardGetStatusChange: 0x80100009"))
    with service.changed:
        waits = service.waits
        assert service.changed.wait_for(lambda: service.waits > waits + 2, 30)
    service.fail(None)
    service.set(TWIN_B, EMPTY)
    inbox.wait(ReaderAdded)
    assert {type(report) for report in inbox.reports} == {Started, Settled, ReaderAdded}


def test_a_reader_plugged_behind_the_list_that_follows_such_a_fault_is_found(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.set(TWIN_A, EMPTY)
    inbox.wait(ReaderAdded)

    def listed() -> None:
        if service.failures and TWIN_B not in service.states:
            service.fail(None)
            service.set(TWIN_B, EMPTY)

    service.pnp_deaf, service.listed = True, listed
    service.fail(ReaderGone("SCardGetStatusChange: 0x80100009"))
    assert inbox.wait(ReaderAdded).reader.name == TWIN_B


def test_a_reader_that_does_not_work_is_shown(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.set(TWIN_A, UNAVAILABLE)
    reader = inbox.wait(ReaderAdded).reader
    assert (reader.state, reader.error) == ("unavailable", "reader_unavailable")
    service.set(TWIN_A, EMPTY)
    assert inbox.wait(ReaderChanged).reader.error is None


def test_a_card_that_another_program_has_alone_is_shown_as_busy(service: Service, opened: Opened) -> None:
    driver, inbox = opened
    driver.disarm()
    service.set(TWIN_A, EMPTY)
    inbox.wait(ReaderAdded)
    service.card(TWIN_A, more=EXCLUSIVE)
    assert inbox.wait(ReaderChanged).reader.state == "busy"
    service.card(TWIN_A)
    assert inbox.wait(ReaderChanged).reader.state == "present"


def test_a_card_that_followed_another_unseen_is_another_presence(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.card(TWIN_A, count=1)
    inbox.wait(Presented)
    service.card(TWIN_A, count=3)
    assert [inbox.wait(ReaderChanged).reader.state for _ in range(2)] == ["empty", "present"]
    inbox.wait(Presented)
    assert len(inbox.outcomes()) == 2


def test_a_card_without_answer_to_reset_yet_is_not_told_as_mute(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.set(TWIN_A, PRESENT, count=1)
    assert inbox.wait(ReaderAdded).reader.medium is None
    service.card(TWIN_A)
    inbox.wait(Presented)
    assert len(inbox.outcomes()) == 1


@pytest.mark.parametrize("fault", [CardReset("W_RESET_CARD"), ReaderUnavailable("INVALID_HANDLE")])
def test_a_card_that_was_reset_or_a_context_that_died_is_begun_again(
    service: Service, opened: Opened, fault: VitaleError
) -> None:
    _, inbox = opened
    service.faults = [None, None, fault]
    service.card(TWIN_A)
    inbox.wait(Presented)
    steps = [report.step for report in inbox.reports if isinstance(report, Progress)]
    assert steps == ["detected", "reading"]
    with service.changed:  # the outcome is told before the card is released
        assert service.changed.wait_for(lambda: service.released >= 2, 30)
    assert (service.released, service.resets) == (2, 0)


def test_a_failed_exchange_resets_the_card_and_is_tried_again(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.faults = [None, ExchangeFailed("E_NOT_TRANSACTED")]
    service.card(TWIN_A)
    inbox.wait(Presented)
    assert service.resets == 1


def test_exchanges_that_go_on_failing_end_in_an_unreadable_card(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.faults = [ExchangeFailed("E_NOT_TRANSACTED")] * 9
    service.card(TWIN_A)
    assert inbox.wait(Failed).problem.reason == "medium_unreadable"
    assert service.resets == pcsc_access.TRIES


@pytest.mark.parametrize("reset_fault", [ExchangeFailed("E_NOT_TRANSACTED"), MediumMute("W_UNRESPONSIVE_CARD")])
def test_a_card_that_cannot_be_reset_and_stays_is_mute(
    service: Service, opened: Opened, reset_fault: VitaleError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc_access, "SETTLE", BRIEF)
    _, inbox = opened
    service.faults, service.reset_fault = [ExchangeFailed("E_NOT_TRANSACTED")], reset_fault
    service.card(TWIN_A)
    assert inbox.wait(Failed).problem.reason == "medium_mute"


def test_a_card_that_cannot_be_reset_and_leaves_was_removed(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.faults, service.reset_fault = [ExchangeFailed("E_NOT_TRANSACTED")], MediumMute("W_UNRESPONSIVE_CARD")
    service.card(TWIN_A)
    inbox.wait(Progress, lambda report: report.step == "reading")
    service.set(TWIN_A, EMPTY, count=2)
    assert inbox.wait(Failed).problem.reason == "medium_removed"


def test_a_reader_unplugged_while_its_card_is_waited_for_is_gone(service: Service, opened: Opened) -> None:
    _, inbox = opened
    service.faults, service.reset_fault = [ExchangeFailed("E_NOT_TRANSACTED")], MediumMute("W_UNRESPONSIVE_CARD")
    service.card(TWIN_A)
    inbox.wait(Progress, lambda report: report.step == "reading")
    service.unplug(TWIN_A)
    assert inbox.wait(Failed).problem.reason == "reader_gone"
    inbox.wait(ReaderRemoved)
    assert len(inbox.outcomes()) == 1


@pytest.fixture
def torn(service: Service) -> Service:
    """A service whose next card is torn out in an exchange, which pcscd notes without counting or signalling it."""
    service.faults, service.reset_fault = [None, ExchangeFailed("E_NOT_TRANSACTED")], MediumRemoved("E_NO_SMARTCARD")
    service.unsignalled = ReaderState(TWIN_A, EMPTY | 1 << 16)
    return service


def shown(inbox: Inbox) -> list[str]:
    return [report.reader.state for report in inbox.reports if isinstance(report, ReaderChanged)]


def test_a_card_that_takes_the_place_of_one_torn_out_is_found_and_read(torn: Service, opened: Opened) -> None:
    """pcscd polls too late to see the reader empty, and believes that it is, for as long as the next card stays."""
    _, inbox = opened
    torn.overlooked = ReaderState(TWIN_A, PRESENT | 1 << 16, VITALE)
    torn.card(TWIN_A, count=1)
    assert inbox.wait(Failed).problem.reason == "medium_removed"
    inbox.wait(Presented)
    assert shown(inbox) == ["empty", "present"]
    assert [type(outcome) for outcome in inbox.outcomes()] == [Failed, Presented]
    assert torn.roused == 1, "a card that the service knows of is left alone"


def test_a_reader_is_shown_as_empty_before_its_card_is_told_as_torn_out(torn: Service, opened: Opened) -> None:
    driver, inbox = opened
    torn.card(TWIN_A, count=1)
    inbox.wait(Failed)
    assert shown(inbox) == ["empty"]
    driver.arm(Arm(media=("vitale-card",), again=("pcsc:twin",), deadline=time.monotonic() + 600))
    torn.set(TWIN_A, EMPTY, count=2)
    torn.card(TWIN_A, count=3)
    inbox.wait(Presented)
    assert len(inbox.outcomes()) == 2, "one failure for one card, whoever asks again"


def test_a_reader_that_stays_empty_is_left_in_peace(torn: Service, opened: Opened) -> None:
    driver, inbox = opened
    torn.card(TWIN_A, count=1)
    inbox.wait(Failed)
    with torn.changed:
        assert torn.changed.wait_for(lambda: torn.roused == len(pcsc_access.PROBES), 30)
        assert not torn.changed.wait_for(lambda: torn.roused > len(pcsc_access.PROBES), 0.2), "nobody waits for a card"
    torn.overlooked = ReaderState(TWIN_A, PRESENT | 1 << 16, VITALE)
    driver.arm(Arm(media=("vitale-card",), deadline=time.monotonic() + 600))
    inbox.wait(Presented)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (0, 0)], ids=["counted", "a platform that does not count"])
def test_a_removal_that_cannot_be_doubted_is_not(torn: Service, opened: Opened, before: int, after: int) -> None:
    _, inbox = opened
    torn.unsignalled = ReaderState(TWIN_A, EMPTY | after << 16)
    torn.card(TWIN_A, count=before)
    inbox.wait(Failed)
    with torn.changed:
        assert not torn.changed.wait_for(lambda: torn.roused > 0, 0.2)
    torn.card(TWIN_A, count=3)
    inbox.wait(Presented)


def test_a_card_that_the_service_knows_of_is_not_powered_anew(
    torn: Service, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, inbox = opened
    rouse = vars(pcsc_access.CardAccess)["_rouse"]

    def follow(access: pcsc_access.CardAccess, known: ReaderState) -> None:
        torn.note(ReaderState(TWIN_A, PRESENT | 3 << 16, VITALE))
        rouse(access, known)

    monkeypatch.setattr(pcsc_access.CardAccess, "_rouse", follow)
    torn.card(TWIN_A, count=1)
    inbox.wait(Failed)
    inbox.wait(Presented)
    assert torn.roused == 0


def test_a_reader_without_a_service_to_look_into_it_is_looked_into_again(torn: Service, opened: Opened) -> None:
    driver, inbox = opened
    torn.overlooked = ReaderState(TWIN_A, PRESENT | 1 << 16, VITALE)
    torn.rouse_faults = [ReaderUnavailable("E_INVALID_HANDLE"), ReaderGone("E_READER_UNAVAILABLE")]
    torn.card(TWIN_A, count=1)
    inbox.wait(Presented)
    assert torn.roused == len(pcsc_access.PROBES)
    driver.disarm()


def test_a_card_that_a_reset_leaves_mute_did_not_leave(
    service: Service, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no ATR any more, but no removal was counted either: one card, one failure, and the right one."""
    monkeypatch.setattr(pcsc_access, "SETTLE", BRIEF)
    _, inbox = opened
    service.faults, service.reset_fault = [ExchangeFailed("E_NOT_TRANSACTED")], MediumMute("W_UNRESPONSIVE_CARD")
    service.unsignalled = ReaderState(TWIN_A, PRESENT | MUTE | 1 << 16)
    service.card(TWIN_A, count=1)
    assert inbox.wait(Failed).problem.reason == "medium_mute"
    assert {report.reader.error for report in inbox.reports if isinstance(report, ReaderChanged)} == {"medium_mute"}
    assert len(inbox.outcomes()) == 1


def test_closing_is_final(service: Service, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcsc_driver, "CLOSE_LIMIT", 60.0)
    driver, inbox = opened
    service.set(TWIN_A, EMPTY)
    inbox.wait(ReaderAdded)
    driver.close()
    said = len(inbox.reports)
    service.card(TWIN_A)
    assert len(inbox.reports) == said
    assert not [thread for thread in threading.enumerate() if thread.name in {"PC/SC monitor", "card in pcsc:twin"}]


CUTS = [VITALE[:length] for length in (1, 2, 5, 9)]


@pytest.mark.parametrize("cut", CUTS, ids=len)
def test_a_card_whose_answer_to_reset_stays_cut_is_mute_and_no_unknown_card(
    service: Service, opened: Opened, monkeypatch: pytest.MonkeyPatch, cut: bytes
) -> None:
    monkeypatch.setattr(pcsc_access, "SETTLE", BRIEF)
    _, inbox = opened
    service.set(TWIN_A, PRESENT, cut, count=1)
    shown = inbox.wait(ReaderAdded).reader
    assert inbox.wait(Failed).problem.reason == "medium_mute"
    assert (shown.state, shown.medium, shown.error) == ("present", None, "medium_mute")
    assert service.connects == service.resets_at_release == 1 + len(pcsc_access.POWER_RETRY_DELAYS)


@pytest.mark.parametrize("cut", CUTS, ids=len)
def test_a_card_whose_answer_to_reset_was_cut_is_read_once_it_is_whole(
    service: Service, opened: Opened, cut: bytes
) -> None:
    _, inbox = opened
    service.after_reset = ReaderState(TWIN_A, PRESENT | 1 << 16, VITALE)
    service.set(TWIN_A, PRESENT, cut, count=1)
    presented = inbox.wait(Presented)
    assert (presented.medium, inbox.outcomes()) == ("vitale-card", [presented])


@pytest.mark.parametrize("tries", range(len(pcsc_access.POWER_RETRY_DELAYS) + 1))
def test_a_mute_card_is_powered_again_and_read_if_it_answers_then(service: Service, opened: Opened, tries: int) -> None:
    _, inbox = opened
    service.connect_faults = [MediumMute("W_UNRESPONSIVE_CARD")] * tries
    service.powered = ReaderState(TWIN_A, PRESENT | 1 << 16, VITALE)
    service.set(TWIN_A, PRESENT | MUTE, count=1)
    presented = inbox.wait(Presented)
    assert (presented.medium, inbox.outcomes()) == ("vitale-card", [presented])
    shown = [report.reader for report in inbox.reports if isinstance(report, ReaderChanged)]
    assert (shown[-1].medium, shown[-1].error) == ("vitale-card", None)


def test_a_card_that_stays_mute_is_looked_at_again_when_somebody_asks(
    service: Service, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc_access, "SETTLE", BRIEF)
    driver, inbox = opened
    service.connect_faults = [MediumMute("W_UNRESPONSIVE_CARD")] * (1 + len(pcsc_access.POWER_RETRY_DELAYS))
    service.set(TWIN_A, PRESENT | MUTE, count=1)
    failed = inbox.wait(Failed)
    assert (failed.problem.reason, service.connects) == ("medium_mute", 1 + len(pcsc_access.POWER_RETRY_DELAYS))
    service.powered = ReaderState(TWIN_A, PRESENT | 1 << 16, VITALE)
    driver.arm(Arm(media=("vitale-card",), again=(failed.reader,), deadline=time.monotonic() + 600))
    assert inbox.wait(Presented).medium == "vitale-card"


def test_the_tries_of_a_card_that_was_reset_have_growing_pauses() -> None:
    assert sorted(pcsc_access.CONNECT_RETRY_DELAYS) == list(pcsc_access.CONNECT_RETRY_DELAYS)
    assert len(pcsc_access.CONNECT_RETRY_DELAYS) == pcsc_access.TRIES - 1


def leased(service: Service, driver: PcscDriver, inbox: Inbox) -> None:
    driver.disarm()
    service.card(TWIN_A)
    reader = inbox.wait(ReaderAdded).reader
    driver.lease(LeaseCommand(id=1, reader=reader.id, until=time.monotonic() + 600))
    inbox.wait(Leased)


def test_a_lease_that_idles_keeps_its_card(service: Service, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_lease, "IDLE", 0.02)
    driver, inbox = opened
    leased(service, driver, inbox)
    with service.changed:
        assert service.changed.wait_for(lambda: service.kept >= 3, 30)
    driver.transmit(Transmit(id=2, reader="pcsc:twin", apdus=(b"\x00\xa4\x00\x00\x02\x3f\x00",), lease=1))
    assert inbox.wait(Transmitted).problem is None
    service.idle_fault = CardReset("W_RESET_CARD")
    assert inbox.wait(Unleased) == Unleased(id=1, why="card")


def test_a_card_is_kept_before_windows_would_reset_it() -> None:
    assert 2 * card_lease.IDLE < 5


@pytest.mark.parametrize(
    ("code", "variant", "call"),
    [
        (0x8010006A, "pcsc-refused", "SCardEstablishContext"),
        (0x8010006A, "pcsc", "SCardListReaders"),
        *(
            (code, "pcsc", call)
            for code in (0x8010001E, 0x8010001D, 0x80100013)
            for call in ("SCardEstablishContext", "SCardListReaders")
        ),
    ],
)
def test_why_the_service_cannot_be_used_has_its_own_words(
    monkeypatch: pytest.MonkeyPatch, code: int, variant: str, call: str
) -> None:
    def established(_scope: int) -> tuple[int, int]:
        return 0, 1

    def refused_call(*_arguments: object) -> tuple[int, list[str]]:
        return code, []

    monkeypatch.setattr(scard, "SCardEstablishContext", established)
    monkeypatch.setattr(scard, call, refused_call)
    with pytest.raises(ReaderUnavailable) as refused:
        pcsc_api.PcscLibrary().establish().readers()
    assert refused.value.variant == variant


def test_cards_may_be_refused_to_whom_the_service_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    def established(_scope: int) -> tuple[int, int]:
        return 0, 1

    def refuses(*_arguments: object) -> tuple[int, int, int]:
        return 0x8010006A, 0, 0

    monkeypatch.setattr(scard, "SCardEstablishContext", established)
    monkeypatch.setattr(scard, "SCardConnect", refuses)
    context = pcsc_api.PcscLibrary().establish()
    with pytest.raises(ReaderUnavailable) as refused:
        context.connect("Virtual PCD 00 00")
    assert refused.value.variant == "pcsc-refused"


def test_a_service_that_refuses_is_asked_less_and_less_often(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(service, "establish", refusing_service)
    watched = pcsc_monitor.Monitor(service, PcscDriver({}, service))
    monkeypatch.setattr(watched, "_closing", Countdown(8, pauses))
    watched.start()
    watched._thread.join(30)  # pyright: ignore[reportPrivateUsage]  # it ends by the countdown
    assert pauses == [1.0, 2.0, 4.0, 8.0, *[pcsc_monitor.RETRY_REFUSED] * 4]


def refusing_service() -> PcscContext:
    raise ReaderUnavailable("SCardEstablishContext: 0x8010006A", variant="pcsc-refused")


class Countdown:
    """An event that is set after so many waits, none of which lasts."""

    def __init__(self, waits: int, pauses: list[float]) -> None:
        self._waits, self._pauses = waits, pauses

    def is_set(self) -> bool:
        return len(self._pauses) >= self._waits

    def wait(self, seconds: float) -> bool:
        self._pauses.append(seconds)
        return self.is_set()


def test_a_survey_tells_readers_and_cards_without_connecting_to_any() -> None:
    service = Service()
    service.card(TWIN_A)
    service.set(TWIN_B, PRESENT | EXCLUSIVE, b"\x3b\x00")
    service.set("Virtual PCD 00 00", PRESENT | MUTE)
    service.set("Broken 00 00", UNAVAILABLE)
    service.set("Dirty 00 00", PRESENT, VITALE[:8])
    told = {sighting.name: sighting for sighting in PcscDriver({}, service).survey()}
    assert list(told) == ["PC/SC", TWIN_A, TWIN_B, "Virtual PCD 00 00", "Broken 00 00", "Dirty 00 00"]
    assert (told[TWIN_A].medium, told[TWIN_A].atr) == ("vitale-card", VITALE.hex().upper())
    assert told[TWIN_B].medium == "unknown-card"
    assert told["Virtual PCD 00 00"].problem == Problem("medium_mute")
    assert told["Virtual PCD 00 00"].simulated
    assert (told["Dirty 00 00"].medium, told["Dirty 00 00"].problem) == ("", Problem("medium_mute"))
    assert told["Broken 00 00"].problem == Problem("reader_unavailable")
    assert service.connects == 0


def test_a_survey_without_the_service_says_so_and_why() -> None:
    service = Service(down=ReaderUnavailable())
    (seen,) = PcscDriver({}, service).survey()
    assert (seen.kind, seen.problem) == ("service", Problem("reader_unavailable", detail="no service"))


# ── tried step by step ──


def tried(service: Service, rows: list[CheckResult], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcsc_examination, "BUSY_DELAYS", (0.0,) * 3)
    monkeypatch.setattr(pcsc_examination, "POWER_RETRY_DELAYS", (0.0,) * 2)
    pcsc_examination.examine(service, (), rows.append, 0.0, "")


@pytest.mark.parametrize(
    ("faults", "expected", "told"),
    [
        ([ReaderBusy()] * 3, ReaderBusy, ["card_busy"]),
        ([CardReset()] * 3, MediumUnreadable, []),
        ([MediumMute()] * 3, MediumMute, ["card_mute"] * 3),
    ],
    ids=["another program keeps it", "another program resets it", "mute"],
)
def test_a_card_that_cannot_be_connected_is_tried_again_and_told(
    monkeypatch: pytest.MonkeyPatch, faults: list[VitaleError], expected: type[VitaleError], told: list[str]
) -> None:
    service, rows = Service(connect_faults=list(faults)), list[CheckResult]()
    service.card(TWIN_A)
    with pytest.raises(expected):
        tried(service, rows, monkeypatch)
    assert ["card_in", *told] == [row.id for row in rows]
    assert [] == service.connect_faults


def test_a_card_that_is_free_again_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    service, rows = Service(connect_faults=[ReaderBusy(), MediumMute()]), list[CheckResult]()
    service.card(TWIN_A)
    tried(service, rows, monkeypatch)
    steps = [row.id for row in rows if row.id != "exchange"]
    assert ["card_in", "card_busy", "card_mute", "card_powered", "card_atr"] == steps[:5]
    assert "card_read" in steps
    assert 1 == service.released


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(ExchangeFailed("contact"), MediumUnreadable), (CardReset(), MediumUnreadable), (MediumRemoved(), MediumRemoved)],
)
def test_an_exchange_that_fails_ends_the_trial_and_lets_the_card_go(
    monkeypatch: pytest.MonkeyPatch, fault: VitaleError, expected: type[VitaleError]
) -> None:
    service, rows = Service(faults=[None, fault]), list[CheckResult]()
    service.card(TWIN_A)
    with pytest.raises(expected):
        tried(service, rows, monkeypatch)
    assert 1 == service.released


@pytest.mark.parametrize("cut", CUTS, ids=len)
def test_a_cut_answer_to_reset_is_told_with_the_remedy_of_a_mute_card(
    monkeypatch: pytest.MonkeyPatch, cut: bytes
) -> None:
    service, rows = Service(), list[CheckResult]()
    service.set(TWIN_A, PRESENT, cut, count=1)
    with pytest.raises(MediumMute):
        tried(service, rows, monkeypatch)
    assert ["card_in", "card_powered", "card_atr_cut"] == [row.id for row in rows]
    assert not [row for row in rows for language in LANGUAGES if "{" in tell(row, language).title]
    assert "unknown" not in tell(rows[-1], "en").title


def test_nothing_in_the_reader_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    service, rows = Service(), list[CheckResult]()
    with pytest.raises(NoReader):
        tried(service, rows, monkeypatch)
    service.set(TWIN_A, EMPTY)
    with pytest.raises(PresentationTimeout):
        tried(service, rows, monkeypatch)
