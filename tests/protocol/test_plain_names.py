"""Names by which people tell paired programs: all of them is seen, in its order and in its line."""

import sys
import unicodedata

import msgspec
import pytest

from vitale_protocol.events import PlainName

#: Controls, formats, ends of lines and paragraphs, characters of private use.
UNSEEN = ("Cc", "Cf", "Zl", "Zp", "Co")


def is_plain(name: str) -> bool:
    try:
        msgspec.convert(name, PlainName)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "name",
    [
        "Pharmacie de l’Église – Œuvre n° 1 (été)",
        unicodedata.normalize("NFD", "Église"),
        unicodedata.normalize("NFD", "Nguyễn Ệ"),
        "Φαρμακείο",
        "צדקה",
        "薬局 1",
        "⚕ Facturation 😀",
        "a",
    ],
)
def test_names_of_people_and_trades_are_taken(name: str) -> None:
    assert is_plain(name)


def test_nothing_unseen_is_taken() -> None:
    unseen = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in UNSEEN]
    assert len(unseen) > 100_000
    assert [] == [hex(ord(each)) for each in unseen if is_plain(f"a{each}b")]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Facturation\u202erf.elpmaxe", id="an override"),
        pytest.param("a\u2066b", id="an isolate"),
        pytest.param("a\u00adb", id="a soft hyphen"),
        pytest.param("a\u034fb", id="a joiner of graphemes"),
        pytest.param("\u3164", id="a filler of Hangul"),
        pytest.param("a\u115fb", id="another"),
        pytest.param("\uffa0", id="one of half width"),
        pytest.param("\u2800", id="a pattern without dots"),
        pytest.param("a\ufe0f", id="a variation selector"),
        pytest.param("a\U000e0100", id="one of the supplement"),
        pytest.param("a\U000e0062", id="a tag"),
        pytest.param("a\u180bb", id="one of Mongolian"),
        pytest.param(" ", id="a space"),
        pytest.param("\u00a0", id="a space that does not break"),
        pytest.param("\u3000", id="a space as wide as a letter"),
        pytest.param(" a", id="a space before"),
        pytest.param("a ", id="a space behind"),
        pytest.param("a\n", id="a line feed behind"),
        pytest.param("\u0301", id="a mark without a letter"),
        pytest.param("e\u0301\u0301\u0301", id="marks that pile up"),
        pytest.param("", id="nothing"),
        pytest.param("é" * 101, id="too long"),
    ],
)
def test_a_name_that_is_not_what_it_seems_is_refused(name: str) -> None:
    assert not is_plain(name)
