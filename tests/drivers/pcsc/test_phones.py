"""Phones on PC/SC readers: the driver ``pcsc`` on the real service, a simulated phone behind the virtual reader."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.drivers.conftest import UNHURRIED
from tests.problems import about, named
from vitale_drivers.base import Arm, Failed, Presented, Progress, ReaderAdded, ReaderChanged, Started
from vitale_drivers.cards.channel import Channel
from vitale_drivers.cards.tasks import phone_reading
from vitale_drivers.contract import Inbox
from vitale_drivers.pcsc.api import CardReset
from vitale_drivers.pcsc.contactless import may_be_phone
from vitale_drivers.pcsc.driver import PcscDriver
from vitale_firmware_sim.card.card import VirtualCard
from vitale_firmware_sim.card.faults import FaultyCard, parse_faults
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.vpcd import VpcdLink
from vitale_firmware_sim.phone.card import PhoneCard, PhoneRefusal, contactless_atr
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_protocol.errors import ConfigurationInvalid, MediumUnreadable
from vitale_protocol.media.apcv_profile import parse_profile

STRING = b"an opaque string of the simulator"

Tap = Callable[[VirtualCard], VpcdLink]


@pytest.fixture
def phones(pcsc_service: PcscService) -> Iterator[tuple[PcscDriver, Inbox]]:
    options = {**UNHURRIED, "profiles": [profile_text("simulator")], "unlock": 0.05, "reading_limit": 600.0}
    driver, inbox = PcscDriver(options), Inbox()
    driver.open(inbox)
    assert inbox.wait(Started).media == ("vitale-card", "cps-card", "apcv-nfc")
    for _ in range(2):
        assert "apcv-nfc" in inbox.wait(ReaderAdded).reader.media
    driver.arm(Arm(media=("apcv-nfc", "vitale-card"), deadline=time.monotonic() + 600))
    yield driver, inbox
    driver.close()


@pytest.fixture
def tap(pcsc_service: PcscService) -> Iterator[Tap]:
    links: list[VpcdLink] = []

    def put(card: VirtualCard) -> VpcdLink:
        link = VpcdLink(card, port=pcsc_service.ports[0])
        links.append(link)
        link.insert()
        return link

    yield put
    for link in links:
        link.close()


@pytest.mark.pcscd
@pytest.mark.parametrize("block", [256, 17])
def test_a_phone_is_read(phones: tuple[PcscDriver, Inbox], tap: Tap, block: int) -> None:
    _, inbox = phones
    tap(PhoneCard(lambda: STRING * 9, block=block))
    presented = inbox.wait(Presented)
    assert presented.medium == "apcv-nfc"
    assert presented.evidence == {"string": STRING * 9, "profile": b"simulator/1"}
    assert presented.simulated
    shown = [report.reader.medium for report in inbox.reports if isinstance(report, ReaderChanged)]
    assert shown == [None, "apcv-nfc"]
    assert [(report.step, about(report)) for report in inbox.reports if isinstance(report, Progress)] == [
        ("detected", "apcv-nfc"),
        ("reading", "apcv-nfc"),
    ]


class Stranger(PhoneCard):
    """A badge, or a bank card; ``word`` is what it says to everything, until it is a phone with the application."""

    word: bytes | None = b"\x6a\x82"

    def transmit(self, apdu: bytes) -> bytes:
        return self.word or super().transmit(apdu)


@pytest.mark.pcscd
@pytest.mark.parametrize("word", ["6A82", "6D00", "6E00", "6700", "6A81", "6A86", "6999"])
def test_a_contactless_card_without_the_application_is_an_unknown_card(
    phones: tuple[PcscDriver, Inbox], tap: Tap, word: str
) -> None:
    _, inbox = phones
    stranger = Stranger(lambda: STRING)
    stranger.word = bytes.fromhex(word)
    tap(stranger)
    inbox.wait(ReaderChanged, lambda report: report.reader.medium == "unknown-card")
    assert inbox.outcomes() == []


@pytest.mark.pcscd
def test_an_application_that_is_opened_while_the_phone_lies_there_is_read(
    phones: tuple[PcscDriver, Inbox], tap: Tap
) -> None:
    _, inbox = phones
    stranger = Stranger(lambda: STRING)
    tap(stranger)
    inbox.wait(ReaderChanged, lambda report: report.reader.medium == "unknown-card")
    stranger.word = None
    assert inbox.wait(Presented).evidence["string"] == STRING
    assert [report.step for report in inbox.reports if isinstance(report, Progress)] == ["detected", "reading"]


@pytest.mark.pcscd
def test_a_locked_phone_is_tried_until_it_is_unlocked(phones: tuple[PcscDriver, Inbox], tap: Tap) -> None:
    _, inbox = phones
    unlocked, tried = threading.Event(), threading.Semaphore(0)

    def string() -> bytes:
        tried.release()
        if not unlocked.is_set():
            raise PhoneRefusal("the phone is locked")
        return STRING

    tap(PhoneCard(string))
    inbox.wait(Progress, lambda report: named(report.problem) == "medium_unreadable.phone-locked")
    for _ in range(3):
        assert tried.acquire(timeout=30)
    unlocked.set()
    presented = inbox.wait(Presented)
    assert inbox.outcomes() == [presented]
    retries = [report for report in inbox.reports if isinstance(report, Progress) and report.step == "retry"]
    assert len(retries) == 1


class Switched(PhoneCard):
    """A phone whose user looks at another application at first, once it was selected."""

    def __init__(self, times: int) -> None:
        super().__init__(lambda: STRING)
        self.times = times

    def transmit(self, apdu: bytes) -> bytes:
        """Refuses what follows the selection, so many times."""
        if apdu[1] == 0xA4 or self.times == 0:
            return super().transmit(apdu)
        self.times -= 1
        return b"\x6a\x82"


@pytest.mark.pcscd
@pytest.mark.parametrize(("times", "outcome"), [(1, Presented), (3, Presented), (4, Failed)])
def test_a_phone_whose_user_is_between_two_applications_is_tried_again(
    phones: tuple[PcscDriver, Inbox], tap: Tap, times: int, outcome: type[Presented | Failed]
) -> None:
    _, inbox = phones
    tap(Switched(times))
    ended = inbox.wait(outcome)
    assert inbox.outcomes() == [ended]
    retries = [report for report in inbox.reports if isinstance(report, Progress) and report.step == "retry"]
    assert [named(report.problem) for report in retries] == ["medium_unreadable.apcv-nfc"]


@pytest.mark.usefixtures("long_settling")
@pytest.mark.pcscd
def test_a_phone_taken_away_amid_its_reading_is_told_to_hold_still(phones: tuple[PcscDriver, Inbox], tap: Tap) -> None:
    _, inbox = phones
    tap(FaultyCard(PhoneCard(lambda: STRING), parse_faults("withdrawn@40")))
    inbox.wait(Progress, lambda report: named(report.problem) == "medium_removed.phone")
    assert inbox.outcomes() == []


@pytest.mark.pcscd
def test_a_phone_that_never_comes_to_an_end_is_given_up(pcsc_service: PcscService, tap: Tap) -> None:
    options = {**UNHURRIED, "profiles": [profile_text("simulator")], "reading_limit": 0.3}
    driver, inbox = PcscDriver(options), Inbox()
    driver.open(inbox)
    try:
        for _ in range(2):
            inbox.wait(ReaderAdded)
        driver.arm(Arm(media=("apcv-nfc",), deadline=time.monotonic() + 600))
        tap(FaultyCard(PhoneCard(lambda: STRING * 9, block=2), parse_faults("slow=20")))
        failed = inbox.wait(Failed)
        assert (failed.problem.reason, inbox.outcomes()) == ("medium_unreadable", [failed])
    finally:
        driver.close()


def test_a_phone_is_given_its_time_once_however_often_its_reading_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("vitale_drivers.cards.tasks.time.monotonic", lambda: now)
    profiles = (parse_profile(profile_text("simulator")),)
    task = phone_reading(1, "pcsc:x", profiles, simulated=True, limit=10.0)

    def reset(_: bytes) -> bytes:
        raise CardReset("another program has reset the card")

    with pytest.raises(CardReset):
        task.run(Channel(reset))
    now += 9.9
    with pytest.raises(CardReset):
        task.run(Channel(reset))
    now += 0.1
    with pytest.raises(MediumUnreadable):
        task.run(Channel(reset))


@pytest.mark.parametrize("limit", [0, -1.0])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ConfigurationInvalid):
        PcscDriver({"reading_limit": limit})


@pytest.mark.pcscd
def test_without_profiles_a_phone_is_an_unknown_card(pcsc_service: PcscService, tap: Tap) -> None:
    driver, inbox = PcscDriver({}), Inbox()
    driver.open(inbox)
    try:
        assert inbox.wait(Started).media == ("vitale-card", "cps-card")
        inbox.wait(ReaderAdded)
        tap(PhoneCard(lambda: STRING))
        inbox.wait(ReaderChanged, lambda report: report.reader.medium == "unknown-card")
    finally:
        driver.close()


@pytest.mark.parametrize("text", ["", "name = 1", "not TOML"])
def test_a_profile_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        PcscDriver({"profiles": [text]})


PHONE_ATR = contactless_atr(bytes.fromhex("807180"))


@pytest.mark.parametrize(
    ("atr", "reader", "expected"),
    [
        (PHONE_ATR, "ACS ACR1252 Dual Reader PICC 00 00", True),
        (PHONE_ATR, "SCM Microsystems Inc. SDI010 Contactless Reader", True),
        (PHONE_ATR, "Virtual PCD", True),
        (contactless_atr(b""), "Virtual PCD", True),
        (PHONE_ATR, "ACS ACR1281 1S Dual Reader ICC", False),
        (PHONE_ATR, "ACS ACR1281 1S Dual Reader SAM", False),
        # A memory card (PC/SC part 3, §3.1.3.2.3.2): MIFARE Classic 1K.
        (bytes.fromhex("3B8F8001804F0CA000000306030001000000006A"), "ACS ACR122U", False),
        (bytes.fromhex("3B751300009C02020102"), "Virtual PCD", False),
        (PHONE_ATR[:-2], "Virtual PCD", False),
        (b"", "Virtual PCD", False),
    ],
)
def test_contactless_is_told_from_contact(atr: bytes, reader: str, expected: bool) -> None:
    assert may_be_phone(atr, reader) == expected
