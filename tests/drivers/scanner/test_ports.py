"""``ports`` and ``settings``: which imagers there are, what they are called, why they do not open."""

import errno
import os
import re
from pathlib import Path

import pytest
import serial

from tests.holders import held_by, nobody
from tests.posix import posix_only, raw_terminal
from tests.problems import named
from vitale_drivers.readers.serial_ports import PortList, UsbPort
from vitale_drivers.readers.terminals import TERMINAL_FAULTS
from vitale_drivers.scanner import ports as scanner_ports
from vitale_drivers.scanner.framing import ScanFraming
from vitale_drivers.scanner.ports import PortTransport, SerialBus
from vitale_drivers.scanner.settings import FRAMINGS, ScannerAddress, ScannerSettings, parse_address, parse_options
from vitale_drivers.scanner.transport import ScannerPlace
from vitale_firmware_sim.imager.device import Imager
from vitale_protocol.catalogue import variants
from vitale_protocol.errors import ConfigurationInvalid, ReaderBusy, ReaderError, ReaderGone, ReaderUnavailable

"""Linux, asm-generic/ioctls.h: whether TIOCEXCL is set; Python has no name for it."""

HONEYWELL = UsbPort("/dev/ttyACM3", 0x0C2E, 0x0B6A, "15215B0A2C", "1-4", "Xenon 1900")


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("usb", ScannerAddress("usb")),
        ("usb:0c2e", ScannerAddress("usb", vid=0x0C2E)),
        ("usb:0C2E:0b6a", ScannerAddress("usb", vid=0x0C2E, pid=0x0B6A)),
        ("usb:0c2e:0b6a:S/N:44F1", ScannerAddress("usb", vid=0x0C2E, pid=0x0B6A, serial_number="S/N:44F1")),
        ("COM3", ScannerAddress("port", "COM3")),
        ("com:12", ScannerAddress("port", "COM12")),
        ("/dev/serial/by-id/usb-Honeywell-if00", ScannerAddress("port", "/dev/serial/by-id/usb-Honeywell-if00")),
        ("pty:/dev/pts/3", ScannerAddress("port", "/dev/pts/3")),
    ],
)
def test_addresses(text: str, expected: ScannerAddress) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text", ["usb0", "usb:1:2", "usb:0c2e:zzzz", "usb:0c2e::X", "COM0", "COM", "tty", "imager", "/a\n"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_address(text)


@pytest.mark.parametrize(
    "options",
    [
        {"devices": []},
        {"framing": "esc"},
        {"speed": 12},
        {"data_bits": 9},
        {"parity": "some"},
        {"max_bytes": 5000},
        {"grace": -1},
        {"terminator": "\r"},
        {"suffix": ["\r", "\r\n"]},
        {"suffix": [""]},
        {"suffix": []},
        {"prefix": "€"},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_options(options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, FRAMINGS["line"]),
        ({"framing": "stx-etx"}, ScanFraming(b"\x02", (b"\x03",))),
        ({"framing": "cr", "aim": True}, FRAMINGS["aim-cr"]),
        ({"framing": "stx-etx", "prefix": "", "suffix": "\x03\r"}, ScanFraming(b"", (b"\x03\r",))),
        ({"suffix": ["\r\n", "\t", "\xff"], "aim": False}, ScanFraming(b"", (b"\r\n", b"\t", b"\xff"))),
        ({"suffix": ""}, ScanFraming(aim=True)),
    ],
)
def test_an_option_replaces_a_mark_of_the_framing(options: dict[str, object], expected: ScanFraming) -> None:
    assert parse_options(options)[2] == expected


def test_every_framing_can_be_chosen() -> None:
    for name, framing in FRAMINGS.items():
        assert parse_options({"framing": name})[2] == framing


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def bus(monkeypatch: pytest.MonkeyPatch, *ports: UsbPort) -> SerialBus:
    """A bus with these ports plugged in."""
    monkeypatch.setattr("vitale_drivers.readers.serial_ports._usb_ports", lambda: ports)
    return SerialBus(ScannerSettings(), nobody)


