"""Seals of 2D-Docs: the specification's own, ours over every curve, forged ones, and ones nothing is known of."""

import base64
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.seal_office import FROM, SIGNED, TO, Office
from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.media.two_d_doc.parsing import parse
from vitale_protocol.media.two_d_doc.seals import Seal, verify_seal
from vitale_protocol.media.two_d_doc.trust import TrustList, parse_trust_list
from vitale_protocol.session.wire_errors import to_wire

VECTORS: dict[str, Any] = tomllib.loads((Path(__file__).parents[1] / "vectors" / "two_d_doc.toml").read_text("utf-8"))
VALID: list[dict[str, Any]] = VECTORS["valid"]
PUBLISHED = parse_trust_list(VECTORS["certificate"].encode())

VERIFIED = Seal(verified=True)
MESSAGE = b"60MARIE\x1d62D'ESSAI\x1d6921011977"

OFFICE = Office()
SIGNER = OFFICE.signer()
TRUST = parse_trust_list(OFFICE.trusted_list(), SIGNER.pem)

valid = pytest.mark.parametrize("vector", VALID, ids=[one["name"] for one in VALID])


@valid
def test_the_seals_of_the_specification(vector: dict[str, Any]) -> None:
    seal = verify_seal(parse(vector["code"].encode()), PUBLISHED)

    assert seal == (VERIFIED if vector["signed_in_time"] else Seal(False, ("seal_certificate_dates",)))


@valid
def test_every_byte_counts(vector: dict[str, Any]) -> None:
    code = vector["code"].encode()
    message = code.index(b"\x1f") - 1
    for at in range(26, message, 7):
        if code[at] in b"\x1d\x1e":
            continue
        touched = code[:at] + bytes((code[at] ^ 1,)) + code[at + 1 :]
        try:
            document = parse(touched)
        except PayloadInvalid:
            continue
        with pytest.raises(PayloadInvalid) as forged:
            verify_seal(document, PUBLISHED)
        assert forged.value.variant == "seal-forged"


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_every_curve(curve: ec.EllipticCurve) -> None:
    signer = OFFICE.signer(curve=curve)

    assert verify_seal(parse(signer.seal(MESSAGE)), parse_trust_list(signer.pem)) == VERIFIED


def test_without_a_list_nothing_is_verified() -> None:
    assert verify_seal(parse(SIGNER.seal(MESSAGE)), None) == Seal(False, ("seal_not_verified",))


@pytest.mark.parametrize(
    "trust",
    [TrustList(), PUBLISHED, parse_trust_list(OFFICE.trusted_list()), parse_trust_list(OFFICE.signer("0002").pem)],
)
def test_a_signer_that_is_not_known(trust: TrustList) -> None:
    assert verify_seal(parse(SIGNER.seal(MESSAGE)), trust) == Seal(False, ("seal_signer_unknown",))


def test_an_unknown_signer_is_not_believed_whatever_it_signs() -> None:
    stranger = Office().signer()

    assert verify_seal(parse(stranger.seal(MESSAGE)), parse_trust_list(OFFICE.trusted_list(), stranger.pem)) == Seal(
        False, ("seal_signer_unknown",)
    )


def forgeries() -> dict[str, bytes]:
    code = SIGNER.seal(MESSAGE)
    covered, _, signature = code.partition(b"\x1f")
    return {
        "another name": code.replace(b"D'ESSAI", b"D'AUTRE"),
        "another day": code.replace(b"6921011977", b"6921011978"),
        "another type": code.replace(b"0701FR", b"0801FR"),
        "a separator less": code.replace(b"\x1d62", b"62"),
        "the signature of another document": SIGNER.seal(b"60PAUL\x1d62AUTRE").partition(b"\x1f")[0]
        + b"\x1f"
        + signature,
        "signed by somebody else": covered + b"\x1f" + Office().signer().signature(covered),
        "r and s of nothing": covered + b"\x1f" + b"A" * 103,
        "r and s too large": covered + b"\x1f" + b"7" * 102 + b"Y",
        "a signature of another curve": covered + b"\x1f" + OFFICE.signer(curve=ec.SECP384R1()).signature(covered),
    }


@pytest.mark.parametrize("what", list(forgeries()))
def test_forged_seals_are_refused(what: str) -> None:
    document = parse(forgeries()[what])

    with pytest.raises(PayloadInvalid) as forged:
        verify_seal(document, TRUST)
    assert (forged.value.variant, forged.value.data) == ("seal-forged", {"medium": "2d-doc"})
    assert to_wire(forged.value, "fr")["message"] == "Cachet non authentique"


@pytest.mark.parametrize(
    ("signed", "inside"),
    [(FROM, True), (TO, True), (FROM - timedelta(days=1), False), (TO + timedelta(days=1), False), (None, False)],
)
def test_a_certificate_counts_for_its_time(signed: date | None, inside: bool) -> None:
    document = parse(SIGNER.seal(MESSAGE, signed=signed))

    assert verify_seal(document, TRUST) == (VERIFIED if inside else Seal(False, ("seal_certificate_dates",)))


def test_the_old_and_the_renewed_certificate_of_one_name() -> None:
    old = OFFICE.signer(end=SIGNED - timedelta(days=1))
    trust = parse_trust_list(OFFICE.trusted_list(), old.pem, SIGNER.pem)

    assert verify_seal(parse(SIGNER.seal(MESSAGE)), trust) == VERIFIED
    assert verify_seal(parse(old.seal(MESSAGE)), trust) == Seal(False, ("seal_certificate_dates",))


def test_separators_that_were_typed_do_not_break_the_seal() -> None:
    code = SIGNER.seal(MESSAGE).replace(b"\x1d", b"^]").replace(b"\x1f", b"^_")

    assert verify_seal(parse(code), TRUST) == VERIFIED


def test_the_annex_is_not_sealed() -> None:
    with_annex = SIGNER.seal(MESSAGE, annex=b"62AUTRE")

    assert verify_seal(parse(with_annex), TRUST) == VERIFIED


@given(st.binary(min_size=64, max_size=64))
def test_no_other_bytes_are_a_signature(signature: bytes) -> None:
    covered = SIGNER.seal(MESSAGE).partition(b"\x1f")[0]
    with pytest.raises(PayloadInvalid):
        verify_seal(parse(covered + b"\x1f" + base64.b32encode(signature).rstrip(b"=")), TRUST)
