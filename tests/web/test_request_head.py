"""The head of a request, however its bytes are cut."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_reader.web.http_rules import RequestHead
from vitale_reader.web.request_head import HEAD_BYTES, MOST_FIELDS, HeadReader

REQUEST = b"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:7817\r\nOrigin:  https://a.example \r\nX-Y: z\r\n\r\n"
HEAD = RequestHead(
    b"GET", b"/v1", b"1.1", ((b"host", b"127.0.0.1:7817"), (b"origin", b"https://a.example"), (b"x-y", b"z"))
)


def read(*pieces: bytes) -> object:
    reader = HeadReader()
    found: object = None
    for piece in pieces:
        assert found is None
        found = reader.receive(piece)
    return found


@given(st.integers(1, len(REQUEST) - 1), st.integers(1, len(REQUEST) - 1))
def test_cuts_change_nothing(one: int, other: int) -> None:
    first, second = sorted((one, other))
    pieces = [piece for piece in (REQUEST[:first], REQUEST[first:second], REQUEST[second:]) if piece]
    assert HEAD == read(*pieces)


def test_limits_hold_for_a_head_that_comes_at_once_and_for_one_that_does_not() -> None:
    start = b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: "
    fits = start + b"y" * (HEAD_BYTES - len(start) - 4) + b"\r\n\r\n"
    assert HEAD_BYTES == len(fits)
    assert isinstance(read(fits), RequestHead)
    assert "malformed" == read(start + b"y" * HEAD_BYTES + b"\r\n\r\n")
    assert "malformed" == read(start + b"y" * HEAD_BYTES)
    fields = b"".join(b"X: y\r\n" for _ in range(MOST_FIELDS))
    assert "malformed" == read(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")


@pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t", b"\n  "])
@pytest.mark.parametrize(
    "field", [b"Host:%s127.0.0.1:7817", b"Host: 127.0.0.1:7817%s", b"Host: a\r\nOrigin:%shttps://a.example"]
)
def test_a_field_that_goes_on_in_the_next_line_is_no_field(field: bytes, fold: bytes) -> None:
    assert "malformed" == read(b"GET /v1 HTTP/1.1\r\n" + field % fold + b"\r\nX: y\r\n\r\n")


def test_bytes_behind_a_head_are_told() -> None:
    assert msgspec.structs.replace(HEAD, more=True) == read(REQUEST + b"\x81\x80abcd")


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8))
def test_arbitrary_bytes_are_a_head_or_none(pieces: list[bytes]) -> None:
    reader = HeadReader()
    for piece in pieces:
        found = reader.receive(piece)
        assert found is None or found == "malformed" or isinstance(found, RequestHead)
        if found is not None:
            break


FORM = b"POST /enter HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\ncode=x"


@given(st.integers(1, len(FORM) - 1))
def test_a_body_comes_with_its_head_however_it_is_cut(cut: int) -> None:
    reader = HeadReader(body_bytes=6)
    assert reader.receive(FORM[:cut]) is None
    found = reader.receive(FORM[cut:])
    assert isinstance(found, RequestHead)
    assert (b"POST", b"/enter", b"code=x") == (found.method, found.target, found.body)


def test_a_body_that_is_longer_than_may_be_is_malformed_and_one_that_nobody_reads_is_none() -> None:
    assert "malformed" == HeadReader(body_bytes=5).receive(FORM)
    found = HeadReader().receive(FORM)
    assert isinstance(found, RequestHead)
    assert b"" == found.body


def test_a_request_without_a_body_needs_no_more() -> None:
    found = HeadReader(body_bytes=6).receive(REQUEST)
    assert found == HEAD
