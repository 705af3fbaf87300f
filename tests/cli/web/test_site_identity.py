"""The appearance of a site: in the letters that browsers send, its registered part in bold, its oddities in words."""

import click
import pytest

from vitale_protocol.web.registration import register
from vitale_protocol.web.sites import Site
from vitale_reader.cli.frame.language import use
from vitale_reader.cli.web.site_identity import emphasised, registrable, second_looks, unicode_site


def site(typed: str) -> Site:
    return register(typed, "production").site


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        ("https://facturation.example.fr", "example.fr"),
        ("https://facturation.example.fr.evil.co.uk", "evil.co.uk"),
        ("https://médecin.example.fr:8443", "example.fr"),
        ("https://example.fr", "example.fr"),
        ("https://serveur", "serveur"),
        ("https://fr", "fr"),
    ],
)
def test_the_part_that_its_owner_registered_is_bold(typed: str, domain: str) -> None:
    assert domain == registrable(site(typed))
    shown = emphasised(site(typed))
    assert str(site(typed)) == click.unstyle(shown)
    assert click.style(domain, bold=True) in shown


def test_a_name_with_accents_is_shown_in_both_forms() -> None:
    odd = site("https://médecin.example.fr:8443")

    assert "https://xn--mdecin-bva.example.fr:8443" == click.unstyle(emphasised(odd))
    assert "https://médecin.example.fr:8443" == unicode_site(odd)
    assert "" == unicode_site(site("https://facturation.example.fr"))


def test_what_is_odd_is_said_in_words() -> None:
    use("en")
    paired = [site("https://facturation.example.fr")]

    assert [] == second_looks(paired[0], paired, paired)
    near = second_looks(site("https://facturation-example.fr"), paired, paired)
    assert ["looks like", "never paired"] == [
        word for told in near for word in ("looks like", "never paired") if word in told
    ]
    assert any("scripts" in told for told in second_looks(site("https://fаcturation.example.fr"), paired, paired))
