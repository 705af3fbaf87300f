"""What cards, phones and their readers answer: data objects, APDUs, reading scripts, frames of a reader's chip."""

import errno
import logging
import os
from collections.abc import Iterable, Iterator
from typing import cast

import nfc.clf
from nfc.clf import device as nfcpy
from nfc.clf import pn53x, pn532
from nfc.clf.transport import TTY

from tests.fuzz.target import NEEDLE_NAME, NEEDLE_NIR, Target, chunks, cut, framed, only
from vitale_drivers.cards.channel import Channel
from vitale_drivers.nfc.host_iso_dep import GenericTransport, parse_ats, parse_attributes
from vitale_drivers.nfc.pn53x import Pn53xTransport
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_firmware_sim.pn532.frames import Ack, Data, Event, FrameReader, Garbled, Nack, encode
from vitale_protocol import media, tlv
from vitale_protocol.apdu import Command, ReadingScript, Response, StatusWord, status_name
from vitale_protocol.errors import (
    ConfigurationInvalid,
    LocalMisuse,
    MediumMute,
    MediumRemoved,
    MediumUnreadable,
    MediumUnsupported,
    ReaderUnavailable,
)
from vitale_protocol.media import apcv, vitale_card
from vitale_protocol.media.apcv_profile import Profile, parse_profile
from vitale_protocol.media.medium import Recognised
from vitale_protocol.media.pointers import parse_pointers
from vitale_protocol.records import Record

__all__ = ["TARGETS"]

TAGS = (0x65, 0x66, 0x80, 0x81, 0x82, 0x90, 0x93, 0x5E, 0xE0, 0xA0, 0x7F21, 0x5F20)
TLV_WORDS = tuple(tag.to_bytes(2 if tag > 0xFF else 1, "big") for tag in TAGS)
SW_WORDS = (b"\x90\x00", b"\x61\x00", b"\x6c\x00", b"\x62\x82", b"\x6b\x00", b"\x6a\x82", b"\x69\x85")
VITALE_2 = bytes.fromhex("3B751300004009EA9000")

# ── data objects ─────────────────────────────────────────────────────────────────────────────────────────────────


def objects(data: bytes) -> None:
    """What was decoded is the same once it is written again, in the shortest form; filler changes nothing."""
    with only(MediumUnreadable, read=data):
        found = tlv.parse(data)
        again = b"".join(map(_written, found))
        assert len(again) <= len(data)
        assert b"".join(map(_written, tlv.parse(again))) == again
        assert [one.tag for one in tlv.parse_filled(again + b"\xff\x00")] == [one.tag for one in found]
        for one in found:
            assert tlv.find(found, one.tag) is not None
    with only(MediumUnreadable, read=data):
        tlv.parse_filled(data, max_depth=3, max_length=256)
    with only(LocalMisuse):
        tlv.encode(int.from_bytes(data[:5], "big"), data[5:])


def _written(one: tlv.Tlv) -> bytes:
    return tlv.encode(one.tag, [*map(_written, one.children)] if one.constructed else one.value)


def _people(*names: str) -> bytes:
    fields = (tlv.encode(0x81, b"EMMA"), tlv.encode(0x82, b"19770121"), tlv.encode(0x90, b"FR"))
    return b"".join(tlv.encode(0x65, (tlv.encode(0x80, name.encode("latin-1")), *fields)) for name in names)


IDENTITY = _people(NEEDLE_NAME, "ESSAI\xc9")
NIRS = tlv.encode(0x65, (tlv.encode(0x93, NEEDLE_NIR.encode()),)) * 2


def _objects() -> Iterable[bytes]:
    yield IDENTITY
    yield NIRS + b"\x00\xff" * 3
    yield tlv.encode(0x7F21, (tlv.encode(0x5F20, b"x" * 200), tlv.encode(0x42, b"")))
    yield bytes.fromhex("E081028000")


def apdus(data: bytes) -> None:
    """Commands are the same once they are written again, in the form that they need; responses byte by byte."""
    with only(MediumUnreadable, read=data):
        command = Command.parse(data)
        assert Command.parse(command.to_bytes()) == command
        assert len(command.to_bytes()) <= len(data)
        assert NEEDLE_NAME not in f"{command} {command!r}"
    with only(MediumUnreadable, read=data):
        response = Response.parse(data)
        assert response.to_bytes() == data
        assert response.ok == (response.sw == StatusWord.OK)
        assert status_name(response.sw)
        assert NEEDLE_NAME not in f"{response} {response!r}"


def _apdus() -> Iterable[bytes]:
    yield from (bytes.fromhex(one) for one in ("00A40000", "00B0000000", "00A40000023F00", "00A4040002D00100"))
    yield from (bytes.fromhex(one) for one in ("00B00000000000", "00D60000000003010203", "00CA000000000201020100"))
    yield NEEDLE_NAME.encode() + b"\x90\x00"


