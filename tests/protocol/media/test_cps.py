"""The CPS is told apart from a patient's card, and never read."""

import pytest

from vitale_protocol.errors import MediumUnsupported
from vitale_protocol.media import WARNINGS, Recognised, reading_script, recognise


@pytest.mark.parametrize(
    ("atr", "generation"),
    [
        ("3BAC00402A001225006480820212009000", "cps2ter"),
        ("3BAC00402A001225006480000310009000", "cps3"),
        ("3BAC00402A001225006480000411009000", "cps3"),
        ("3B9B1880010012250064800401000090" + "44", "cps4"),
        ("3B9B1880010012250064800004010090" + "44", "cps4"),
        ("3BDC18FF0000122500648000040100" + "9000", "cps4"),
        ("3B8F80010031B86404B0ECC1739401808290000E", "cps3-contactless"),
        ("3B8F80010031B8640000ECFF7394018082900000", "cps3-contactless"),
        ("3B8800122500648099990A", ""),
    ],
)
def test_a_cps_is_recognised_and_cannot_be_read(atr: str, generation: str) -> None:
    assert recognise(bytes.fromhex(atr)) == Recognised("cps-card", generation)
    with pytest.raises(MediumUnsupported) as refused:
        reading_script(bytes.fromhex(atr))
    assert refused.value.data == {"medium": "cps-card", "generation": generation}


@pytest.mark.parametrize(
    "atr",
    [
        "3B8F80010031B86404B0EC01739401808290000E",  # the two high bits of byte 11 are not set
        "2B8F80010031B86404B0ECC1739401808290000E",  # OpenSC's misprint: no ATR begins with 2B
        "001225006480",
    ],
)
def test_look_alikes_are_unknown(atr: str) -> None:
    assert recognise(bytes.fromhex(atr)) == Recognised("unknown-card")


def test_warnings_are_words_for_the_catalogue() -> None:
    assert len(set(WARNINGS)) == len(WARNINGS)
    assert all(word.replace("_", "").isalpha() and word.islower() for word in WARNINGS)
