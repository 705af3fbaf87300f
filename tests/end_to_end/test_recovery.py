"""What breaks comes back without a restart of the daemon, and who waits gets a token or the right error."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.posix import posix_only
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.control import control
from vitale_firmware_sim.card.images import load_image
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.card.vpcd import VpcdLink
from vitale_protocol.errors import (
    MediumMute,
    MediumRemoved,
    MediumUnreadable,
    PresentationError,
    ReaderBusy,
    ReaderError,
)
from vitale_reader import PresentationProgress, Reader

pytestmark = posix_only()
assert sys.platform != "win32"

PATIENCE = 60.0

#: What may be said of a card that is withdrawn in the middle of anything.
RIGHT_ERRORS = (MediumRemoved, MediumMute, MediumUnreadable)


def when(step: str, act: Callable[[], object]) -> Callable[[PresentationProgress], None]:
    """A progress listener that acts once, at the first such step."""
    done: list[str] = []

    def listener(progress: PresentationProgress) -> None:
        if progress.step == step and not done:
            done.append(step)
            act()

    return listener


def until(reader: Any, wanted: Callable[[tuple[Reader, ...]], bool]) -> None:
    """Returns when the readers are as wanted; the test's own time limit is the limit."""
    changes = reader.watch()
    while not wanted(reader.readers()):
        next(changes)
    changes.close()


def present(readers: tuple[Reader, ...]) -> bool:
    return any(one.state == "present" for one in readers)


class HeldCard:
    """A card that answers no more from its third command on, until it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self._card = Card(load_image("adulte"))
        self._commands = 0

    def reset(self) -> bytes:
        return self._card.reset()

    def release(self) -> None:
        self.may_go_on.set()

    def transmit(self, apdu: bytes) -> bytes:
        self._commands += 1
        if self._commands > 2:
            self.may_go_on.wait()
        return self._card.transmit(apdu)


@pytest.fixture
def held_card(pcsc_service: PcscService) -> Iterator[HeldCard]:
    """In the first slot: nobody gets beyond the middle of a reading before it may go on."""
    card = HeldCard()
    with VpcdLink(card, port=pcsc_service.ports[0]) as link:
        link.insert()
        yield card


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_while_a_request_waits(
    daemon: Any, virtual_card: Callable[..., Any], how: signal.Signals
) -> None:
    with daemon.connect() as reader:
        until(reader, lambda readers: len(readers) == 2)

        def kill() -> None:
            pid = reader_pid()
            os.kill(pid, how)
            virtual_card("adulte")

        def reader_pid() -> int:
            with daemon.connect() as other:
                (driver,) = other.station().drivers
                return int(driver.pid)

        presentation = reader.read(timeout=PATIENCE, on_progress=when("armed", kill))
        assert presentation.medium == "vitale-card"
        reader.readers()  # answered when the new worker has told all of them
        (driver,) = reader.station().drivers
        assert (driver.restarts, driver.state) == (1, "ready")
    assert "Traceback" not in daemon.log


def test_a_worker_that_dies_in_the_middle_of_a_reading(start_daemon: Any, held_card: HeldCard) -> None:
    daemon = start_daemon(options="transmit_limit = 100.0")
    with daemon.connect() as reader, daemon.connect() as other:

        def kill() -> None:
            (driver,) = other.station().drivers
            os.kill(int(driver.pid), signal.SIGKILL)
            held_card.may_go_on.set()

        presentation = reader.read(timeout=PATIENCE, on_progress=when("reading", kill))
        assert presentation.medium == "vitale-card"
        assert reader.station().drivers[0].restarts == 1


def test_pcscd_killed_and_restarted_while_a_request_waits(
    daemon: Any, pcsc_service: PcscService, virtual_card: Callable[..., Any]
) -> None:
    def restart() -> None:
        pcsc_service.kill()
        pcsc_service.start()
        virtual_card("adulte")

    with daemon.connect() as reader:
        until(reader, lambda readers: len(readers) == 2)
        before = reader.readers()
        presentation = reader.read(timeout=PATIENCE, on_progress=when("armed", restart))
        assert presentation.medium == "vitale-card"
        until(reader, lambda readers: [one.id for one in readers] == [one.id for one in before])
        (driver,) = reader.station().drivers
        assert (driver.restarts, driver.state) == (0, "ready"), "the driver itself survives"


def test_pcscd_killed_in_the_middle_of_a_reading(
    start_daemon: Any, pcsc_service: PcscService, held_card: HeldCard
) -> None:
    daemon = start_daemon(options="transmit_limit = 100.0")

    def restart() -> None:
        pcsc_service.kill()
        held_card.may_go_on.set()
        pcsc_service.start()

    with daemon.connect() as reader:
        try:
            presentation = reader.read(timeout=PATIENCE, on_progress=when("reading", restart))
        except (ReaderError, MediumRemoved):
            presentation = reader.read(timeout=PATIENCE)
        assert presentation.medium == "vitale-card"


def test_pcscd_absent_at_start(pcsc_service: PcscService, start_daemon: Any, virtual_card: Callable[..., Any]) -> None:
    pcsc_service.stop()
    daemon = start_daemon()
    with daemon.connect() as reader:
        with pytest.raises(ReaderError) as refused:
            reader.read(timeout=PATIENCE)
        assert refused.value.reason == "no_reader"
        assert refused.value.data["drivers"] == {"pcsc": "reader_unavailable"}
        (driver,) = reader.station().drivers
        assert (driver.state, driver.reason) == ("degraded", "reader_unavailable")
        pcsc_service.start()
        virtual_card("adulte")
        until(reader, present)
        assert reader.read(timeout=PATIENCE).medium == "vitale-card"


def test_a_reader_that_goes_and_comes_back_keeps_its_name(
    daemon: Any, pcsc_service: PcscService, virtual_card: Callable[..., Any]
) -> None:
    with daemon.connect() as reader:
        until(reader, lambda readers: len(readers) == 2)
        before = [one.id for one in reader.readers()]
        pcsc_service.restart(("Another Reader",))
        until(reader, lambda readers: bool(readers) and not {one.id for one in readers} & set(before))
        pcsc_service.restart(("Another Reader", "Virtual PCD"))
        until(reader, lambda readers: {one.id for one in readers} > set(before))
        pcsc_service.restart(("Virtual PCD",))
        until(reader, lambda readers: [one.id for one in readers] == before)
        virtual_card("adulte")
        assert reader.read(timeout=PATIENCE).medium == "vitale-card"


def test_a_card_withdrawn_in_the_middle(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    """A sample over the real stack; every byte is tried by the next test, without pcscd's slow polling."""
    with daemon.connect() as reader:
        for byte in (0, 1, 2, 3, 40, 120, 140, 160):
            card = virtual_card("adulte", faults=f"withdrawn@{byte}")
            with contextlib.suppress(*RIGHT_ERRORS):
                assert reader.read(timeout=PATIENCE).medium == "vitale-card"
            card.close()
            until(reader, lambda readers: not present(readers))
            card = virtual_card("famille")
            assert reader.read(timeout=PATIENCE).holder is not None
            card.close()
            until(reader, lambda readers: not present(readers))
    assert "Traceback" not in daemon.log


