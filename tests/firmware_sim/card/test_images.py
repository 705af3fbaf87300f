"""Card images: those shipped are invented and right, and a wrong one is told what is wrong with it."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.fr import nir

from vitale_firmware_sim.card.images import DEFAULT_IMAGE, Image, image_names, load_image, parse_image
from vitale_protocol.errors import ConfigurationInvalid

ATR = 'atr = "3B 75 13 00 00 45 09 EA 90 00"\n'


def test_the_shipped_images() -> None:
    assert image_names() == ("adulte", "cps", "date-fictive", "dix-neuf", "famille", "vitale-1")
    assert DEFAULT_IMAGE in image_names()
    people = {name: len(load_image(name).beneficiaires) for name in image_names()}
    assert people == {"adulte": 1, "cps": 0, "date-fictive": 1, "dix-neuf": 19, "famille": 5, "vitale-1": 0}


@pytest.mark.parametrize("name", image_names())
def test_every_nir_has_its_key(name: str) -> None:
    for one in load_image(name).beneficiaires:
        assert one.nir is not None
        assert len(one.nir) == 15
        assert nir.calc_check_digits(one.nir) == one.nir[13:]


@pytest.mark.parametrize("name", image_names())
def test_every_nir_is_of_the_date_beside_it(name: str) -> None:
    for one in load_image(name).beneficiaires:
        assert one.nir is not None
        assert one.date_naissance is not None
        assert one.nir[1:5] == one.date_naissance[2:6]


def test_the_family_has_accents_and_hyphens() -> None:
    names = " ".join(f"{one.nom} {one.prenom}" for one in load_image("famille").beneficiaires)
    assert {"È", "Ê", "Ë", "Ï", "Ç", "É", "Ô", "-", "'"} <= set(names)


def test_an_image_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mienne.toml"
    path.write_text(ATR + '[[beneficiaires]]\nnom = "ESSAI"\n', encoding="utf-8")
    image = load_image(str(path))
    assert (image.name, image.atr, image.beneficiaires[0].nom) == (
        "mienne",
        bytes.fromhex("3B751300004509EA9000"),
        "ESSAI",
    )


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ("", ""),
        ('atr = "3B"\n', "$.atr"),
        ('atr = "3G 75"\n', "$.atr"),
        (ATR + "couleur = 1\n", ""),
        (ATR + "[[beneficiaires]]\nprenoms = 'A'\n", "$.beneficiaires[0]"),
        (ATR + f"[[beneficiaires]]\nnom = '{'A' * 41}'\n", "$.beneficiaires[0].nom"),
        (ATR + "[[beneficiaires]]\nnom = 'Œ'\n", "$.beneficiaires[0].nom"),
        (ATR + '[[beneficiaires]]\nnom = "\\u001b"\n', "$.beneficiaires[0].nom"),
        (ATR + "[[beneficiaires]]\n" * 31, "$.beneficiaires"),
    ],
)
def test_a_wrong_image_is_told_where(content: str, path: str) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        parse_image("fausse", content.encode())
    assert refused.value.data == {"file": "fausse", "path": path}


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"atr = ", b"a = " + b"[" * 10_000, b" " * (256 * 1024 + 1)], ids=range(4)
)
def test_what_is_not_toml_or_too_long_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_image("fausse", content)


@pytest.mark.parametrize("name", ["inconnue", "../adulte", "", "/nulle/part.toml", "\0.toml"])
def test_an_image_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        load_image(name)
    assert refused.value.data["file"] == name


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_what_is_documented(content: bytes) -> None:
    try:
        image = parse_image("x", content)
    except ConfigurationInvalid:
        return
    assert msgspec.structs.asdict(image)["atr"]


def test_an_image_is_a_value() -> None:
    assert load_image("adulte") == load_image("adulte")
    assert isinstance(load_image("adulte"), Image)
