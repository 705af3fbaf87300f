"""What each scope opens: the members that a token has, written here as the wire documents them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vitale_drivers.base import Presented
from vitale_protocol.records import Amc, Assure, Beneficiaire, Couverture, Mutuelle, Period, Proof, Reading, Record
from vitale_reader.daemon.issuing.issuer import Grant, Issuer, cut
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys

NOW = 1_800_000_000.25

ASSURE = Assure(
    type_carte="1",
    numero_serie="1234567890",
    date_debut_validite="20200101",
    date_fin_validite="20301231",
    nir="1850699999999",
    cle_nir="69",
    code_regime="01",
    caisse_gestionnaire="751",
    centre_gestionnaire="0001",
    code_gestion="10",
)
HOLDER = Beneficiaire(
    nom_usuel="ESSAI",
    nom_patronymique="TESTEUR",
    prenom="CAMILLE",
    date_naissance="19850612",
    date_naissance_iso="1985-06-12",
    rang_gemellaire="1",
    qualite="0",
    nationalite="F",
    sexe="M",
    code_lieu_naissance="99999",
    nir="1850699999999",
    cle_nir="69",
    nir_certifie="1850699999999",
    cle_nir_certifie="69",
    date_certification_nir="20200102",
    adresse=("1 RUE DE L'ESSAI", "75001 PARIS"),
    code_service_amo="00",
    droits_amo=(Period(debut="20260101", fin="20261231"),),
    couvertures=(Couverture(debut="20260101", fin="20261231", code_ald="0", code_situation="0100"),),
    mutuelle=Mutuelle(identification="99999999"),
    amc=Amc(numero_b2="12345678", numero_adherent="0001"),
)
CHILD = Beneficiaire(nom_usuel="ESSAI", prenom="SACHA", qualite="6", nir="2150699999999", cle_nir="54")
RECORD = Record(assure=ASSURE, beneficiaires=(CHILD, HOLDER), porteur=1)

IDENTITY_OF_THE_INSURED = {"type_carte", "date_debut_validite", "date_fin_validite"}
IDENTITY_OF_A_PERSON = {
    "nom_usuel",
    "nom_patronymique",
    "prenom",
    "date_naissance",
    "date_naissance_iso",
    "rang_gemellaire",
    "qualite",
    "nationalite",
    "sexe",
    "code_lieu_naissance",
}
NIR_OF_THE_INSURED = {"nir", "cle_nir"}
NIR_OF_A_PERSON = {"nir", "cle_nir", "nir_certifie", "cle_nir_certifie", "date_certification_nir"}
RIGHTS_OF_THE_INSURED = {"numero_serie", "code_regime", "caisse_gestionnaire", "centre_gestionnaire", "code_gestion"}
RIGHTS_OF_A_PERSON = {"adresse", "code_service_amo", "droits_amo", "couvertures", "mutuelle", "amc"}

OPENED: dict[str, tuple[set[str], set[str]]] = {
    "identity": (IDENTITY_OF_THE_INSURED, IDENTITY_OF_A_PERSON),
    "nir": (NIR_OF_THE_INSURED, NIR_OF_A_PERSON),
    "rights": (RIGHTS_OF_THE_INSURED, RIGHTS_OF_A_PERSON),
    "dependants": (set(), set()),
    "payload": (set(), set()),
    "context": (set(), set()),
    "admin": (set(), set()),
}


def members(part: Any) -> set[str]:
    """The members that are on the wire."""
    return set(msgspec.to_builtins(part))


def same(of: Any, kept: Any, names: set[str]) -> bool:
    """Whether those members are as they were."""
    return all(getattr(of, name) == getattr(kept, name) for name in names)


@pytest.mark.parametrize("scope", OPENED)
def test_a_scope_alone_opens_its_members_and_no_others(scope: str) -> None:
    of_insured, of_person = OPENED[scope]
    record = cut(RECORD, [scope])
    assert record.assure is not None
    assert record.beneficiaires is not None
    person = record.beneficiaires[-1]
    assert members(record.assure) == of_insured
    assert members(person) == of_person
    assert same(ASSURE, record.assure, of_insured)
    assert same(HOLDER, person, of_person)


def test_the_scopes_together_open_every_member() -> None:
    assert cut(RECORD, ["identity", "nir", "rights", "dependants"]) == RECORD


def test_no_scope_opens_nothing() -> None:
    assert cut(RECORD, []) == Record(assure=Assure(), beneficiaires=(Beneficiaire(),), porteur=0)


def test_without_dependants_there_is_the_holder_alone() -> None:
    everything = ["identity", "nir", "rights"]
    assert cut(RECORD, everything) == Record(assure=ASSURE, beneficiaires=(HOLDER,), porteur=0)


def test_where_no_holder_is_known_the_first_person_is_kept() -> None:
    unknown = Record(beneficiaires=(CHILD, HOLDER))
    assert cut(unknown, ["identity", "nir", "rights"]) == Record(beneficiaires=(CHILD,), porteur=0)


def test_with_dependants_each_person_is_cut() -> None:
    record = cut(RECORD, ["nir", "dependants"])
    assert record.beneficiaires == (
        Beneficiaire(nir="2150699999999", cle_nir="54"),
        Beneficiaire(
            nir="1850699999999",
            cle_nir="69",
            nir_certifie="1850699999999",
            cle_nir_certifie="69",
            date_certification_nir="20200102",
        ),
    )
    assert record.porteur == 1


@pytest.mark.parametrize("record", [Record(), Record(beneficiaires=())], ids=["nothing", "nobody"])
def test_a_record_of_nobody_stays_one(record: Record) -> None:
    assert cut(record, ["identity", "nir", "rights"]) == Record()


@pytest.mark.parametrize("scope", OPENED)
def test_the_claims_say_what_the_scope_opens(tmp_path: Path, scope: str) -> None:
    keys = Keys(tmp_path / "station.json", overlap=600, clock=DeskClock(lambda: NOW))
    keys.open()
    issuer = Issuer(keys, mode="production", lifetime=120, clock=lambda: NOW, random_bytes=bytes)
    shown = Presented(id="1", medium="vitale-card", reader="r", at=NOW, evidence={"string": b"opaque"}, simulated=False)
    proof = Proof(method="card-clear-read", verified=False, freshness="window")
    reading = Reading(medium="vitale-card", proof=proof, origin="unknown", record=RECORD)
    claims = issuer.issue(shown, reading, "pcsc", Grant(client_id="c", nonce="n" * 22, scopes=(scope,))).claims
    assert claims.record.assure is not None
    assert claims.record.beneficiaires is not None
    assert (members(claims.record.assure), members(claims.record.beneficiaires[-1])) == OPENED[scope]
    assert (claims.payload, claims.payload_b64) == ("opaque" if scope == "payload" else None, None)


def test_a_jti_has_all_the_random_bits_of_its_version(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "station.json", overlap=600, clock=DeskClock(lambda: NOW))
    keys.open()
    shown = Presented(id="1", medium="vitale-card", reader="r", at=NOW, evidence={}, simulated=False)
    proof = Proof(method="card-clear-read", verified=False, freshness="window")
    reading = Reading(medium="vitale-card", proof=proof, origin="unknown", record=Record())
    grant = Grant(client_id="c", nonce="n" * 22, scopes=())

    def jti(random_bytes: Callable[[int], bytes]) -> str:
        issuer = Issuer(keys, mode="production", lifetime=120, clock=lambda: NOW, random_bytes=random_bytes)
        return issuer.issue(shown, reading, "pcsc", grant).claims.jti

    # 48 bits of time, then 74 bits that are all one or all zero, around the version and the variant.
    assert jti(b"\xff".__mul__) == "01a3185c-50fa-7fff-bfff-ffffffffffff"
    assert jti(bytes) == "01a3185c-50fa-7000-8000-000000000000"
