"""Names of the product itself, and those that look like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.web.own_names import distinct, is_own


@pytest.mark.parametrize(
    "name",
    [
        "local",
        "LOCAL",
        "L0cal",
        "lоcal",
        "ӏосаӏ",
        "Iocal",
        "1ocal",
        "lócàl",
        "« local »",
        "l o c a l",
        "local.",
        "𝐥𝐨𝐜𝐚𝐥",
        "ｌｏｃａｌ",
        "ʟocal",
        "ʟᴏᴄᴀʟ",
        "VITALΕ-RΕADΕR",
        "ᏞОᏟᎪᏞ",
        "ꓡꓳꓚꓮꓡ",
        "łocał",
        "dɑshboard",
        "dashboaꮁd",
        "dashboard",
        "Dashbord",
        "DASHBOARD!",
        "ԁashboard",
        "The dashboard",
        "Tableau de bord",
        "Vitale Reader",
        "vitaIe-reader",
        "Un programme de ce poste",
    ],
)
def test_what_could_be_taken_for_the_product(name: str) -> None:
    assert is_own(name)
    assert f"{name} (client-1)" == distinct(name, "client-1")


@pytest.mark.parametrize(
    "name",
    ["Facturation", "LGPI", "Pharmacie locale", "Vocal", "Local 2 SARL", "Logiciel de bord", "Vitale", "Board", "…"],
)
def test_names_of_others(name: str) -> None:
    assert name == distinct(name, "client-1")


@given(st.text(max_size=100))
def test_any_text_is_a_name_or_not(name: str) -> None:
    assert is_own(name) == is_own(name.casefold().upper()) or not name.isascii()