# ── reading scripts ──────────────────────────────────────────────────────────────────────────────────────────────


def unhurried(_seconds: float) -> None:
    """A rest that takes no time."""


class Answers:
    """A card that answers what the input says, and leaves after that."""

    def __init__(self, data: bytes) -> None:
        self._answers = chunks(data)
        self.given = b""

    def transmit(self, apdu: bytes) -> bytes:
        Command.parse(apdu)
        answer = next(self._answers, None)
        if answer is None:
            raise MediumRemoved
        self.given += answer[:-2]
        return answer


def read_card(data: bytes) -> None:
    """A Vitale 2: ends, gives what the card gave, and interprets it."""
    if not data:
        return
    card = Answers(data[1:])
    with only(MediumUnreadable, MediumRemoved, read=data):
        script = vitale_card.reading_script(Recognised("vitale-card", "vitale-2"))
        evidence = Channel(card.transmit, t0=bool(data[0] & 1), rest=unhurried).run(script)
        assert all(part in card.given for part in evidence.values())
        _interpret(evidence)


def interpret_card(data: bytes) -> None:
    """The clear zone of any content: nothing is said that does not stand in it."""
    parts = [*chunks(data), b"", b""]
    with only(MediumUnreadable, read=data):
        _interpret({"identity": parts[0], "nir": parts[1]} if parts[1] else {"identity": parts[0]})


def _interpret(evidence: dict[str, bytes]) -> None:
    reading = media.interpret("vitale-card", evidence, simulated=False)
    content = b"".join(evidence.values()).decode("latin-1")
    people = reading.record.beneficiaires or ()
    assert reading.record.porteur == 0
    assert 1 <= len(people) <= content.count("\x65")
    for person in people:
        for shown in (person.nom_usuel, person.prenom, person.date_naissance, person.nir):
            # Control characters are replaced.
            assert shown is None or all(part in content for part in shown.split("\N{REPLACEMENT CHARACTER}"))


def _cards() -> Iterable[bytes]:
    ok = b"\x90\x00"
    yield b"\x00" + framed(ok, IDENTITY + ok, ok, NIRS + ok)
    yield b"\x01" + framed(ok, b"\x61" + bytes((len(IDENTITY),)), IDENTITY + ok, ok, NIRS + b"\x62\x82")
    whole = IDENTITY * 5
    yield b"\x00" + framed(ok, whole[:256] + ok, whole[256:] + ok, ok, b"\x6c" + bytes((len(NIRS),)), NIRS + ok)
    yield b"\x00" + framed(*[b"\x6a\x82"] * 16)
    yield b"\x00" + framed(b"\x6a\x82", ok, ok, IDENTITY + b"\xff" * 20 + ok, b"\x69\x82")


def pointers(data: bytes) -> None:
    """The map of a card; and any ATR names a card."""
    with only(MediumUnreadable, read=data):
        found = parse_pointers(data)
        assert all(len(one.aid) <= 16 and one.entry <= 0xFFFF for one in found.applications)
        assert all(len(one.name) <= 8 for one in found.files)
    card = media.recognise(data)
    with only(MediumUnsupported, MediumMute):
        assert card.medium == "vitale-card" or media.reading_script(data) is not None


def _maps() -> Iterable[bytes]:
    application = tlv.encode(0xA0, (tlv.encode(0x82, b"\x00\x01\x00\x00" + vitale_card.AID_VITALE),))
    yield tlv.encode(0xE0, (application, tlv.encode(0x80, b"POINTERS" + b"\x00\x01\x20\x01"))) + b"\xff" * 8
    yield VITALE_2


# ── phones ───────────────────────────────────────────────────────────────────────────────────────────────────────

_OTHER = """
name = "other"
version = "1"
origin = "test"
aids = ["A0 00 00 00 01 02", "F0 01 02 03 04"]
[[commands]]
apdu = "00 CA 00 5E 00"
keep = false
accept = ["9000", "6A82"]
[[commands]]
apdu = "00 B0 00 00 00"
blocks = true
[assembly]
form = "length"
bytes = 2
[refusals]
locked = ["6985"]
[limits]
max_commands = 12
"""
PROFILES = (parse_profile(profile_text("simulator")), parse_profile(_OTHER))


def read_phone(data: bytes) -> None:
    """A phone by profile: a string that the phone gave, as long as the profile says."""
    phone = Answers(data)
    with only(MediumUnreadable, MediumUnsupported, MediumRemoved, read=data):
        evidence = Channel(phone.transmit, rest=unhurried).run(apcv.reading_script(PROFILES))
        profile = apcv.profile_of(evidence, PROFILES)
        assert profile.limits.min_bytes <= len(evidence["string"]) <= profile.limits.max_bytes
        assert evidence["string"] in phone.given
        assert apcv.interpret(evidence, simulated=False).record == Record()