def test_a_usb_imager_is_called_by_its_serial_number_wherever_it_is_plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    again = UsbPort("/dev/ttyACM9", HONEYWELL.vid, HONEYWELL.pid, HONEYWELL.serial_number, "2-1", "Xenon 1900")
    for port in (HONEYWELL, again):
        (place,) = bus(monkeypatch, port).places(parse_address("usb"))
        assert (place.id, place.where) == ("scanner:0c2e:0b6a:15215B0A2C", port.device)
        assert (place.simulated, place.name) == (False, f"Xenon 1900 (USB {port.socket})")


@posix_only()
def test_somebodys_terminal_is_not_opened() -> None:
    leader, follower, device = raw_terminal()
    try:
        made = SerialBus(ScannerSettings(), held_by(f"terminal:{device}", "bash"))
        (place,) = made.places(parse_address(device))
        with pytest.raises(ReaderBusy) as raised:
            made.open(place)
        assert ("terminal", {"holder": "bash"}) == (raised.value.variant, raised.value.data)
    finally:
        os.close(leader)
        os.close(follower)


@pytest.mark.parametrize("serial_number", ["", "000000", "0123456789ABCDEF", "1234567890"])
def test_one_whose_number_says_nothing_is_called_by_its_socket(
    monkeypatch: pytest.MonkeyPatch, serial_number: str
) -> None:
    ports = [
        UsbPort(f"/dev/ttyACM{at}", 0x1EAB, 0x8306, serial_number, socket) for at, socket in enumerate(("1-2", "1-3"))
    ]
    found = bus(monkeypatch, *ports).places(parse_address("usb:1eab"))
    assert [place.id for place in found] == ["scanner:1eab:8306:1-2", "scanner:1eab:8306:1-3"]


def test_what_a_device_calls_itself_is_fit_to_be_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    (place,) = bus(monkeypatch, UsbPort("/dev/ttyACM0", 0x05E0, 0x1701, "S/N 4\n" + "F" * 90)).places(
        parse_address("usb")
    )
    assert re.fullmatch(r"scanner:05e0:1701:S_N_4_F{58}", place.id)


def test_of_two_that_call_themselves_the_same_one_is_used_and_it_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    twin = UsbPort("/dev/ttyACM4", HONEYWELL.vid, HONEYWELL.pid, HONEYWELL.serial_number, "1-5")
    made = bus(monkeypatch, HONEYWELL, twin)
    for _ in range(3):
        assert [place.where for place in made.places(parse_address("usb"))] == ["/dev/ttyACM3"]
    (told,) = caplog.records
    assert told.levelname == "WARNING"
    assert told.getMessage().startswith(f"two devices call themselves scanner:0c2e:0b6a:{HONEYWELL.serial_number}: ")


def test_serial_ports_that_are_no_imagers_are_left_alone_unless_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    arduino = UsbPort("/dev/ttyACM0", 0x2341, 0x0043, "X", "1-1")
    made = bus(monkeypatch, arduino, HONEYWELL)
    assert [place.where for place in made.places(parse_address("usb"))] == ["/dev/ttyACM3"]
    assert [place.where for place in made.places(parse_address("usb:2341"))] == ["/dev/ttyACM0"]
    assert made.places(parse_address("usb:0c2e:0b6a:other")) == ()
    assert len(made.places(parse_address("usb:0c2e:0b6a:15215B0A2C"))) == 1


@pytest.mark.posix("links take a privilege on Windows")
def test_a_path_to_a_usb_imager_gives_its_lasting_name_and_one_by_socket_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    node = tmp_path / "ttyACM3"
    node.touch()
    link = tmp_path / "by-id"
    link.symlink_to(node)
    port = UsbPort(str(node), 0x0C2E, 0x0B6A, "15215B0A2C", "1-4", "Xenon 1900")
    made = bus(monkeypatch, port)
    for path in (node, link):
        assert [place.id for place in made.places(ScannerAddress("port", str(path)))] == [
            "scanner:0c2e:0b6a:15215B0A2C"
        ]
    monkeypatch.setattr(scanner_ports, "_BY_PATH", str(tmp_path))
    assert [place.id for place in made.places(ScannerAddress("port", str(link)))] == [f"scanner:{link}"]
    node.unlink()
    assert made.places(ScannerAddress("port", str(link))) == ()


