"""The 2D-Doc taken apart: the specification's examples, fields of every kind, and any bytes at all."""

import contextlib
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.seal_office import SIGNED, Office
from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.media import codes
from vitale_protocol.media.two_d_doc.fields import LENGTHS, Length
from vitale_protocol.media.two_d_doc.parsing import Field, parse
from vitale_protocol.session.wire_errors import to_wire

VALID: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[1] / "vectors" / "two_d_doc.toml").read_text("utf-8")
)["valid"]

valid = pytest.mark.parametrize("vector", VALID, ids=[one["name"] for one in VALID])
SIGNATURE = b"A" * 103


def fields(code: bytes) -> list[tuple[str, str]]:
    return [(one.id, one.value) for one in parse(code).fields]


def document(message: bytes, header: bytes = b"DC04FR990001FFFF20090701FR") -> bytes:
    return header + message + b"\x1f" + SIGNATURE


@valid
def test_the_examples_of_the_specification(vector: dict[str, Any]) -> None:
    code = vector["code"].encode()
    parsed = parse(code)

    assert (parsed.authority, parsed.certificate, parsed.perimeter) == ("FR00", "0001", "01")
    assert parsed.signed == vector["signed"]
    assert f"DC0{parsed.version}".encode() == code[:4]
    assert len(parsed.signature) == 64
    assert parsed.covered == code.partition(b"\x1f")[0]
    assert parsed.annex == ()
    assert all(one.id in LENGTHS for one in parsed.fields)
    assert codes.classify(code).medium == "2d-doc"


def test_each_part_of_an_example() -> None:
    vector = next(one for one in VALID if "type 13" in one["name"])
    parsed = parse(vector["code"].encode())

    assert (parsed.version, parsed.type, parsed.country) == (4, "13", "FR")
    assert (parsed.emitted, parsed.signed) == (date(2020, 4, 6), date(2020, 6, 3))
    # 6J, 6K, 6L, 69, 6C, 67, 6W, 6N, 6O and 6Y are fixed; 6Q is as long as it may be, and therefore not closed.
    assert [(one.id, one.value) for one in parsed.fields] == [
        ("6J", "2"),
        ("6K", "9201202004012359123"),
        ("6L", "01042020"),
        ("6P", "AUTORISE A TRAVAILLER"),
        ("6Q", "7503120521"),
        ("62", "SPECIMEN"),
        ("63", "BERTHIER SPECIMEN"),
        ("60", "NATACHA/CORINNE"),
        ("68", "F"),
        ("69", "12071973"),
        ("6A", "BUENOS AIRES"),
        ("6C", "AR"),
        ("67", "AR"),
        ("6U", "145 AVENUE DES SPECIMENS"),
        ("6W", "75000"),
        ("6X", "PARIS"),
        ("6M", "ENFANT ENTRE PAR REGROUPEMENT FAMILIAL"),
        ("6N", "01052020"),
        ("6O", "30062020"),
        ("6Y", "FR"),
    ]


@pytest.mark.parametrize(
    ("header", "version", "perimeter", "country"),
    [
        (b"DC01FR990001FFFF200907", 1, "01", None),
        (b"DC02FR990001FFFF200907", 2, "01", None),
        (b"DC03FR990001FFFF20090701", 3, "01", None),
        (b"DC04FR990001FFFF20090701FR", 4, "01", "FR"),
    ],
)
def test_each_version_has_its_header(header: bytes, version: int, perimeter: str, country: str | None) -> None:
    parsed = parse(document(b"62SPECIMEN", header))

    assert (parsed.version, parsed.perimeter, parsed.country) == (version, perimeter, country)
    assert parsed.emitted is None
    assert parsed.signed == SIGNED
    assert parsed.fields == (Field("62", "SPECIMEN"),)


def test_the_days_of_the_specification() -> None:
    parsed = parse(document(b"", b"DC03FR0AXT4A0E840E8A0101"))

    assert (parsed.emitted, parsed.signed) == (date(2010, 3, 5), date(2010, 3, 11))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", []),
        (b"62\x1d60MARIE", [("62", ""), ("60", "MARIE")]),
        (
            b"621234567890123456789012345678901234567860MARIE",
            [("62", "12345678901234567890123456789012345678"), ("60", "MARIE")],
        ),
        (b"6901012000\x1d62A", [("69", "01012000"), ("62", "A")]),
        (b"690101\x1d62A", [("69", "0101"), ("62", "A")]),
        # A newer table: an identifier that is not known, then a value that is longer than ours allows.
        (b"ZZ0162SPECIMEN\x1d62A", [("ZZ", "0162SPECIMEN"), ("62", "A")]),
        (b"61" + b"X" * 30 + b"\x1d62A", [("61", "X" * 30), ("62", "A")]),
        (b"6901012000ZZNEW\x1d62A", [("69", "01012000"), ("ZZ", "NEW"), ("62", "A")]),
        ("62MÜLLER".encode(), [("62", "MÜLLER")]),
        ("62MÜLLER".encode("latin-1"), [("62", "MÜLLER")]),
    ],
)
def test_where_fields_end(message: bytes, expected: list[tuple[str, str]]) -> None:
    assert fields(document(message)) == expected