def test_a_card_withdrawn_at_every_byte(start_daemon: Any, tmp_path: Path) -> None:
    place = tmp_path / "control"
    daemon = start_daemon("simulated-card", f'control = "{place}"\npresent = false')
    tokens, errors, byte = 0, 0, 0
    with daemon.connect() as reader:
        until(reader, lambda readers: len(readers) == 1)
        slot = control(place, "readers").split()[0]
        while not tokens:
            # Once the request is there: a card that is gone before that is nobody's.
            insert = partial(control, place, f"insert {slot} adulte withdrawn@{byte}")
            try:
                assert reader.read(timeout=PATIENCE, on_progress=when("armed", insert)).medium == "vitale-card"
                tokens += 1
            except RIGHT_ERRORS:
                errors += 1
            control(place, f"remove {slot}")
            until(reader, lambda readers: not present(readers))
            byte += 1
        assert errors > 100, "the whole of a reading is longer than that"
        control(place, f"insert {slot} famille")
        assert reader.read(timeout=PATIENCE).holder is not None
    assert "Traceback" not in daemon.log


@pytest.mark.parametrize("faults", ["wrong-length", "truncated-tlv"])
def test_a_card_that_talks_nonsense(daemon: Any, virtual_card: Callable[..., Any], faults: str) -> None:
    virtual_card("adulte", faults=faults)
    with daemon.connect() as reader, pytest.raises(PresentationError) as refused:
        reader.read(timeout=PATIENCE)
    assert refused.value.reason in {"medium_unreadable", "medium_removed"}


def test_a_first_reading_that_fails_is_tried_again(daemon: Any, virtual_card: Callable[..., Any]) -> None:
    virtual_card("adulte", faults="hiccup=2")
    with daemon.connect() as reader:
        assert reader.read(timeout=PATIENCE).medium == "vitale-card"


def test_a_stuck_card_costs_its_driver_its_process_and_nobody_else(
    pcsc_service: PcscService, start_daemon: Any, virtual_card: Callable[..., Any]
) -> None:
    assert pcsc_service.pid is not None
    daemon = start_daemon(options="transmit_limit = 3.0")
    stuck = virtual_card("adulte", faults="stuck@2")
    with daemon.connect() as reader, daemon.connect() as other:
        others: list[Any] = []

        def replace() -> None:
            if not others:
                stuck.close()
                others.append(virtual_card("famille"))

        try:
            presentation = reader.read(timeout=PATIENCE, on_progress=when("retry", replace))
        except (PresentationError, ReaderError):
            replace()
            presentation = reader.read(timeout=PATIENCE)
        assert presentation.medium == "vitale-card"
        assert other.ping() > 0


def test_a_card_held_by_another_program(
    daemon: Any, pcsc_service: PcscService, virtual_card: Callable[..., Any]
) -> None:
    """A program that keeps the card in a transaction delays the reading, and is named when it does not end."""
    virtual_card("adulte")
    program = (
        "import sys\n"
        "from smartcard.scard import *\n"
        "_, context = SCardEstablishContext(SCARD_SCOPE_USER)\n"
        "_, card, _ = SCardConnect(context, sys.argv[1], SCARD_SHARE_SHARED, SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1)\n"
        "SCardBeginTransaction(card)\n"
        "print('held', flush=True)\n"
        "sys.stdin.readline()\n"
        "SCardEndTransaction(card, SCARD_LEAVE_CARD)\n"
    )
    with daemon.connect() as reader:
        until(reader, present)
        name = next(one.name for one in reader.readers() if one.state == "present")
        with subprocess.Popen(
            [sys.executable, "-c", program, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(ReaderBusy) as refused:
                reader.read(timeout=PATIENCE)
            assert str(refused.value.data["reader"]).startswith("pcsc:")
            # The worker is confined and sees no other program; the daemon looks it up.
            comm = Path(f"/proc/{holder.pid}/comm").read_text().strip()
            assert comm in str(refused.value.data["holder"]).split(", ")
            holder.communicate("\n", timeout=PATIENCE)
        assert holder.returncode == 0
        assert reader.read(timeout=PATIENCE).medium == "vitale-card"
    assert pcsc_service.pid is not None
