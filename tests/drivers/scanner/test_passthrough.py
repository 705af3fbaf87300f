"""``passthrough``: what an old program at the other port gets, and that it holds up nobody."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from tests.drivers.scanner.desks import INS, OTHER, STRING, MakeDesk
from tests.posix import raw_terminal
from vitale_drivers.base import CodeScanned, Presented
from vitale_drivers.scanner.passthrough import Passthrough, PseudoTerminalOutput
from vitale_drivers.scanner.settings import PassthroughAddress, ScannerSettings, parse_passthrough
from vitale_firmware_sim.imager.faults import Behaviour
from vitale_protocol.errors import ConfigurationInvalid

pytestmark = pytest.mark.posix

PATIENCE = 20.0


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "old"


@pytest.fixture
def output(link: Path) -> Iterator[PseudoTerminalOutput]:
    made = PseudoTerminalOutput(link)
    yield made
    made.close()


def old_program(path: Path) -> serial.Serial:
    """Opens the port as a program of the nineties does."""
    return serial.Serial(str(path), 9600, timeout=PATIENCE)


def closed(port: serial.Serial) -> None:
    port.close()


def test_a_program_gets_every_byte_as_it_is(output: PseudoTerminalOutput, link: Path) -> None:
    port = old_program(link)
    try:
        sent = bytes(range(256)) + b"\r\n"
        assert Passthrough(output, b"\r\n").pass_on(sent[:-2])
        assert sent == port.read(len(sent))
    finally:
        closed(port)


def test_nothing_is_kept_for_a_program_that_is_not_there(output: PseudoTerminalOutput, link: Path) -> None:
    assert not output.write(b"old\r")
    port = old_program(link)
    assert output.write(b"new\r")
    assert port.read(4) == b"new\r"
    port.close()
    assert not output.write(b"old again\r")
    port = old_program(link)
    try:
        assert output.write(b"again\r")
        assert port.read(6) == b"again\r"
    finally:
        closed(port)


def test_a_program_that_does_not_read_loses_whole_codes_and_holds_up_nobody(
    output: PseudoTerminalOutput, link: Path
) -> None:
    port = old_program(link)
    try:
        taken = [number for number in range(20_000) if output.write(b"code %06d\r" % number)]
        assert 100 < len(taken) < 20_000
        got: list[bytes] = []
        while b"%06d" % taken[-1] not in (got[-1] if got else b""):
            got.append(port.read(12))
            # What did not fit goes before the next code.
            output.write(b"")
        assert [b"code %06d\r" % number for number in taken] == got
        while not output.write(b"code 999999\r"):
            port.read(1)
        assert port.read(12) == b"code 999999\r"
    finally:
        closed(port)


def test_what_a_program_writes_to_its_imager_does_not_hold_it_up(output: PseudoTerminalOutput, link: Path) -> None:
    port = serial.Serial(str(link), 9600, timeout=PATIENCE, write_timeout=PATIENCE)
    try:
        for _ in range(200):
            port.write(b"\x16M\rBEEP.")
            assert output.write(b"a\r")
            assert port.read(2) == b"a\r"
    finally:
        closed(port)


def test_the_link_of_a_former_run_is_replaced_and_anything_else_is_left_alone(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.symlink_to("/dev/pts/987654")
    made = PseudoTerminalOutput(left)
    assert str(left.readlink()) != "/dev/pts/987654"
    made.close()
    assert not left.is_symlink()
    file, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
    file.touch()
    elsewhere.symlink_to("/etc/passwd")
    for there in (file, elsewhere):
        with pytest.raises(ConfigurationInvalid):
            PseudoTerminalOutput(there)
        assert there.exists()
    with pytest.raises(ConfigurationInvalid):
        PseudoTerminalOutput(tmp_path / "no" / "such" / "folder")


def test_after_its_end_nothing_is_written(link: Path) -> None:
    passes = Passthrough(PseudoTerminalOutput(link), b"\r")
    port = old_program(link)
    passes.close()
    passes.close()
    assert not passes.pass_on(b"late")
    port.close()


# ── the driver ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_boxes_are_typed_to_the_old_program_and_patients_are_not(make_desk: MakeDesk, link: Path) -> None:
    desk = make_desk(behaviour=Behaviour(aim=True), passthrough=f"pty:{link}", passthrough_end="\r\n")
    desk.imager.scan(b"3400930000120", "ean")
    assert not desk.inbox.wait(CodeScanned).passed_on
    port = old_program(link)
    try:
        desk.arm()
        desk.imager.scan(b"01034009300001201710A\x1d21B", "gs1-datamatrix")
        desk.imager.scan(STRING)
        desk.imager.scan(INS, "datamatrix")
        desk.imager.scan(OTHER)
        desk.imager.scan(b"3000012", "code39")
        assert [desk.inbox.wait(Presented).medium for _ in range(3)] == ["apcv-qr", "ins-datamatrix", "apcv-qr"]
        expected = b"01034009300001201710A\x1d21B\r\n3000012\r\n"
        assert expected == port.read(len(expected))
        desk.inbox.wait(CodeScanned, lambda report: report.data == b"3000012")
    finally:
        closed(port)
    told = [report.passed_on for report in desk.inbox.reports if isinstance(report, CodeScanned)]
    assert told == [False, True, True]
    desk.driver.close()
    assert not link.is_symlink()


def test_a_port_that_is_there_gets_them_too_also_when_it_comes_later(make_desk: MakeDesk, tmp_path: Path) -> None:
    """The two ends of a null modem, as a pair of virtual ports has them on Windows."""
    device = tmp_path / "ttyS1"
    desk = make_desk(passthrough=str(device))
    desk.imager.scan(b"3400930000120")
    assert not desk.inbox.wait(CodeScanned).passed_on
    master, slave, path = raw_terminal()
    try:
        device.symlink_to(path)
        desk.imager.scan(b"3400930000137")
        desk.inbox.wait(CodeScanned, lambda report: report.passed_on)
        assert os.read(master, 100) == b"3400930000137\r"
    finally:
        device.unlink(missing_ok=True)  # first: another program's terminal may have the path from here on
        os.close(master)
        os.close(slave)
    desk.imager.scan(b"3400930000120")
    desk.inbox.wait(CodeScanned, lambda report: not report.passed_on)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"passthrough": "pty:/dev/shm/x"}, PassthroughAddress("/dev/shm/x", made=True, suffix=b"\r", speed=9600)),
        (
            {"passthrough": "COM5", "passthrough_end": "\t", "passthrough_speed": 115200},
            PassthroughAddress("COM5", made=False, suffix=b"\t", speed=115200),
        ),
        ({"passthrough": "/dev/ttyS1"}, PassthroughAddress("/dev/ttyS1", made=False, suffix=b"\r", speed=9600)),
    ],
)
def test_places(options: dict[str, Any], expected: PassthroughAddress | None) -> None:
    assert expected == parse_passthrough(ScannerSettings(**options))


@pytest.mark.parametrize("text", ["pty:relative", "usb", "ttyS1", "pty:/a\nb", "/dev/ttyACM0"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        parse_passthrough(ScannerSettings(devices=("/dev/ttyACM0",), passthrough=text))
    assert caught.value.data["path"] == "drivers.options.scanner.passthrough"