def test_another_perimeter_has_a_table_of_its_own() -> None:
    assert fields(document(b"6901012000\x1d62A", b"DC04FR990001FFFF20090702FR")) == [("69", "01012000"), ("62", "A")]
    assert fields(document(b"690101200062A", b"DC04FR990001FFFF20090702FR")) == [("69", "0101200062A")]


def test_a_field_that_its_issuer_cut() -> None:
    assert parse(document(b"62MARSE\x1e60MARIE")).fields == (Field("62", "MARSE", cut=True), Field("60", "MARIE"))


def test_fields_are_found_by_preference_and_never_empty() -> None:
    parsed = parse(document(b"63\x1d64D'ESSAI\x1d62AUTRE"))

    assert parsed.field("63", "64") == Field("64", "D'ESSAI")
    assert parsed.field("62", "64") == Field("62", "AUTRE")
    assert parsed.field("63") is None


def test_the_annex_is_apart() -> None:
    code = Office().signer().seal(b"62SPECIMEN", annex=b"60MARIE\x1d63AUTRE")
    parsed = parse(code)

    assert parsed.annex == (Field("60", "MARIE"), Field("63", "AUTRE"))
    assert parsed.field("60", "63") is None


@valid
def test_what_imagers_make_of_it(vector: dict[str, Any]) -> None:
    code = vector["code"].encode()
    whole = parse(code)

    assert parse(code + b"\r\n") == whole
    for gs, us in ((b"^]", b"^_"), (b"<GS>", b"<US>"), (rb"\x1D", rb"\x1F")):
        assert parse(code.replace(b"\x1d", gs).replace(b"\x1f", us)) == whole
    # Seen in the field: GS is typed, US is not.
    assert parse(code.replace(b"\x1f", b"")) == whole


@valid
def test_without_any_separator_nothing_is_guessed(vector: dict[str, Any]) -> None:
    with pytest.raises(PayloadInvalid) as lost:
        parse(vector["code"].encode().replace(b"\x1d", b"").replace(b"\x1f", b""))

    assert lost.value.variant == "separators-lost"
    assert "mode série" in str(to_wire(lost.value, "fr")["data"]["remedy"])


@pytest.mark.parametrize(
    "code",
    [
        b"",
        b"DC",
        b"DC05FR990001FFFF20090701FR62A\x1f" + SIGNATURE,
        b"DC04FR990001FFFF200907\x1f" + SIGNATURE,
        b"DC04FR990001FFFFXXXX0701FR62A\x1f" + SIGNATURE,
        b"DC04FR990001FFFF20090701FR62A\x1f" + SIGNATURE[1:],
        b"DC04FR990001FFFF20090701FR62A\x1f" + SIGNATURE.lower(),
        b"DC04FR990001FFFF20090701FR62A\x1f",
        b"DC04FR990001FFFF20090701FR??A\x1f" + SIGNATURE,
        b"DC04FR990001FFFF20090701FR6\x1f" + SIGNATURE,
        b"DC04FR990001FFFF20090701FR62" + b"A" * 5000 + b"\x1f" + SIGNATURE,
        b"IS010000000000000000000000S1277010115400329",
    ],
)
def test_what_is_no_2d_doc(code: bytes) -> None:
    with pytest.raises(PayloadInvalid) as refused:
        parse(code)

    assert (refused.value.variant, refused.value.data) == ("2d-doc-format", {"medium": "2d-doc"})


def test_nothing_of_the_person_is_shown() -> None:
    parsed = parse(VALID[0]["code"].encode())

    assert repr(parsed) == "<TwoDDoc>"
    assert {repr(one) for one in parsed.fields} == {"<Field>"}


def test_the_table() -> None:
    assert LENGTHS["69"] == Length(8, fixed=True)
    assert LENGTHS["60"] == Length(60)
    assert LENGTHS["0C"] == Length(None)
    assert len(LENGTHS) > 300


TEXTS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ '/-", max_size=60)


@given(st.lists(st.tuples(st.sampled_from(["60", "62", "63", "69", "68", "67"]), TEXTS), max_size=6))
def test_what_an_issuer_writes_is_read(written: list[tuple[str, str]]) -> None:
    message = ""
    expected: list[tuple[str, str]] = []
    for name, text in written:
        length = LENGTHS[name]
        assert length.most is not None
        value = text.ljust(length.most)[: length.most] if length.fixed else text[: length.most]
        closed = not length.fixed and len(value) < length.most
        message += name + value + ("\x1d" if closed else "")
        expected.append((name, value))

    assert fields(document(message.encode())) == expected


@given(st.binary(max_size=300), st.booleans(), st.booleans())
def test_any_bytes_are_a_2d_doc_or_none(content: bytes, headed: bool, signed: bool) -> None:
    code = (b"DC04FR990001FFFF20090701FR" if headed else b"") + content + (b"\x1f" + SIGNATURE if signed else b"")
    with contextlib.suppress(PayloadInvalid):
        assert parse(code).authority
