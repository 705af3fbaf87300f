"""Separators that were typed for want of a key are put back; real ones are not touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.media.separators import GS, RS, US, WRITTEN, restored, without_torn_end


@pytest.mark.parametrize(("written", "sign"), WRITTEN.items())
def test_each_way_of_writing_one(written: bytes, sign: bytes) -> None:
    assert restored(b"A" + written + b"B" + written) == b"A" + sign + b"B" + sign


def test_each_separator_can_be_written() -> None:
    assert set(WRITTEN.values()) == {GS, RS, US}
    assert {b"^]", b"<GS>", rb"\x1d", "␝".encode()} <= set(WRITTEN)


@given(st.binary(), st.sampled_from([GS, RS, US]), st.binary())
def test_a_code_with_real_separators_is_left_as_it_is(before: bytes, sign: bytes, behind: bytes) -> None:
    assert restored(before + sign + behind) == before + sign + behind


@pytest.mark.parametrize("written", sorted(WRITTEN))
def test_the_beginning_of_a_separator_is_torn_off_at_the_end_alone(written: bytes) -> None:
    for end in range(1, len(written)):
        assert without_torn_end(b"FOIN" + written[:end]) == b"FOIN"
        assert without_torn_end(written[:end] + b"FOIN") == written[:end] + b"FOIN"
    assert without_torn_end(b"FOIN") == b"FOIN"