def _phones() -> Iterable[bytes]:
    ok = b"\x90\x00"
    string = tlv.encode(0x5E, b"VITALESIM." + NEEDLE_NAME.encode())
    yield framed(ok, string + ok)
    yield framed(ok, string[:8] + b"\x61\x20", string[8:] + ok)
    yield framed(b"\x6a\x82", ok, ok, b"\x00\x20" + b"s" * 254 + ok, b"t" * 10 + ok)
    yield framed(ok, b"\x69\x85")


def profile(data: bytes) -> None:
    """A profile of strangers: refused with its place, or one whose script is bounded whatever a phone answers."""
    text = data.decode("utf-8", "replace")
    with only(ConfigurationInvalid):
        parsed = parse_profile(text)
        assert parsed.label.isascii()
        assert all(5 <= len(aid) <= 16 for aid in parsed.aids)
        assert _longest(parsed) <= parsed.limits.max_commands


def _longest(parsed: Profile) -> int:
    """How many commands are sent to a phone that always has more."""
    script: ReadingScript[dict[str, bytes]] = parsed.reading_script()
    sent = 0
    with only(MediumUnreadable, MediumUnsupported):
        try:
            command = next(script)
            while True:
                sent += 1
                assert Command.parse(command.to_bytes()) == command
                command = script.send(Response(b"\x5e" * min(command.le or 0, 256), 0x9000))
        except StopIteration:
            pass
    return sent


def _profiles() -> Iterable[bytes]:
    yield profile_text("simulator").encode()
    yield _OTHER.encode()
    yield b'name = "a"\nversion = "1"\norigin = "demo"\naids = ["F00102030405"]\n[select]\np2 = 0x0C\nle = false\n'


# ── the chip of a reader ─────────────────────────────────────────────────────────────────────────────────────────


def chip_frames(data: bytes) -> None:
    """The simulated chip finds the same frames however a host's bytes are cut, and reads what it writes."""
    if not data:
        return
    whole = FrameReader().receive(data[1:])
    reader = FrameReader()
    found = [event for piece in cut(data[1:], 1 + (data[0] & 0x3F)) for event in reader.receive(piece)]
    assert found == whole
    for event in whole:
        if not isinstance(event, Garbled):
            (again,) = FrameReader().receive(encode(event))
            assert again == (Data(event.content) if isinstance(event, Data) else event)


def _chip_frames() -> Iterable[bytes]:
    events: tuple[Event, ...] = (Data(b"\xd4\x02"), Ack(), Nack(), Data(b"\xd4" + b"x" * 260))
    yield b"\x02" + b"\x55" * 4 + b"".join(map(encode, events))
    yield bytes.fromhex("000000FF02FED4022B000000FF")


class Line:
    """The serial line of a chip that answers what the input says, and is silent after that."""

    TYPE = "TTY"
    tty = None

    def __init__(self, data: bytes) -> None:
        self._answers: Iterator[bytes] = chunks(data)

    def read(self, timeout: int) -> bytearray:
        answer = next(self._answers, None)
        if answer is None:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return bytearray(answer)

    def write(self, frame: bytes) -> None:
        pass

    def close(self) -> None:
        pass


class Chip:
    """A device of nfcpy on such a line, of which it was not asked first whether it is one."""

    def __init__(self, data: bytes) -> None:
        self.chipset = pn532.Chipset(cast("TTY", Line(data)), _quiet)

    def mute(self) -> None:
        self.chipset.rf_configuration(0x01, b"\x02")

    def close(self) -> None:
        self.chipset.close()


_quiet = logging.getLogger("nfc.clf.fuzz")
_quiet.disabled = True


def reader_chip(data: bytes) -> None:
    """A PN532 that answers anything: only our own errors come, and nothing that no APDU could carry."""
    # Between the answers nfcpy waits for a millisecond where there was none.
    with only(ReaderUnavailable, MediumRemoved, MediumUnreadable, read=data):
        link = Pn53xTransport(cast("pn53x.Device", Chip(data)))
        for target in (*link.find(), *link.find()):
            assert len(target.uid) <= 255
        answer = link.transmit(bytes(300), 0.5)
        assert len(answer) <= 65_538 + 264
        link.present()
        link.quiet()
        link.close()


def _answer(code: int, content: bytes = b"") -> tuple[bytes, bytes]:
    return encode(Ack()), encode(Data(bytes((0xD5, code + 1)) + content))


