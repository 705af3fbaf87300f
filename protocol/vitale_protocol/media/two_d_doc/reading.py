"""Uniform record of a person from a 2D-Doc; the other fields stay in the code.

Evidence: ``code``, its bytes as scanned; ``symbology``, where that is known.

Identifiers come in families, each for a kind of document. The first family with a name is taken, whole. The order is:
identity documents, student papers, medical ones, professional cards, bills. The deceased, the seller and the bailiff
do not present the document, and are not looked for.
"""

from dataclasses import dataclass
from typing import Final

from vitale_protocol.media.display_text import calendar_day, shown_text
from vitale_protocol.media.medium import (
    BIRTH_DATE_MISSING,
    BIRTH_DATE_NOT_CALENDAR,
    IDENTITY_MISSING,
    TEXT_TRUNCATED,
    Evidence,
)
from vitale_protocol.media.mrz import read_mrz
from vitale_protocol.media.two_d_doc import parsing as two_d_doc
from vitale_protocol.media.two_d_doc.parsing import TwoDDoc
from vitale_protocol.media.two_d_doc.seals import verify_seal
from vitale_protocol.media.two_d_doc.trust import TrustList
from vitale_protocol.records import Beneficiaire, Origin, Proof, Reading, Record

__all__ = ["TEST_AUTHORITY", "interpret"]

TEST_AUTHORITY: Final = "FR00"
"""The authority of the examples in the specification, whose key signs no real document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """Identifiers of one family, in order of preference; ``line`` holds qualité, nom and prénom between slashes."""

    birth_name: tuple[str, ...] = ()
    used_name: tuple[str, ...] = ()
    given_names: tuple[str, ...] = ()
    birth: tuple[str, ...] = ()
    sex: tuple[str, ...] = ()
    nationality: tuple[str, ...] = ()
    line: str = ""


_FAMILIES: Final = (
    _Family(
        birth_name=("62", "87"),
        used_name=("63", "64", "6G"),
        given_names=("60", "61"),
        birth=("69",),
        sex=("68",),
        nationality=("67",),
    ),
    _Family(
        birth_name=("B2",),
        used_name=("B3", "B4"),
        given_names=("B0", "B1"),
        birth=("B7",),
        sex=("B6",),
        nationality=("B5",),
    ),
    _Family(birth_name=("F1",), given_names=("F0",), birth=("F2",), sex=("F3",)),
    _Family(birth_name=("L0",), given_names=("L1",), birth=("L2",)),
    _Family(used_name=("80",), given_names=("81",)),
    _Family(used_name=("13",), given_names=("12",), line="10"),
)


def interpret(evidence: Evidence, *, simulated: bool, trust: TrustList | None = None) -> Reading:
    """Says what the code says, and whether its seal holds.

    Args:
        evidence: ``code``.
        simulated: whether the code or what scanned it is simulated.
        trust: the signers whom the site trusts.

    Raises:
        PayloadInvalid: it is no 2D-Doc, its separators were lost, or its seal is forged.
    """
    document = two_d_doc.parse(evidence.get("code", b""))
    seal = verify_seal(document, trust)
    warnings = list(seal.warnings)
    person = _of_zone(document, warnings) or _of_fields(document, warnings)
    if person is None:
        warnings.append(IDENTITY_MISSING)
    return Reading(
        medium="2d-doc",
        proof=Proof(method="seal-signature", verified=seal.verified, freshness="none"),
        origin="simulated" if simulated else _origin(document),
        record=Record() if person is None else Record(beneficiaires=(person,), porteur=0),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _origin(document: TwoDDoc) -> Origin:
    return "test" if document.authority == TEST_AUTHORITY else "unknown"


def _of_zone(document: TwoDDoc, warnings: list[str]) -> Beneficiaire | None:
    """The person of a machine-readable zone, field 6F."""
    zone = document.field("6F")
    read = None if zone is None else read_mrz(zone.value)
    if read is None or not read.name:
        return None
    warnings.append(BIRTH_DATE_NOT_CALENDAR if read.birth else BIRTH_DATE_MISSING)
    return Beneficiaire(
        nom_usuel=shown_text(read.name, warnings),
        prenom=shown_text(read.given_names, warnings),
        date_naissance=shown_text(read.birth, warnings),
        sexe=shown_text(read.sex, warnings),
        nationalite=shown_text(read.nationality, warnings),
    )


def _of_fields(document: TwoDDoc, warnings: list[str]) -> Beneficiaire | None:
    for family in _FAMILIES:
        texts = _Texts(document, warnings)
        birth_name, used_name = texts.of(*family.birth_name), texts.of(*family.used_name)
        given_names = texts.of(*family.given_names)
        if used_name is None and family.line:
            _, used_name, given_names = texts.parts(family.line)
        if birth_name or used_name:
            birth = texts.of(*family.birth)
            return Beneficiaire(
                nom_patronymique=birth_name,
                nom_usuel=used_name,
                prenom=given_names,
                date_naissance=birth,
                date_naissance_iso=_birth_day(birth, warnings),
                sexe=texts.of(*family.sex),
                nationalite=texts.of(*family.nationality),
            )
    return None


def _birth_day(birth: str | None, warnings: list[str]) -> str | None:
    """``JJMMAAAA`` as a day of the calendar; where day or month are not known, they are 00."""
    iso = None if birth is None or len(birth) != 8 else calendar_day(birth[4:], birth[2:4], birth[:2])
    if iso is None:
        warnings.append(BIRTH_DATE_MISSING if birth is None else BIRTH_DATE_NOT_CALENDAR)
    return iso


@dataclass(frozen=True, slots=True)
class _Texts:
    """The fields of a document as texts."""

    document: TwoDDoc
    warnings: list[str]

    def of(self, *ids: str) -> str | None:
        """The first that is there."""
        found = self.document.field(*ids)
        if found is None:
            return None
        if found.cut:
            self.warnings.append(TEXT_TRUNCATED)
        return shown_text(found.value.strip(), self.warnings)

    def parts(self, line: str) -> tuple[str | None, str | None, str | None]:
        """Qualité, nom and prénom of a line; all None where it is not divided, as for a company."""
        parts = (self.of(line) or "").split("/")
        return (None, None, None) if len(parts) != 3 else (parts[0] or None, parts[1] or None, parts[2] or None)
