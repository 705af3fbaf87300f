"""The driver ``nfc`` on a simulated PN532 behind real nfcpy and pyserial: good phones and bad ones."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.drivers.nfc.conftest import SetPatience
from tests.problems import about, data_of, named
from vitale_drivers.base import (
    Arm,
    Failed,
    Health,
    Message,
    Presented,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Transmit,
    Transmitted,
)
from vitale_drivers.contract import Inbox
from vitale_drivers.nfc import field as nfc_field
from vitale_drivers.nfc.driver import NfcDriver
from vitale_firmware_sim.phone.card import AtsVariant, PhoneCard, PhoneRefusal
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_firmware_sim.pn532.faults import NfcFaults, parse_nfc_faults
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_protocol.media.apcv_profile import SIMULATOR_AID
from vitale_protocol.problems import Problem

pytestmark = pytest.mark.posix

STRING = b"an opaque string of the simulator " * 20
SELECT = bytes((0x00, 0xA4, 0x04, 0x00, len(SIMULATOR_AID))) + SIMULATOR_AID + b"\x00"


@dataclass
class Desk:
    """An open driver, its reader, and the hand that taps."""

    driver: NfcDriver
    inbox: Inbox
    reader: Pn532Reader
    id: str

    def arm(self, *again: str) -> None:
        self.driver.arm(Arm(media=("apcv-nfc",), again=again, deadline=time.monotonic() + 600))

    def tap(self, phone: PhoneCard | None = None, faults: str | NfcFaults = "") -> None:
        parsed = parse_nfc_faults(faults) if isinstance(faults, str) else faults
        self.reader.field.put(phone or PhoneCard(lambda: STRING), parsed)

    def take(self) -> None:
        self.reader.field.remove()
        self.inbox.wait(ReaderChanged, is_empty)

    def steps(self) -> list[tuple[str, str]]:
        return [(report.step, about(report)) for report in list(self.inbox.reports) if isinstance(report, Progress)]


MakeDesk = Callable[..., Desk]


def is_empty(report: ReaderChanged) -> bool:
    return report.reader.state == "empty"


def has_string(string: bytes, report: Presented) -> bool:
    return report.evidence["string"] == string


def is_end(report: Message) -> bool:
    return isinstance(report, Presented | Failed) or (isinstance(report, Progress) and report.step == "retry")


def step(name: str, reason: str = "") -> Callable[[Progress], bool]:
    return lambda report: report.step == name and about(report).startswith(reason)


@pytest.fixture
def make_desk(tmp_path: Path, patient_line: None) -> Iterator[MakeDesk]:
    """``make_desk(baud=…, faults=…, **options)``: a driver whose reader is there, not armed.

    It waits for a chip and a phone that are slow, unless the options say how long.
    """
    desks: list[Desk] = []

    def make(*, baud: int | None = None, faults: str = "", **options: float) -> Desk:
        link = tmp_path / f"reader-{len(desks)}"
        reader = Pn532Reader(baud=baud, faults=parse_nfc_faults(faults), link=link)
        reader.open()
        limits = {"exchange_limit": 600.0, "reading_limit": 600.0}
        driver = NfcDriver({"devices": [str(link)], "profiles": [profile_text("simulator")], **limits, **options})
        inbox = Inbox()
        desks.append(Desk(driver, inbox, reader, f"nfc:{link}"))
        driver.open(inbox)
        return desks[-1]

    yield make
    for desk in desks:
        desk.driver.close()
        desk.reader.unplug()
        desk.reader.field.remove()


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    desk = make_desk(watch=0.02, settle=0.05)
    desk.inbox.wait(ReaderAdded)
    return desk


# ── phones as they are ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sak", [0x20, 0x60])
@pytest.mark.parametrize("ats", ["normal", "minimal", "no-ta-tb"])
@pytest.mark.parametrize("uid", ["08A1B2C3", "04A1B2C3D4E5F6", "04A1B2C3D4E5F6A7B8C9"])
def test_every_kind_of_phone_is_read(desk: Desk, sak: int, ats: AtsVariant, uid: str) -> None:
    desk.arm()
    desk.tap(PhoneCard(lambda: STRING, uid=bytes.fromhex(uid), sak=sak, ats=ats))
    presented = desk.inbox.wait(Presented)
    assert presented.evidence == {"string": STRING, "profile": b"simulator/1"}
    assert presented.simulated
    assert desk.steps() == [("detected", "apcv-nfc"), ("reading", "apcv-nfc")]


@pytest.mark.parametrize(
    "faults",
    [
        "preamble=1",
        "preamble=12",
        "stray=1",
        "stray=3",
        "slow-ack=120",
        "split=30",
        "twice=1",
        "preamble=1,stray=2,split=5",
    ],
)
def test_every_kind_of_line_is_understood(make_desk: MakeDesk, faults: str) -> None:
    desk = make_desk(faults=faults, watch=0.02, settle=0.05)
    reader = desk.inbox.wait(ReaderAdded).reader
    assert (reader.state, reader.error) == ("empty", None)
    desk.arm()
    desk.tap()
    assert desk.inbox.wait(Presented).evidence["string"] == STRING
    assert all(report.state == "ok" for report in desk.inbox.reports if isinstance(report, Health))


def test_an_answer_in_pieces_is_put_together(desk: Desk) -> None:
    desk.arm()
    desk.tap(PhoneCard(lambda: STRING, block=17))
    assert desk.inbox.wait(Presented).evidence["string"] == STRING


def test_a_slow_phone_is_given_the_time_that_it_asks_for(desk: Desk) -> None:
    desk.arm()
    desk.tap(faults="slow=200")
    presented = desk.inbox.wait(Presented)
    assert presented.evidence["string"] == STRING
    assert presented.elapsed >= 0.4


class CardOfTypeB:
    """A phone of type B, whose protocol information says frames of 256 bytes and 39 ms."""

    atqb = bytes.fromhex("50 01020304 00000000 008174")

    def __init__(self) -> None:
        self._card = PhoneCard(lambda: STRING)
        self.reset, self.transmit, self.release = self._card.reset, self._card.transmit, self._card.release


def test_a_phone_of_type_b_is_read(desk: Desk) -> None:
    desk.arm()
    desk.reader.field.put(CardOfTypeB())
    assert desk.inbox.wait(Presented).evidence["string"] == STRING
    desk.take()


def test_a_locked_phone_is_tried_until_it_is_unlocked(make_desk: MakeDesk) -> None:
    desk = make_desk(unlock=0.02, watch=0.02, settle=0.05)
    desk.inbox.wait(ReaderAdded)
    unlocked, tried = threading.Event(), threading.Semaphore(0)

    def tap() -> bytes:
        tried.release()
        if not unlocked.is_set():
            raise PhoneRefusal("the phone is locked")
        return STRING

    desk.arm()
    desk.tap(PhoneCard(tap))
    desk.inbox.wait(Progress, step("retry", "medium_unreadable.phone-locked"))
    for _ in range(3):
        assert tried.acquire(timeout=30)
    unlocked.set()
    presented = desk.inbox.wait(Presented)
    assert desk.inbox.outcomes() == [presented]
    assert desk.steps().count(("retry", "medium_unreadable.phone-locked")) == 1


def test_a_locked_phone_that_is_taken_away_and_comes_back_unlocked_is_read(desk: Desk) -> None:
    def locked() -> bytes:
        raise PhoneRefusal("the phone is locked")

    desk.arm()
    phone = PhoneCard(locked)
    desk.tap(phone)
    desk.inbox.wait(Progress, step("retry", "medium_unreadable.phone-locked"))
    desk.reader.field.remove()
    desk.tap()
    assert [desk.inbox.wait(Presented)] == desk.inbox.outcomes()


def test_of_two_phones_none_is_read_and_the_one_that_stays_is(desk: Desk) -> None:
    first, second = PhoneCard(lambda: STRING), PhoneCard(lambda: STRING, uid=bytes.fromhex("08000001"))
    desk.tap(first)
    desk.tap(second)
    desk.arm()
    desk.inbox.wait(Progress, step("ambiguous", "ambiguous_medium.phones"))
    assert desk.inbox.outcomes() == []
    commands = desk.reader.commands
    wait_until(partial(was_asked, desk.reader, commands + 12))
    assert first.selects <= 1, "each is asked once whether it is one"
    assert second.selects <= 1
    desk.reader.field.remove(first)
    desk.inbox.wait(Presented)
    assert desk.steps().count(("ambiguous", "ambiguous_medium.phones")) == 1


class Stranger(PhoneCard):
    """A bank card: it speaks ISO-DEP and knows none of our applications."""

    def transmit(self, apdu: bytes) -> bytes:
        return b"\x6a\x82"


class Badge(Stranger):
    """A MIFARE Classic: no ISO-DEP, so no APDUs."""

    def __init__(self, tap: Callable[[], bytes], **options: bytes) -> None:
        super().__init__(tap, uid=options["uid"])
        self.sak = 0x08


@pytest.mark.parametrize("first", ["phone", "card"])
@pytest.mark.parametrize("other", [Stranger, Badge])
def test_of_a_phone_and_another_card_the_phone_is_read(desk: Desk, first: str, other: type[PhoneCard]) -> None:
    phone = PhoneCard(lambda: STRING, uid=bytes.fromhex("08000001"))
    card = other(lambda: STRING, uid=bytes.fromhex("04A1B2C3D4E5F6"))
    for target in (phone, card) if first == "phone" else (card, phone):
        desk.tap(target)
    desk.arm()
    presented = desk.inbox.wait(Presented)
    assert (presented.medium, presented.evidence["string"], phone.selects) == ("apcv-nfc", STRING, 1)
    desk.reader.field.remove(phone)
    desk.inbox.wait(ReaderChanged, lambda report: report.reader.medium == "unknown-card")
    assert [presented] == desk.inbox.outcomes()


def test_a_locked_phone_with_a_bank_card_is_told_to_be_locked(desk: Desk) -> None:
    def locked() -> bytes:
        raise PhoneRefusal("the phone is locked")

    desk.tap(PhoneCard(locked, uid=bytes.fromhex("08000001")))
    desk.tap(Stranger(lambda: STRING, uid=bytes.fromhex("04A1B2C3D4E5F6")))
    desk.arm()
    desk.inbox.wait(Progress, step("retry", "medium_unreadable.phone-locked"))


def test_a_card_without_the_application_is_shown_and_not_failed(desk: Desk) -> None:
    desk.arm()
    desk.tap(Stranger(lambda: STRING))
    shown = desk.inbox.wait(ReaderChanged).reader
    assert (shown.state, shown.medium) == ("present", "unknown-card")
    desk.take()
    desk.tap()
    assert [desk.inbox.wait(Presented)] == desk.inbox.outcomes()


def test_the_same_tap_is_not_read_twice_though_the_phone_is_lost_for_a_moment(make_desk: MakeDesk) -> None:
    desk = make_desk(watch=0.02, settle=600.0)
    desk.inbox.wait(ReaderAdded)
    phone = PhoneCard(lambda: STRING)
    desk.arm()
    desk.tap(phone)
    presented = desk.inbox.wait(Presented)
    for _ in range(3):
        commands = desk.reader.commands
        desk.reader.field.remove()
        desk.reader.field.put(PhoneCard(lambda: STRING, uid=bytes.fromhex("08 11 22 33")))
        wait_until(partial(was_asked, desk.reader, commands + 8))
    desk.arm(desk.id)
    again = desk.inbox.wait(Presented)
    assert desk.inbox.outcomes() == [presented, again]


def was_asked(reader: Pn532Reader, count: int) -> bool:
    return reader.commands > count


def wait_until(true: Callable[[], bool], timeout: float = 30.0) -> None:
    end, pause = time.monotonic() + timeout, threading.Event()
    while not true():
        assert time.monotonic() < end
        pause.wait(0.002)


# ── raw exchanges ────────────────────────────────────────────────────────────────────────────────────────────────


def test_raw_commands_reach_the_phone_that_lies_there(desk: Desk) -> None:
    desk.arm()
    desk.tap()
    desk.inbox.wait(Presented)
    desk.driver.transmit(Transmit(id=1, reader=desk.id, apdus=(SELECT, b"\x00\xca\x00\x5e\x00")))
    answered = desk.inbox.wait(Transmitted)
    assert (answered.id, named(answered.problem), len(answered.responses)) == (1, "", 2)
    desk.driver.transmit(Transmit(id=2, reader=desk.id, apdus=(SELECT, b"\x80\x00\x00\x00")))
    refused = desk.inbox.wait(Transmitted)
    assert (named(refused.problem), data_of(refused.problem), len(refused.responses)) == (
        "card_error",
        {"sw": "6E00"},
        1,
    )


def test_raw_commands_for_an_empty_field_are_answered(desk: Desk) -> None:
    desk.driver.transmit(Transmit(id=3, reader=desk.id, apdus=(SELECT,)))
    assert desk.inbox.wait(Transmitted) == Transmitted(
        id=3, responses=(), problem=Problem("medium_removed", detail="there is no phone")
    )


def test_a_long_command_goes_in_parts(desk: Desk) -> None:
    desk.arm()
    desk.tap()
    desk.inbox.wait(Presented)
    long = b"\x00\xa4\x04\x00\x00\x02\x58" + bytes(600)
    desk.driver.transmit(Transmit(id=4, reader=desk.id, apdus=(long,)))
    assert data_of(desk.inbox.wait(Transmitted).problem) == {"sw": "6A82"}


# ── the field ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_field_is_on_only_while_it_is_needed(make_desk: MakeDesk) -> None:
    desk = make_desk(watch=0.02, settle=0.05, linger=0.1)
    desk.inbox.wait(ReaderAdded)
    assert not desk.reader.field.on
    desk.arm()
    wait_until(lambda: desk.reader.field.on)
    desk.driver.disarm()
    wait_until(lambda: not desk.reader.field.on)
    desk.arm()
    desk.tap()
    desk.inbox.wait(Presented)
    desk.driver.disarm()
    desk.inbox.wait(ReaderChanged, is_empty)
    wait_until(lambda: not desk.reader.field.on)


def test_a_reader_that_is_not_armed_is_sent_nothing(desk: Desk) -> None:
    desk.arm()
    wait_until(lambda: desk.reader.field.on)
    desk.driver.disarm()
    wait_until(lambda: not desk.reader.field.on)
    # Answered without a command, by the thread that has turned the field off, and has the answer to that.
    desk.driver.transmit(Transmit(id=1, reader=desk.id, apdus=(SELECT,)))
    desk.inbox.wait(Transmitted)
    sent = desk.reader.commands
    threading.Event().wait(0.3)
    assert desk.reader.commands == sent


# ── phones as they should not be ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("faults", ["giant=60000", "giant=9000"])
def test_what_answers_its_selection_with_anything_is_unknown(desk: Desk, faults: str) -> None:
    desk.arm()
    desk.tap(faults=faults)
    desk.inbox.wait(ReaderChanged, lambda report: report.reader.medium == "unknown-card")
    assert desk.inbox.outcomes() == []
    desk.take()
    desk.tap()
    desk.inbox.wait(Presented)


@pytest.mark.parametrize("faults", ["endless-chaining", "short"])
def test_a_hostile_phone_is_bounded_and_said_once(desk: Desk, faults: str) -> None:
    desk.arm()
    desk.tap(faults=faults)
    failed = desk.inbox.wait(Failed)
    assert failed.problem.reason == "medium_unreadable"
    desk.take()
    assert desk.inbox.outcomes() == [failed]
    desk.tap()
    desk.inbox.wait(Presented)


def test_a_phone_that_asks_for_time_for_ever_is_given_up(
    make_desk: MakeDesk, set_patience: SetPatience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nfc_field, "SILENT_TRIES", 1)
    set_patience(3.0)
    desk = make_desk(exchange_limit=0.3, watch=0.02, settle=0.05)
    desk.inbox.wait(ReaderAdded)
    desk.arm()
    desk.tap(faults="endless-wtx")
    assert desk.inbox.wait(Failed).problem.reason == "medium_unreadable"
    set_patience(60.0)
    desk.take()
    desk.tap()
    desk.inbox.wait(Presented)


def test_slow_answers_without_end_are_bounded_in_time(make_desk: MakeDesk) -> None:
    desk = make_desk(reading_limit=0.3, watch=0.02, settle=0.05)
    desk.inbox.wait(ReaderAdded)
    desk.arm()
    desk.tap(PhoneCard(lambda: STRING, block=2), "slow=20")
    assert desk.inbox.wait(Failed).problem.reason == "medium_unreadable"


def test_noise_ends_in_a_reading_or_in_a_word_about_it(desk: Desk) -> None:
    desk.arm()
    for every in (2, 3, 5, 7):
        # Each another phone: of one that is back at once, what was said already is not said again.
        phone = PhoneCard(lambda: STRING, uid=bytes((0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, every)))
        desk.tap(phone, f"noise={every}")
        desk.inbox.wait(Message, is_end)
        assert {report.problem.reason for report in desk.inbox.outcomes() if isinstance(report, Failed)} <= {
            "medium_unreadable"
        }
        desk.reader.field.remove()
        desk.inbox.forget()
    desk.tap()
    desk.inbox.wait(Presented)


# ── torn away ────────────────────────────────────────────────────────────────────────────────────────────────────


def tear(desk: Desk, count: int) -> bool:
    """Tears a phone away after so many bytes and taps with another; checks all that is told; whether it was read."""
    desk.inbox.forget()
    desk.tap(faults=NfcFaults(tear_after=count))
    assert desk.reader.field.wait_empty(60)
    # The next tap works, whatever became of this one.
    desk.tap(PhoneCard(lambda: b"another opaque string", uid=bytes.fromhex("04A1B2C3D4E5F6")))
    presented = desk.inbox.wait(Presented)
    read = presented.evidence["string"] == STRING
    if read:
        presented = desk.inbox.wait(Presented)
    assert presented.evidence["string"] == b"another opaque string"
    assert len(desk.inbox.outcomes()) == 1 + read
    steps = desk.steps()
    torn = steps.count(("reading", "apcv-nfc")) - 1 - read
    assert steps.count(("retry", "medium_removed.phone")) == torn
    desk.take()
    return read


def bytes_of_a_reading(desk: Desk) -> int:
    """How many bytes go over the air until a phone was read."""
    too_few, enough = 0, 4096
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if tear(desk, middle):
            enough = middle
        else:
            too_few = middle
    return enough


@pytest.fixture
def armed(make_desk: MakeDesk) -> Desk:
    desk = make_desk(watch=0.005, settle=0.005)
    desk.inbox.wait(ReaderAdded)
    desk.arm()
    return desk


@pytest.mark.slow
def test_a_phone_may_be_torn_away_at_any_byte(armed: Desk) -> None:
    total = bytes_of_a_reading(armed)
    assert total > len(STRING)
    for count in (*range(16), *range(16, total, 61), *range(total - 4, total + 2)):
        assert tear(armed, count) == (count >= total)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("part", range(8))
def test_a_phone_torn_away_a_thousand_times_at_every_byte_in_turn(armed: Desk, part: int) -> None:
    total = bytes_of_a_reading(armed)
    for tear_number in range(part * 125, (part + 1) * 125):
        count = tear_number % (total + 1)
        assert tear(armed, count) == (count >= total)


# ── readers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mute_reader_is_shown_and_used_when_it_speaks(
    make_desk: MakeDesk, tmp_path: Path, set_patience: SetPatience
) -> None:
    set_patience(0.2)
    desk = make_desk(faults="mute", look=0.05)
    added = desk.inbox.wait(ReaderAdded).reader
    assert (added.state, added.error) == ("unavailable", "reader_unavailable")
    assert named(desk.inbox.wait(Health, lambda health: health.state == "degraded").problem) == "reader_unavailable.nfc"
    desk.arm()
    desk.inbox.wait(Progress, step("retry", "reader_unavailable.nfc"))
    desk.reader.unplug()
    desk.inbox.wait(ReaderRemoved)
    set_patience(60.0)
    well = Pn532Reader(desk.reader.field, link=tmp_path / "reader-0")
    with well:
        assert desk.inbox.wait(ReaderAdded).reader.state == "empty"
        desk.tap()
        desk.inbox.wait(Presented)
        desk.reader.field.remove()
        desk.driver.close()


def test_a_reader_that_garbles_frames_goes_on_being_used(make_desk: MakeDesk) -> None:
    desk = make_desk(faults="garble=23", look=0.05, watch=0.02, settle=0.05)
    desk.inbox.wait(ReaderAdded)
    desk.arm()
    for number in range(5):
        # Each another phone: what is told is of this one, whatever the reader lost and found before.
        string = STRING + b"%d" % number
        desk.tap(PhoneCard(partial(bytes, string), uid=bytes((0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, number))))
        desk.inbox.wait(Presented, partial(has_string, string))
        desk.reader.field.remove()


def test_a_reader_unplugged_while_it_reads_says_so_and_reads_when_it_is_back(desk: Desk) -> None:
    desk.arm()
    desk.tap(faults="slow=600000")
    desk.inbox.wait(Progress, step("reading"))
    desk.reader.unplug()
    assert desk.inbox.wait(Failed).problem.reason in {"reader_gone", "reader_unavailable"}
    desk.inbox.wait(ReaderRemoved)
    desk.reader.field.remove()
    desk.reader.open()
    desk.inbox.wait(ReaderAdded)
    desk.tap()
    desk.inbox.wait(Presented)
