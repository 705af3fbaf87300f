"""The driver ``scanner`` on simulated imagers behind real pyserial: good ones, bad ones and torn ones."""

import random
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import serial

from tests.drivers.scanner.desks import INS, OTHER, STRING, Desk, MakeDesk
from tests.problems import named
from vitale_drivers.base import (
    Arm,
    CodeScanned,
    Failed,
    Health,
    Presented,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Transmit,
    Transmitted,
)
from vitale_drivers.contract import Inbox
from vitale_drivers.readers import discovery
from vitale_drivers.scanner.driver import ScannerDriver
from vitale_drivers.scanner.reader import ScannerReader
from vitale_drivers.scanner.scans import MEDIA
from vitale_drivers.scanner.settings import ScannerAddress
from vitale_drivers.scanner.transport import ScannerPlace, SerialTransport
from vitale_firmware_sim.imager import device as imager_device
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.imager.faults import Behaviour, ImagerFaults, parse_imager_faults
from vitale_protocol.errors import ReaderGone, ToolMissing
from vitale_protocol.problems import Problem

pytestmark = pytest.mark.posix


def is_empty(report: ReaderChanged) -> bool:
    return report.reader.state == "empty"


# ── imagers as they are ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("framing", "behaviour"),
    [
        ("line", Behaviour(suffix=b"\r")),
        ("line", Behaviour(suffix=b"\n")),
        ("line", Behaviour(suffix=b"\r\n", aim=True)),
        ("cr", Behaviour(suffix=b"\r")),
        ("crlf", Behaviour(suffix=b"\r\n")),
        ("stx-etx", Behaviour(prefix=b"\x02", suffix=b"\x03")),
        ("aim-cr", Behaviour(suffix=b"\r", aim=True)),
        ("idle", Behaviour(suffix=b"")),
    ],
)
@pytest.mark.parametrize("baud", [None, 115_200])
def test_codes_come_out_as_they_were_shown(
    make_desk: MakeDesk, framing: str, behaviour: Behaviour, baud: int | None
) -> None:
    desk = make_desk(behaviour=behaviour, baud=baud, framing=framing)
    desk.arm()
    known = {"symbology": b"datamatrix"} if behaviour.aim else {}
    assert desk.scanned(INS, "datamatrix").evidence == {"code": INS, **known}
    presented = desk.scanned(STRING)
    assert presented.evidence["string"] == STRING
    assert presented.simulated


def test_binary_content_is_kept_exactly_where_the_imager_says_what_it_is(make_desk: MakeDesk) -> None:
    desk = make_desk(behaviour=Behaviour(suffix=b"\r\n", aim=True), framing="aim-crlf")
    desk.arm()
    content = bytes(byte for byte in range(256) if byte != 0x0D)
    assert desk.scanned(content).evidence == {"string": content, "symbology": b"qr"}


def test_pieces_of_one_byte_are_put_together(make_desk: MakeDesk) -> None:
    desk = make_desk(faults="split=1", baud=115_200)
    desk.arm()
    assert desk.scanned(STRING).evidence["string"] == STRING


def test_the_longest_code_is_read_and_a_longer_one_is_told(desk: Desk) -> None:
    desk.arm()
    assert len(desk.scanned(b"x" * 4096).evidence["string"]) == 4096
    desk.imager.scan(b"x" * 4097)
    failed = desk.inbox.wait(Failed)
    assert named(failed.problem) == "payload_invalid.too-long"
    assert desk.scanned(STRING).evidence["string"] == STRING


def test_two_scans_in_one_read_are_two(desk: Desk) -> None:
    desk.arm()
    desk.imager.scan_together([(STRING, "qr"), (INS, "datamatrix")])
    assert [desk.inbox.wait(Presented).medium for _ in range(2)] == ["apcv-qr", "ins-datamatrix"]


def test_of_two_scans_before_a_request_the_second_is_used(desk: Desk) -> None:
    desk.imager.scan_together([(STRING, "qr"), (INS, "datamatrix")])
    desk.inbox.wait(ReaderChanged, lambda report: report.reader.medium == "ins-datamatrix")
    desk.arm()
    assert desk.inbox.wait(Presented).medium == "ins-datamatrix"
    desk.inbox.wait(ReaderChanged, is_empty)
    assert len(desk.inbox.outcomes()) == 1


def test_a_scan_that_nobody_asks_for_is_forgotten(make_desk: MakeDesk) -> None:
    desk = make_desk(grace=0.1)
    desk.imager.scan(STRING)
    desk.inbox.wait(ReaderChanged, is_empty)
    desk.arm()
    assert desk.scanned(INS).medium == "ins-datamatrix"
    assert len(desk.inbox.outcomes()) == 1


def test_other_codes_are_told(make_desk: MakeDesk) -> None:
    desk = make_desk(behaviour=Behaviour(aim=True))
    desk.imager.scan(b"3400930000120", "ean")
    assert CodeScanned(reader=desk.id, data=b"3400930000120", symbology="ean", format="article") == desk.inbox.wait(
        CodeScanned
    )
    desk.arm()
    desk.imager.scan(b"277010115400329", "code128")
    assert desk.inbox.wait(Failed).problem.data == {"medium": "nir"}


