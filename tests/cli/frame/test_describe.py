"""What a token says in words: people, rights, context; nothing that is not told."""

from typing import get_args

import pytest

from vitale_protocol.records import (
    Amc,
    Assure,
    Beneficiaire,
    Couverture,
    Medium,
    Mutuelle,
    Origin,
    Period,
    Proof,
    Record,
)
from vitale_protocol.tokens import Claims, ContextClaim, Evidence, ReaderClaim
from vitale_reader.cli.frame import describe, language
from vitale_reader.cli.frame.describe import claims_lines, rights_lines

RIGHTS = Record(
    assure=Assure(code_regime="01", caisse_gestionnaire="349"),
    beneficiaires=(
        Beneficiaire(
            prenom="CLAIRE",
            droits_amo=(Period(debut="20260101", fin="20271231"),),
            couvertures=(Couverture(debut="20260101", code_ald="0", code_situation="0100"),),
            mutuelle=Mutuelle(identification="62013354"),
            amc=Amc(numero_b2="62013354"),
        ),
        Beneficiaire(prenom="TOM", droits_amo=(Period(debut="20260101"),)),
    ),
    porteur=0,
)


def claims(**more: object) -> Claims:
    origin: Origin = "simulated"
    known: dict[str, object] = {
        "ver": 1,
        "iss": "urn:vitale-reader:x",
        "aud": "c",
        "iat": 1_790_000_000,
        "exp": 1_790_000_120,
        "jti": "j",
        "nonce": "n" * 22,
        "presented_at": 1_790_000_000.0,
        "medium": "apcv-nfc",
        "proof": Proof(method="apcv-resolved", verified=True, freshness="window"),
        "origin": origin,
        "reader": ReaderClaim(id="nfc:x", driver="nfc"),
        "scopes": ("identity",),
        "record": Record(),
        "evidence": Evidence(sha256="0" * 64),
    }
    return Claims(**{**known, **more})  # type: ignore[arg-type]  # each is what its name says


def test_rights_are_told_person_by_person() -> None:
    assert [value for _, value in rights_lines(RIGHTS)] == [
        "01 349 ?",
        "2026-01-01 – 2027-12-31",
        "ALD 0, situation 0100, 2026-01-01 – ?",
        "62013354",
        "62013354",
        "2026-01-01 – ?",
    ]
    assert [name.partition("(")[2] for name, _ in rights_lines(RIGHTS)] == ["", *["CLAIRE)"] * 4, "TOM)"]
    assert list(rights_lines(Record())) == []


def test_a_context_and_a_delegate_are_told() -> None:
    context = ContextClaim(identifiant="ctx-1", token="SECRET", date_fin_validite="2026-11-22T02:00:00Z")
    values = [value for _, value in claims_lines(claims(context=context, delegate="PAUL MERLE-ESSAI"))]
    assert {"ctx-1", "PAUL MERLE-ESSAI"} <= set(values)
    assert not any("SECRET" in value for value in values)


@pytest.mark.parametrize(
    ("more", "said"), [({"payload": "A1"}, "A1"), ({"payload_b64": "AAE="}, "base64:AAE="), ({}, None)]
)
def test_the_string_is_told_where_it_is_carried(more: dict[str, object], said: str | None) -> None:
    plain = {value for _, value in claims_lines(claims())}
    told = {value for _, value in claims_lines(claims(**more))}
    assert told - plain == ({said} if said else set())


@pytest.mark.parametrize(
    ("told", "french", "english"),
    [
        ("1981-06-30", "30/06/1981", "1981-06-30"),
        ("19810630", "30/06/1981", "1981-06-30"),
        ("19811900", "19811900", "19811900"),
        ("", "", ""),
    ],
)
def test_days_are_written_as_people_do(told: str, french: str, english: str) -> None:
    before = language.language()
    try:
        language.use("fr")
        assert describe.day(told) == french
        language.use("en")
        assert describe.day(told) == english
    finally:
        language.use(before)


@pytest.mark.parametrize("medium", [*get_args(Medium), "unknown-card"])
def test_what_lies_in_a_reader_has_a_name(medium: str) -> None:
    assert medium not in describe.content_name(medium)
    assert "tomorrow" in describe.content_name("tomorrow")
