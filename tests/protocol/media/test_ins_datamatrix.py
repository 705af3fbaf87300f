"""The INS Datamatrix: published examples and our own, what imagers make of them, and any bytes at all."""

import contextlib
import dataclasses
import string
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.media import codes, interpret, separators
from vitale_protocol.media.ins_datamatrix import HEADER, OID_DEMO, OID_NIR, OID_TEST, InsDatamatrix, parse
from vitale_protocol.records import Proof
from vitale_protocol.session.wire_errors import to_wire

TRAITS = b"S1277010115400329S5FS621-01-1977"

VECTORS = tomllib.loads(Path(__file__).with_name("vectors").joinpath("ins_datamatrix.toml").read_text("utf-8"))
VALID: list[dict[str, Any]] = VECTORS["valid"]
INVALID: list[dict[str, str]] = VECTORS["invalid"]

MEMBERS = (
    "nom_patronymique",
    "prenom",
    "date_naissance",
    "date_naissance_iso",
    "sexe",
    "code_lieu_naissance",
    "nir",
    "cle_nir",
)

valid = pytest.mark.parametrize("vector", VALID, ids=[one["name"] for one in VALID])


def person(code: bytes) -> dict[str, Any]:
    reading = interpret("ins-datamatrix", {"code": code}, simulated=False)
    assert reading.record.porteur == 0
    assert reading.record.assure is None
    assert reading.record.beneficiaires is not None
    (one,) = reading.record.beneficiaires
    said: dict[str, Any] = msgspec.to_builtins(one)
    return said


@valid
def test_the_vectors(vector: dict[str, Any]) -> None:
    reading = interpret("ins-datamatrix", {"code": vector["code"].encode()}, simulated=False)

    assert person(vector["code"].encode()) == {name: vector[name] for name in MEMBERS if name in vector}
    assert reading.origin == vector["origin"]
    assert reading.warnings == tuple(vector.get("warnings", ()))
    assert reading.proof == Proof(method="code-clear-read", verified=False, freshness="none")
    assert codes.classify(vector["code"].encode()).medium == "ins-datamatrix"


@pytest.mark.parametrize("vector", INVALID, ids=[one["name"] for one in INVALID])
def test_what_is_none(vector: dict[str, str]) -> None:
    with pytest.raises(PayloadInvalid) as refused:
        interpret("ins-datamatrix", {"code": vector["code"].encode()}, simulated=False)

    assert to_wire(refused.value, "fr")["message"] == "Datamatrix INS non reconnu"


WAYS_TO_WRITE_GS = [written for written, sign in separators.WRITTEN.items() if sign == separators.GS]


@valid
@pytest.mark.parametrize("written", [b"", separators.GS, *WAYS_TO_WRITE_GS])
@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_what_imagers_make_of_separators(vector: dict[str, Any], written: bytes, end: bytes) -> None:
    code = vector["code"].encode()

    assert person(code.replace(separators.GS, written) + written + end) == person(code)


@pytest.mark.parametrize(("oid", "origin"), [(OID_NIR, "unknown"), (OID_TEST, "test"), (OID_DEMO, "demo")])
def test_the_origin_is_that_of_the_oid(oid: str, origin: str) -> None:
    code = InsDatamatrix(matricule="277010115400329", oid=oid, nom="D'ESSAI", sexe="F").encode()

    assert interpret("ins-datamatrix", {"code": code}, simulated=False).origin == origin
    assert interpret("ins-datamatrix", {"code": code}, simulated=True).origin == "simulated"


def test_nothing_vouches_for_the_number() -> None:
    code = InsDatamatrix(matricule="277010115400329", oid=OID_NIR, nom="D'ESSAI", sexe="F").encode()

    assert "nir_certifie" not in person(code)


def test_accents_in_latin_1() -> None:
    assert person(HEADER + "S4MÜLLER\x1dS3ÉLODIE\x1dS5F".encode("latin-1"))["prenom"] == "ÉLODIE"