def test_a_port_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bus(monkeypatch, UsbPort("COM3", 0x0C2E, 0x0B6A, "S1", "1-4", "Xenon 1900"))
    assert [place.id for place in made.places(parse_address("COM3"))] == ["scanner:0c2e:0b6a:S1"]
    assert [place.id for place in made.places(parse_address("COM1"))] == ["scanner:COM1"]


def bus_of_windows(monkeypatch: pytest.MonkeyPatch, plugged: list[UsbPort]) -> SerialBus:
    """A bus that finds what is plugged in at the moment, where no node tells of a change."""
    monkeypatch.setattr("vitale_drivers.readers.serial_ports._usb_ports", lambda: tuple(plugged))
    monkeypatch.setattr("vitale_drivers.readers.serial_ports.nodes_changed_at", lambda: None)
    made = SerialBus(ScannerSettings(), nobody)
    monkeypatch.setattr(made, "_ports", PortList(again=0))
    return made


@pytest.mark.parametrize("told", [("S1", ""), ("", "1-4")], ids=["serial number", "socket"])
def test_an_imager_named_by_its_com_number_is_not_lost_when_windows_changes_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, told: tuple[str, str]
) -> None:
    plugged = [UsbPort("COM3", 0x0C2E, 0x0B6A, *told)]
    made = bus_of_windows(monkeypatch, plugged)
    (before,) = made.places(parse_address("COM3"))
    plugged.clear()
    assert made.places(parse_address("COM3")) == ()
    plugged += [UsbPort("COM4", 0x0C2E, 0x0B6A, "S2", "1-9"), UsbPort("COM7", 0x0C2E, 0x0B6A, *told)]
    (after,) = made.places(parse_address("COM3"))
    assert (after.id, before.where, after.where) == (before.id, "COM3", "COM7")
    (warning,) = {record.getMessage() for record in caplog.records}
    assert warning == f"COM3 may get another number: name the imager usb:0c2e:0b6a{':S1' if told[0] else ''}"


def test_another_imager_that_gets_the_com_number_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged = [UsbPort("COM3", 0x0C2E, 0x0B6A, "S1")]
    made = bus_of_windows(monkeypatch, plugged)
    made.places(parse_address("COM3"))
    plugged[:] = [UsbPort("COM3", 0x0C2E, 0x0B6A, "S2")]
    assert [place.id for place in made.places(parse_address("COM3"))] == ["scanner:0c2e:0b6a:S2"]
    plugged[:] = [UsbPort("COM8", 0x0C2E, 0x0B6A, "S1")]
    assert made.places(parse_address("COM3")) == ()


def test_at_a_path_that_may_not_be_asked_is_no_imager() -> None:
    path = f"/{'a' * 198}"
    assert SerialBus(ScannerSettings(), nobody).places(parse_address(path)) == ()
    path = f"/{'a' * 290}"
    assert SerialBus(ScannerSettings(), nobody).places(ScannerAddress("port", path)) == ()


@pytest.mark.posix
def test_a_pseudo_terminal_is_simulated_also_when_its_path_did_not_show_it(tmp_path: Path) -> None:
    made, link = SerialBus(ScannerSettings(), nobody), tmp_path / "imager"
    address = ScannerAddress("port", str(link))
    assert made.places(address) == ()
    with Imager(link=link) as imager:
        (place,) = made.places(address)
        assert (place.id, place.simulated) == (f"scanner:{link}", True)
        line = PortTransport(imager.path, ScannerSettings())
        assert line.simulated
        line.close()
    assert made.places(address) == ()


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.posix
def test_a_line_reads_waits_is_cancelled_and_ends() -> None:
    with Imager() as imager:
        line = PortTransport(imager.path, ScannerSettings(speed=115_200, data_bits=8, parity="none", stop_bits=1))
        imager.scan(b"an opaque string")
        assert line.read(None) == b"an opaque string\r"
        assert line.read(0.01) == b""
        line.cancel()
        line.cancel()
        assert line.read(None) == b""
        imager.unplug()
        with pytest.raises(ReaderGone):
            line.read(None)
        line.close()
        line.cancel()
        line.close()
        with pytest.raises(ReaderGone):
            line.read(0.01)


