"""``devices``: what is found, how it is called, and why it cannot be opened; nfcpy and libusb made of lists."""

import errno
import os
import re
import sys
from pathlib import Path
from typing import Self

import pytest
import usb1
from nfc.clf import pn532, transport

from tests.holders import held_by, nobody
from tests.problems import named
from vitale_drivers.nfc import devices as nfc_devices
from vitale_drivers.nfc import obstacles
from vitale_drivers.nfc.devices import NfcpyBus
from vitale_drivers.nfc.settings import NfcAddress, parse_address, parse_options
from vitale_drivers.nfc.transport import NfcPlace
from vitale_drivers.readers import terminals
from vitale_firmware_sim.pn532.reader import Pn532Reader
from vitale_protocol.catalogue import variants
from vitale_protocol.errors import ConfigurationInvalid, ReaderBusy, ReaderError, ReaderGone, ReaderUnavailable

USB = parse_address("usb")


class FakeUsbDevice:
    def __init__(self, vid: int, pid: int, bus: int, number: int, ports: list[int]) -> None:
        self._ids = (vid, pid, bus, number, ports)

    def getVendorID(self) -> int:  # noqa: N802 - libusb1's name, like those below
        return self._ids[0]

    def getProductID(self) -> int:  # noqa: N802
        return self._ids[1]

    def getBusNumber(self) -> int:  # noqa: N802
        return self._ids[2]

    def getDeviceAddress(self) -> int:  # noqa: N802
        return self._ids[3]

    def getPortNumberList(self) -> list[int]:  # noqa: N802
        return self._ids[4]


