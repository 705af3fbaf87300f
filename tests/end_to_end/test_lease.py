"""Three programs on one card behind a real PC/SC service: one with a lease, one that waits for tokens, one of pyscard.

All are served in turn. What the card answers depends on the file that was selected last, so that whoever comes between
would be noticed.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from vitale_protocol.errors import CardError, LeaseConflict, LeaseExpired, MediumRemoved

pytestmark = pytest.mark.pcscd

READER = "pcsc:virtual-pcd"
SELECT_MASTER_FILE = bytes.fromhex("00A40000023F00")
SELECT_VITALE = bytes.fromhex("00A404000BD250000002564954414C45")
SELECT_NOTHING = bytes.fromhex("00A4040005D276000001")
READ_SHORT_FILE_2 = bytes.fromhex("00B0820000")

OTHER = """
import sys
from smartcard import scard
_, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
select, turns = list(bytes.fromhex(sys.argv[1])), 0
code, card, protocol = scard.SCardConnect(context, "Virtual PCD 00 00", scard.SCARD_SHARE_SHARED, 1)
assert code == 0, hex(code)
print("ready", flush=True)
while True:
    code = scard.SCardBeginTransaction(card) & 0xFFFFFFFF
    if code == scard.SCARD_W_RESET_CARD & 0xFFFFFFFF:
        code, protocol = scard.SCardReconnect(card, scard.SCARD_SHARE_SHARED, 1, scard.SCARD_LEAVE_CARD)
        assert code == 0, hex(code & 0xFFFFFFFF)
        continue
    assert code == 0, hex(code)
    code, answer = scard.SCardTransmit(card, scard.SCARD_PCI_T0, select)
    scard.SCardEndTransaction(card, scard.SCARD_LEAVE_CARD)
    assert code == 0 and answer[0] in (0x61, 0x90), (hex(code & 0xFFFFFFFF), answer)
    print("turn", flush=True)
    if sys.stdin.readline() == "":
        break
"""


class OtherProgram:
    """A program with pyscard that selects another application as often as it gets the card."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.turns = 0
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdin is not None
        for line in self.process.stdout:
            if line == "turn\n":
                self.turns += 1
                try:
                    # Past its buffer: what is left in that when the program is killed cannot be flushed any more.
                    os.write(self.process.stdin.fileno(), b"\n")
                except (BrokenPipeError, ValueError):
                    return

    def end(self) -> int:
        self.process.kill()
        self.process.wait(20)
        self._listener.join(20)
        return self.turns


@contextmanager
def another_program() -> Generator[OtherProgram]:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, SELECT_VITALE.hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        other = OtherProgram(process)
        try:
            yield other
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
        finally:
            other.end()


def until_the_card_is_there(reader: Any) -> None:
    """Drivers are slow to start on a machine that is busy."""
    next(change for change in reader.watch() if change.reader.id == READER and change.reader.state == "present")


def until_more(count: Callable[[], int], before: int, stop: threading.Event) -> None:
    end = time.monotonic() + 60
    while count() <= before:
        assert not stop.wait(0.005)
        assert time.monotonic() < end, "somebody was never served"


def read_file(lease: Any) -> bytes:
    """The short file 2 of whatever is selected, each exchange a call of its own."""
    (answer,) = lease.transmit(READ_SHORT_FILE_2)
    if answer[-2] == 0x6C:
        (answer,) = lease.transmit(READ_SHORT_FILE_2[:4] + answer[-1:])
    assert answer[-2:] == b"\x90\x00"
    return bytes(answer)


