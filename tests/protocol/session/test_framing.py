"""Framings: whole messages whatever the pieces, and never more memory than the limit."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.errors import LimitExceeded
from vitale_protocol.session.framing import MESSAGE_BYTES, Framing, LineFraming, NativeFraming

LIMIT = 16
KINDS = ["line", "native"]


def fed(framing: Framing, stream: bytes, cuts: list[int]) -> list[bytes]:
    """What a framing gives for a stream that comes in pieces."""
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    return [message for start, end in pairwise(edges) for message in framing.receive(stream[start:end])]


def test_a_line_is_a_message() -> None:
    assert LineFraming().receive(b"{}\n[]\n") == [b"{}", b"[]"]


def test_carriage_returns_and_empty_lines_are_tolerated() -> None:
    assert LineFraming().receive(b"\r\n\n{}\r\n\n\r\n[]\n") == [b"{}", b"[]"]


def test_a_carriage_return_and_its_line_feed_may_come_apart() -> None:
    framing = LineFraming(2)
    assert framing.receive(b"{}\r") == []
    assert framing.receive(b"\n") == [b"{}"]
    assert not framing.exceeded


def test_the_limit_is_that_of_the_message_without_its_line_end() -> None:
    framing = LineFraming(LIMIT)
    assert framing.receive(b"x" * LIMIT + b"\r\n") == [b"x" * LIMIT]
    assert framing.receive(b"y" * (LIMIT + 1) + b"\n") == []
    assert framing.exceeded


def test_messages_before_one_that_is_too_long_are_given() -> None:
    framing = LineFraming(LIMIT)
    assert framing.receive(b"{}\n" + b"x" * 100 + b"\n[]\n") == [b"{}"]
    assert framing.exceeded
    assert framing.receive(b"[]\n") == []


def test_an_incomplete_line_is_not_kept_beyond_the_limit() -> None:
    framing = LineFraming(LIMIT)
    for _ in range(1000):
        framing.receive(b"x")
    assert framing.exceeded
    assert framing.held <= LIMIT + 1


def test_a_native_message_has_its_length_in_native_order() -> None:
    framing = NativeFraming()
    assert framing.encode(b"{}") == struct.pack("=I", 2) + b"{}"
    assert framing.receive(struct.pack("=I", 2) + b"{}" + struct.pack("=I", 0)) == [b"{}", b""]


def test_a_native_length_beyond_the_limit_is_refused_before_its_bytes_come() -> None:
    framing = NativeFraming(LIMIT)
    assert framing.receive(struct.pack("=I", 2) + b"{}" + struct.pack("=I", LIMIT + 1)) == [b"{}"]
    assert framing.exceeded
    assert framing.receive(struct.pack("=I", 2) + b"{}") == []


@pytest.mark.parametrize("framing", [LineFraming(LIMIT), NativeFraming(LIMIT)], ids=KINDS)
def test_no_framing_sends_what_the_other_end_would_refuse(framing: Framing) -> None:
    with pytest.raises(LimitExceeded) as caught:
        framing.encode(b"x" * (LIMIT + 1))
    assert caught.value.data == {"limit": "message_bytes"}


def test_the_default_limit_is_that_of_the_wire() -> None:
    assert LineFraming().limit == MESSAGE_BYTES == 1_048_576


@given(
    st.lists(st.binary(min_size=1, max_size=LIMIT).filter(lambda message: not set(message) & {10, 13})),
    st.lists(st.integers(0)),
)
def test_lines_survive_any_splitting(messages: list[bytes], cuts: list[int]) -> None:
    sender, receiver = LineFraming(LIMIT), LineFraming(LIMIT)
    assert fed(receiver, b"".join(map(sender.encode, messages)), cuts) == messages


@given(st.lists(st.binary(max_size=LIMIT)), st.lists(st.integers(0)))
def test_native_messages_survive_any_splitting(messages: list[bytes], cuts: list[int]) -> None:
    sender, receiver = NativeFraming(LIMIT), NativeFraming(LIMIT)
    assert fed(receiver, b"".join(map(sender.encode, messages)), cuts) == messages


@given(st.text("ab\r\n").map(str.encode), st.lists(st.integers(0)))
def test_any_bytes_split_anyhow_give_the_same_lines(stream: bytes, cuts: list[int]) -> None:
    whole, pieces = LineFraming(3), LineFraming(3)
    assert fed(pieces, stream, cuts) == whole.receive(stream)
    assert pieces.exceeded == whole.exceeded


@given(st.binary(max_size=64), st.lists(st.integers(0)))
def test_any_bytes_split_anyhow_give_the_same_native_messages(stream: bytes, cuts: list[int]) -> None:
    whole, pieces = NativeFraming(3), NativeFraming(3)
    assert fed(pieces, stream, cuts) == whole.receive(stream)
    assert pieces.exceeded == whole.exceeded
    assert pieces.held <= 4 + 3


@pytest.mark.parametrize("framing", [LineFraming(LIMIT), NativeFraming(LIMIT)], ids=KINDS)
def test_a_message_of_exactly_the_limit_passes_both_ways(framing: Framing) -> None:
    message = b"x" * LIMIT
    assert framing.receive(framing.encode(message)) == [message]
    assert not framing.exceeded


@pytest.mark.parametrize(
    ("framing", "pieces"),
    [
        (LineFraming(LIMIT), [b"x" * LIMIT, b"xx"]),
        (LineFraming(LIMIT), [b"x", b"x" * LIMIT + b"\n{"]),
        (LineFraming(LIMIT), [b"x" * (LIMIT + 2)]),
        (NativeFraming(LIMIT), [struct.pack("=I", LIMIT + 1) + b"x" * LIMIT]),
        (NativeFraming(LIMIT), [struct.pack("=I", LIMIT + 1)[:3], struct.pack("=I", LIMIT + 1)[3:] + b"x"]),
    ],
    ids=["line, next piece", "line, ended", "line, at once", "native", "native, next piece"],
)
def test_what_exceeded_the_limit_is_freed(framing: LineFraming | NativeFraming, pieces: list[bytes]) -> None:
    for piece in pieces:
        assert framing.receive(piece) == []
    assert framing.exceeded
    assert framing.held == 0
    framing.receive(b"y" * LIMIT)
    assert framing.held == 0