def never(_: object) -> bool:
    return False


@pytest.mark.posix
def test_other_programs_are_kept_out_of_a_real_port_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def note(port: serial.Serial) -> None:
        asked.append(port.fileno())

    monkeypatch.setattr(scanner_ports, "keep_others_out", note)
    with Imager() as imager:
        PortTransport(imager.path, ScannerSettings()).close()
        assert asked == []
        monkeypatch.setattr(scanner_ports, "is_behind_pseudo_terminal", never)
        PortTransport(imager.path, ScannerSettings()).close()
        assert len(asked) == 1


# ── why not ──────────────────────────────────────────────────────────────────────────────────────────────────────────

PLACE = ScannerPlace("scanner:x", "x", ScannerAddress("port", "/dev/ttyS7"), "/dev/ttyS7")


@pytest.mark.parametrize(
    ("fault", "expected", "reason"),
    [
        (serial.SerialException(errno.EACCES, "no"), ReaderUnavailable, "reader_unavailable.scanner-permission"),
        (serial.SerialException(errno.EPERM, "no"), ReaderUnavailable, "reader_unavailable.scanner-permission"),
        (serial.SerialException(errno.EBUSY, "no"), ReaderBusy, "reader_busy.scanner"),
        (serial.SerialException(errno.EAGAIN, "no"), ReaderBusy, "reader_busy.scanner"),
        (serial.SerialException(errno.ENOENT, "no"), ReaderGone, "reader_gone"),
        (serial.SerialException(errno.ENXIO, "no"), ReaderGone, "reader_gone"),
        (
            serial.SerialException("could not open port 'COM3': PermissionError(13, …, None, 5)"),
            ReaderBusy,
            "reader_busy.scanner",
        ),
        (serial.SerialException("could not open port 'COM3': FileNotFoundError(2, …)"), ReaderGone, "reader_gone"),
        (serial.SerialException("Could not configure port"), ReaderUnavailable, "reader_unavailable.scanner"),
        (ValueError("Invalid baud rate"), ReaderUnavailable, "reader_unavailable.scanner"),
        *((fault(errno.EIO, "no"), ReaderUnavailable, "reader_unavailable.scanner") for fault in TERMINAL_FAULTS),
    ],
)
def test_why_a_port_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, expected: type[ReaderError], reason: str
) -> None:
    def refuse(*_: object) -> None:
        raise fault

    monkeypatch.setattr(scanner_ports, "PortTransport", refuse)
    with pytest.raises(expected) as caught:
        SerialBus(ScannerSettings(), nobody).open(PLACE)
    assert named(caught.value) == reason
    name, _, variant = reason.partition(".")
    assert not variant or variant in variants(name)


def test_a_port_that_another_program_reads_without_a_lock_is_busy_and_says_whose() -> None:
    with pytest.raises(ReaderBusy) as caught:
        SerialBus(ScannerSettings(), held_by(PLACE.where, "lgo", "minicom")).open(PLACE)
    assert caught.value.data["holder"] == "lgo, minicom"


@pytest.mark.posix
def test_a_port_that_is_locked_is_busy() -> None:
    with Imager() as imager:
        place = ScannerPlace("scanner:x", "x", ScannerAddress("port", imager.path), imager.path, simulated=True)
        first = SerialBus(ScannerSettings(), nobody).open(place)
        with pytest.raises(ReaderBusy):
            SerialBus(ScannerSettings(), nobody).open(place)
        first.close()
        SerialBus(ScannerSettings(), nobody).open(place).close()
