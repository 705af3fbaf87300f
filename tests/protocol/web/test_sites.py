"""Sites: exactly the form that browsers write; what is near it is refused."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.web.origin_vectors import ALLOWED, vectors
from vitale_protocol.errors import ParseError
from vitale_protocol.methods import StationMode
from vitale_protocol.web.sites import SITE_CHARACTERS, Site, parse_site

#: Refused values of the vectors that are well-formed sites all the same: others than those allowed.
OTHER_SITES = {
    "https://facturation.example.fr:8443",
    "https://facturation.example.fr.evil.test",
    "https://facturation.example.frx",
    "https://xn--facturaton-m5a.example.fr",
}
LOCAL = [
    "http://127.0.0.1",
    "http://127.0.0.1:8000",
    "http://localhost:7817",
    "http://[::1]:7817",
    "http://desk-4f1c.localhost:7818",
]
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize("text", ALLOWED)
def test_an_allowed_site_is_one(text: str) -> None:
    assert text == str(parse_site(text, "production"))


@pytest.mark.parametrize("text", [value for value, accepted in vectors("origin") if not accepted])
def test_a_refused_value_is_no_site_or_another_one(text: str) -> None:
    try:
        site = parse_site(text, "production")
    except ParseError:
        assert text not in OTHER_SITES
        return
    assert text == str(site)
    assert text in OTHER_SITES
    assert text not in ALLOWED


@pytest.mark.parametrize("mode", ["test", "simulated"])
@pytest.mark.parametrize("text", LOCAL)
def test_a_loopback_page_is_a_site_where_nothing_is_real(text: str, mode: StationMode) -> None:
    assert text == str(parse_site(text, mode))
    with pytest.raises(ParseError):
        parse_site(text, "production")


@pytest.mark.parametrize(
    "text",
    [
        "https://localhost",
        "https://desk.localhost",
        "https://127.0.0.1",
        "https://1.2.3",
        "https://a.0x7f",
        "https://a.1",
        "https://[::1]",
        "https://[::2]",
        "https://-a.example",
        "https://a-.example",
        "https://a..example",
        "https://.example",
        "https://ab--c.example",
        "https://a_b.example",
        "https://é.example",
        "https://a.example:0",
        "https://a.example:080",
        "https://a.example:65536",
        "https://a.example:٣",
        "https://a.example\n",
        "http://a.example",
        "http://127.0.0.1:80",
        "http://127.0.0.1.evil.test",
        "http://127.0.0.2",
        "ws://a.example",
        "https:a.example",
        f"https://{'a' * 64}.example",
        "https://" + "a." * 124 + "example",
        "",
    ],
)
def test_what_no_browser_writes_is_no_site(text: str) -> None:
    with pytest.raises(ParseError):
        parse_site(text, "simulated")


def test_a_site_may_be_as_long_as_a_name() -> None:
    text = "https://" + ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61]) + ":65535"

    assert len(text) == SITE_CHARACTERS
    assert text == str(parse_site(text, "production"))
    with pytest.raises(ParseError):
        parse_site(text.replace("//a", "//aa", 1), "production")


@given(st.lists(LABEL, min_size=1, max_size=4), st.integers(1, 65_535) | st.none())
def test_a_site_is_what_a_reader_of_urls_reads(labels: list[str], port: int | None) -> None:
    host = ".".join(labels)
    text = f"https://{host}" + ("" if port is None else f":{port}")
    try:
        site = parse_site(text, "production")
    except ParseError:
        return
    assert Site("https", host, port) == site
    assert (host, port) == (urlsplit(text).hostname, urlsplit(text).port)


@given(st.text(alphabet="htps:/.-a1é[]%@\\ \n\0", max_size=30) | st.text(max_size=30))
def test_any_text_is_a_site_in_its_own_form_or_none(text: str) -> None:
    try:
        site = parse_site(text, "simulated")
    except ParseError:
        return
    assert text == str(site)
