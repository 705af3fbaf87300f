"""The record on the wire: unknown members are left out, raw strings survive, and strange ones are refused."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.records import (
    Amc,
    Assure,
    Beneficiaire,
    Couverture,
    Mutuelle,
    Period,
    Proof,
    Reading,
    Record,
)

WHOLE = Record(
    assure=Assure(nir="1850699999999", cle_nir="97", code_regime="01", date_fin_validite="20301231"),
    beneficiaires=(
        Beneficiaire(
            nom_usuel="D'ESSAI-MÜLLER",
            prenom="ÉLODIE",
            date_naissance="19851300",
            qualite="0",
            adresse=("", "1 RUE DE L'ÉGLISE"),
            droits_amo=(Period(debut="20260101"),),
            couvertures=(Couverture(debut="20260101", fin="20261231", code_ald="0", code_situation="0100"),),
            mutuelle=Mutuelle(identification="00000000", droits=(Period(),)),
            amc=Amc(numero_b2="00000000"),
        ),
    ),
    porteur=0,
)


def test_a_record_survives_the_wire() -> None:
    assert msgspec.json.decode(msgspec.json.encode(WHOLE), type=Record) == WHOLE


def test_unknown_members_are_absent_not_empty() -> None:
    assert msgspec.json.encode(Record()) == b"{}"
    assert msgspec.json.encode(Record(assure=Assure(nir="1"))) == b'{"assure":{"nir":"1"}}'
    assert b"null" not in msgspec.json.encode(WHOLE)


def test_the_first_beneficiary_as_holder_is_said() -> None:
    assert msgspec.json.decode(msgspec.json.encode(WHOLE))["porteur"] == 0


def test_impossible_dates_are_kept_raw() -> None:
    said = msgspec.json.decode(msgspec.json.encode(WHOLE))["beneficiaires"][0]
    assert said["date_naissance"] == "19851300"
    assert "date_naissance_iso" not in said


def test_members_of_a_newer_station_are_passed_over() -> None:
    assert msgspec.convert({"assure": {"nir": "1", "couleur": "verte"}, "meteo": 1}, Record) == Record(
        assure=Assure(nir="1")
    )


@pytest.mark.parametrize(
    "value",
    [{"assure": []}, {"assure": {"nir": 1}}, {"porteur": "0"}, {"porteur": True}, {"beneficiaires": {}}],
    ids=repr,
)
def test_a_record_of_other_types_is_refused(value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, Record)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        WHOLE.porteur = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # the point of the test


def test_a_reading_says_how_it_knows() -> None:
    reading = Reading(
        medium="vitale-card",
        proof=Proof(method="card-clear-read", verified=False, freshness="window"),
        origin="unknown",
        record=WHOLE,
        warnings=("birth_date_not_calendar",),
    )
    assert msgspec.convert(msgspec.to_builtins(reading), Reading) == reading
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(reading) | {"medium": "bank-card"}, Reading)


@given(st.builds(Beneficiaire, nom_usuel=st.text(), prenom=st.none() | st.text(), date_naissance=st.none() | st.text()))
def test_any_raw_text_survives_the_wire(beneficiary: Beneficiaire) -> None:
    record = Record(beneficiaires=(beneficiary,), porteur=0)
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record
