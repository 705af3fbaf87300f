"""The server's end of a WebSocket, against somebody else's client, and frames that no client writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLOSED, OPEN
from websockets.uri import parse_uri

from tests.web.test_http_rules import CHROMIUM
from vitale_protocol.web.channels import FRAME_BYTES
from vitale_reader.web.http_rules import RequestHead
from vitale_reader.web.websocket import MOST_FRAGMENTS, PageSocket


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def opened() -> PageSocket:
    socket = PageSocket()
    assert socket.accept(RequestHead(b"GET", b"/v1", b"1.1", tuple(CHROMIUM)))
    assert b"101" in b"".join(socket.to_send())
    return socket


def closed_with(socket: PageSocket) -> int:
    """The code that it closes with."""
    answer = b"".join(socket.to_send())
    assert 0x88 == answer[0], answer
    return Close.parse(answer[2 : 2 + answer[1]]).code


@given(st.lists(st.text(max_size=30), max_size=5), st.data())
def test_messages_come_whole_however_they_are_cut(texts: list[str], data: st.DataObject) -> None:
    stream = b"".join(frame(Opcode.TEXT, text.encode()) for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    socket = opened()
    found: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += socket.receive(stream[start:end])
    assert [text.encode() for text in texts] == found
    assert not socket.is_within_a_message


def test_fragments_are_one_message() -> None:
    socket = opened()
    assert [] == [*socket.receive(frame(Opcode.TEXT, b"on", fin=False))]
    assert socket.is_within_a_message
    assert [] == [*socket.receive(frame(Opcode.PING, b"p") + frame(Opcode.CONT, b"", fin=False))]
    assert [b"one"] == [*socket.receive(frame(Opcode.CONT, b"e"))]
    assert not socket.is_within_a_message


def test_fragments_without_end_have_one() -> None:
    socket = opened()
    first, more = frame(Opcode.TEXT, b"", fin=False), frame(Opcode.CONT, b"", fin=False)
    assert [] == [*socket.receive(first + more * (MOST_FRAGMENTS - 1))]
    assert socket.is_open
    assert [] == [*socket.receive(more)]
    assert 1009 == closed_with(socket)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (frame(Opcode.BINARY, b"{}"), 1003),
        (frame(Opcode.CONT, b"{}"), 1002),
        (frame(Opcode.TEXT, b"a", fin=False) + frame(Opcode.TEXT, b"b"), 1002),
        (Frame(Opcode.TEXT, b"{}").serialize(mask=False), 1002),
        (b"\xc1\x80\x00\x00\x00\x00", 1002),
        (b"\x83\x80\x00\x00\x00\x00", 1002),
        (b"\x81\xff" + (FRAME_BYTES + 1).to_bytes(8, "big") + b"\x00" * 4, 1009),
        (b"\x81\xff" + b"\xff" * 8 + b"\x00" * 4, 1009),
        (frame(Opcode.TEXT, b"x" * FRAME_BYTES, fin=False) + frame(Opcode.CONT, b"y"), 1009),
        (b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + b"p" * 126, 1002),
        (b"\x09\x80\x00\x00\x00\x00", 1002),
        (b"\x88\x81\x00\x00\x00\x00x", 1002),
    ],
    ids=[
        "binary",
        "continues nothing",
        "begins within a message",
        "not masked",
        "compressed",
        "unknown opcode",
        "one byte too long",
        "as long as can be said",
        "too long in parts",
        "long ping",
        "ping in parts",
        "close of one byte",
    ],
)
def test_what_no_client_writes_ends_it(said: bytes, code: int) -> None:
    socket = opened()
    assert [] == [*socket.receive(said)]
    assert not socket.is_open
    assert code == closed_with(socket)


def test_the_longest_message_fits() -> None:
    socket = opened()
    assert [b"x" * FRAME_BYTES] == [*socket.receive(frame(Opcode.TEXT, b"x" * FRAME_BYTES))]


def test_what_comes_behind_the_end_is_not_read() -> None:
    socket = opened()
    stream = frame(Opcode.CLOSE, Close(1000, "").serialize()) + frame(Opcode.TEXT, b"{}")
    assert [] == [*socket.receive(stream)]
    assert 1000 == closed_with(socket)
    socket.send(b"{}")
    socket.ping()
    assert b"" == b"".join(socket.to_send())


def test_our_end_is_one_of_a_standard_server() -> None:
    client, socket = ClientProtocol(parse_uri("ws://127.0.0.1/v1"), state=OPEN), opened()
    socket.send(b'{"a":1}')
    socket.ping()
    socket.close(1013)
    for piece in socket.to_send():
        client.receive_data(piece) if piece else client.receive_eof()
    text, ping, close = client.events_received()
    assert isinstance(text, Frame)
    assert (Opcode.TEXT, b'{"a":1}') == (text.opcode, bytes(text.data))
    assert [Opcode.PING, Opcode.CLOSE] == [each.opcode for each in (ping, close) if isinstance(each, Frame)]
    for piece in client.data_to_send():
        if piece:
            assert [] == [*socket.receive(piece)]
    for piece in socket.to_send():
        client.receive_data(piece) if piece else client.receive_eof()
    assert (1013, CLOSED) == (client.close_code, client.state)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6))
def test_arbitrary_bytes_never_raise(pieces: list[bytes]) -> None:
    socket = opened()
    for piece in pieces:
        assert all(isinstance(message, bytes) for message in socket.receive(piece))
        assert isinstance([*socket.to_send()], list)
