"""Families of metrics on the line: what is written is read, and hostile bytes are a documented error."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.errors import ParseError
from vitale_protocol.metrics.families import Distribution, Family, Sample, read_families, write_families

FAMILIES = (
    Family(name="a", kind="gauge", help="A.", samples=(Sample((), 1.5),)),
    Family(name="b", kind="counter", help="B.", labels=("x", "y"), samples=(Sample(("1", "2"), 3.0),)),
    Family(
        name="c",
        kind="histogram",
        help="C.",
        labels=("x",),
        bounds=(0.1, 1.0),
        distributions=(Distribution(("1",), (1, 0, 2), 7.5),),
    ),
)


def test_what_is_written_is_read() -> None:
    assert FAMILIES == read_families(write_families(FAMILIES))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_bytes_of_strangers_raise_nothing_but_the_documented_error(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        assert isinstance(read_families(data), tuple)


@pytest.mark.parametrize("data", [b'[{"name":"a"}]', b'[{"name":"a","kind":"summary","help":""}]', b"{}", b""])
def test_what_is_no_family_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        read_families(data)