class FakeContext:
    def __init__(self, *devices: FakeUsbDevice) -> None:
        self.devices = devices

    def __call__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def getDeviceList(self, skip_on_error: bool = False) -> tuple[FakeUsbDevice, ...]:  # noqa: N802
        return self.devices


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("usb", NfcAddress("usb")),
        ("usb:054c", NfcAddress("usb", vid=0x054C)),
        ("usb:054C:06c1", NfcAddress("usb", vid=0x054C, pid=0x06C1)),
        ("tty:USB0:pn532", NfcAddress("serial", "/dev/ttyUSB0")),
        ("com:3:pn532", NfcAddress("serial", "COM3")),
        ("com:COM3:pn532", NfcAddress("serial", "COM3")),
        ("pty:/dev/pts/3", NfcAddress("serial", "/dev/pts/3")),
        ("/dev/serial/by-id/usb-FTDI_A-if00", NfcAddress("serial", "/dev/serial/by-id/usb-FTDI_A-if00")),
        ("udp:localhost:54321", NfcAddress("udp", "localhost:54321")),
    ],
)
def test_addresses(text: str, expected: NfcAddress) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text",
    ["usb0", "usb:1:2:3", "tty:USB0", "tty:USB0:arygon", "/dev/x; rm y", "/dev/$(x)", "udp:h:0", "udp:h:65536", "card"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_address(text)


@pytest.mark.parametrize(
    "options", [{"poll": 0}, {"devices": []}, {"profile": ""}, {"profiles": ["x"]}, {"watch": "x"}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_options(options)


def test_a_usb_reader_is_called_by_its_socket_and_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = (FakeUsbDevice(0x054C, 0x06C1, 1, 9, [2, 4]), FakeUsbDevice(0x046D, 0xC31C, 1, 3, [1]))
    monkeypatch.setattr("vitale_drivers.nfc.devices.usb1.USBContext", FakeContext(*devices))
    (place,) = NfcpyBus(nobody).places(USB)
    assert (place.id, place.name, place.usb) == (
        "nfc:054c:06c1:1-2.4",
        "RCS380 (USB 1-2.4)",
        (0x054C, 0x06C1, 1, 9),
    )
    assert not place.simulated
    assert NfcpyBus(nobody).places(parse_address("usb:054c:06c1")) != ()
    assert NfcpyBus(nobody).places(parse_address("usb:072f")) == ()


class DeafContext(FakeContext):
    def __enter__(self) -> Self:
        raise usb1.USBErrorOther(-99)


def test_where_libusb_cannot_look_what_was_there_still_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bus, reader = NfcpyBus(nobody), FakeUsbDevice(0x054C, 0x06C1, 1, 9, [2])
    monkeypatch.setattr("vitale_drivers.nfc.devices.usb1.USBContext", DeafContext())
    assert bus.places(USB) == bus.places(USB) == ()
    assert len(caplog.records) == 1
    monkeypatch.setattr("vitale_drivers.nfc.devices.usb1.USBContext", FakeContext(reader))
    found = bus.places(USB)
    assert len(found) == 1
    monkeypatch.setattr("vitale_drivers.nfc.devices.usb1.USBContext", DeafContext())
    assert bus.places(USB) == found
    monkeypatch.setattr("vitale_drivers.nfc.devices.usb1.USBContext", FakeContext())
    assert bus.places(USB) == ()


def test_a_reader_that_is_unplugged_while_it_is_looked_at_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaving(FakeUsbDevice):
        def getPortNumberList(self) -> list[int]:  # noqa: N802
            raise usb1.USBErrorNoDevice(-4)

    devices = (Leaving(0x054C, 0x06C1, 1, 9, []), FakeUsbDevice(0x04E6, 0x5591, 1, 3, [1]))
    monkeypatch.setattr("vitale_drivers.nfc.devices.usb1.USBContext", FakeContext(*devices))
    assert [place.id for place in NfcpyBus(nobody).places(USB)] == ["nfc:04e6:5591:1-1"]


@pytest.mark.parametrize("fault", [usb1.USBErrorNotSupported(-12), usb1.USBErrorPipe(-9)])
def test_an_error_of_libusb_that_nfcpy_lets_through_is_told_as_the_reader_s(
    monkeypatch: pytest.MonkeyPatch, fault: usb1.USBError
) -> None:
    def refuse(*_: object) -> None:
        raise fault

    monkeypatch.setattr("vitale_drivers.nfc.devices.transport.USB", refuse)
    with pytest.raises(ReaderUnavailable):
        NfcpyBus(nobody).open(SCL3711)


def test_a_reader_plugged_again_into_the_same_socket_keeps_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    ids: set[str] = set()
    for number in (5, 6):
        monkeypatch.setattr(
            "vitale_drivers.nfc.devices.usb1.USBContext", FakeContext(FakeUsbDevice(0x04E6, 0x5591, 2, number, [1]))
        )
        ids |= {place.id for place in NfcpyBus(nobody).places(USB)}
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("number", "name"),
    [("A50285BI", "A50285BI"), ("A5\0\n", "A5__"), ("A" * 126, "A" * 64)],
    ids=["plain", "controls", "long"],
)
def test_a_serial_adapter_is_called_by_its_serial_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: str, name: str
) -> None:
    class Port:
        device, vid, pid, serial_number = str(tmp_path), 0x0403, 0x6001, number
        location, product = "1-2", "FT232R"

    monkeypatch.setattr("vitale_drivers.readers.serial_ports.list_ports.comports", lambda: [Port()])
    (place,) = NfcpyBus(nobody).places(NfcAddress("serial", str(tmp_path)))
    assert place.id == f"nfc:0403:6001:{name}"


@pytest.mark.posix
def test_somebodys_terminal_is_not_opened() -> None:
    with Pn532Reader() as reader:
        made = NfcpyBus(held_by(f"terminal:{reader.path}", "bash"))
        (place,) = made.places(NfcAddress("serial", reader.path))
        with pytest.raises(ReaderBusy) as raised:
            made.open(place)
    assert ("terminal", {"holder": "bash"}) == (raised.value.variant, raised.value.data)


@pytest.mark.posix
def test_a_pseudo_terminal_is_simulated_and_a_path_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    bus, link = NfcpyBus(nobody), tmp_path / "reader"
    assert bus.places(NfcAddress("serial", str(link))) == ()
    with Pn532Reader(link=link):
        assert [place.simulated for place in bus.places(NfcAddress("serial", str(link)))] == [True]
    assert bus.places(NfcAddress("serial", str(link))) == ()


@pytest.mark.posix
def test_a_path_that_leads_to_a_pseudo_terminal_now_is_simulated_now(tmp_path: Path) -> None:
    bus, link = NfcpyBus(nobody), tmp_path / "reader"
    link.symlink_to(os.devnull)
    assert [place.simulated for place in bus.places(NfcAddress("serial", str(link)))] == [False]
    with Pn532Reader() as reader:
        other = tmp_path / "other"
        other.symlink_to(reader.path)
        other.replace(link)
        assert [place.simulated for place in bus.places(NfcAddress("serial", str(link)))] == [True]


@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of devices are those of Linux")
def test_a_pseudo_terminal_by_any_name_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "_PSEUDO_TERMINAL", re.compile(r"no name\Z"))
    with Pn532Reader() as reader:
        assert [place.simulated for place in NfcpyBus(nobody).places(NfcAddress("serial", reader.path))] == [True]


