"""``pcsc`` beside others: programs that hold the card, and a service that dies under it."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from tests.drivers.pcsc.held_card import HeldCard
from tests.holders import held_by
from tests.problems import named
from vitale_drivers.base import (
    Arm,
    Failed,
    Health,
    Presented,
    Progress,
    ReaderAdded,
    ReaderChanged,
    Transmit,
    Transmitted,
)
from vitale_drivers.contract import Inbox
from vitale_drivers.pcsc.driver import PcscDriver
from vitale_drivers.pcsc.settings import PcscSettings
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.vpcd import VpcdLink

pytestmark = pytest.mark.pcscd

FIRST = "pcsc:virtual-pcd"

OpenDriver = Callable[..., tuple[PcscDriver, Inbox]]
InsertCard = Callable[..., VpcdLink]
MakeArm = Callable[..., Arm]

HOLD = """
import sys
from smartcard import scard
_, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
code, card, _ = scard.SCardConnect(context, "Virtual PCD 00 00", scard.{share}, 3)
assert code == 0, hex(code)
assert scard.SCardBeginTransaction(card) == 0
print("held", flush=True)
sys.stdin.readline()
if {reset}:
    scard.SCardEndTransaction(card, scard.SCARD_RESET_CARD)
else:
    scard.SCardEndTransaction(card, scard.SCARD_LEAVE_CARD)
scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
"""


@contextmanager
def held(share: str = "SCARD_SHARE_SHARED", *, reset: bool = False) -> Generator[Callable[[], None]]:
    """Another program holds the card until the function given is called, or it is killed at the end."""
    program = HOLD.format(share=share, reset=reset)
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        pipe = process.stdin
        assert process.stdout.readline() == b"held\n"

        def release() -> None:
            pipe.write(b"\n")
            pipe.flush()
            process.wait(60)

        try:
            yield release
        finally:
            process.kill()


def state_is(state: str) -> Callable[[ReaderChanged], bool]:
    return lambda report: report.reader.state == state


@pytest.mark.parametrize("share", ["SCARD_SHARE_SHARED", "SCARD_SHARE_EXCLUSIVE"])
def test_a_card_that_is_held_is_read_when_it_is_let_go(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm, share: str
) -> None:
    driver, inbox = open_driver(busy_notice=0.05, busy_timeout=600.0)
    virtual_card()
    inbox.wait(ReaderChanged, state_is("present"))
    with held(share) as release:
        driver.arm(arm())
        assert named(inbox.wait(Progress, lambda report: report.step == "retry").problem) == "reader_busy"
        release()
        inbox.wait(Presented)
    states = [report.reader.state for report in inbox.reports if isinstance(report, ReaderChanged)]
    assert states == ["present", "busy", "present"]
    assert not driver.stuck()


@pytest.mark.parametrize("share", ["SCARD_SHARE_SHARED", "SCARD_SHARE_EXCLUSIVE"])
def test_a_card_that_is_not_let_go_is_told_as_busy_with_its_holder(
    open_driver: OpenDriver,
    virtual_card: InsertCard,
    arm: MakeArm,
    share: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PcscDriver, "find_holders", staticmethod(held_by("pcsc", "lgo", "scdaemon")))
    driver, inbox = open_driver(busy_notice=0.05, busy_timeout=0.4)
    virtual_card()
    inbox.wait(ReaderChanged, state_is("present"))
    with held(share) as release:
        driver.arm(arm())
        failed = inbox.wait(Failed)
        assert failed.problem.reason == "reader_busy"
        assert failed.problem.data["holder"] == "lgo, scdaemon"
        driver.arm(arm(FIRST))
        assert inbox.wait(Failed).problem.reason == "reader_busy", "one more request gets one more answer"
        # The next is to wait until the card is let go, however long that takes.
        slot: object = vars(driver)["_slots"]["Virtual PCD 00 00"]
        monkeypatch.setattr(vars(slot)["_contention"], "_settings", PcscSettings(busy_timeout=600.0))
        driver.arm(arm(FIRST))
        release()
        inbox.wait(Presented)
    assert len(inbox.outcomes()) == 3


def test_a_card_that_gives_no_answer_is_not_taken_for_one_that_others_hold(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm
) -> None:
    driver, inbox = open_driver(busy_notice=0.02, busy_timeout=0.2)
    driver.arm(arm())
    virtual_card(faults="mute")
    assert inbox.wait(Failed).problem.reason == "medium_mute"
    told = [named(report.problem) for report in inbox.reports if isinstance(report, Progress) and report.problem]
    assert "reader_busy" not in told
    assert "busy" not in [report.reader.state for report in inbox.reports if isinstance(report, ReaderChanged)]


def test_raw_commands_are_told_as_busy_too(open_driver: OpenDriver, virtual_card: InsertCard) -> None:
    driver, inbox = open_driver(busy_notice=0.05, busy_timeout=0.3)
    virtual_card()
    inbox.wait(ReaderChanged, state_is("present"))
    with held():
        driver.transmit(Transmit(id=1, reader=FIRST, apdus=(bytes(5),)))
        assert named(inbox.wait(Transmitted).problem) == "reader_busy"


def test_a_card_removed_while_it_is_held_is_told_as_removed(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm
) -> None:
    driver, inbox = open_driver(busy_notice=0.05, busy_timeout=600.0)
    link = virtual_card()
    inbox.wait(ReaderChanged, state_is("present"))
    with held():
        driver.arm(arm())
        inbox.wait(Progress, lambda report: report.step == "retry")
        link.remove()
        assert inbox.wait(Failed).problem.reason == "medium_removed"
        inbox.wait(ReaderChanged, state_is("empty"))
    virtual_card(slot=1)
    inbox.wait(Presented)


def test_a_holder_that_dies_lets_go(open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm) -> None:
    driver, inbox = open_driver(busy_notice=0.05, busy_timeout=600.0)
    virtual_card()
    inbox.wait(ReaderChanged, state_is("present"))
    with held():
        driver.arm(arm())
        inbox.wait(Progress, lambda report: report.step == "retry")
    inbox.wait(Presented)


def test_a_reset_by_another_program_is_no_new_presence(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm
) -> None:
    driver, inbox = open_driver()
    virtual_card()
    driver.arm(arm())
    inbox.wait(Presented)
    with held(reset=True) as release:
        release()
    driver.arm(arm(FIRST))
    inbox.wait(Presented)
    assert len(inbox.outcomes()) == 2


def test_a_service_killed_amid_a_reading_is_told_and_the_card_is_read_when_it_is_back(
    open_driver: OpenDriver, virtual_card: InsertCard, arm: MakeArm, pcsc_service: PcscService
) -> None:
    driver, inbox = open_driver()
    driver.arm(arm())
    card = HeldCard()
    virtual_card(card=card)
    inbox.wait(Progress, lambda report: report.step == "reading")
    assert card.asked.wait(60)
    pcsc_service.kill()
    failed = inbox.wait(Failed)
    assert failed.problem.reason == "reader_unavailable"
    card.let_go()
    pcsc_service.start()
    inbox.wait(Presented, lambda report: report.reader == FIRST)
    assert [type(outcome) for outcome in inbox.outcomes()] == [Failed, Presented]


def away_and_back(inbox: Inbox, service: PcscService) -> float:
    """Stops the service and starts it again; the seconds from its return to that of its readers."""
    service.stop()
    assert inbox.wait(Health).state == "degraded"
    service.start()
    began = time.monotonic()
    assert inbox.wait(Health).state == "ok"
    assert {inbox.wait(ReaderAdded).reader.id for _ in range(2)} == {FIRST, f"{FIRST}.slot-1"}
    return time.monotonic() - began


def test_the_readers_are_back_when_the_service_is(open_driver: OpenDriver, pcsc_service: PcscService) -> None:
    _, inbox = open_driver()
    for _ in range(3):
        away_and_back(inbox, pcsc_service)


@pytest.mark.soak
def test_the_readers_are_back_within_two_seconds_of_the_services_return(
    open_driver: OpenDriver, pcsc_service: PcscService
) -> None:
    _, inbox = open_driver()
    assert max(away_and_back(inbox, pcsc_service) for _ in range(20)) < 2


def test_readers_keep_their_ids_when_others_come_before_them(
    open_driver: OpenDriver, pcsc_service: PcscService
) -> None:
    _, inbox = open_driver()
    pcsc_service.restart(["Virtual PCD before", "Virtual PCD"])
    inbox.wait(Health, lambda report: report.state == "ok")
    names = {reader.id: reader.name for reader in (inbox.wait(ReaderAdded).reader for _ in range(4))}
    assert names[FIRST] == "Virtual PCD 00 00"
    assert names["pcsc:virtual-pcd-before"] == "Virtual PCD before 00 00"
