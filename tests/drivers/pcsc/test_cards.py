"""``pcsc`` and the cards that people put in: real service, virtual reader."""

import threading
import time
from collections.abc import Callable

import msgspec
import pytest

from tests.drivers.pcsc.held_card import HeldCard
from tests.problems import data_of, named
from vitale_drivers.base import Arm, Failed, Presented, Progress, ReaderChanged, Report, Transmit, Transmitted
from vitale_drivers.contract import Inbox
from vitale_drivers.pcsc.driver import PcscDriver
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.images import load_image
from vitale_firmware_sim.card.vpcd import VpcdLink
from vitale_protocol.media import interpret

pytestmark = pytest.mark.pcscd

FIRST, SECOND = "pcsc:virtual-pcd", "pcsc:virtual-pcd.slot-1"

OpenDriver = Callable[..., tuple[PcscDriver, Inbox]]
InsertCard = Callable[..., VpcdLink]
MakeArm = Callable[..., Arm]

SELECT_VITALE = bytes.fromhex("00A404000BD250000002564954414C45")
SELECT_NOTHING = bytes.fromhex("00A4040005D276000001")


def steps(reports: list[Report]) -> list[str]:
    return [report.step for report in reports if isinstance(report, Progress)]


def test_what_is_read_is_what_the_card_holds(open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(image="famille")
    presented = inbox.wait(Presented)
    reading = interpret(presented.medium, presented.evidence, simulated=presented.simulated)
    assert presented.simulated
    assert reading.origin == "simulated"
    assert len(reading.record.beneficiaires or ()) == 5
    assert steps(inbox.reports) == ["detected", "reading"]


def test_the_largest_card_is_read(open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(image="dix-neuf")
    presented = inbox.wait(Presented)
    reading = interpret(presented.medium, presented.evidence, simulated=True)
    assert len(reading.record.beneficiaires or ()) == 19


@pytest.mark.parametrize("fault", ["mute=1", "mute=2"])
def test_a_card_that_is_mute_at_first_is_read(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm, fault: str
) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(faults=fault)
    presented = inbox.wait(Presented)
    assert inbox.outcomes() == [presented]


@pytest.mark.parametrize("fault", ["waking=20", "waking=60", "waking=150", "waking=500", "late-le=100", "deselected=2"])
def test_a_card_that_hesitates_gives_its_names_and_its_number(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm, fault: str
) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(image="famille", faults=fault)
    presented = inbox.wait(Presented)
    reading = interpret(presented.medium, presented.evidence, simulated=True)
    assert [one.nir is None for one in reading.record.beneficiaires or ()] == [False] * 5


@pytest.mark.parametrize("fault", ["hiccup=1", "hiccup=3"])
def test_hiccups_are_read_over(open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm, fault: str) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(faults=fault)
    inbox.wait(Presented)


def test_a_mute_card_is_told_once_and_shown(open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    link = virtual_card(faults="mute")
    assert inbox.wait(Failed).problem.reason == "medium_mute"
    link.remove()
    empty = inbox.wait(ReaderChanged, lambda report: report.reader.state == "empty").reader
    assert empty.error is None
    shown = [report.reader for report in inbox.reports if isinstance(report, ReaderChanged)]
    assert ("present", None, "medium_mute") in {(reader.state, reader.medium, reader.error) for reader in shown}
    assert len(inbox.outcomes()) == 1


def test_a_card_whose_answer_to_reset_is_cut_is_mute(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm
) -> None:
    image = load_image("adulte")
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(card=Card(msgspec.structs.replace(image, atr=image.atr[:8])))
    assert inbox.wait(Failed).problem.reason == "medium_mute"
    shown = [report.reader for report in inbox.reports if isinstance(report, ReaderChanged)]
    assert {None} == {reader.medium for reader in shown}


@pytest.mark.usefixtures("long_settling")
@pytest.mark.parametrize("bytes_given", [0, 5, 60, 150])
def test_a_card_withdrawn_at_any_byte_is_told_as_removed(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm, bytes_given: int
) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(image="famille", faults=f"withdrawn@{bytes_given}")
    assert inbox.wait(Failed).problem.reason == "medium_removed"
    virtual_card(image="famille", slot=1)
    assert inbox.wait(Presented).reader == SECOND
    assert len(inbox.outcomes()) == 2


@pytest.mark.usefixtures("long_settling")
@pytest.mark.parametrize("bytes_given", [0, 5, 60, 150])
def test_a_card_put_in_at_once_for_one_withdrawn_is_read(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm, bytes_given: int
) -> None:
    """Faster than the service polls: it has not seen the reader empty, mostly, and would not see the next card."""
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(image="famille", faults=f"withdrawn@{bytes_given}")
    assert inbox.wait(Failed).problem.reason == "medium_removed"
    virtual_card()
    inbox.wait(Presented)
    states = [report.reader.state for report in inbox.reports if isinstance(report, ReaderChanged)]
    assert states == ["present", "empty", "present"]
    assert len(inbox.outcomes()) == 2


@pytest.mark.parametrize("fault", ["truncated-tlv", "wrong-length"])
def test_a_card_that_cannot_be_understood_is_told_and_shown(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm, fault: str
) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(faults=fault)
    assert inbox.wait(Failed).problem.reason == "medium_unreadable"
    shown = inbox.wait(ReaderChanged).reader
    assert (shown.state, shown.error) == ("present", "medium_unreadable")


def test_a_vitale_1_is_known_and_not_read(open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    virtual_card(image="vitale-1")
    failed = inbox.wait(Failed)
    assert failed.problem.reason == "medium_unsupported"
    assert failed.problem.data == {"medium": "vitale-card", "generation": "vitale-1"}


def test_a_practitioners_card_in_the_other_slot_is_left_alone(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm
) -> None:
    driver, inbox = open_driver()
    virtual_card(image="cps", slot=1)
    cps = inbox.wait(ReaderChanged).reader
    assert (cps.id, cps.state, cps.medium) == (SECOND, "present", "cps-card")
    driver.arm(arm())
    virtual_card(slot=0)
    assert inbox.wait(Presented).reader == FIRST
    assert len(inbox.outcomes()) == 1


def test_two_cards_are_read_at_the_same_time(open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm) -> None:
    driver, inbox = open_driver()
    cards = HeldCard(), HeldCard()
    for slot, card in enumerate(cards):
        virtual_card(card=card, slot=slot)
    for _ in range(2):
        inbox.wait(ReaderChanged, lambda report: report.reader.state == "present")
    driver.arm(arm())
    for card in cards:
        assert card.asked.wait(60), "one is read after the other"
    for card in cards:
        card.let_go()
    assert {inbox.wait(Presented).reader for _ in range(2)} == {FIRST, SECOND}
    relevant = [type(report) for report in inbox.reports if isinstance(report, Progress | Presented)]
    assert relevant == [Progress] * 4 + [Presented] * 2


def test_a_stuck_card_is_named_and_does_not_blind_the_other_reader(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm
) -> None:
    driver, inbox = open_driver(transmit_limit=0.2)
    driver.arm(arm())
    virtual_card(slot=0, faults="stuck")
    inbox.wait(Progress, lambda report: report.step == "reading")
    virtual_card(slot=1)
    assert inbox.wait(Presented).reader == SECOND
    end, pace = time.monotonic() + 60, threading.Event()
    while not driver.stuck():
        assert time.monotonic() < end
        pace.wait(0.02)
    assert driver.stuck() == f"SCardTransmit in {FIRST}"
    # The next process finds the reader occupied, and would take that for another program's doing.
    (told,) = (report for report in inbox.reports if isinstance(report, Progress) and report.step == "retry")
    (failed,) = (report for report in inbox.reports if isinstance(report, Failed))
    assert ["medium_unreadable.card-silent"] * 2 == [named(told.problem), named(failed.problem)]
    assert FIRST == told.reader == failed.reader


def test_raw_commands_get_raw_responses(open_driver: OpenDriver, virtual_card: InsertCard) -> None:
    driver, inbox = open_driver()
    virtual_card()
    inbox.wait(ReaderChanged)
    driver.transmit(Transmit(id=1, reader=FIRST, apdus=(SELECT_VITALE, bytes.fromhex("00B0820000"))))
    transmitted = inbox.wait(Transmitted)
    assert (transmitted.id, named(transmitted.problem)) == (1, "")
    select, read = transmitted.responses
    assert select[:1] in {b"\x61", b"\x90"}
    assert read[-2:-1] == b"\x6c", "a wrong length is the caller's to handle"


def test_raw_commands_stop_at_the_first_error(open_driver: OpenDriver, virtual_card: InsertCard) -> None:
    driver, inbox = open_driver()
    virtual_card()
    inbox.wait(ReaderChanged)
    driver.transmit(Transmit(id=2, reader=FIRST, apdus=(SELECT_VITALE, SELECT_NOTHING, SELECT_VITALE)))
    transmitted = inbox.wait(Transmitted)
    assert len(transmitted.responses) == 1
    assert (named(transmitted.problem), data_of(transmitted.problem)) == ("card_error", {"sw": "6A82"})


def test_raw_commands_without_a_card_are_answered(open_driver: OpenDriver) -> None:
    driver, inbox = open_driver()
    driver.transmit(Transmit(id=3, reader=SECOND, apdus=(SELECT_VITALE,)))
    assert named(inbox.wait(Transmitted).problem) == "medium_removed"
