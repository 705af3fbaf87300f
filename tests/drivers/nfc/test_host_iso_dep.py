"""``generic``: readers that leave ISO-DEP to their host; nfcpy's own layers on a device made here."""

from collections.abc import Callable

import nfc.clf
import pytest
import usb1
from nfc.clf import device as nfcpy
from nfc.clf.rcs380 import StatusError
from nfc.tag import tt4

from vitale_drivers.cards.channel import Channel
from vitale_drivers.nfc.host_iso_dep import GenericTransport, parse_ats, parse_attributes
from vitale_drivers.nfc.transport import NfcTarget
from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_firmware_sim.pn532.iso_dep import IsoDepCard
from vitale_protocol.errors import MediumRemoved, MediumUnreadable, ReaderUnavailable
from vitale_protocol.media import apcv
from vitale_protocol.media.apcv_profile import parse_profile

STRING = b"an opaque string of the simulator" * 6
PROFILES = (parse_profile(profile_text("simulator")),)

Spoil = Callable[[bytes], bytes]


class Device(nfcpy.Device):
    """A reader like the RC-S380, with one phone, or none, in its field."""

    def __init__(self, *, ats: bytes = bytes.fromhex("0678807002F0"), sak: int = 0x20, spoil: Spoil = bytes) -> None:
        self.phone: PhoneCard | None = PhoneCard(lambda: STRING)
        self.type_b = False
        self.muted = 0
        self.fault: Exception | None = None
        self._ats, self._sak, self._spoil = ats, sak, spoil
        self._card = IsoDepCard(self._begin, 256)

    def _begin(self, apdu: bytes) -> None:
        assert self.phone is not None
        self._answer = self.phone.transmit(apdu)

    def close(self) -> None:
        self._fail()

    def mute(self) -> None:
        self._fail()
        self.muted += 1

    def sense_tta(self, target: nfc.clf.RemoteTarget) -> nfc.clf.RemoteTarget | None:
        self._fail()
        if self.phone is None or self.type_b:
            return None
        self._card = IsoDepCard(self._begin, 256)
        uid = bytearray(self.phone.uid)
        return nfc.clf.RemoteTarget("106A", sens_res=b"\x04\x00", sel_res=bytearray((self._sak,)), sdd_res=uid)

    def sense_ttb(self, target: nfc.clf.RemoteTarget) -> nfc.clf.RemoteTarget | None:
        if not self.type_b:
            raise nfc.clf.UnsupportedTargetError("type B")
        self._card = IsoDepCard(self._begin, 256)
        return nfc.clf.RemoteTarget("106B", sensb_res=bytearray.fromhex("50 01020304 00000000 008174"))

    def send_cmd_recv_rsp(self, target: nfc.clf.RemoteTarget | None, data: bytearray, timeout: float) -> bytearray:
        self._fail()
        if self.phone is None:
            raise nfc.clf.TimeoutError
        if data[0] == 0xE0:
            return bytearray(self._ats)
        if data[0] == 0x1D:
            return bytearray(1)
        answer = self._card.receive(bytes(data)) or self._card.finish(self._answer)
        return bytearray(self._spoil(answer))

    def get_max_send_data_size(self, target: nfc.clf.RemoteTarget) -> int:
        return 290

    def get_max_recv_data_size(self, target: nfc.clf.RemoteTarget) -> int:
        return 290

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault


def read(transport: GenericTransport, limit: float = 60.0) -> bytes:
    return Channel(lambda apdu: transport.transmit(apdu, limit)).run(apcv.reading_script(PROFILES))["string"]


@pytest.mark.parametrize("ats", ["0678807002F0", "01", "", "0278", "0448 02 80", "FF", "02FF"])
@pytest.mark.parametrize("sak", [0x20, 0x60])
def test_a_phone_is_read_whatever_its_ats(ats: str, sak: int) -> None:
    device = Device(ats=bytes.fromhex(ats), sak=sak)
    transport = GenericTransport(device)
    assert transport.find() == (NfcTarget(device.phone.uid if device.phone else b"", iso_dep=True),)
    assert read(transport) == STRING
    assert transport.present()


def test_a_phone_of_type_b_is_read() -> None:
    device = Device()
    device.type_b = True
    transport = GenericTransport(device)
    assert transport.find() == (NfcTarget(bytes.fromhex("01020304"), iso_dep=True),)
    assert read(transport) == STRING