@pytest.mark.parametrize("evidence", [{}, {"string": b"x"}, {"code": b""}, {"code": HEADER + b"S4" + b"A" * 2000}])
def test_no_code_and_too_long_a_code(evidence: dict[str, bytes]) -> None:
    with pytest.raises(PayloadInvalid):
        interpret("ins-datamatrix", evidence, simulated=False)


def test_what_was_parsed_says_nothing_of_the_person() -> None:
    assert repr(parse(VALID[0]["code"].encode())) == "<InsDatamatrix>"


NAMES = st.text(string.ascii_uppercase + " -'", min_size=1, max_size=100).map(str.strip).filter(bool)
CODES = st.builds(
    InsDatamatrix,
    matricule=st.from_regex(r"[1-8][0-9]{14}", fullmatch=True),
    oid=st.sampled_from([OID_NIR, OID_TEST, OID_DEMO]),
    prenoms=NAMES,
    nom=NAMES,
    sexe=st.sampled_from("MF"),
    date_naissance=st.from_regex(r"[0-9]{2}-[0-9]{2}-[0-9]{4}", fullmatch=True),
    code_lieu_naissance=st.from_regex(r"[0-9][0-9AB][0-9]{3}", fullmatch=True),
)


@given(CODES)
def test_what_is_encoded_is_parsed_with_separators_and_without(code: InsDatamatrix) -> None:
    encoded = code.encode()

    assert parse(encoded) == code
    assert parse(encoded.replace(separators.GS, b"")) == code


@given(st.binary(max_size=1100), st.booleans())
def test_any_bytes_are_a_reading_or_no_ins_datamatrix(content: bytes, headed: bool) -> None:
    with contextlib.suppress(PayloadInvalid):
        reading = interpret("ins-datamatrix", {"code": HEADER + content if headed else content}, simulated=False)
        assert reading.proof.verified is False


