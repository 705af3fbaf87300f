"""APDUs: the four cases, short and extended, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.apdu import Command, Response, StatusWord, status_name
from vitale_protocol.errors import LocalMisuse, MediumUnreadable

BYTE = st.integers(0, 255)

CASES = {
    "case 1": (Command(0x00, 0xA4, 0x00, 0x00), "00A40000"),
    "case 2 short": (Command(0x00, 0xB0, 0x82, 0x00, le=1), "00B0820001"),
    "case 2 short, 256": (Command(0x00, 0xB0, 0x82, 0x00, le=256), "00B0820000"),
    "case 3 short": (Command(0x00, 0xA4, 0x00, 0x00, b"\x3f\x00"), "00A40000023F00"),
    "case 4 short": (Command(0x00, 0xA4, 0x00, 0x00, b"\x3f\x00", 256), "00A40000023F0000"),
    "case 2 extended": (Command(0x00, 0xB0, 0x00, 0x00, le=257), "00B00000000101"),
    "case 2 extended, 65536": (Command(0x00, 0xB0, 0x00, 0x00, le=65_536), "00B00000000000"),
    "case 3 extended": (Command(0x00, 0xDA, 0x00, 0x00, bytes(256)), "00DA0000000100" + "00" * 256),
    "case 4 extended": (Command(0x00, 0xDA, 0x00, 0x00, b"\x01", 257), "00DA0000000001010101"),
}


@pytest.mark.parametrize(("command", "encoded"), CASES.values(), ids=CASES)
def test_each_case_has_its_encoding(command: Command, encoded: str) -> None:
    assert command.to_bytes() == bytes.fromhex(encoded)
    assert Command.parse(bytes.fromhex(encoded)) == command


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "00A400",
        "00A400000200",  # Lc 2, one byte
        "00A40000023F000000",  # two bytes after the data
        "00B000000001",  # half of an extended Le
        "00B0000000000001",  # extended Lc of 0
        "00DA000000000201",  # extended Lc 2, one byte
        "00DA00000000010101",  # half of an extended Le after the data
    ],
)
def test_what_is_in_no_case_is_refused(encoded: str) -> None:
    with pytest.raises(MediumUnreadable):
        Command.parse(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    ("header", "data", "le"),
    [
        ((256, 0, 0, 0), b"", None),
        ((0, -1, 0, 0), b"", None),
        ((0, 0, 0, 0), b"", 0),
        ((0, 0, 0, 0), b"", 65_537),
        ((0, 0, 0, 0), bytes(65_536), None),
    ],
)
def test_what_cannot_be_encoded_is_misuse(header: tuple[int, int, int, int], data: bytes, le: int | None) -> None:
    with pytest.raises(LocalMisuse):
        Command(*header, data=data, le=le)


@given(BYTE, BYTE, BYTE, BYTE, st.binary(max_size=600), st.none() | st.integers(1, 65_536))
def test_commands_survive_the_round_trip(cla: int, ins: int, p1: int, p2: int, data: bytes, le: int | None) -> None:
    command = Command(cla, ins, p1, p2, data, le)
    assert Command.parse(command.to_bytes()) == command


@given(st.binary(max_size=600))
def test_arbitrary_bytes_are_a_command_or_unreadable(apdu: bytes) -> None:
    try:
        command = Command.parse(apdu)
    except MediumUnreadable:
        return
    assert Command.parse(command.to_bytes()) == command


def test_a_response_is_split_into_data_and_status() -> None:
    response = Response.parse(bytes.fromhex("6F006A82"))
    assert (response.data, response.sw, response.sw1, response.sw2, response.ok) == (
        b"\x6f\0",
        0x6A82,
        0x6A,
        0x82,
        False,
    )
    assert Response.parse(b"\x90\x00").ok


@given(st.binary(min_size=2, max_size=600))
def test_responses_survive_the_round_trip(apdu: bytes) -> None:
    assert Response.parse(apdu).to_bytes() == apdu


@pytest.mark.parametrize("apdu", [b"", b"\x90", bytes(65_539)])
def test_a_response_without_status_or_too_long_is_refused(apdu: bytes) -> None:
    with pytest.raises(MediumUnreadable):
        Response.parse(apdu)


def test_nothing_shows_data() -> None:
    command, response = Command(0, 0xDA, 0, 0, b"NOM-CANARI", 256), Response(b"NOM-CANARI", 0x9000)
    shown = f"{command} {command!r} {response} {response!r}"
    assert "CANARI" not in shown
    assert b"CANARI".hex() not in shown.lower()
    assert str(command) == "00DA0000 Lc=10 Le=256"
    assert str(response) == "9000 (ok) +10"


@pytest.mark.parametrize(
    ("sw", "name"),
    [
        (0x9000, "ok"),
        (0x6A82, "file or application not found"),
        (0x6982, "security status not satisfied"),
        (0x611E, "30 bytes still available"),
        (0x6100, "256 bytes still available"),
        (0x6C7C, "wrong Le, 124 bytes available"),
        (0x63C2, "state changed, counter 2"),
        (0x62FF, "warning, state unchanged"),
        (0x63FF, "warning, state changed"),
        (0x64FF, "execution error, state unchanged"),
        (0x65FF, "execution error, state changed"),
        (0x66FF, "security issue"),
        (0x67FF, "wrong length"),
        (0x68FF, "function of class not supported"),
        (0x69FF, "command not allowed"),
        (0x6AFF, "wrong parameters"),
        (0x6BFF, "wrong parameters"),
        (0x90FF, "proprietary"),
        (0x9FFF, "proprietary"),
        (0x60FF, "not a status word of the standard"),
        (0x6CFF, "wrong Le, 255 bytes available"),
        (0xA000, "not a status word of the standard"),
        (0x9110, "proprietary"),
        (0x1234, "not a status word of the standard"),
    ],
)
def test_status_words_have_names(sw: int, name: str) -> None:
    assert status_name(sw) == name


@given(st.integers(0, 0xFFFF))
def test_every_status_word_has_a_name(sw: int) -> None:
    assert status_name(sw)


def test_the_table_has_no_word_of_a_family() -> None:
    assert not [word for word in StatusWord if word >> 8 in {0x61, 0x6C}]


# ISO/IEC 7816-4 (2013) tables 5 and 6, copied from the standard and from nowhere else.
STANDARD = {
    0x6200: "no information",
    0x6281: "data may be corrupted",
    0x6282: "end of file reached",
    0x6283: "file deactivated",
    0x6284: "file control information badly formatted",
    0x6285: "file terminated",
    0x6286: "no input from sensor",
    0x6381: "file filled up",
    0x6581: "memory failure",
    0x6700: "wrong length",
    0x6881: "logical channel not supported",
    0x6882: "secure messaging not supported",
    0x6883: "last command of chain expected",
    0x6884: "command chaining not supported",
    0x6981: "command incompatible with file",
    0x6982: "security status not satisfied",
    0x6983: "authentication blocked",
    0x6984: "reference data not usable",
    0x6985: "conditions of use not satisfied",
    0x6986: "no current ef",
    0x6987: "secure messaging objects missing",
    0x6988: "secure messaging objects incorrect",
    0x6A80: "incorrect data",
    0x6A81: "function not supported",
    0x6A82: "file or application not found",
    0x6A83: "record not found",
    0x6A84: "not enough memory",
    0x6A85: "nc inconsistent with tlv",
    0x6A86: "incorrect p1 p2",
    0x6A87: "nc inconsistent with p1 p2",
    0x6A88: "referenced data not found",
    0x6A89: "file exists",
    0x6A8A: "df name exists",
    0x6B00: "wrong offset",
    0x6D00: "instruction not supported",
    0x6E00: "class not supported",
    0x6F00: "no precise diagnosis",
}


def test_the_status_words_are_those_of_the_standard() -> None:
    assert {sw: status_name(sw) for sw in STANDARD} == STANDARD
    others = {"OK", "STATE_CHANGED", "EXECUTION_ERROR", "IMMEDIATE_RESPONSE_REQUIRED", "SECURITY_ISSUE"}
    others |= {"MEMORY_CHANGED_EXECUTION_ERROR", "FUNCTION_OF_CLASS_NOT_SUPPORTED", "COMMAND_NOT_ALLOWED"}
    assert {word.name for word in StatusWord if word not in STANDARD} == others | {"WRONG_PARAMETERS"}


@pytest.mark.parametrize("encoded", ["00DA00000000", "00DA000000000000", "00DA00000000000041"])
def test_lc_of_zero_is_refused_whatever_follows(encoded: str) -> None:
    with pytest.raises(MediumUnreadable, match="Lc of a command APDU is 0"):
        Command.parse(bytes.fromhex(encoded))


def test_commands_and_responses_at_their_longest() -> None:
    assert Command.parse(Command(0, 0xDA, 0, 0, bytes(65_535), 65_536).to_bytes()).le == 65_536
    assert Command(0, 0xDA, 0, 0, bytes(255), 256).extended is False
    assert Command(0, 0xDA, 0, 0, bytes(256)).extended is True
    assert len(Response.parse(bytes(65_538)).data) == 65_536
