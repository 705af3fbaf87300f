"""Framing of a channel: the preamble first, plain messages until the session is open, sealed ones from then on."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.web import independent
from vitale_protocol.errors import LimitExceeded
from vitale_protocol.session.framing import NetworkFraming
from vitale_protocol.web.channels import FRAME_BYTES, Preamble, write_frame
from vitale_protocol.web.framing import ChannelFraming
from vitale_protocol.web.sealed_frames import SEALED_BYTES, SessionKeys

PREAMBLE = Preamble(
    via="websocket", site="https://facturation.example.fr", peer_uid=1000, host="127.0.0.1:7817", opened=1_790_000_000.5
)
KEYS = SessionKeys(c2s=bytes(32), s2c=bytes(range(32)))
CALL = b'{"jsonrpc":"2.0","id":1,"method":"session.ping"}'


def framed(*frames: bytes) -> bytes:
    return b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)


def begun() -> ChannelFraming:
    framing = ChannelFraming("production")
    assert [] == list(framing.receive(framed(write_frame(PREAMBLE))))
    return framing


def sealed(number: int, message: bytes) -> bytes:
    return independent.sealed(KEYS.c2s, "websocket", number, message).encode()


def test_the_first_frame_is_the_preamble() -> None:
    framing = begun()

    assert (PREAMBLE, "") == (framing.preamble, framing.broken)


@pytest.mark.parametrize("first", [CALL, b"{}", write_frame(PREAMBLE) + b"\n", b"", b"null"])
def test_nothing_is_read_before_a_preamble(first: bytes) -> None:
    framing = ChannelFraming("production")

    assert [] == list(framing.receive(framed(first, write_frame(PREAMBLE), CALL)))
    assert framing.broken
    assert framing.preamble is None
    assert [] == list(framing.receive(framed(write_frame(PREAMBLE), CALL)))


def test_a_second_preamble_is_a_message_and_changes_nothing() -> None:
    framing = begun()
    other = write_frame({"site": "https://autre.example.fr", "via": "stdio"})

    assert [other] == list(framing.receive(framed(other)))
    assert framing.preamble == PREAMBLE


def test_messages_are_plain_until_the_session_is_open() -> None:
    framing = begun()

    assert [CALL] == list(framing.receive(framed(CALL)))
    assert framed(CALL) == framing.encode(CALL)


def test_messages_are_sealed_from_then_on() -> None:
    framing = begun()
    framing.seal(KEYS)

    assert [CALL, b"{}"] == list(framing.receive(framed(sealed(0, CALL), sealed(1, b"{}"))))
    (frame,) = NetworkFraming().receive(framing.encode(CALL))
    assert CALL == independent.opened(KEYS.s2c, "websocket", frame.decode())


def test_a_frame_that_came_with_the_opening_is_opened_after_it() -> None:
    """The client has its keys as soon as it has proved itself; how its bytes are cut makes no difference."""
    framing = begun()
    messages = framing.receive(framed(CALL, sealed(0, b"{}")))

    assert CALL == next(messages)
    framing.seal(KEYS)
    assert [b"{}"] == list(messages)


@pytest.mark.parametrize(
    "frame",
    [
        CALL,
        sealed(1, CALL),
        independent.sealed(KEYS.s2c, "websocket", 0, CALL).encode(),
        independent.sealed(KEYS.c2s, "stdio", 0, CALL).encode(),
    ],
)
def test_what_the_client_did_not_seal_ends_the_channel(frame: bytes) -> None:
    framing = begun()
    framing.seal(KEYS)

    assert [] == list(framing.receive(framed(frame, sealed(0, CALL))))
    assert framing.broken
    assert [] == list(framing.receive(framed(sealed(0, CALL))))


@pytest.mark.parametrize("frame", [CALL + b"\n", b" {}", b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", b'{"a":"\\u0000"}', b""])
def test_a_frame_that_a_gateway_does_not_write_ends_the_channel(frame: bytes) -> None:
    framing = begun()

    assert [CALL] == list(framing.receive(framed(CALL, frame, CALL)))
    assert framing.broken


def test_a_frame_that_is_too_long_is_not_awaited() -> None:
    framing = begun()

    assert [CALL] == list(framing.receive(framed(CALL) + (FRAME_BYTES + 1).to_bytes(4, "big")))
    assert framing.exceeded
    assert 0 == framing.held


def test_a_message_fits_into_a_frame_even_before_it_is_sealed() -> None:
    framing = begun()

    with pytest.raises(LimitExceeded) as refused:
        framing.encode(b"x" * (SEALED_BYTES + 1))
    assert {"limit": "message_bytes"} == refused.value.data
    assert SEALED_BYTES == framing.limit


def test_a_channel_is_sealed_once_and_not_before_its_preamble() -> None:
    with pytest.raises(RuntimeError):
        ChannelFraming("production").seal(KEYS)
    framing = begun()
    framing.seal(KEYS)
    with pytest.raises(RuntimeError):
        framing.seal(KEYS)


@given(st.lists(st.integers(0)), st.integers(0, 200))
def test_frames_survive_any_splitting(cuts: list[int], broken_at: int) -> None:
    stream = bytearray(framed(write_frame(PREAMBLE), CALL, b"[1]", b'{"a":"\xc3\xa9"}'))
    if broken_at < len(stream):
        stream[broken_at] ^= 1
    whole, pieces = ChannelFraming("production"), ChannelFraming("production")
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]

    expected = list(whole.receive(bytes(stream)))
    assert expected == [m for start, end in pairwise(edges) for m in pieces.receive(bytes(stream[start:end]))]
    assert (whole.broken, whole.exceeded, whole.preamble) == (pieces.broken, pieces.exceeded, pieces.preamble)
