"""Descriptions of a token's content, in words for people."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime

from vitale_protocol import catalogue
from vitale_protocol.claims import Claims
from vitale_protocol.records import Assure, Beneficiaire, Record
from vitale_reader.cli.frame.language import language, t
from vitale_reader.cli.frame.output import warning_text

__all__ = [
    "claims_lines",
    "content_name",
    "day",
    "invitation",
    "local_time",
    "medium_name",
    "origin_name",
    "person",
    "proof_name",
    "rights_lines",
]


def person(someone: Beneficiaire) -> str:
    """A name and a date of birth, as far as they are known."""
    name = " ".join(part for part in (someone.nom_usuel or someone.nom_patronymique, someone.prenom) if part)
    born = someone.date_naissance_iso or someone.date_naissance
    return f"{name}, {t('né(e) le', 'born')} {day(born)}" if born else name


def day(told: str) -> str:
    """A date as people write it; one that is none, as the medium has it."""
    try:
        return date.fromisoformat(told).strftime(t("%d/%m/%Y", "%Y-%m-%d"))
    except ValueError:
        return told


def invitation(media: Iterable[str]) -> str:
    """Asks for the media, or for the usual ones, before the daemon does."""
    return catalogue.invitation(media, language())


def medium_name(medium: str) -> str:
    """Returns the medium's name."""
    names = {
        "vitale-card": t("carte Vitale", "carte Vitale"),
        "cps-card": t("carte de professionnel (CPS)", "professional's card (CPS)"),
        "apcv-nfc": t("appli carte Vitale, sans contact", "carte Vitale app, contactless"),
        "apcv-qr": t("appli carte Vitale, code QR", "carte Vitale app, QR code"),
        "ins-datamatrix": t("Datamatrix INS", "INS Datamatrix"),
        "2d-doc": t("code 2D-Doc", "2D-Doc code"),
    }
    return names.get(medium, medium)


def content_name(medium: str) -> str:
    """The content of a reader in words, from the kind of its medium."""
    names = {
        "vitale-card": t("carte Vitale présente", "carte Vitale present"),
        "cps-card": t("carte de professionnel (CPS) présente", "professional's card (CPS) present"),
        "unknown-card": t("carte inconnue présente", "unknown card present"),
        "apcv-nfc": t("téléphone présent", "phone present"),
        "apcv-qr": t("code présenté", "code shown"),
        "ins-datamatrix": t("Datamatrix INS présenté", "INS Datamatrix shown"),
        "2d-doc": t("code 2D-Doc présenté", "2D-Doc code shown"),
    }
    return names.get(medium, t(f"présent ({medium})", f"present ({medium})"))


def proof_name(claims: Claims) -> str:
    """Describes the proof and its worth."""
    methods = {
        "card-clear-read": t("zone en clair de la carte", "the card's clear zone"),
        "code-clear-read": t("code imprimé, non signé", "a printed code, not signed"),
        "apcv-transported": t("contenu transmis tel quel", "content handed on as it is"),
        "apcv-resolved": t("contexte fourni par le service en ligne", "context given by the online service"),
        "seal-signature": t("cachet signé", "signed seal"),
        "device-signature": t("signature de l’appareil", "the device's signature"),
    }
    proof = claims.proof
    worth = t("vérifiée", "verified") if proof.verified else t("NON authentifiée", "NOT authenticated")
    return f"{methods.get(proof.method, proof.method)} — {worth}"


def origin_name(origin: str) -> str:
    """Describes the origin of the medium."""
    names = {
        "production": t("réelle", "real"),
        "test": t("test", "test"),
        "demo": t("démonstration", "demonstration"),
        "simulated": t("SIMULÉE", "SIMULATED"),
        "unknown": t("inconnue", "unknown"),
    }
    return names.get(origin, origin)


def local_time(seconds: float) -> str:
    """An instant, in this machine's time zone."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime(t("%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S"))


def rights_lines(record: Record) -> Iterator[tuple[str, str]]:
    """The rights, as far as they are told: fund, periods, mutuelle and complementary insurer."""
    assure = record.assure or Assure()
    fund = (assure.code_regime, assure.caisse_gestionnaire, assure.centre_gestionnaire)
    if any(fund):
        yield t("Régime, caisse, centre", "Régime, caisse, centre"), " ".join(part or "?" for part in fund)
    people = record.beneficiaires or ()
    for someone in people:
        whose = f" ({someone.prenom})" if someone.prenom and len(people) > 1 else ""
        for period in someone.droits_amo or ():
            yield t("Droits AMO", "AMO rights") + whose, _period(period.debut, period.fin)
        for cover in someone.couvertures or ():
            codes = f"ALD {cover.code_ald or '?'}, {t('situation', 'situation')} {cover.code_situation or '?'}"
            yield t("Couverture", "Coverage") + whose, f"{codes}, {_period(cover.debut, cover.fin)}"
        if someone.mutuelle is not None and someone.mutuelle.identification:
            yield t("Mutuelle", "Mutuelle") + whose, someone.mutuelle.identification
        if someone.amc is not None and someone.amc.numero_b2:
            yield t("AMC", "AMC") + whose, someone.amc.numero_b2


def _period(begin: str | None, end: str | None) -> str:
    return " – ".join(day(told) if told else "?" for told in (begin, end))


def claims_lines(claims: Claims) -> Iterator[tuple[str, str]]:
    """Returns the claims of a token, as names and values."""
    people = claims.record.beneficiaires or ()
    holder = claims.record.porteur
    for index, someone in enumerate(people):
        yield (t("Porteur", "Holder") if index == holder else t("Bénéficiaire", "Beneficiary")), person(someone)
        if someone.nir:
            yield "NIR", f"{someone.nir} {someone.cle_nir or ''}".rstrip()
    assure = claims.record.assure
    if assure is not None and assure.nir:
        yield t("NIR de l’assuré", "NIR of the insured"), f"{assure.nir} {assure.cle_nir or ''}".rstrip()
    if claims.delegate is not None:
        yield t("Présentée par", "Presented by"), claims.delegate
    yield from rights_lines(claims.record)
    yield t("Support", "Medium"), medium_name(claims.medium)
    yield t("Preuve", "Proof"), proof_name(claims)
    yield t("Origine", "Origin"), origin_name(claims.origin)
    yield t("Lecteur", "Reader"), f"{claims.reader.id} ({claims.reader.driver})"
    yield t("Présentée le", "Presented at"), local_time(claims.presented_at)
    yield t("Jeton", "Token"), f"{claims.jti}, {t('valable jusqu’au', 'valid until')} {local_time(claims.exp)}"
    if claims.context is not None:
        yield t("Contexte apCV", "apCV context"), claims.context.identifiant
        ends = datetime.fromisoformat(claims.context.date_fin_validite).timestamp()
        yield t("Fin du contexte", "End of the context"), local_time(ends)
    if claims.payload is not None or claims.payload_b64 is not None:
        yield t("Contenu transmis", "Content handed on"), claims.payload or f"base64:{claims.payload_b64}"
    for reason in claims.warnings:
        yield t("Attention", "Warning"), warning_text(reason)
