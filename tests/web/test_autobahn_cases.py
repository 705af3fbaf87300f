"""Cases of the Autobahn test suite for servers, by its numbers, with frames that are written here byte by byte.

The suite itself runs on Python 2 alone. Left out are binary messages, which no page sends (3 is what is tried of them),
compression (12, 13), which is never agreed on, and throughput (9). Text that is no UTF-8 (6) ends the page one floor
up: ``test_page_connection.py``.
"""

import struct
from collections.abc import Iterator

import pytest

from tests.web.test_http_rules import CHROMIUM
from vitale_reader.web.http_rules import RequestHead
from vitale_reader.web.websocket import PageSocket

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = bytes.fromhex("a1b2c3d4")


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """A masked frame, as RFC 6455, section 5.2, draws it."""
    length = len(data)
    first = bytes(((0x80 if fin else 0) | rsv << 4 | opcode,))
    if length < 126:
        size = bytes((0x80 | length,))
    elif length < 65_536:
        size = b"\xfe" + struct.pack(">H", length)
    else:
        size = b"\xff" + struct.pack(">Q", length)
    return first + size + MASK + bytes(byte ^ MASK[place % 4] for place, byte in enumerate(data))


def frames(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Short frames of a server: none is masked, compressed or cut."""
    while stream:
        first, length = stream[0], stream[1]
        assert first & 0xF0 == 0x80
        assert length < 126
        yield first & 0x0F, stream[2 : 2 + length]
        stream = stream[2 + length :]


def played(said: bytes, *, octet_by_octet: bool = False) -> tuple[list[bytes], list[tuple[int, bytes]]]:
    """The messages that were understood, and the frames that were answered."""
    socket = PageSocket()
    assert socket.accept(RequestHead(b"GET", b"/v1", b"1.1", tuple(CHROMIUM)))
    list(socket.to_send())
    pieces = [said[place : place + 1] for place in range(len(said))] if octet_by_octet else [said]
    understood = [message for piece in pieces for message in socket.receive(piece)]
    return understood, list(frames(b"".join(socket.to_send())))


def closed(code: int, said: bytes) -> None:
    """The connection ends with a code, and nothing was understood."""
    understood, answered = played(said)
    assert [] == understood
    opcode, data = answered[-1]
    assert (CLOSE, code) == (opcode, int.from_bytes(data[:2], "big"))


@pytest.mark.parametrize("length", [0, 125, 126, 127, 128, 65_535, 65_536])
@pytest.mark.parametrize("octet_by_octet", [False, True])
def test_1_framing(length: int, octet_by_octet: bool) -> None:
    text = b"*" * length
    assert ([text], []) == played(frame(TEXT, text), octet_by_octet=octet_by_octet)


@pytest.mark.parametrize("payload", [b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125])
@pytest.mark.parametrize("octet_by_octet", [False, True])
def test_2_pings_are_answered_with_their_payload(payload: bytes, octet_by_octet: bool) -> None:
    assert ([], [(PONG, payload)]) == played(frame(PING, payload), octet_by_octet=octet_by_octet)


def test_2_5_a_ping_of_126_octets_is_none() -> None:
    closed(1002, frame(PING, b"\xfe" * 126))


def test_2_7_to_2_9_a_pong_that_nobody_asked_for_is_nothing() -> None:
    asked = frame(PONG) + frame(PONG, b"unsolicited") + frame(PING, b"our own")
    assert ([], [(PONG, b"our own")]) == played(asked)


@pytest.mark.parametrize("octet_by_octet", [False, True])
def test_2_10_and_2_11_ten_pings_are_answered_in_their_order(octet_by_octet: bool) -> None:
    payloads = [f"payload-{number}".encode() for number in range(10)]
    answers = [(PONG, payload) for payload in payloads]
    assert ([], answers) == played(b"".join(frame(PING, each) for each in payloads), octet_by_octet=octet_by_octet)


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_3_reserved_bits(rsv: int, opcode: int) -> None:
    closed(1002, frame(opcode, b"" if opcode == CLOSE else b"x", rsv=rsv))


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_4_reserved_opcodes(opcode: int) -> None:
    closed(1002, frame(opcode))
    closed(1002, frame(opcode, b"reserved opcode payload"))


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_5_1_and_5_2_control_frames_are_whole(opcode: int) -> None:
    closed(1002, frame(opcode, b"fragment1", fin=False) + frame(CONT, b"fragment2"))


@pytest.mark.parametrize("octet_by_octet", [False, True])
def test_5_3_to_5_8_a_message_in_fragments_with_a_ping_between(octet_by_octet: bool) -> None:
    said = frame(TEXT, b"fragment1", fin=False) + frame(PING, b"between") + frame(CONT, b"fragment2")
    assert ([b"fragment1fragment2"], [(PONG, b"between")]) == played(said, octet_by_octet=octet_by_octet)


@pytest.mark.parametrize("fin", [False, True])
def test_5_9_to_5_17_nothing_is_continued_that_has_not_begun(fin: bool) -> None:
    closed(1002, frame(CONT, b"non-continuation payload", fin=fin) + frame(TEXT, b"Hello, world!"))


def test_5_18_a_message_does_not_begin_within_another() -> None:
    closed(1002, frame(TEXT, b"fragment1", fin=False) + frame(TEXT, b"fragment2"))


def test_5_19_and_5_20_pings_between_five_fragments() -> None:
    said = b"".join(
        frame(TEXT if number == 0 else CONT, b"f%d" % number, fin=number == 4) + frame(PING, b"p%d" % number)
        for number in range(5)
    )
    assert ([b"f0f1f2f3f4"], [(PONG, b"p%d" % number) for number in range(5)]) == played(said)


def test_7_1_what_comes_behind_a_close_is_not_read() -> None:
    end = frame(CLOSE, struct.pack(">H", 1000))
    understood, answered = played(frame(TEXT, b"one") + end + frame(TEXT, b"two") + frame(PING, b"p") + end)
    assert [b"one"] == understood
    assert [(CLOSE, struct.pack(">H", 1000))] == answered


def test_7_3_1_a_close_without_a_code() -> None:
    assert ([], [(CLOSE, b"")]) == played(frame(CLOSE))


def test_7_3_2_a_close_with_half_a_code() -> None:
    closed(1002, frame(CLOSE, b"a"))


@pytest.mark.parametrize("reason", [b"", b"Hello, world!", b"*" * 123])
def test_7_3_3_to_7_3_5_a_close_with_a_reason(reason: bytes) -> None:
    closed(1000, frame(CLOSE, struct.pack(">H", 1000) + reason))


def test_7_3_6_a_close_with_a_reason_that_is_too_long() -> None:
    closed(1002, frame(CLOSE, struct.pack(">H", 1000) + b"*" * 124))


def test_7_5_1_a_reason_that_is_no_text() -> None:
    reason = bytes.fromhex("cebae1bdb9cf83cebcceb5eda080656469746564")
    closed(1007, frame(CLOSE, struct.pack(">H", 1000) + reason))


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_7_7_codes_that_may_be_said(code: int) -> None:
    closed(code, frame(CLOSE, struct.pack(">H", code)))


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535])
def test_7_9_and_7_13_codes_that_may_not(code: int) -> None:
    closed(1002, frame(CLOSE, struct.pack(">H", code)))