def test_three_programs_are_served_in_turn_and_none_sees_anothers(
    daemon: Any, virtual_card: Callable[..., Any]
) -> None:
    virtual_card(image="adulte")
    tokens: list[Any] = []
    steps: list[Any] = []
    next_one = threading.Semaphore(0)
    stop = threading.Event()

    def wait_for_tokens() -> None:
        with daemon.connect() as reader:
            while next_one.acquire() and not stop.is_set():
                tokens.append(reader.read(timeout=60, on_progress=steps.append))

    with daemon.connect() as holder:
        until_the_card_is_there(holder)
        with holder.lease(READER, ttl=60) as lease:
            lease.transmit(SELECT_MASTER_FILE)
            expected = read_file(lease)
        with another_program() as other:
            waits = threading.Thread(target=wait_for_tokens)
            waits.start()
            for _ in range(8):
                before = len(tokens)
                with holder.lease(READER, ttl=60) as lease:
                    lease.transmit(SELECT_MASTER_FILE)
                    had, told = other.turns, len(steps)
                    next_one.release()
                    # It asks while the card is held: that it is armed is told first.
                    until_more(lambda: len(steps), told, stop)
                    for _ in range(6):
                        assert read_file(lease) == expected, "somebody came between"
                    assert len(tokens) == before
                    assert other.turns <= had + 1, "its line may have been on the way"
                until_more(lambda: len(tokens), before, stop)
                # pcsc-lite lets whoever waits for a transaction look every 0.1 s; nobody asks for one meanwhile.
                until_more(lambda: other.turns, had, stop)
            stop.set()
            next_one.release()
            waits.join(60)
            assert not waits.is_alive()
    assert len(tokens) == 8
    assert "retry" in {step.step for step in steps}, "it is told that it has to wait"
    assert expected[:-2].hex().upper() not in daemon.log.upper()
    assert not any(word in str(steps) for word in (expected.hex(), lease.id))


def test_a_holder_that_dies_lets_the_card_go(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card()
    program = (
        "import sys, vitale_reader\n"
        "from pathlib import Path\n"
        "reader = vitale_reader.connect(home=Path(sys.argv[1]))\n"
        "reader.open()\n"
        f"next(change for change in reader.watch() if change.reader.medium and change.reader.id == {READER!r})\n"
        f"with reader.lease({READER!r}, ttl=60) as lease:\n"
        "    print(lease.id, flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    home = str(daemon.home.config.parent)
    with subprocess.Popen(
        [sys.executable, "-c", program, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert name
        with daemon.connect() as reader:
            with pytest.raises(LeaseConflict), reader.lease(READER, ttl=30):
                pass
            assert next(one.state for one in reader.readers() if one.id == READER) == "leased"
            process.kill()
            assert reader.read(timeout=60).medium == "vitale-card"
            with reader.lease(READER, ttl=30) as lease:
                assert lease.transmit(SELECT_VITALE)


def test_what_becomes_of_a_lease_is_known_by_its_holder(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    link = virtual_card()
    with daemon.connect() as reader:
        until_the_card_is_there(reader)
        with reader.lease(READER, ttl=30) as lease:
            former = lease.expires_at
            with pytest.raises(CardError) as refused:
                lease.transmit(SELECT_VITALE, SELECT_NOTHING, SELECT_VITALE)
            assert (refused.value.data["sw"], refused.value.data["index"]) == ("6A82", 1)
            assert lease.renew(60) == lease.expires_at > former
            assert lease.transmit(SELECT_VITALE)
            link.remove()
            while lease.ended is None:
                reader.ping()
            assert lease.ended == "card"
            with pytest.raises(LeaseExpired) as over:
                lease.transmit(SELECT_VITALE)
            assert over.value.data["why"] == "card"
        with pytest.raises(MediumRemoved), reader.lease(READER):
            pass


def test_a_driver_that_dies_ends_the_lease(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card()
    with daemon.connect() as reader:
        until_the_card_is_there(reader)
        with reader.lease(READER, ttl=30) as lease:
            (pid,) = [driver.pid for driver in reader.station().drivers]
            subprocess.run(["kill", "-9", str(pid)], check=True)
            while lease.ended is None:
                reader.ping()
            assert lease.ended == "reader"
        assert reader.read(timeout=60).medium == "vitale-card"
