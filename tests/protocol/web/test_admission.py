"""What a gateway asks the core, and the answer: nothing else is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.errors import ParseError
from vitale_protocol.web.admission import DATAGRAM_BYTES, Admitted, Asked, read_answer, read_question, write
from vitale_protocol.web.sites import SITE_CHARACTERS


@given(st.integers(0, 2**53 - 1), st.text(max_size=SITE_CHARACTERS), st.booleans())
def test_what_is_written_is_read(number: int, site: str, yes: bool) -> None:
    assert Asked(number=number, site=site) == read_question(write(Asked(number=number, site=site)))
    assert Admitted(number=number, yes=yes) == read_answer(write(Admitted(number=number, yes=yes)))


def test_the_longest_question_fits() -> None:
    assert len(write(Asked(number=2**53 - 1, site="é" * SITE_CHARACTERS))) <= DATAGRAM_BYTES


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"null",
        b"{}",
        b'{"number":1}',
        b'{"number":-1,"site":"","yes":true}',
        b'{"number":1,"site":"","yes":true}',
        b'{"number":"1","site":""}',
        b'{"number":1,"site":"' + b"x" * 400 + b'"}',
        b'{"number":1,"yes":1}',
        b"[" * 1_000,
        b"\xff",
    ],
)
def test_anything_else_is_refused(datagram: bytes) -> None:
    for read in (read_question, read_answer):
        with pytest.raises(ParseError):
            read(datagram)


@given(st.binary(max_size=80))
def test_arbitrary_bytes_raise_what_is_documented(datagram: bytes) -> None:
    for read in (read_question, read_answer):
        with pytest.raises(ParseError):
            read(datagram)