def test_a_reader_without_type_b_and_an_empty_field_find_nothing() -> None:
    device = Device()
    device.phone = None
    transport = GenericTransport(device)
    assert transport.find() == transport.find() == ()


def test_what_speaks_no_iso_dep_is_found_and_takes_no_commands() -> None:
    transport = GenericTransport(Device(sak=0x08))
    assert [target.iso_dep for target in transport.find()] == [False]
    with pytest.raises(MediumRemoved):
        transport.transmit(bytes(5), 60.0)
    assert not transport.present()


def test_a_phone_torn_away_is_gone() -> None:
    device = Device()
    transport = GenericTransport(device)
    transport.find()
    device.phone = None
    with pytest.raises(MediumRemoved):
        read(transport)
    assert not transport.present()


@pytest.mark.parametrize("wtx", [b"\xf2\x01", b"\xf2\x00", b"\xf2", b"\xf2\x01\x02"])
def test_waiting_time_without_end_is_bounded(wtx: bytes) -> None:
    transport = GenericTransport(Device(spoil=lambda _: wtx))
    transport.find()
    with pytest.raises(MediumUnreadable):
        read(transport, limit=0.2)


def test_a_request_for_time_with_nothing_behind_it_is_an_outcome() -> None:
    blocks = iter([b"\xf2\x01", b""])
    transport = GenericTransport(Device(spoil=lambda _: next(blocks)))
    transport.find()
    with pytest.raises(MediumUnreadable):
        transport.transmit(bytes(5), 2.0)


@pytest.mark.parametrize("fault", [IndexError, TypeError, ValueError])
def test_a_block_that_trips_the_binding_is_an_outcome(monkeypatch: pytest.MonkeyPatch, fault: type[Exception]) -> None:
    def trip(*_: object) -> None:
        raise fault

    transport = GenericTransport(Device())
    transport.find()
    monkeypatch.setattr(tt4.IsoDepInitiator, "exchange", trip)
    with pytest.raises(MediumUnreadable):
        transport.transmit(bytes(5), 2.0)
    assert not transport.present()


def test_chaining_without_end_is_bounded() -> None:
    numbers = iter(range(10**9))
    transport = GenericTransport(Device(spoil=lambda _: bytes((0x12 | next(numbers) % 2,)) + bytes(250)))
    transport.find()
    with pytest.raises(MediumUnreadable):
        transport.transmit(bytes(5), 60.0)


@pytest.mark.parametrize("block", [b"\x00", b"\xff\xff", b"\xc2", b"\xa2", b"\x03\x90\x00"])
def test_blocks_that_are_none_raise_what_is_documented(block: bytes) -> None:
    transport = GenericTransport(Device(spoil=lambda _: block))
    transport.find()
    with pytest.raises((MediumUnreadable, MediumRemoved)):
        read(transport, limit=0.5)


@pytest.mark.parametrize(
    "fault", [OSError(5, "EIO"), IndexError(), AttributeError(), usb1.USBErrorPipe(-9), StatusError(0x01)]
)
def test_a_reader_that_fails_is_told(fault: Exception) -> None:
    device = Device()
    transport = GenericTransport(device)
    transport.find()
    device.fault = fault
    for call in (transport.find, lambda: transport.transmit(bytes(5), 60.0), transport.quiet):
        with pytest.raises((ReaderUnavailable, MediumRemoved)):
            call()
    transport.close()


def test_the_field_is_turned_off_once() -> None:
    device = Device()
    transport = GenericTransport(device)
    transport.quiet()
    transport.find()
    transport.quiet()
    transport.quiet()
    assert device.muted == 1
    assert not transport.present()


def test_activation_says_frame_and_waiting_time() -> None:
    assert parse_ats(b"\x01").frame == 32
    assert parse_ats(bytes.fromhex("0678807002")) == parse_ats(bytes.fromhex("0678807002F0"))
    assert parse_ats(bytes.fromhex("0678807002")).frame == 256
    assert parse_ats(bytes.fromhex("0678807002")).waiting == pytest.approx(0.0387, abs=0.001)
    assert parse_ats(b"\x02\xff").frame == 256
    assert parse_attributes(b"").frame == 32
