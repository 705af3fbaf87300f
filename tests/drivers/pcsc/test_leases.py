"""``pcsc`` holds a card for one holder's commands: nobody comes between, and it ends in one way, told once."""

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

import pytest
from smartcard import scard

from tests.problems import data_of, named
from vitale_drivers.base import (
    Arm,
    LeaseCommand,
    Leased,
    Presented,
    ReaderChanged,
    Transmit,
    Transmitted,
    Unlease,
    Unleased,
)
from vitale_drivers.cards import lease as card_lease
from vitale_drivers.contract import Inbox
from vitale_drivers.pcsc.driver import PcscDriver
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.vpcd import VpcdLink

pytestmark = pytest.mark.pcscd

FIRST = "pcsc:virtual-pcd"
SELECT_MF = bytes.fromhex("00A40000023F00")
NO_COMMAND = bytes.fromhex("00FF000000")

OpenDriver = Callable[..., tuple[PcscDriver, Inbox]]
InsertCard = Callable[..., VpcdLink]
MakeArm = Callable[..., Arm]

OTHER = """
import sys
from smartcard import scard
_, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
code, card, protocol = scard.SCardConnect(context, "Virtual PCD 00 00", scard.SCARD_SHARE_SHARED, 3)
assert code == 0, hex(code)
print("connected", flush=True)
sys.stdin.readline()
print("begun", scard.SCardBeginTransaction(card) & 0xFFFFFFFF, flush=True)
"""


def lease(number: int = 1, ends_in: float = 600.0) -> LeaseCommand:
    return LeaseCommand(id=number, reader=FIRST, until=time.monotonic() + ends_in)


def state_is(state: str) -> Callable[[ReaderChanged], bool]:
    return lambda report: report.reader.state == state


def exchange(driver: PcscDriver, inbox: Inbox, *apdus: bytes, number: int = 1) -> Transmitted:
    driver.transmit(Transmit(id=number, reader=FIRST, apdus=apdus, lease=1))
    return inbox.wait(Transmitted, lambda report: report.id == number)


@pytest.fixture
def leased(open_driver: OpenDriver, virtual_card: InsertCard) -> tuple[PcscDriver, Inbox, VpcdLink]:
    driver, inbox = open_driver(busy_notice=0.05, busy_timeout=600.0)
    link = virtual_card()
    inbox.wait(ReaderChanged, state_is("present"))
    driver.lease(lease())
    inbox.wait(ReaderChanged, state_is("leased"))
    assert inbox.wait(Leased).atr[0] in {0x3B, 0x3F}
    return driver, inbox, link


def test_the_holders_commands_are_exchanged_one_after_the_other(leased: tuple[PcscDriver, Inbox, VpcdLink]) -> None:
    driver, inbox, _ = leased
    responses = exchange(driver, inbox, SELECT_MF, SELECT_MF).responses
    assert len(responses) == 2
    wrong = exchange(driver, inbox, SELECT_MF, NO_COMMAND, SELECT_MF, number=2)
    assert (len(wrong.responses), named(wrong.problem), str(data_of(wrong.problem)["sw"])[0]) == (1, "card_error", "6")
    assert exchange(driver, inbox, SELECT_MF, number=3).responses, "an error of the card ends no lease"
    driver.unlease(Unlease(id=1, reader=FIRST))
    assert inbox.wait(Unleased) == Unleased(id=1, why="released")
    inbox.wait(ReaderChanged, state_is("present"))
    assert named(exchange(driver, inbox, SELECT_MF, number=4).problem) == "lease_expired"


def test_what_is_due_meanwhile_is_read_afterwards(leased: tuple[PcscDriver, Inbox, VpcdLink], arm: MakeArm) -> None:
    driver, inbox, _ = leased
    driver.arm(arm())
    assert exchange(driver, inbox, SELECT_MF).responses
    assert inbox.outcomes() == []
    driver.unlease(Unlease(id=1, reader=FIRST))
    inbox.wait(Unleased)
    inbox.wait(Presented)


def test_it_ends_by_itself_and_can_be_prolonged(leased: tuple[PcscDriver, Inbox, VpcdLink]) -> None:
    driver, inbox, _ = leased
    driver.lease(lease(ends_in=0.05))
    assert inbox.wait(Unleased) == Unleased(id=1, why="ttl")
    assert sum(isinstance(report, Leased) for report in inbox.reports) == 1, "a prolongation is not answered"


def test_a_card_that_leaves_ends_it(
    leased: tuple[PcscDriver, Inbox, VpcdLink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card_lease, "IDLE", 600.0)  # else the lease may learn it before the reader does
    driver, inbox, link = leased
    link.remove()
    inbox.wait(ReaderChanged, state_is("empty"))
    assert inbox.wait(Unleased) == Unleased(id=1, why="card")
    driver.lease(lease(2))
    assert named(inbox.wait(Leased).problem) == "medium_removed"


def test_a_service_that_goes_ends_it(leased: tuple[PcscDriver, Inbox, VpcdLink], pcsc_service: PcscService) -> None:
    _, inbox, _ = leased
    pcsc_service.kill()
    assert inbox.wait(Unleased) == Unleased(id=1, why="reader")


def test_no_other_program_comes_between_and_it_finds_the_card_reset(
    open_driver: OpenDriver, virtual_card: InsertCard
) -> None:
    driver, inbox = open_driver()
    virtual_card()
    inbox.wait(ReaderChanged, state_is("present"))
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        said: queue.SimpleQueue[str] = queue.SimpleQueue()
        listener = threading.Thread(target=listen, args=(other.stdout, said))
        listener.start()
        assert said.get(timeout=60) == "connected\n"
        driver.lease(lease())
        inbox.wait(Leased)
        other.stdin.write("\n")
        other.stdin.flush()
        for number in range(20):
            assert exchange(driver, inbox, SELECT_MF, number=number).responses
        assert said.empty(), "another program had the card while it was leased"
        driver.unlease(Unlease(id=1, reader=FIRST))
        assert said.get(timeout=60) == f"begun {scard.SCARD_W_RESET_CARD & 0xFFFFFFFF}\n"
        listener.join(60)


def listen(stream: IO[str], said: "queue.SimpleQueue[str]") -> None:
    for line in stream:
        said.put(line)


def test_a_second_lease_waits_for_the_end_of_the_first(leased: tuple[PcscDriver, Inbox, VpcdLink]) -> None:
    driver, inbox, _ = leased
    driver.unlease(Unlease(id=1, reader=FIRST))
    driver.lease(lease(2))
    inbox.wait(Unleased, lambda report: report.id == 1)
    assert inbox.wait(Leased).id == 2


def test_one_that_is_given_up_while_another_program_holds_the_card_is_never_held(
    open_driver: OpenDriver, virtual_card: InsertCard
) -> None:
    driver, inbox = open_driver(busy_notice=0.05, busy_timeout=600.0)
    virtual_card()
    inbox.wait(ReaderChanged, state_is("present"))
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    _, card, _ = scard.SCardConnect(context, "Virtual PCD 00 00", scard.SCARD_SHARE_SHARED, 3)
    assert scard.SCardBeginTransaction(card) == 0
    driver.lease(lease(1))
    inbox.wait(ReaderChanged, state_is("busy"))
    driver.unlease(Unlease(id=1, reader=FIRST))
    assert named(inbox.wait(Leased).problem) == "lease_expired"
    scard.SCardEndTransaction(card, scard.SCARD_LEAVE_CARD)
    inbox.wait(ReaderChanged, state_is("present"))
    scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
    scard.SCardReleaseContext(context)
    assert not [report for report in inbox.reports if isinstance(report, Unleased)]
