"""The NIR as cards show it: split, warned of, never repaired, and in no ``repr``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.exceptions import InvalidChecksum
from stdnum.fr import nir

from vitale_protocol.media.nir import ShownNir, read_nir


@pytest.mark.parametrize(
    ("text", "number", "key", "warnings"),
    [
        ("285071399032107", "2850713990321", "07", ()),
        ("185062A00400197", "185062A004001", "97", ()),
        ("285071399032108", "2850713990321", "08", ("nir_key_mismatch",)),
        ("285071399032100", "2850713990321", "00", ("nir_key_mismatch",)),
        ("2850713990321XX", "2850713990321", "XX", ("nir_key_mismatch",)),
        ("685071399032169", "6850713990321", "69", ("nir_unusual", "nir_key_mismatch")),
        ("2850713990321", "2850713990321", None, ("nir_unusual",)),
        ("28507139903210", "28507139903210", None, ("nir_unusual",)),
        ("2850713990321070", "2850713990321070", None, ("nir_unusual",)),
        ("", "", None, ("nir_unusual",)),
    ],
)
def test_a_nir_is_split_and_warned_of(text: str, number: str, key: str | None, warnings: tuple[str, ...]) -> None:
    assert read_nir(text) == ShownNir(number, key, warnings)


@pytest.mark.parametrize("text", ["285071399032107", "2850713990321", "NIR-CANARI"])
def test_a_repr_does_not_show_the_number(text: str) -> None:
    shown = repr(read_nir(text))
    assert "2850713990321" not in shown
    assert "CANARI" not in shown


@pytest.mark.parametrize("place", range(15))
@pytest.mark.parametrize("strange", ["\n", "\r", "\t", " ", "_", "-", "+", ".", "\0", "٣", "²", "\x85", "\u2028", "é"])
def test_a_character_that_no_number_has_is_a_warning_wherever_it_is(place: int, strange: str) -> None:
    text = "253072B03650220"
    text = text[:place] + strange + text[place + 1 :]

    read = read_nir(text)

    assert (read.number, read.key) == (text[:13], text[13:])
    assert read.warnings


@given(st.from_regex(r"[0-9]{5}([0-9]{2}|2[ABab])[0-9]{6}", fullmatch=True), st.integers(0, 99))
def test_a_key_agrees_where_another_library_finds_the_same(number: str, key: int) -> None:
    text = f"{number}{key:02}"

    try:
        nir.validate(text)
        agrees = True
    except InvalidChecksum:
        agrees = False

    assert ("nir_key_mismatch" not in read_nir(text).warnings) == agrees
    assert "nir_key_mismatch" not in read_nir(f"{number}{nir.calc_check_digits(number.upper())}").warnings
