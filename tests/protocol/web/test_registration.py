"""Registration: what people type becomes a site, with every change told; nothing else is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.web.origin_vectors import REGISTRATIONS
from vitale_protocol.errors import ParseError
from vitale_protocol.web.registration import Change, register, unicode_form
from vitale_protocol.web.sites import parse_site


@pytest.mark.parametrize(("typed", "stored"), REGISTRATIONS)
def test_a_vector_is_stored_or_refused(typed: str, stored: str | None) -> None:
    if stored is None:
        with pytest.raises(ParseError):
            register(typed, "production")
    else:
        assert stored == str(register(typed, "production").site)


@pytest.mark.parametrize(
    ("typed", "stored", "changes"),
    [
        ("https://a.example", "https://a.example", ()),
        ("https://A.example:443/", "https://a.example", ("slash_cut", "lower_cased", "default_port_dropped")),
        ("HTTPS://Médecin.example", "https://xn--mdecin-bva.example", ("lower_cased", "punycode")),
        # Letters and their accents apart, as some systems write file names, are the same letters.
        ("https://médecin.example", "https://xn--mdecin-bva.example", ("punycode",)),
        # IDNA 2003 would read "strasse": another name.
        ("https://straße.example", "https://xn--strae-oqa.example", ("punycode",)),
        ("http://127.0.0.1:80", "http://127.0.0.1", ("default_port_dropped",)),
        ("http://[::1]:8000", "http://[::1]:8000", ()),
    ],
)
def test_every_change_is_told(typed: str, stored: str, changes: tuple[Change, ...]) -> None:
    registered = register(typed, "test")

    assert (stored, changes) == (str(registered.site), registered.changes)


@pytest.mark.parametrize(
    "typed",
    [
        "a.example",
        "https://",
        "https://a.example//",
        "https://a.example/facture",
        "https://a.example?x",
        "https://a.example#x",
        "https://u@a.example",
        "https://a.example:",
        "https://a.example:99999",
        "https://a.example.",
        "https://*.example.fr",
        "https://ｆacturation.example",
        "https://factu­ration.example",
        "https://a。example",
        "https://💊.example",
        " https://a.example",
        "https://a.example\n",
        "https://" + "é" * 600,
    ],
)
def test_what_would_have_to_be_guessed_is_refused(typed: str) -> None:
    with pytest.raises(ParseError):
        register(typed, "simulated")


@given(st.text(max_size=40) | st.text(max_size=20).map("https://{}".format))
def test_what_is_stored_is_a_site_that_stays_itself(typed: str) -> None:
    try:
        site = register(typed, "simulated").site
    except ParseError:
        return
    assert site == parse_site(str(site), "simulated")
    assert () == register(str(site), "simulated").changes


@pytest.mark.parametrize(
    ("host", "form"),
    [
        ("xn--mdecin-bva.example", "médecin.example"),
        ("a.example", "a.example"),
        ("xn--a.example", "xn--a.example"),
        ("xn--99999999999.example", "xn--99999999999.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
    ],
)
def test_a_host_is_shown_as_its_owner_writes_it(host: str, form: str) -> None:
    assert form == unicode_form(host)