@pytest.mark.posix
@pytest.mark.usefixtures("patient_line")
def test_what_was_opened_is_simulated_whatever_its_place_was_taken_for() -> None:
    with Pn532Reader() as reader:
        link = NfcpyBus(nobody).open(NfcPlace("nfc:p", "p", NfcAddress("serial", reader.path), simulated=False))
        assert link.simulated
        link.close()


SCL3711 = NfcPlace("nfc:x", "x", USB, usb=(0x04E6, 0x5591, 1, 1))
ACR122 = NfcPlace("nfc:y", "y", USB, usb=(0x072F, 0x2200, 1, 2))
SERIAL = NfcPlace("nfc:z", "z", NfcAddress("serial", "/dev/ttyS7"))


@pytest.mark.parametrize(
    ("number", "place", "modules", "expected", "reason"),
    [
        (errno.EBUSY, SCL3711, "pn533_usb 20480 0", ReaderBusy, "reader_busy.pn533"),
        (errno.EIO, SCL3711, "pn533_usb 20480 0", ReaderBusy, "reader_busy.pn533"),
        (errno.EBUSY, ACR122, "", ReaderBusy, "reader_busy.pcscd"),
        (errno.EBUSY, SERIAL, "pn533_usb 20480 0", ReaderBusy, "reader_busy"),
        (errno.EACCES, SCL3711, "", ReaderUnavailable, "reader_unavailable.nfc-permission"),
        (errno.ENOENT, SERIAL, "", ReaderGone, "reader_gone"),
        (errno.ETIMEDOUT, SERIAL, "", ReaderUnavailable, "reader_unavailable.nfc"),
        (errno.ENODEV, SCL3711, "", ReaderUnavailable, "reader_unavailable.nfc"),
    ],
)
def test_why_a_reader_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    number: int,
    place: NfcPlace,
    modules: str,
    expected: type[ReaderError],
    reason: str,
) -> None:
    def refuse(_: NfcPlace) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / "modules").write_text(f"usbcore 1 2\n{modules}\n", encoding="ascii")
    monkeypatch.setattr(obstacles, "_MODULES", tmp_path / "modules")
    monkeypatch.setattr(nfc_devices, "_open", refuse)
    with pytest.raises(expected) as caught:
        NfcpyBus(nobody).open(place)
    assert named(caught.value) == reason
    name, _, variant = reason.partition(".")
    assert not variant or variant in variants(name)


@pytest.mark.parametrize(
    ("place", "device", "holder"),
    [
        (SERIAL, "/dev/ttyS7", "lgo"),
        (SCL3711, "/dev/bus/usb/001/001", "lgo"),
        (ACR122, "/dev/bus/usb/001/002", "pcscd"),  # PC/SC has it, whoever else has the file
    ],
)
def test_the_program_that_has_a_reader_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: NfcPlace, device: str, holder: str
) -> None:
    def refuse(_: NfcPlace) -> None:
        raise OSError(errno.EBUSY, "")

    monkeypatch.setattr(obstacles, "_MODULES", tmp_path / "none")
    monkeypatch.setattr(nfc_devices, "_open", refuse)
    with pytest.raises(ReaderBusy) as caught:
        NfcpyBus(held_by(device, "lgo")).open(place)
    assert caught.value.data["holder"] == holder


@pytest.mark.parametrize("error", [usb1.USBErrorNotSupported, usb1.USBErrorNotFound])
@pytest.mark.parametrize("place", [SCL3711, ACR122])
def test_a_reader_without_a_driver_that_libusb_can_use_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, error: type[usb1.USBError], place: NfcPlace
) -> None:
    def refuse(_: NfcPlace) -> None:
        raise error

    monkeypatch.setattr(nfc_devices, "_open", refuse)
    with pytest.raises(ReaderUnavailable) as caught:
        NfcpyBus(nobody).open(place)
    assert named(caught.value) == "reader_unavailable.nfc-driver"


@pytest.mark.posix
def test_a_chip_left_at_high_speed_by_a_program_that_died_is_told_to_slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pn532Reader() as reader:
        place = NfcPlace("nfc:p", "p", NfcAddress("serial", reader.path))
        dead = NfcpyBus(nobody).open(place)
        answered, attempts = reader.commands, list[str]()
        real = pn532.init

        def deaf_at_first(tty: transport.TTY) -> pn532.Device:
            attempts.append(tty.port)
            if len(attempts) == 1:
                raise OSError(errno.ETIMEDOUT, "at this speed the chip understands nothing")
            assert reader.commands > answered, "SetSerialBaudRate"
            return real(tty)

        monkeypatch.setattr("vitale_drivers.nfc.devices.pn532.init", deaf_at_first)
        NfcpyBus(nobody).open(place).close()
        assert attempts == [reader.path, reader.path]
        dead.close()
