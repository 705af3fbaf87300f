"""Machine-readable zones: the specimens of ICAO Doc 9303 and of the French cards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.media.mrz import Mrz, read_mrz

# ICAO Doc 9303 part 4 appendix B, part 5 appendix B, part 6 appendix B: the specimens of Utopia.
TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10"
TD1 = "I<UTOD231458907<<<<<<<<<<<<<<<7408122F1204159UTO<<<<<<<<<<<6ERIKSSON<<ANNA<MARIA<<<<<<<<<<"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<D231458907UTO7408122F1204159<<<<<<<6"
# The specimen of the card of 1988, as the Council of the EU publishes it (PRADO FRA-BO-02002).
FRENCH = "IDFRABERTHIER<<<<<<<<<<<<<<<<<<<<<<<8806923102858CORINNE<<<<<<<6512068F6"

ANNA = Mrz(name="ERIKSSON", given_names="ANNA MARIA", birth="740812", sex="F", nationality="UTO")


@pytest.mark.parametrize("zone", [TD3, TD1, TD2], ids=["TD3", "TD1", "TD2"])
def test_the_specimens_of_the_icao(zone: str) -> None:
    assert read_mrz(zone) == ANNA
    assert read_mrz(zone.replace("<", " ")) == ANNA


def test_the_french_card_of_1988() -> None:
    assert read_mrz(FRENCH) == Mrz(name="BERTHIER", given_names="CORINNE", birth="651206", sex="F", nationality="")


@pytest.mark.parametrize("zone", ["", TD3[:-1], TD3 + "<", "V" + TD3[1:], "D1FRA13AA000026181231MARTIN<<9"])
def test_what_has_none_of_the_layouts(zone: str) -> None:
    assert read_mrz(zone) is None


@given(st.text(max_size=100))
def test_any_text(text: str) -> None:
    read = read_mrz(text)
    assert read is None or repr(read) == "<Mrz>"
