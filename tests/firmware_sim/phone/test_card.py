"""The phone on a reader, command by command, and read by the shipped profile in any block size."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.cards.channel import Channel
from vitale_firmware_sim.phone.application import phones
from vitale_firmware_sim.phone.card import AtsVariant, PhoneCard, PhoneRefusal, contactless_atr
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol import tlv
from vitale_protocol.apdu import Response
from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse, MediumUnreadable, MediumUnsupported
from vitale_protocol.media import apcv
from vitale_protocol.media.apcv_profile import Profile, parse_profile

NOW = 1_795_000_000.0
SELECT = "00A404000AF0564954414C4553494D"
GET_DATA = "00CA005E00"
STRING = bytes(range(32, 127)) * 4


def unlocked() -> bytes:
    return STRING


def locked() -> bytes:
    raise PhoneRefusal("locked")


def send(card: PhoneCard, apdu: str) -> tuple[bytes, str]:
    response = Response.parse(card.transmit(bytes.fromhex(apdu)))
    return response.data, f"{response.sw:04X}"


@pytest.fixture
def card() -> PhoneCard:
    return PhoneCard(unlocked)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return parse_profile(profile_text("simulator"))


class TestCommands:
    def test_select_makes_the_string_and_says_what_it_is(self, card: PhoneCard) -> None:
        information, status = send(card, SELECT + "00")

        assert status == "9000"
        assert tlv.find(tlv.parse(information), 0x6F, 0x84) == tlv.Tlv(0x84, bytes.fromhex("F0564954414C4553494D"))
        assert card.selects == 1

    def test_select_without_an_answer(self, card: PhoneCard) -> None:
        assert send(card, SELECT.replace("A40400", "A4040C")) == (b"", "9000")

    @pytest.mark.parametrize(
        "apdu",
        [
            "00A404000BD250000002564954414C4500",
            "00A4040009F0564954414C45534900",
            "00A404000BF0564954414C4553494D0000",
            "00A40000023F0000",
            "00A4040000",
            SELECT.replace("A40400", "A40402"),
        ],
    )
    def test_nothing_else_is_there(self, apdu: str, card: PhoneCard) -> None:
        assert send(card, apdu) == (b"", "6A82")
        assert card.selects == 0

    def test_a_locked_phone_says_so(self) -> None:
        card = PhoneCard(locked)
        assert send(card, SELECT + "00") == (b"", "6985")
        assert send(card, GET_DATA) == (b"", "6A82")

    def test_get_data_in_parts(self, card: PhoneCard) -> None:
        send(card, SELECT + "00")
        whole = tlv.encode(0x5E, STRING)
        first, status = send(card, GET_DATA)
        assert (len(first), status) == (256, f"61{len(whole) - 256:02X}")
        second, status = send(card, "00C0000010")
        assert (len(second), status) == (16, f"61{len(whole) - 272:02X}")
        third, status = send(card, "00C0000000")
        assert (first + second + third, status) == (whole, "9000")
        assert send(card, "00C0000000") == (b"", "6985")

    def test_another_command_ends_the_parts(self, card: PhoneCard) -> None:
        send(card, SELECT + "00")
        send(card, GET_DATA)
        send(card, "00B0000001")
        assert send(card, "00C0000000") == (b"", "6985")

    @pytest.mark.parametrize(
        ("apdu", "expected", "status"),
        [
            ("00B0000004", STRING[:4], "9000"),
            ("00B0000404", STRING[4:8], "9000"),
            ("00B0017800", STRING[376:], "9000"),
            ("00B0810804", STRING[8:12], "9000"),
            ("00B0000000", STRING[:256], "9000"),
            ("00B0017C00", b"", "6B00"),
            ("00B0820000", b"", "6A82"),
            ("00CA005F00", b"", "6A88"),
            ("00CA", b"", "6700"),
            ("80CA005E00", b"", "6E00"),
            ("00D60000", b"", "6D00"),
        ],
    )
    def test_reading(self, apdu: str, expected: bytes, status: str, card: PhoneCard) -> None:
        send(card, SELECT + "00")
        assert send(card, apdu) == (expected, status)

    def test_a_reset_forgets(self, card: PhoneCard) -> None:
        send(card, SELECT + "00")
        card.reset()
        assert send(card, GET_DATA) == (b"", "6A82")
        card.release()

    @given(st.binary(max_size=40))
    def test_whatever_comes_the_answer_is_one(self, apdu: bytes) -> None:
        card = PhoneCard(unlocked)
        card.transmit(bytes.fromhex(SELECT))
        Response.parse(card.transmit(apdu))


class TestFace:
    # Each ATR by PC/SC part 3 §3.1.3.2.3.1: 3B, 8 and the number of historical bytes, 80 01, these, their sum.
    @pytest.mark.parametrize(
        ("ats", "answer", "atr"),
        [
            ("normal", "0878807002807180", "3B83800180718073"),
            ("minimal", "01", "3B80800101"),
            ("no-ta-tb", "064802807180", "3B83800180718073"),
        ],
    )
    def test_ats_and_atr(self, ats: AtsVariant, answer: str, atr: str) -> None:
        card = PhoneCard(unlocked, ats=ats)
        assert card.ats.hex() == answer
        assert card.ats[0] == len(card.ats)
        assert card.reset().hex().upper() == atr

    def test_an_atr_as_in_the_public_list(self) -> None:
        # smartcard_list.txt of pcsc-tools has it for the MIFARE DESFire, a contactless card with one historical byte.
        assert contactless_atr(b"\x80").hex() == "3b8180018080"

    @pytest.mark.parametrize(
        ("uid", "atqa"), [("08010203", "0004"), ("04010203040506", "0044"), ("00010203040506070809", "0084")]
    )
    def test_atqa_tells_the_size_of_the_uid(self, uid: str, atqa: str) -> None:
        assert PhoneCard(unlocked, uid=bytes.fromhex(uid), sak=0x60).atqa.hex() == atqa

    @pytest.mark.parametrize(("uid", "sak", "block"), [(3, 0x20, 1), (4, 0x08, 1), (4, 0x20, 0), (4, 0x20, 257)])
    def test_what_no_phone_is(self, uid: int, sak: int, block: int) -> None:
        with pytest.raises(LocalMisuse):
            PhoneCard(unlocked, uid=bytes(uid), sak=sak, block=block)


class TestProfile:
    def test_it_is_the_only_one(self) -> None:
        with pytest.raises(ConfigurationInvalid, match="there are simulator"):
            profile_text("real")

    @pytest.mark.parametrize(("block", "t0"), list(itertools.product([1, 7, 32, 255, 256], [True, False])))
    def test_it_reads_in_any_block_size(self, block: int, t0: bool, profile: Profile) -> None:
        # Short enough for blocks of one byte: a channel fetches 256 times at most.
        string = STRING[:200]
        channel = Channel(PhoneCard(lambda: string, block=block).transmit, t0=t0)

        assert channel.run(apcv.reading_script([profile])) == {"string": string, "profile": b"simulator/1"}

    def test_two_commands_are_enough_for_a_string(self, profile: Profile) -> None:
        phone = phones(load_scenario("famille"), NOW, random.Random(1).randbytes)["claire"]
        phone.unlock("4821", NOW)
        card = PhoneCard(lambda: phone.tap(NOW))
        sent: list[bytes] = []

        def transmit(apdu: bytes) -> bytes:
            sent.append(apdu)
            return card.transmit(apdu)

        evidence = Channel(transmit).run(profile.reading_script())
        assert len(sent) == 2
        assert len(evidence["string"]) == 218

    def test_a_locked_phone_is_told_from_a_stranger(self, profile: Profile) -> None:
        with pytest.raises(MediumUnreadable) as refused:
            Channel(PhoneCard(locked).transmit).run(profile.reading_script())
        assert refused.value.data == {"medium": "apcv-nfc", "sw": "6985", "state": "phone-locked"}

        stranger = PhoneCard(unlocked)
        with pytest.raises(MediumUnsupported):
            Channel(lambda _: b"\x6a\x82").run(profile.reading_script())
        assert stranger.selects == 0