@given(CODES, st.data())
def test_a_code_that_was_touched_never_breaks_the_reader(code: InsDatamatrix, data: st.DataObject) -> None:
    touched = bytearray(code.encode())
    touched[data.draw(st.integers(26, len(touched) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PayloadInvalid):
        parse(bytes(touched))


@pytest.mark.parametrize("vector", INVALID, ids=[one["name"] for one in INVALID])
def test_a_refusal_says_nothing_of_the_person(vector: dict[str, str]) -> None:
    with pytest.raises(PayloadInvalid) as refused:
        parse(vector["code"].encode())

    assert (refused.value.variant, refused.value.data) == ("ins-format", {"medium": "ins-datamatrix"})
    assert not {"277010115400329", "D'ESSAI", "SPECIMEN"} & set(str(refused.value).split())


PERSON = InsDatamatrix(
    matricule="277010115400329",
    oid=OID_NIR,
    prenoms="SARAH-LOU",
    nom="GARCIA",
    sexe="F",
    date_naissance="21-01-1977",
    code_lieu_naissance="01154",
)


@pytest.mark.parametrize(
    ("sexe", "warnings"),
    [("M", ()), ("F", ()), (None, ()), ("I", ("text_unusual",)), ("m", ("text_unusual",)), ("1", ("text_unusual",))],
)
def test_a_sex_other_than_m_or_f_is_warned_of_and_kept(sexe: str | None, warnings: tuple[str, ...]) -> None:
    code = dataclasses.replace(PERSON, sexe=sexe).encode()
    reading = interpret("ins-datamatrix", {"code": code}, simulated=False)
    assert reading.warnings == warnings
    assert person(code).get("sexe") == sexe


@pytest.mark.parametrize(
    ("nom", "oid", "encoded"),
    [
        ("N" * 99, OID_NIR, b"S21.2.250.1.213.1.4.8\x1dS4" + b"N" * 99 + b"\x1dS5F"),
        ("N" * 100, OID_NIR, b"S21.2.250.1.213.1.4.8\x1dS4" + b"N" * 100 + b"S5F"),
        ("N" * 99, OID_TEST, b"S21.2.250.1.213.1.4.10S4" + b"N" * 99 + b"\x1dS5F"),
    ],
    ids=["shorter", "a name at its longest", "an OID at its longest"],
)
def test_a_value_at_its_full_length_has_no_separator(nom: str, oid: str, encoded: bytes) -> None:
    assert InsDatamatrix(oid=oid, nom=nom, sexe="F").encode() == HEADER + encoded


def test_the_last_value_has_no_separator() -> None:
    assert InsDatamatrix(matricule="277010115400329", nom="GARCIA").encode() == HEADER + b"S1277010115400329S4GARCIA"


def outcome(code: bytes) -> tuple[tuple[str | None, str | None], tuple[str, ...]] | None:
    """The names that a code gives, and the warnings; None where it is refused."""
    try:
        reading = interpret("ins-datamatrix", {"code": code}, simulated=False)
    except PayloadInvalid:
        return None
    assert reading.record.beneficiaires is not None
    (who,) = reading.record.beneficiaires
    return (who.nom_patronymique, who.prenom), reading.warnings


CLAIRE = InsDatamatrix(
    matricule="285071399032107",
    oid=OID_NIR,
    prenoms="CLAIRE",
    nom="EXEMPLE MARCHAND",
    sexe="F",
    date_naissance="14-07-1985",
    code_lieu_naissance="99330",
)


def shuffled(code: InsDatamatrix, order: list[str]) -> bytes:
    """The code with its fields in another order, each that is variable closed by GS but the last."""
    values = {"S1": code.matricule, "S2": code.oid, "S3": code.prenoms, "S4": code.nom, "S5": code.sexe}
    values |= {"S6": code.date_naissance, "S7": code.code_lieu_naissance}
    ends = {"S3": "\x1d", "S4": "\x1d", "S2": "\x1d" if len(code.oid or "") < 20 else ""}
    text = "".join(f"{name}{values[name]}{ends.get(name, '')}" for name in order)
    return HEADER + text.removesuffix("\x1d").encode()


ORDERS = st.permutations(["S1", "S2", "S3", "S4", "S5", "S6", "S7"])


@given(st.just(CLAIRE) | CODES, ORDERS, st.data())
def test_a_code_cut_anywhere_gives_no_other_name_without_a_warning(
    code: InsDatamatrix, order: list[str], data: st.DataObject
) -> None:
    whole = shuffled(code, order)
    found = outcome(whole[: data.draw(st.integers(len(HEADER), len(whole) - 1))])
    assert found is None or found[0] == (code.nom, code.prenoms) or found[1]


@pytest.mark.parametrize(
    "typed",
    ["029", "29", "1d", "%1d", "#", "|", "~", "$", "?", "\\", "_", ";", "*", "-", "'", "\x1f", "é]", "]", "€", "'029"],
)
def test_a_separator_typed_as_something_else_gives_no_other_name_without_a_warning(typed: str) -> None:
    found = outcome(CLAIRE.encode().replace(separators.GS, typed.encode()))
    assert found is None or found[0] == (CLAIRE.nom, CLAIRE.prenoms) or found[1]


@given(CODES, st.text(string.digits + string.punctuation + "\x1c\x1e\x1f€£§", min_size=1, max_size=6))
def test_any_signs_for_a_separator_give_no_other_name_without_a_warning(code: InsDatamatrix, typed: str) -> None:
    found = outcome(code.encode().replace(separators.GS, typed.encode()))
    assert found is None or found[0] == (code.nom, code.prenoms) or found[1]


@pytest.mark.parametrize("typed", ["|", "~", "/", "#", "↔", "{029}", "0x1D", "<0x1D>", "%1D", "è", "GS", "F8\x1b", "]"])
@pytest.mark.parametrize(
    "order", [["S1", "S2", "S3", "S4", "S5", "S6", "S7"], ["S4", "S3", "S5", "S2", "S1", "S6", "S7"]]
)
def test_what_stands_behind_the_oid_is_a_separator_in_the_names_too(typed: str, order: list[str]) -> None:
    code = shuffled(CLAIRE, order).replace(separators.GS, typed.encode())
    assert outcome(code) == (("EXEMPLE MARCHAND", "CLAIRE"), ())


def test_what_stands_behind_the_oid_alone_is_left_and_warned_of() -> None:
    code = CLAIRE.encode().replace(b".8\x1d", b".8|", 1)
    assert outcome(code) == (("EXEMPLE MARCHAND", "CLAIRE"), ("oid_unusual",))


def test_a_code_that_ends_within_a_name_is_refused_as_incomplete() -> None:
    whole = CLAIRE.encode()
    for end in range(whole.index(b"S3CLAIRE") + 2, whole.index(b"S5F")):
        with pytest.raises(PayloadInvalid) as refused:
            parse(whole[:end])
        assert refused.value.variant == ("ins-format" if whole[:end].endswith(b"\x1dS") else "incomplete")


def test_a_name_that_ends_in_digits_has_lost_its_separator() -> None:
    with pytest.raises(PayloadInvalid) as refused:
        parse(CLAIRE.encode().replace(separators.GS, b"029"))
    assert refused.value.variant == "separators-lost"


def test_a_whole_code_whose_name_comes_last_is_read_with_a_warning() -> None:
    names, warnings = outcome(shuffled(CLAIRE, ["S1", "S2", "S5", "S6", "S7", "S3", "S4"])) or ((None, None), ())
    assert (names, warnings) == (("EXEMPLE MARCHAND", "CLAIRE"), ("code_incomplete",))


def test_a_whole_code_is_read_without_a_warning() -> None:
    assert outcome(CLAIRE.encode()) == (("EXEMPLE MARCHAND", "CLAIRE"), ())


class TestCut:
    """A code that was cut says less, and nothing else: what is left of a separator or of a letter is no name's."""

    @pytest.mark.parametrize("separator", ["\x1d", "<GS>", "^]", "\\x1d", "\\u001D", "␝"])
    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    def test_at_any_place(self, separator: str, encoding: str) -> None:
        if separator == "␝" and encoding == "latin-1":
            encoding = "utf-8"
        fields = f"S3ÉLODIE MAË{separator}S4D'ÉTÉ{separator}S5FS621-01-1977"
        code = HEADER + fields.encode(encoding)
        whole = parse(code)
        assert (whole.prenoms, whole.nom) == ("ÉLODIE MAË", "D'ÉTÉ")

        for end in range(len(HEADER), len(code)):
            with contextlib.suppress(PayloadInvalid):
                part = parse(code[:end])
                assert "ÉLODIE MAË".startswith(part.prenoms or "")
                assert "D'ÉTÉ".startswith(part.nom or "")

    def test_a_name_in_latin_1_keeps_its_last_letter(self) -> None:
        assert parse(HEADER + TRAITS + "S4ANDRÉ".encode("latin-1")).nom == "ANDRÉ"

    def test_a_name_that_another_field_follows_was_not_cut(self) -> None:
        assert parse(HEADER + TRAITS + b"S3\xc3\x1dS4D'ESSAI").prenoms == "Ã"

    def test_a_byte_spoilt_in_one_field_changes_no_other(self) -> None:
        code = HEADER + "S3ÉLODIE\x1dS4D'ÉTÉ\x1dS5FS621-01-197".encode() + b"\xccS799999"
        read = parse(code)
        assert (read.prenoms, read.nom, read.date_naissance) == ("ÉLODIE", "D'ÉTÉ", "21-01-197Ì")