def test_raw_commands_are_answered(desk: Desk) -> None:
    desk.driver.transmit(Transmit(id=3, reader=desk.id, apdus=(b"\x00\xa4\x04\x00",)))
    assert desk.inbox.wait(Transmitted) == Transmitted(
        id=3, responses=(), problem=Problem("medium_unsupported", "lease")
    )


# ── imagers as they should not be ────────────────────────────────────────────────────────────────────────────────────


def test_an_imager_that_sends_no_end_is_told_and_the_next_scan_is_not_joined(make_desk: MakeDesk) -> None:
    desk = make_desk(faults="no-suffix", line_timeout=0.3)
    desk.arm()
    for _ in range(2):
        desk.imager.scan(OTHER)
        desk.inbox.wait(Progress, lambda report: named(report.problem) == "payload_invalid.incomplete")
    desk.imager.faults = ImagerFaults()
    assert desk.scanned(OTHER).evidence["string"] == OTHER
    assert len(desk.inbox.outcomes()) == 1


def test_a_line_without_end_is_told_once_and_the_imager_can_be_used_again(desk: Desk) -> None:
    desk.arm()
    desk.imager.faults = parse_imager_faults("endless")
    phone_user = threading.Thread(target=desk.imager.scan, args=(STRING,))
    phone_user.start()
    assert desk.inbox.wait(Failed).problem.variant == "too-long"
    desk.imager.unplug()
    phone_user.join()
    desk.inbox.wait(ReaderRemoved)
    desk.imager.open()
    desk.inbox.wait(ReaderAdded)
    assert desk.scanned(STRING).evidence["string"] == STRING
    assert len(desk.inbox.outcomes()) == 2


def test_separators_that_the_imager_drops_are_missed_by_nobody_but_the_record(make_desk: MakeDesk) -> None:
    desk = make_desk(faults="drop-gs")
    desk.arm()
    assert desk.scanned(INS).evidence == {"code": INS.replace(b"\x1d", b"")}


@pytest.mark.parametrize("heard", [1200, 4800, 19_200, 115_200])
def test_a_wrong_speed_ends_in_a_word_about_it_and_the_right_one_is_read(make_desk: MakeDesk, heard: int) -> None:
    desk = make_desk(faults=f"misread={heard}", line_timeout=0.3)
    desk.arm()
    desk.imager.scan(STRING)
    desk.inbox.wait(Progress, lambda report: named(report.problem).startswith("payload_invalid."))
    desk.imager.unplug()
    desk.inbox.wait(ReaderRemoved)
    desk.imager.faults = ImagerFaults()
    desk.imager.open()
    desk.inbox.wait(ReaderAdded)
    # In one packet: between two, a reader that is late would take the line for one that stopped.
    assert [desk.scanned(OTHER)] == desk.inbox.outcomes()


def test_any_bytes_at_all_leave_the_driver_alive(make_desk: MakeDesk) -> None:
    desk, made = make_desk(line_timeout=0.3), random.Random(1)
    desk.arm()
    # Some thirty of these bytes end a line: fewer than what counts as noise, after which nothing is heard for a while.
    for _ in range(8):
        desk.imager.send(made.randbytes(500))
    desk.imager.send(b"\r")
    desk.imager.scan(OTHER)
    desk.inbox.wait(Presented, lambda report: report.evidence.get("string") == OTHER)


# ── torn out ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def tear(desk: Desk, count: int) -> float:
    """Tears the first imager out after so many bytes of a scan, and plugs it in again.

    Checks all that is told, and that another imager goes on; gives the seconds from the plugging to its being back.
    """
    desk.inbox.forget()
    whole = count > len(STRING)
    desk.imager.faults = ImagerFaults(tear_after=count)
    desk.imager.scan(STRING)
    if whole:
        assert desk.inbox.wait(Presented).evidence["string"] == STRING
    assert desk.inbox.wait(ReaderRemoved).reader == desk.id
    desk.imagers[1].scan(OTHER + b"%d" % count)
    assert desk.inbox.wait(Presented).reader == desk.ids[1]
    began = time.monotonic()
    desk.imager.open()
    back = desk.inbox.wait(ReaderAdded).reader
    took = time.monotonic() - began
    assert (back.id, back.state) == (desk.id, "empty")
    after = INS + b"%d" % count
    assert desk.scanned(after).evidence["code"] == after, "nothing of what was torn is in it"
    assert len(desk.inbox.outcomes()) == 2 + whole
    assert desk.retries(desk.id) == desk.retries(desk.ids[1]) == []
    assert not any(isinstance(report, Failed) for report in desk.inbox.reports)
    return took


