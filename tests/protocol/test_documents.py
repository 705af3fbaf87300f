"""JSON documents: one kind of error, whatever is wrong, whichever version of msgspec reads them."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.documents import decode_document, decode_strict
from vitale_protocol.errors import ParseError


class Note(msgspec.Struct):
    nir: str
    count: int = 0


SECRET = "INVENTED-SECRET"


def test_a_document_is_read() -> None:
    assert decode_document('{"nir":"é","count":2}'.encode(), Note) == Note("é", 2)
    assert decode_document(b'{"a":[1]}', dict[str, object]) == {"a": [1]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"INVENTED-SECRET",
        b'{"nir":"INVENTED-SECRET","count":"INVENTED-SECRET"}',
        b'{"nir":"INVENTED-SECRET\xff"}',
        b'{"nir":"INVENTED-SECRET","other":"\xff"}',
        b'{"nir":"INVENTED-SECRET","\xff":1}',
        b'{"nir":"INVENTED-SECRET\xed\xa0\x80"}',
        b'{"nir":"INVENTED-SECRET"}\xff',
        b'{"nir":"INVENTED-SECRET","other":' + b"[" * 100_000,
        b'{"nir":"INVENTED-SECRET","count":' + b"9" * 5000 + b"}",
        b'{"nir":"\\ud800INVENTED-SECRET"}',
    ],
    ids=range(11),
)
def test_what_is_no_such_document_is_refused_and_does_not_travel_along(content: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        decode_document(content, Note)
    assert SECRET not in str(caught.value)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


@given(st.binary(max_size=64) | st.binary(max_size=40).map(lambda inner: b'{"nir":"' + inner + b'"}'))
def test_nothing_else_is_raised(content: bytes) -> None:
    try:
        note = decode_document(content, Note)
    except ParseError:
        return
    assert isinstance(note, Note)


@pytest.mark.parametrize("content", [b"{}", b' {"a": [1, 2.5, null, true, "\\u00e9"]}\n', b'"\\\\u0000"', b"1e5"])
def test_a_strict_document_is_read(content: bytes) -> None:
    assert json.loads(content) == decode_strict(content)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b'{"a":1,"a":1}', id="a member twice"),
        pytest.param(b'[{"b":{"a":1,"\\u0061":2}}]', id="a member twice, inside, escaped"),
        pytest.param(b'"\\u0000"', id="an escaped NUL"),
        pytest.param(b'{"\\u0000":1}', id="an escaped NUL in a name"),
        pytest.param(b"{}\0", id="a NUL behind"),
        pytest.param(b"{}{}", id="another value behind"),
        pytest.param(b"{}\n[]", id="another line"),
        pytest.param(b'"\\ud800"', id="half a pair"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"[-Infinity]", id="infinity"),
        pytest.param(b"1e999", id="beyond doubles"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"1" * 5_000, id="a long number"),
    ],
)
def test_a_document_that_readers_read_otherwise_is_refused(content: bytes) -> None:
    with pytest.raises(ParseError) as refused:
        decode_strict(content)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
