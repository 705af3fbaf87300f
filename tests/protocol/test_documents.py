"""JSON documents: one kind of error, whatever is wrong, whichever version of msgspec reads them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.documents import decode_document
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