@pytest.fixture
def pair(make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(imager_device, "_PATIENCE", 60.0)  # what is to arrive before it is torn out does
    desk = make_desk(2, look=0.05)
    desk.arm()
    return desk


@pytest.mark.slow
def test_an_imager_may_be_torn_out_at_any_byte(pair: Desk) -> None:
    for count in (*range(4), *range(4, len(STRING), 17), len(STRING), len(STRING) + 1):
        tear(pair, count)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("part", range(4))
def test_an_imager_torn_out_a_thousand_times_at_every_byte_in_turn(make_desk: MakeDesk, part: int) -> None:
    desk = make_desk(2)
    desk.arm()
    slowest = max(tear(desk, number % (len(STRING) + 2)) for number in range(part * 250, (part + 1) * 250))
    assert slowest < 2.0


def test_nothing_is_told_of_an_imager_that_nobody_waits_for(desk: Desk) -> None:
    desk.imager.scan(STRING)
    desk.inbox.wait(ReaderChanged)
    desk.imager.unplug()
    desk.inbox.wait(ReaderRemoved)
    desk.imager.open()
    desk.inbox.wait(ReaderAdded)
    desk.arm()
    assert desk.scanned(INS).medium == "ins-datamatrix"
    assert desk.retries(desk.id) == []
    assert len(desk.inbox.outcomes()) == 1, "what lay there went with the imager"


# ── imagers that cannot be used ──────────────────────────────────────────────────────────────────────────────────────


def test_a_port_that_another_program_has_is_told_and_used_when_it_is_free(tmp_path: Path) -> None:
    with Imager(link=tmp_path / "imager") as imager:
        other = serial.Serial(imager.path, exclusive=True)
        driver, inbox = ScannerDriver({"devices": [str(tmp_path / "imager")], "look": 0.05}), Inbox()
        driver.open(inbox)
        try:
            added = inbox.wait(ReaderAdded).reader
            assert (added.state, added.error) == ("unavailable", "reader_busy")
            assert named(inbox.wait(Health, lambda health: health.state == "degraded").problem) == "reader_busy.scanner"
            driver.arm(Arm(media=MEDIA, deadline=time.monotonic() + 600))
            assert named(inbox.wait(Progress).problem) == "reader_busy.scanner"
            assert not driver.stuck()
            other.close()
            assert inbox.wait(ReaderChanged).reader.state == "empty"
            assert inbox.wait(Health).state == "ok"
            imager.scan(STRING)
            inbox.wait(Presented)
        finally:
            driver.close()


def test_an_imager_that_is_not_there_at_start_is_waited_for(tmp_path: Path) -> None:
    driver, inbox = ScannerDriver({"devices": [str(tmp_path / "imager")], "look": 0.05}), Inbox()
    driver.open(inbox)
    try:
        driver.arm(Arm(media=MEDIA, deadline=time.monotonic() + 600))
        with Imager(link=tmp_path / "imager") as imager:
            inbox.wait(ReaderAdded)
            imager.scan(STRING)
            inbox.wait(Presented)
            inbox.wait(ReaderChanged, is_empty)
        inbox.wait(ReaderRemoved)
    finally:
        driver.close()


@dataclass
class FakeBus:
    """A port that opens when it is told to."""

    may_open: threading.Event = field(default_factory=threading.Event)
    opening: threading.Event = field(default_factory=threading.Event)

    def places(self, address: ScannerAddress) -> tuple[ScannerPlace, ...]:
        return (ScannerPlace("scanner:x", "x", address, "x"),)

    def open(self, place: ScannerPlace) -> SerialTransport:
        self.opening.set()
        self.may_open.wait(20)
        raise ReaderGone("it was a test")


def test_a_port_that_does_not_open_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = FakeBus()
    driver = ScannerDriver({}, bus)
    driver.open(Inbox())
    try:
        assert bus.opening.wait(30)
        assert not driver.stuck()
        later = time.monotonic() + ScannerReader.stuck_after + 1
        with monkeypatch.context() as clock:
            clock.setattr("vitale_drivers.readers.discovery.time.monotonic", lambda: later)
            assert driver.stuck() == "call to scanner:x"
    finally:
        bus.may_open.set()
        driver.close()


class DeafLine:
    """A port whose first cancellation comes too early to be heard, as may be on Windows."""

    simulated = True

    def __init__(self) -> None:
        self.cancelled = threading.Semaphore(0)

    def read(self, seconds: float | None) -> bytes:
        self.cancelled.acquire()
        self.cancelled.acquire()
        return b""

    def cancel(self) -> None:
        self.cancelled.release()

    def close(self) -> None:
        return


class DeafBus(FakeBus):
    def open(self, place: ScannerPlace) -> SerialTransport:
        return DeafLine()


def test_a_read_that_missed_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "CLOSE_LIMIT", 60.0)
    driver, inbox = ScannerDriver({}, DeafBus()), Inbox()
    before = set(threading.enumerate())
    driver.open(inbox)
    assert inbox.wait(ReaderAdded).reader.simulated
    driver.close()
    assert set(threading.enumerate()) <= before


def test_without_pyserial_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    monkeypatch.delitem(sys.modules, "vitale_drivers.scanner.ports", raising=False)
    with pytest.raises(ToolMissing) as caught:
        ScannerDriver({}).open(Inbox())
    assert caught.value.data["tool"] == "serial"
