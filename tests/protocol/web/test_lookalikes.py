"""Look-alikes: what deserves a second look is warned of, and an honest name is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.web.edit_distance import distance
from vitale_protocol.web.lookalikes import Warned, warnings_of
from vitale_protocol.web.registration import register
from vitale_protocol.web.sites import Site

PAIRED = Site("https", "facturation.example.fr")


def site(typed: str) -> Site:
    return register(typed, "production").site


@pytest.mark.parametrize(
    ("typed", "warned"),
    [
        ("https://facturation.example.fr", ()),
        ("https://facturation-example.fr", ("near_paired", "first_seen")),
        ("https://facturatoin.example.fr", ("near_paired", "first_seen")),
        ("https://facturation.example.fr:8443", ("near_paired", "first_seen")),
        # A dotless i; a Cyrillic a; a name in Cyrillic letters before a domain in Latin ones.
        ("https://facturatıon.example.fr", ("near_paired", "first_seen")),
        ("https://fаcturation.example.fr", ("mixed_scripts", "near_paired", "first_seen")),
        ("https://аррӏе.example", ("mixed_scripts", "first_seen")),
        ("https://médecin.example.fr", ("first_seen",)),
        ("https://logiciel.example.org", ("first_seen",)),
    ],
)
def test_a_name_is_warned_of(typed: str, warned: tuple[Warned, ...]) -> None:
    assert warned == warnings_of(site(typed), [PAIRED], [PAIRED])


def test_a_site_that_was_paired_once_is_not_new() -> None:
    assert () == warnings_of(PAIRED, [], [PAIRED])


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("", "", 0), ("a", "", 1), ("abc", "abd", 1), ("abc", "acb", 2), ("kitten", "sitting", 3), ("abc", "abc", 0)],
)
def test_the_distance_is_levenshteins(one: str, other: str, edits: int) -> None:
    assert edits == distance(one, other)


@given(st.text("ab.", max_size=8), st.text("ab.", max_size=8), st.text("ab.", max_size=8))
def test_the_distance_is_one(one: str, other: str, third: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, third) <= distance(one, other) + distance(other, third)
