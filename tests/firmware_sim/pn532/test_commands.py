"""Each command of the PN532 against the manual's answer, without a line and without time passing."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_firmware_sim.phone.card import PhoneCard
from vitale_firmware_sim.pn532.card import TargetA, TargetB
from vitale_firmware_sim.pn532.crc import crc_a
from vitale_firmware_sim.pn532.faults import NO_FAULTS, NfcFaults, parse_nfc_faults
from vitale_firmware_sim.pn532.field import RfField
from vitale_firmware_sim.pn532.firmware import Pn532Firmware, SyntaxRefused
from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse

STRING = bytes(range(200)) * 2
PATIENCE = 30.0
SELECT = "00A404000A F0564954414C4553494D 00"
SELECTED = "6F17840AF0564954414C4553494DA509C10753494D554C4545 9000"
LISTED = "4B 01 01 0004 20 04 08A1B2C3 08 7880700280718 0"


class CardB(PhoneCard):
    """The same phone seen by type B."""

    atqb = bytes.fromhex("50 11223344 00000000 00 81 71")


# The codes of commands that do something with cards.
_CODES = bytes.fromhex("0006081232404244464A4E525460")


def _join(code: int, rest: bytes) -> bytes:
    return bytes((code,)) + rest


class _Stopped(Exception):
    """The host has had enough."""


_fields = list[RfField]()


@pytest.fixture(autouse=True)
def empty_fields() -> Iterator[None]:
    """Ends the threads of the cards."""
    yield
    while _fields:
        _fields.pop().remove()


class Chip:
    """A chip whose waits are over at once, unless a card is at work: for that one it waits indeed."""

    def __init__(self, *targets: TargetA | TargetB, faults: NfcFaults = NO_FAULTS, limit: int = 1000) -> None:
        self._limit = limit
        self.field = RfField()
        _fields.append(self.field)
        for target in targets:
            self.field.put(target, faults)
        self.waited = list[float | None]()
        self._woken = threading.Event()
        self.field.listen(self._woken.set)
        self.firmware = Pn532Firmware(self.field, self._wait)
        self.send("320500 0001")

    def send(self, command: str) -> str:
        return self.firmware.execute(bytes.fromhex(command)).hex().upper()

    def _wait(self, ready: Callable[[], bool], seconds: float | None) -> bool:
        while any(card.busy for card in self.field.cards) and not ready():
            # However long its time is to be: its thread may be late on a busy machine, and a card be none.
            if not self._woken.wait(PATIENCE):
                break
            self._woken.clear()
        if not ready():
            self.waited.append(seconds)
            if len(self.waited) > self._limit:
                raise _Stopped
        return ready()


def phone(**options: Any) -> PhoneCard:
    return PhoneCard(lambda: STRING, **options)


def h(text: str) -> str:
    return text.replace(" ", "")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("02", "03 32010607"),
        ("00 00 AABB", "01 00 AABB"),
        ("00 01", "01 00"),
        ("00 02", "01 00"),
        ("00 04 01", "01 80"),
        ("00 06", "01 27"),
        ("00 07 28", "01 00"),
        ("04", "05 00 00 00 80"),
        ("06 6305 630A", "07 00 00"),
        ("08 6305 44", "09"),
        ("0C", "0D 3F 06 00"),
        ("0E 81 00", "0F"),
        ("10 07", "11"),
        ("12 14", "13"),
        ("14 01", "15"),
        ("14 01 00 01", "15"),
        ("16 20", "17 00"),
        ("32 01 01", "33"),
        ("32 02 00 0B 0A", "33"),
        ("32 04 00", "33"),
        ("32 05 FF 01 FF", "33"),
        ("32 0A 59F43F114D85616F266287", "33"),
        ("32 0B 69FF3F114185616F", "33"),
        ("32 0C FF0485", "33"),
        ("32 0D 85158A8508B28501DA", "33"),
        ("4A 01 00", "4B 00"),
        ("4A 01 01 00FFFF0000", "4B 00"),
        ("4A 02 02 00FFFF0000", "4B 00"),
        ("4A 01 03 00", "4B 00"),
        ("4A 01 04", "4B 00"),
        ("40 01 00A40400", "41 27"),
        ("42 E080", "43 01"),
        ("42", "43 01"),
        ("44 01", "45 27"),
        ("44 00", "45 00"),
        ("46 01 00 00", "47 0A"),
        ("4E 01 00 00", "4F 27"),
        ("50 01 00", "51 27"),
        ("52 01", "53 27"),
        ("52 00", "53 00"),
        ("54 01", "55 27"),
        ("56 01 00 00", "57 0A"),
        ("60 01 01 20", "61 00"),
    ],
)
def test_the_answers_over_an_empty_field(command: str, answer: str) -> None:
    assert Chip().send(command) == h(answer)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "FF",
        "00",
        "00 03",
        "04 00",
        "06",
        "06 63",
        "08 6305",
        "0E 00",
        "10 09",
        "12",
        "14 00",
        "14 05",
        "16",
        "32 01",
        "32 02 00 0B",
        "32 03 00",
        "4A 00 00",
        "4A 03 00",
        "4A 01 05",
        "44",
        "4E 01",
        "52",
        "54",
        "60 01 01",
        "8C 00",
    ],
)
def test_what_is_no_command_is_refused(command: str) -> None:
    with pytest.raises(SyntaxRefused):
        Chip().send(command)


def test_gpio_keeps_what_is_written() -> None:
    chip = Chip()
    chip.send("0E 95 00")
    assert chip.send("0C") == h("0D 15 06 00")


def test_the_field_is_seen_in_its_register_and_in_the_status() -> None:
    chip = Chip(phone())
    assert (chip.field.on, chip.send("06 6304")) == (False, "0780")
    chip.send("32 01 01")
    assert (chip.field.on, chip.send("06 6304"), chip.send("04")) == (True, "0783", h("05 00 01 00 80"))
    chip.send("08 6304 80")
    assert not chip.field.on
    chip.send("08 6304 83")
    assert chip.field.on


def test_a_phone_is_listed_with_its_ats() -> None:
    chip = Chip(phone())
    assert chip.send("4A 01 00") == h(LISTED)
    assert chip.send("04") == h("05 00 01 01 01000000 80")
    assert chip.send("4E 01 00 00") == "4F00"
    assert chip.send("4E 01 01 01") == "4F01"


def test_without_automatic_rats_it_is_selected_only() -> None:
    chip = Chip(phone(uid=bytes(range(7)), sak=0x60))
    chip.send("12 04")
    assert chip.send("4A 02 00") == h("4B 01 01 0044 60 07 00010203040506")
    # Listing two has put it to rest; the number still leads to it.
    assert chip.send("54 01") == "5500"
    assert chip.send("42 E080") == h("43 00 0878807002807180")
    assert chip.send("42 02 00A40000") == h("43 00 02 6A82")


def test_nobody_there_leaves_the_request_in_the_fifo() -> None:
    chip = Chip()
    chip.send("4A 01 00")
    assert chip.send("06 6339") == "0726"
    chip.field.put(phone(), parse_nfc_faults("collision"))
    assert chip.send("4A 01 00") == "4B00"
    assert chip.send("06 6339") == "0700"


def test_a_search_for_one_identifier() -> None:
    chip = Chip(phone(uid=bytes(range(4))), phone(uid=bytes(range(7))))
    assert h("04 00010203") in chip.send("4A 01 00 00010203")
    chip.send("32 01 00")
    assert h("07 00010203040506") in chip.send("4A 01 00 8800010203040506")
    chip.send("32 01 00")
    assert chip.send("4A 01 00 09090909") == "4B00"


def test_apdus_by_the_chips_own_protocol() -> None:
    chip = Chip(phone())
    chip.send("4A 01 00")
    assert chip.send(f"40 01 {SELECT}") == h(f"41 00 {SELECTED}")
    assert chip.send("40 01 00B00000 FF") == h("41 00") + STRING[:255].hex().upper() + "9000"
    assert chip.send("00 06") == "0100"


def test_a_long_command_in_parts_and_a_long_answer_in_parts() -> None:
    chip = Chip(phone(), faults=parse_nfc_faults("giant=600"))
    chip.send("4A 01 00")
    assert chip.send("40 41 00A40400") == "4100"
    first = chip.send("40 01 0AF0564954414C4553494D00")
    second, third = chip.send("40 01"), chip.send("40 01")
    assert [one[:4] for one in (first, second, third)] == ["4140", "4140", "4100"]
    assert len(first + second + third) == 2 * (600 + 6)
    assert third.endswith("9000")


def test_two_phones_are_listed_and_spoken_with_in_turn() -> None:
    one, two = phone(uid=b"\x08\x00\x00\x01"), phone(uid=b"\x08\x00\x00\x02")
    chip = Chip(one, two)
    listed = chip.send("4A 02 00")
    assert listed.startswith("4B02")
    assert "0408000001" in listed
    assert "0408000002" in listed
    for number in ("01", "02", "01"):
        assert chip.send(f"40 {number} {SELECT}") == h(f"41 00 {SELECTED}")
    assert (one.selects, two.selects) in {(1, 2), (2, 1)}
    assert chip.send("52 01") == "5300"
    assert chip.send(f"40 01 {SELECT}") == "4127"
    assert chip.send(f"40 02 {SELECT}").startswith("4100")
    assert chip.send("04")[4:8] == "0101"


def test_a_third_phone_or_the_same_twice_is_refused() -> None:
    chip = Chip(phone())
    with pytest.raises(LocalMisuse):
        chip.field.put(chip.field.targets[0])
    chip.field.put(phone())
    with pytest.raises(LocalMisuse):
        chip.field.put(phone())


def test_a_card_at_rest_answers_no_request_until_the_field_was_off() -> None:
    chip = Chip(phone())
    chip.send("4A 01 00")
    assert chip.send("44 01") == "4500"
    assert chip.send("4A 01 00") == "4B00"
    chip.send("32 01 00")
    assert chip.send("4A 01 00") == h(LISTED)


def test_a_card_at_rest_answers_a_search_for_itself() -> None:
    chip = Chip(phone())
    for _ in range(3):
        assert chip.send("4A 01 00 08A1B2C3") == h(LISTED)
        assert chip.send("44 01") == "4500"


@pytest.mark.parametrize("kind", ["00", "03"])
@pytest.mark.parametrize("between", [None, f"40 01 {SELECT}"], ids=["listed", "spoken with"])
def test_whoever_lists_again_and_again_finds_the_card_every_time(kind: str, between: str | None) -> None:
    chip = Chip(phone() if kind == "00" else CardB(lambda: STRING))
    for _ in range(4):
        assert chip.send(f"4A 01 {kind} {'00' if kind == '03' else ''}").startswith("4B01")
        if between:
            assert chip.send(between) == h(f"41 00 {SELECTED}")


@pytest.mark.parametrize(
    ("uid", "frames"),
    [
        ("08A1B2C3", ["9320", "9370 08A1B2C3 D8"]),
        ("04112233445566", ["9320", "9370 88041122 BF", "9520", "9570 33445566 44"]),
        ("04112233445566778899", ["9320", "9370 88041122 BF", "9520", "9570 88334455 AA", "9720", "9770 66778899 00"]),
    ],
)
def test_raw_frames_lead_down_to_a_card(uid: str, frames: list[str]) -> None:
    chip = Chip(phone(uid=bytes.fromhex(uid)))
    chip.send("32 01 01")
    chip.send("08 6302 00 6303 00")
    assert chip.send("42 26") == "4301", "a request has seven bits"
    chip.send("08 633D 07")
    assert chip.send("42 26").startswith("4300")
    chip.send("08 633D 00")
    answer = b""
    for frame in frames:
        raw = bytes.fromhex(frame)
        sent = raw if len(raw) == 2 else raw + crc_a(raw)
        answer = bytes.fromhex(chip.send(f"42 {sent.hex()}"))[1:]
        assert answer[0] == 0
        if len(raw) == 2:
            assert answer[1:6] in bytes.fromhex(frames[frames.index(frame) + 1])
        else:
            assert answer[2:] == crc_a(answer[1:2])
    assert answer[1] == 0x20
    chip.send("08 6302 80 6303 80")
    assert chip.send("42 E080") == h("43 00 0878807002807180")


@pytest.mark.parametrize("frame", ["9370 08A1B2C3 D9", "9370 09A1B2C3 D9", "9520", "93", "5000"])
def test_a_frame_that_does_not_lead_to_a_card_gets_no_answer(frame: str) -> None:
    chip = Chip(phone())
    chip.send("32 01 01")
    chip.send("08 6302 00 6303 00 633D 07")
    chip.send("42 26")
    raw = bytes.fromhex(frame)
    assert chip.send(f"42 {(raw + crc_a(raw)).hex()}") == "4301"


def test_a_wrong_checksum_gets_no_answer_and_an_unasked_one_is_an_error() -> None:
    chip = Chip(phone())
    chip.send("32 01 01")
    chip.send("08 633D 07")
    assert chip.send("42 26") == "4302", "the answer to a request has no checksum, and the chip looks for one"
    chip.send("08 6302 00 6303 00")
    assert chip.send("42 9370 08A1B2C3 D8 0000") == "4301"


def test_the_checksum_is_that_of_the_standard() -> None:
    # ISO/IEC 14443-3, annex B: the two examples of CRC_A.
    assert (crc_a(bytes.fromhex("0000")), crc_a(bytes.fromhex("1234"))) == (b"\xa0\x1e", b"\x26\xcf")


def test_the_field_off_resets_the_card() -> None:
    card = phone()
    chip = Chip(card)
    chip.send("4A 01 00")
    chip.send(f"40 01 {SELECT}")
    chip.send("32 01 00")
    assert chip.send("40 01 00B00000FF") == "4127"
    chip.send("4A 01 00")
    assert chip.send("40 01 00B00000FF") == h("41 00 6A82")


def test_raw_blocks() -> None:
    chip = Chip(phone())
    chip.send("12 00")
    chip.send("4A 01 00")
    assert chip.send("42 E080") == h("43 00 0878807002807180")
    assert chip.send(f"42 02 {SELECT}") == h(f"43 00 02 {SELECTED}")
    assert chip.send("42 B2") == h(f"43 00 02 {SELECTED}")
    assert chip.send("42 B3") == h("43 00 A2")
    assert chip.send("42 C2") == h("43 00 C2")
    assert chip.send("42 B2") == h("43 01")


def test_a_card_of_type_b() -> None:
    chip = Chip(CardB(lambda: STRING))
    assert chip.send("4A 01 00") == "4B00"
    assert chip.send("4A 01 03 00") == h("4B 01 01 501122334400000000 008171 01 01")
    assert chip.send(f"40 01 {SELECT}") == h(f"41 00 {SELECTED}")
    # What nfcpy does: deselection with the number, wake-up, and ATTRIB of its own.
    assert chip.send("42 CA01") == h("43 00 CA01")
    assert chip.send("42 050008") == h("43 00 501122334400000000 008171")
    assert chip.send("42 1D11223344 00 08 01 00") == h("43 00 00")
    assert chip.send(f"42 02 {SELECT}") == h(f"43 00 02 {SELECTED}")
    assert chip.send("42 C2") == h("43 00 C2")
    assert chip.send("54 01") == "5500"


def test_polling_by_itself() -> None:
    chip = Chip(phone())
    found = h("0004 20 04 08A1B2C3 08 78807002807180")
    assert chip.send("60 01 01 10 20") == h("61 01 10 11 01") + found
    assert chip.send(f"40 01 {SELECT}").startswith("4100")


def test_timeouts_are_those_that_were_set() -> None:
    chip = Chip()
    chip.send("32 02 00 0B 05")
    chip.waited.clear()
    chip.send("42 E080")
    assert chip.waited == [pytest.approx(0.0016)]


@given(
    commands=st.lists(
        st.one_of(st.binary(max_size=264), st.builds(_join, st.sampled_from(_CODES), st.binary(max_size=30)))
    ),
    faults=st.sampled_from(["", "noise=3", "short", "giant=600", "wrong-length", "endless-chaining", "tear@50"]),
)
def test_whatever_the_host_sends_it_gets_an_answer_that_fits(commands: list[bytes], faults: str) -> None:
    chip = Chip(phone(), CardB(lambda: STRING), faults=parse_nfc_faults(faults), limit=20)
    try:
        for command in commands:
            chip.waited.clear()
            with contextlib.suppress(SyntaxRefused, _Stopped):
                assert 1 <= len(chip.firmware.execute(command)) <= 264
    finally:
        chip.field.remove()


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("faults", "answer"),
    [("short", "41 00 6F"), ("noise=2", "41 02"), ("tear@20", "41 01"), ("tear@45", "41 02")],
)
def test_what_a_bad_phone_gives(faults: str, answer: str) -> None:
    chip = Chip(phone(), faults=parse_nfc_faults(faults))
    assert chip.send("4A 01 00") == h(LISTED)
    assert chip.send(f"40 01 {SELECT}") == h(answer)
    assert chip.field.wait_empty(0) == faults.startswith("tear")


def test_noise_is_overcome_where_the_host_has_allowed_it() -> None:
    chip = Chip(phone(), faults=parse_nfc_faults("noise=2"))
    chip.send("32 04 02")
    chip.send("4A 01 00")
    assert chip.send(f"40 01 {SELECT}") == h(f"41 00 {SELECTED}")


def test_a_phone_that_lies_about_lengths() -> None:
    chip = Chip(phone(), faults=parse_nfc_faults("wrong-length,giant=300"))
    assert chip.send("4A 01 00") == "4B00"
    chip.send("32 01 00")
    chip.send("12 00")
    chip.send("4A 01 00")
    assert chip.send("42 E080").startswith("43000D")
    assert chip.send(f"42 02 {SELECT}") == "4307"


def test_an_answer_without_end_is_handed_on_in_bounded_parts() -> None:
    chip = Chip(phone(), faults=parse_nfc_faults("endless-chaining"))
    chip.send("4A 01 00")
    parts = [chip.send(f"40 01 {SELECT}")] + [chip.send("40 01") for _ in range(20)]
    assert {part[:4] for part in parts} == {"4140"}
    assert max(map(len, parts)) <= 2 * (262 + 2)


@pytest.mark.parametrize("where", range(70))
def test_torn_away_at_every_byte_the_next_tap_works(where: int) -> None:
    card = phone()
    chip = Chip(card, faults=NfcFaults(tear_after=where))
    chip.send("4A 01 00")
    chip.send(f"40 01 {SELECT}")
    assert chip.field.wait_empty(0) == (where < 62)
    chip.field.remove()
    chip.field.put(card)
    assert chip.send("4A 01 00") == h(LISTED)
    assert chip.send(f"40 01 {SELECT}") == h(f"41 00 {SELECTED}")


@pytest.mark.parametrize("text", ["tear", "tear@", "noise", "slow", "nothing", "tear@x", "giant@5", "mute=1"])
def test_words_that_are_no_fault(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_nfc_faults(text)


def test_all_the_words() -> None:
    text = "tear@1,noise=2,collision,slow=30,endless-wtx,endless-chaining,giant=4,short,wrong-length,mute,garble=5"
    assert parse_nfc_faults(text) == NfcFaults(1, 2, True, 0.03, True, True, 4, True, True, True, 5)
    assert parse_nfc_faults("") == NO_FAULTS
