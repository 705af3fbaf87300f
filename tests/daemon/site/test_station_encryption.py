"""What one station of a site seals for another."""

import pytest
from cryptography.exceptions import InvalidTag

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.station_encryption import open_box, public_key, seal_for

SITE, OTHER_SITE = Vault.of_site(b"s" * 32), Vault.of_site(b"o" * 32)
MINE, THEIRS = b"m" * 32, b"t" * 32


def test_only_the_station_it_is_for_opens_it() -> None:
    sealed = seal_for(public_key(MINE), b"token", vault=SITE, bound_to="answer:1")
    assert b"token" not in sealed
    assert open_box(MINE, sealed, vault=SITE, bound_to="answer:1") == b"token"
    with pytest.raises(InvalidTag):
        open_box(THEIRS, sealed, vault=SITE, bound_to="answer:1")


def test_it_opens_for_what_it_was_bound_to_only() -> None:
    sealed = seal_for(public_key(MINE), b"token", vault=SITE, bound_to="answer:1")
    with pytest.raises(InvalidTag):
        open_box(MINE, sealed, vault=SITE, bound_to="answer:2")


def test_whoever_is_not_of_the_site_makes_nothing_that_opens() -> None:
    forged = seal_for(public_key(MINE), b"token", vault=OTHER_SITE, bound_to="answer:1")
    with pytest.raises(InvalidTag):
        open_box(MINE, forged, vault=SITE, bound_to="answer:1")


@pytest.mark.parametrize("damaged", [b"", b"\0" * 31, b"\0" * 80, b"x" * 44, b"x" * 200])
def test_what_is_damaged_does_not_open(damaged: bytes) -> None:
    with pytest.raises(InvalidTag):
        open_box(MINE, damaged, vault=SITE, bound_to="answer:1")


def test_two_sealings_of_one_text_have_nothing_in_common() -> None:
    first, second = (seal_for(public_key(MINE), b"token", vault=SITE, bound_to="answer:1") for _ in range(2))
    assert first[:44] != second[:44]
    assert first[44:] != second[44:]
