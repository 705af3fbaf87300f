"""What a 2D-Doc says of a person, and how far that is to be believed."""

import contextlib
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.seal_office import Office
from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.media import interpret
from vitale_protocol.media.two_d_doc.trust import TrustList, parse_trust_list
from vitale_protocol.records import Proof, Reading, Record

VECTORS: dict[str, Any] = tomllib.loads((Path(__file__).parents[1] / "vectors" / "two_d_doc.toml").read_text("utf-8"))
VALID: list[dict[str, Any]] = VECTORS["valid"]
PUBLISHED = parse_trust_list(VECTORS["certificate"].encode())

OFFICE = Office()
SIGNER = OFFICE.signer()
TRUST = parse_trust_list(OFFICE.trusted_list(), SIGNER.pem)

valid = pytest.mark.parametrize("vector", VALID, ids=[one["name"] for one in VALID])


def read(message: str, trust: TrustList | None = TRUST, *, simulated: bool = False) -> Reading:
    return interpret("2d-doc", {"code": SIGNER.seal(message.encode())}, simulated=simulated, trust=trust)


def person(reading: Reading) -> dict[str, str]:
    assert reading.record.beneficiaires is not None
    assert reading.record.porteur == 0
    (one,) = reading.record.beneficiaires
    said: dict[str, str] = msgspec.to_builtins(one)
    return said


@valid
@pytest.mark.parametrize("trusted", [True, False])
def test_the_examples_of_the_specification(vector: dict[str, Any], trusted: bool) -> None:
    evidence = {"code": vector["code"].encode(), "symbology": b"datamatrix"}
    reading = interpret("2d-doc", evidence, simulated=False, trust=PUBLISHED if trusted else None)

    verified = trusted and vector["signed_in_time"]
    seal = () if verified else ("seal_certificate_dates",) if trusted else ("seal_not_verified",)
    assert reading.proof == Proof(method="seal-signature", verified=verified, freshness="none")
    assert reading.warnings == (*seal, *vector.get("warnings", ()))
    assert reading.origin == "test", "FR00 signs no real document"
    assert reading.medium == "2d-doc"
    if "person" in vector:
        assert person(reading) == vector["person"]
    else:
        assert reading.record == Record()


@pytest.mark.parametrize(
    ("message", "expected", "warnings"),
    [
        (
            "60MARIE/ANNE\x1d62D'ESSAI\x1d63MARTIN\x1d68F692101197767FR",
            {
                "nom_patronymique": "D'ESSAI",
                "nom_usuel": "MARTIN",
                "prenom": "MARIE/ANNE",
                "date_naissance": "21011977",
                "date_naissance_iso": "1977-01-21",
                "sexe": "F",
                "nationalite": "FR",
            },
            (),
        ),
        (
            "61MARIE\x1d64MARTIN\x1d6900001977",
            {"nom_usuel": "MARTIN", "prenom": "MARIE", "date_naissance": "00001977"},
            ("birth_date_not_calendar",),
        ),
        ("62D'ESSAI\x1d69        ", {"nom_patronymique": "D'ESSAI"}, ("birth_date_missing",)),
        (
            "62D'ES\x1e60MARIE",
            {"nom_patronymique": "D'ES", "prenom": "MARIE"},
            ("text_truncated", "birth_date_missing"),
        ),
        (
            "62D'\x07ESSAI\x1d6921011977",
            {
                "nom_patronymique": "D'\N{REPLACEMENT CHARACTER}ESSAI",
                "date_naissance": "21011977",
                "date_naissance_iso": "1977-01-21",
            },
            ("text_unusual",),
        ),
        ("13D'ESSAI\x1d12MARIE", {"nom_usuel": "D'ESSAI", "prenom": "MARIE"}, ("birth_date_missing",)),
        ("10MME/D'ESSAI/\x1d", {"nom_usuel": "D'ESSAI"}, ("birth_date_missing",)),
        # The family of identity documents goes before that of bills, and is taken whole.
        ("10MME/AUTRE/PAUL\x1d62D'ESSAI\x1d", {"nom_patronymique": "D'ESSAI"}, ("birth_date_missing",)),
    ],
)
def test_families_of_fields(message: str, expected: dict[str, str], warnings: tuple[str, ...]) -> None:
    reading = read(message)

    assert person(reading) == expected
    assert reading.warnings == warnings
    assert reading.proof.verified


@pytest.mark.parametrize(
    "message",
    ["", "10SOCIETE SANS NOM\x1d", "72DEFUNT\x1d73MARIE\x1d7521011977", "C1VENDEUR\x1dC2PAUL", "6FNO ZONE AT ALL\x1d"],
)
def test_nobody_who_could_present_it(message: str) -> None:
    reading = read(message)

    assert reading.record == Record()
    assert reading.warnings == ("identity_missing",)


def test_a_zone_goes_before_fields() -> None:
    zone = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10".replace("<", " ")
    reading = read(f"6F{zone}\x1d62AUTRE")

    assert person(reading) == {
        "nom_usuel": "ERIKSSON",
        "prenom": "ANNA MARIA",
        "date_naissance": "740812",
        "sexe": "F",
        "nationalite": "UTO",
    }
    assert reading.warnings == ("birth_date_not_calendar",)


def test_the_annex_names_nobody() -> None:
    code = SIGNER.seal(b"26FR", annex=b"62AUTRE")

    assert interpret("2d-doc", {"code": code}, simulated=False, trust=TRUST).record == Record()


@pytest.mark.parametrize(("simulated", "origin"), [(True, "simulated"), (False, "unknown")])
def test_origin(simulated: bool, origin: str) -> None:
    assert read("62D'ESSAI", simulated=simulated).origin == origin


def test_a_forged_seal_gives_no_reading() -> None:
    forged = SIGNER.seal(b"62D'ESSAI").replace(b"ESSAI", b"AUTRE")

    with pytest.raises(PayloadInvalid) as refused:
        interpret("2d-doc", {"code": forged}, simulated=False, trust=TRUST)
    assert refused.value.variant == "seal-forged"


def test_unknown_signers_are_read_and_not_believed() -> None:
    reading = read("62D'ESSAI", TrustList())

    assert person(reading)["nom_patronymique"] == "D'ESSAI"
    assert reading.proof == Proof(method="seal-signature", verified=False, freshness="none")
    assert "seal_signer_unknown" in reading.warnings


@pytest.mark.parametrize("evidence", [{}, {"string": b"x"}, {"code": b"IS01"}])
def test_no_code(evidence: dict[str, bytes]) -> None:
    with pytest.raises(PayloadInvalid):
        interpret("2d-doc", evidence, simulated=False, trust=TRUST)


@given(st.text(st.characters(max_codepoint=0x17F), max_size=200), st.booleans())
def test_whatever_is_sealed_is_read_or_refused(message: str, trusted: bool) -> None:
    with contextlib.suppress(PayloadInvalid):
        reading = read(message, TRUST if trusted else None)
        assert reading.proof.verified == trusted


@given(st.binary(max_size=400))
def test_any_bytes(code: bytes) -> None:
    with contextlib.suppress(PayloadInvalid):
        interpret("2d-doc", {"code": b"DC04FR990001FFFF20090701FR" + code}, simulated=False, trust=TRUST)