def _chips() -> Iterable[bytes]:
    set_up = (*_answer(0x12), *_answer(0x32))
    phone = b"\x01\x01\x00\x04\x20\x04\x08\x01\x02\x03\x05\x78\x80\x70\x02"
    found = (*_answer(0x4A, phone), *_answer(0x4A, b"\x00"))
    yield framed(*set_up, *found, *_answer(0x40, b"\x00"), *_answer(0x40, b"\x40ab"), *_answer(0x40, b"\x00\x90\x00"))
    yield framed(*set_up, *found, *_answer(0x40, b"\x01"))
    yield framed(*set_up, encode(Ack()), bytes.fromhex("0000FF01FF7F8100"), *_answer(0x02, b"\x32\x01\x06\x07"))
    yield framed(*set_up)


class Air(nfcpy.Device):
    """A reader that leaves ISO-DEP to its host, and a phone whose blocks are what the input says."""

    def __init__(self, sak: int, blocks: Iterator[bytes]) -> None:
        self._sak = sak
        self._blocks = blocks

    def close(self) -> None:
        """Nothing is open."""

    def mute(self) -> None:
        """No field is on."""

    def sense_tta(self, target: nfc.clf.RemoteTarget) -> nfc.clf.RemoteTarget | None:
        if not self._sak & 0x20:
            return None
        return nfc.clf.RemoteTarget("106A", sens_res=b"\x04\x00", sel_res=bytearray((self._sak,)), sdd_res=bytearray(4))

    def sense_ttb(self, target: nfc.clf.RemoteTarget) -> nfc.clf.RemoteTarget | None:
        answer = next(self._blocks, b"")
        return nfc.clf.RemoteTarget("106B", sensb_res=bytearray(answer)) if len(answer) >= 11 else None

    def send_cmd_recv_rsp(self, target: nfc.clf.RemoteTarget | None, data: bytearray, timeout: float) -> bytearray:
        block = next(self._blocks, None)
        if block is None:
            raise nfc.clf.TimeoutError
        return bytearray(block)

    def get_max_send_data_size(self, target: nfc.clf.RemoteTarget) -> int:
        return 290

    def get_max_recv_data_size(self, target: nfc.clf.RemoteTarget) -> int:
        return 290


def blocks(data: bytes) -> None:
    """ISO-DEP of a phone that sends any blocks: only our own errors, and nothing that no APDU could carry."""
    if not data:
        return
    for parse in (parse_ats, parse_attributes):
        activation = parse(data[1:])
        assert 16 <= activation.frame <= 256
        assert 0 < activation.waiting < 10
    with only(ReaderUnavailable, MediumRemoved, MediumUnreadable, read=data):
        link = GenericTransport(Air(data[0], chunks(data[1:])))
        found = link.find()
        assert len(found) <= 1
        if found and found[0].iso_dep:
            assert len(link.transmit(bytes(300), 0.5)) <= 65_538
            link.present()
        link.quiet()
        link.close()


def _blocks() -> Iterable[bytes]:
    ats = b"\x06\x78\x80\x70\x02\xf0"
    yield b"\x20" + framed(ats, b"\xa3", b"\xf2\x01", b"\xf2\x01", b"\x02\x6a\x82", b"\xa2")
    yield b"\x20" + framed(ats, b"\xa3", b"\x12ab", b"\x03\x90\x00")
    yield b"\x00" + framed(bytes.fromhex("500102030400000000008174"), b"\x00", b"\xa3", b"\x02\x90\x00")


TARGETS = (
    Target(name="tlv", run=objects, seeds=_objects, words=TLV_WORDS),
    Target(name="apdu", run=apdus, seeds=_apdus, words=SW_WORDS),
    Target(name="vitale2", run=read_card, seeds=_cards, words=(*TLV_WORDS, *SW_WORDS)),
    Target(
        name="vitale2-interpret",
        run=interpret_card,
        seeds=lambda: (framed(IDENTITY, NIRS), framed(IDENTITY), framed(NIRS, IDENTITY)),
        words=TLV_WORDS,
    ),
    Target(name="pointers", run=pointers, seeds=_maps, words=TLV_WORDS),
    Target(name="nfc-script", run=read_phone, seeds=_phones, words=(*TLV_WORDS, *SW_WORDS)),
    Target(
        name="profile",
        run=profile,
        seeds=_profiles,
        words=(
            b"[[commands]]",
            b"[assembly]",
            b"blocks = true",
            b"form = ",
            b"accept = [",
            b"apdu = ",
            b"keep = false",
        ),
    ),
    Target(name="pn532-frames", run=chip_frames, seeds=_chip_frames, words=(b"\x00\x00\xff", b"\xff\xff", b"\xd4")),
    Target(name="nfc-generic", run=blocks, seeds=_blocks, words=(b"\xf2\x01", b"\xa2", b"\xa3", b"\x02", *SW_WORDS)),
    Target(name="pn532-reader", run=reader_chip, seeds=_chips, words=(b"\x00\x00\xff", b"\xd5", *SW_WORDS)),
)
