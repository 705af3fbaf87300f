"""Pairing of a page: the digits say which keys, which site and which nonces, and nobody in between can choose them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.web import independent
from tests.protocol.web.independent import VECTORS
from vitale_protocol.errors import NotAuthenticated
from vitale_protocol.web.pairing import check_reveal, code, commitment
from vitale_protocol.web.transcripts import digest

PAIRING = VECTORS["pairing"]
NONCE_P, NONCE_D = independent.unb64u(PAIRING["nonce_p"]), independent.unb64u(PAIRING["nonce_d"])
JKT = VECTORS["jkt"]
SITE = VECTORS["site"]
BYTES = st.binary(min_size=32, max_size=32)


def test_the_digits_are_those_of_the_vectors() -> None:
    assert PAIRING["code"] == code(
        site=SITE, jkt_page=JKT["page"], jkt_station=JKT["station"], nonce_p=NONCE_P, nonce_d=NONCE_D
    )
    assert PAIRING["commit"] == commitment(NONCE_P)


@given(st.text(max_size=10), st.text(max_size=10), st.text(max_size=10), BYTES, BYTES)
def test_the_digits_are_those_of_another_implementation(
    site: str, page: str, station: str, nonce_p: bytes, nonce_d: bytes
) -> None:
    digits = code(site=site, jkt_page=page, jkt_station=station, nonce_p=nonce_p, nonce_d=nonce_d)

    assert independent.code(site, page, station, nonce_p, nonce_d) == digits
    assert 6 == len(digits)
    assert digits.isdecimal()


@given(BYTES)
def test_a_nonce_is_the_one_that_was_committed_to(nonce_p: bytes) -> None:
    check_reveal(independent.commitment(nonce_p), nonce_p)


@given(BYTES, st.binary(max_size=40))
def test_another_nonce_is_refused(nonce_p: bytes, other: bytes) -> None:
    if other == nonce_p:
        return
    with pytest.raises(NotAuthenticated):
        check_reveal(commitment(nonce_p), other)


@pytest.mark.parametrize("nonce_p", [b"", bytes(31), bytes(33)])
def test_a_nonce_has_32_bytes_even_where_it_was_committed_to(nonce_p: bytes) -> None:
    with pytest.raises(NotAuthenticated):
        check_reveal(commitment(nonce_p), nonce_p)


def test_a_commitment_that_is_none_is_refused() -> None:
    with pytest.raises(NotAuthenticated):
        check_reveal("é", NONCE_P)


def test_whoever_swaps_a_key_shows_other_digits() -> None:
    """A relay pairs with each side under its own key, and commits to a nonce before it sees the station's."""
    relay = independent.thumbprint(independent.private(4_242))
    at_the_page = independent.code(SITE, JKT["page"], relay, NONCE_P, NONCE_D)
    at_the_desk = independent.code(SITE, relay, JKT["station"], NONCE_P, NONCE_D)

    assert 3 == len({at_the_page, at_the_desk, PAIRING["code"]})


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_no_two_lists_of_values_look_the_same(one: list[bytes], other: list[bytes]) -> None:
    assert (one == other) == (digest(*one) == digest(*other))
