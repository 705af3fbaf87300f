"""The uniform record: what any medium says, in the words of SSV groups 101 to 109.

Members that are unknown are absent (None here, left out on the wire), never empty.
Group and field numbers are those of SSV_LireDroitsVitale (API SSV 4.03).
"""

from typing import Literal, dataclass_transform

import msgspec

from vitale_protocol.privacy import concealed

__all__ = [
    "Amc",
    "Assure",
    "Beneficiaire",
    "Couverture",
    "Freshness",
    "Medium",
    "Mutuelle",
    "Origin",
    "Period",
    "Proof",
    "ProofMethod",
    "Reading",
    "Record",
]

Medium = Literal["vitale-card", "apcv-nfc", "apcv-qr", "ins-datamatrix", "2d-doc", "cps-card"]
ProofMethod = Literal[
    "card-clear-read", "code-clear-read", "apcv-transported", "apcv-resolved", "seal-signature", "device-signature"
]
Freshness = Literal["challenge", "window", "none"]
Origin = Literal["production", "test", "demo", "simulated", "unknown"]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class RecordPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of the record: immutable, unknown members left out; ``repr`` says nothing of the person."""

    __repr__ = concealed


class Period(RecordPart):
    """SSV 105 and others: first and last day, raw ``AAAAMMJJ``."""

    debut: str | None = None
    fin: str | None = None


class Couverture(RecordPart):
    """SSV 106: a period with its ALD and situation codes."""

    debut: str | None = None
    fin: str | None = None
    code_ald: str | None = None
    code_situation: str | None = None


class Mutuelle(RecordPart):
    """SSV 107 and 108: the mutuelle and its periods."""

    identification: str | None = None
    garanties_effectives: str | None = None
    indicateur_traitement: str | None = None
    type_services: str | None = None
    services_contrat: str | None = None
    code_aiguillage_sts: str | None = None
    droits: tuple[Period, ...] | None = None


class Amc(RecordPart):
    """SSV 109: the complementary insurer."""

    numero_b2: str | None = None
    numero_edi: str | None = None
    numero_adherent: str | None = None
    indicateur_traitement: str | None = None
    debut: str | None = None
    fin: str | None = None
    code_routage: str | None = None
    identifiant_hote: str | None = None
    nom_domaine: str | None = None
    code_aiguillage_sts: str | None = None
    type_services: str | None = None
    services_contrat: str | None = None


class Assure(RecordPart):
    """SSV 101: the insured person and the card."""

    type_carte: str | None = None
    numero_serie: str | None = None
    date_debut_validite: str | None = None
    date_fin_validite: str | None = None
    nir: str | None = None
    cle_nir: str | None = None
    code_regime: str | None = None
    caisse_gestionnaire: str | None = None
    centre_gestionnaire: str | None = None
    code_gestion: str | None = None


class Beneficiaire(RecordPart):
    """SSV 104, with the groups that hang from it (105 to 109).

    ``date_naissance`` is the raw string of the medium; ``date_naissance_iso`` (``AAAA-MM-JJ``) is present only for a
    day of the calendar. ``nir`` is the number that the medium shows beside this person's names; nothing vouches for it.
    ``nir_certifie`` (104/9) is filled only by sources that certify it. ``sexe`` is ``M`` or ``F``.
    ``code_lieu_naissance`` is the five characters of INSEE's code of the place of birth. Both are traits of the INS.
    """

    nom_usuel: str | None = None
    nom_patronymique: str | None = None
    prenom: str | None = None
    date_naissance: str | None = None
    date_naissance_iso: str | None = None
    rang_gemellaire: str | None = None
    qualite: str | None = None
    nationalite: str | None = None
    sexe: str | None = None
    code_lieu_naissance: str | None = None
    nir: str | None = None
    cle_nir: str | None = None
    nir_certifie: str | None = None
    cle_nir_certifie: str | None = None
    date_certification_nir: str | None = None
    adresse: tuple[str, ...] | None = None
    code_service_amo: str | None = None
    droits_amo: tuple[Period, ...] | None = None
    couvertures: tuple[Couverture, ...] | None = None
    mutuelle: Mutuelle | None = None
    amc: Amc | None = None


class Record(RecordPart):
    """The whole of it; ``porteur`` is the index of the holder in ``beneficiaires``."""

    assure: Assure | None = None
    beneficiaires: tuple[Beneficiaire, ...] | None = None
    porteur: int | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Proof of the data: ``verified`` is true only where a signature or a service vouched for them."""

    method: ProofMethod
    verified: bool
    freshness: Freshness


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Content of the evidence of one presentation; ``warnings`` are catalogue reasons that prevent nothing."""

    medium: Medium
    proof: Proof
    origin: Origin
    record: Record
    warnings: tuple[str, ...] = ()
