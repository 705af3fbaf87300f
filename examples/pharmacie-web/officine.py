"""The billing server's half: a queue of patients, nonces, the enrolled desk, and tokens that are verified.

Rules:

- A nonce is made here, for one patient of the queue, and counts once and for ten minutes.
- The keys of a desk come at its enrolment, once. They count when a person has compared them with those that the desk
  itself shows (``vitale-reader keys show``). A script smuggled into the page could have sent others.
- A token counts when its signature, audience, nonce, site and expiry hold, and once.
"""

import binascii
import secrets
import threading
import time
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Final

import msgspec

from vitale_protocol.errors import TokenInvalid
from vitale_protocol.records import Beneficiaire, Record
from vitale_protocol.tokens import Claims
from vitale_reader.client.verification import SeenTokens, verify

__all__ = ["Officine", "Refus"]

NONCE_SECONDS: Final = 600

#: SSV 104/14, as it is said at a counter.
QUALITES: Final = {
    "0": "Assuré",
    "1": "Ascendant, descendant ou collatéral",
    "2": "Conjoint",
    "3": "Conjoint divorcé",
    "4": "Concubin",
    "5": "Conjoint séparé",
    "6": "Enfant",
    "8": "Conjoint veuf",
    "9": "Autre ayant droit",
}
SUPPORTS: Final = {
    "vitale-card": "Carte Vitale",
    "apcv-nfc": "Appli carte Vitale, sans contact",
    "apcv-qr": "Appli carte Vitale, code QR",
    "ins-datamatrix": "Datamatrix INS",
}
#: Invented prescriptions, in the order of the queue.
ORDONNANCES: Final = (
    ("Ordonnance, 3 lignes", 4217),
    ("Renouvellement, 2 lignes", 1894),
    ("Ordonnance, 1 ligne", 765),
    ("Vaccin antigrippal", 1102),
)


class Refus(Exception):
    """A refusal, in words that the page shows."""

    def __init__(self, titre: str, remede: str) -> None:
        super().__init__(titre)
        self.titre = titre
        self.remede = remede


class Patient(msgspec.Struct, frozen=True):
    """A beneficiary, as the page shows one."""

    nom: str
    prenom: str
    naissance: str
    age: int | None
    qualite: str
    nir: str
    porteur: bool


class Lecture(msgspec.Struct, frozen=True):
    """A verified token's content, as the page shows it."""

    support: str
    preuve: str
    authentifiee: bool
    origine: str
    patients: tuple[Patient, ...]
    avertissements: tuple[str, ...]


class Ticket(msgspec.Struct):
    """A patient in the queue; ``etat`` is ``attend``, ``lu`` or ``facture``."""

    numero: int
    objet: str
    centimes: int
    etat: str = "attend"
    lecture: Lecture | None = None
    choisi: int | None = None


class Enrolement(msgspec.Struct, frozen=True):
    """Description of a desk by a page that was paired with it."""

    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    nom: Annotated[str, msgspec.Meta(max_length=200)]
    jwks: dict[str, Any]


class ParNumero(msgspec.Struct, frozen=True):
    """A call about one ticket."""

    numero: int


class ParJeton(msgspec.Struct, frozen=True):
    """A call with a token."""

    jeton: str


class ParChoix(msgspec.Struct, frozen=True):
    """The beneficiary who is billed."""

    numero: int
    patient: int


class Rien(msgspec.Struct, frozen=True):
    """A call that says nothing more."""


class Poste(msgspec.Struct):
    """The desk, as it was enrolled."""

    client_id: str
    nom: str
    jwks: dict[str, Any]
    confirme: bool = False

    @property
    def empreintes(self) -> tuple[str, ...]:
        """Names of its keys, which are their thumbprints: what the desk shows as well."""
        return tuple(str(key.get("kid")) for key in self.jwks.get("keys", ()))


class Officine:
    """One counter of one pharmacy.

    Args:
        site: the origin of the page, which tokens have to name.
        port_du_poste: where the desk listens for pages.
        simulated: true if tokens of simulators count too.
    """

    def __init__(self, site: str, port_du_poste: int, *, simulated: bool) -> None:
        self.site = site
        self.port_du_poste = port_du_poste
        self._simulated = simulated
        self._poste: Poste | None = None
        self._file = [Ticket(41 + place, *each) for place, each in enumerate(ORDONNANCES)]
        self._nonces: dict[str, tuple[int, float]] = {}
        self._seen = SeenTokens()
        self._lock = threading.Lock()
        self._appels: dict[str, tuple[type[msgspec.Struct], Callable[[Any], Any]]] = {
            "poste": (Enrolement, self._enrole),
            "poste/confirme": (Rien, self._confirme),
            "poste/oublie": (Rien, self._oublie),
            "ticket": (Rien, self._nouveau),
            "nonce": (ParNumero, self._nonce),
            "jeton": (ParJeton, self._jeton),
            "facture": (ParChoix, self._facture),
        }

    def etat(self) -> dict[str, Any]:
        """The state of the counter: queue and desk."""
        poste = self._poste
        return {
            "port": self.port_du_poste,
            "simule": self._simulated,
            "poste": poste and {"nom": poste.nom, "confirme": poste.confirme, "empreintes": poste.empreintes},
            "file": self._file,
        }

    def appel(self, nom: str, corps: bytes) -> Any:
        """Answers a call of the page.

        Raises:
            Refus: it cannot be done.
            msgspec.ValidationError: it is not formed as it should be.
        """
        if nom not in self._appels:
            raise Refus("Appel inconnu", "Rechargez la page.")
        forme, fait = self._appels[nom]
        try:
            demande = msgspec.json.decode(corps, type=forme)
        except msgspec.DecodeError as error:
            raise msgspec.ValidationError("no JSON of this call") from error
        with self._lock:
            return fait(demande)

    # ── the desk ──

    def _enrole(self, demande: Enrolement) -> dict[str, Any]:
        known = self._poste
        new = Poste(demande.client_id, demande.nom, demande.jwks)
        # Keys that a person has confirmed are not replaced by a page's word: the person has to have them forgotten.
        if known is None or not known.confirme:
            self._poste = new
        elif (known.client_id, known.empreintes) != (new.client_id, new.empreintes):
            raise Refus(
                "Le serveur connaît un autre poste, ou d’autres clés de ce poste",
                "Si le poste a été remplacé ou ses clés renouvelées, appairez la page de nouveau.",
            )
        return self.etat()

    def _confirme(self, _: Rien) -> dict[str, Any]:
        if self._poste is None:
            raise Refus("Aucun poste à confirmer", "Appairez la page.")
        self._poste.confirme = True
        return self.etat()

    def _oublie(self, _: Rien) -> dict[str, Any]:
        self._poste = None
        return self.etat()

    # ── the queue ──

    def _nouveau(self, _: Rien) -> dict[str, Any]:
        objet, centimes = ORDONNANCES[len(self._file) % len(ORDONNANCES)]
        self._file.append(Ticket(self._file[-1].numero + 1, objet, centimes))
        return self.etat()

    def _ticket(self, numero: int) -> Ticket:
        for ticket in self._file:
            if ticket.numero == numero:
                return ticket
        raise Refus("Ce numéro n’est pas dans la file", "Rechargez la page.")

    def _nonce(self, demande: ParNumero) -> dict[str, str]:
        self._ticket(demande.numero)
        now = time.time()
        self._nonces = {nonce: kept for nonce, kept in self._nonces.items() if kept[1] > now}
        nonce = secrets.token_urlsafe(24)
        self._nonces[nonce] = (demande.numero, now + NONCE_SECONDS)
        return {"nonce": nonce}

    def _jeton(self, demande: ParJeton) -> dict[str, Any]:
        poste = self._poste
        if poste is None or not poste.confirme:
            raise Refus("Le serveur ne connaît pas encore ce poste", "Confirmez d’abord l’empreinte du poste.")
        nonce = _asked_nonce(demande.jeton)
        numero, until = self._nonces.get(nonce, (0, 0.0))
        if until < time.time():
            raise Refus("Ce jeton ne répond à aucune demande en cours", "Lisez de nouveau le support du patient.")
        try:
            claims = verify(
                demande.jeton,
                jwks=poste.jwks,
                audience=poste.client_id,
                nonce=nonce,
                require_origin=("production", "simulated") if self._simulated else "production",
                seen=self._seen,
            )
        except TokenInvalid as error:
            error.language = "fr"
            raise Refus(error.title, error.remedy) from error
        if claims.site != self.site:
            raise Refus("Ce jeton a été demandé par un autre site", "Rechargez la page et lisez de nouveau.")
        del self._nonces[nonce]
        ticket = self._ticket(numero)
        ticket.etat, ticket.lecture, ticket.choisi = "lu", _lecture(claims), None
        return {"numero": numero, **self.etat()}

    def _facture(self, demande: ParChoix) -> dict[str, Any]:
        ticket = self._ticket(demande.numero)
        if ticket.lecture is None or not 0 <= demande.patient < len(ticket.lecture.patients):
            raise Refus("Aucun bénéficiaire n’a été lu pour ce numéro", "Lisez le support du patient.")
        ticket.etat, ticket.choisi = "facture", demande.patient
        return self.etat()


def _asked_nonce(token: str) -> str:
    """The nonce that a token names, not believed yet.

    It only finds the request that the token is then held to.
    """
    try:
        body = token.split(".")[1]
        return str(msgspec.json.decode(binascii.a2b_base64(body.translate(_BASE64) + "==")).get("nonce"))
    except (IndexError, ValueError, AttributeError, msgspec.DecodeError) as error:
        raise Refus("Ce n’est pas un jeton du poste", "Lisez de nouveau le support du patient.") from error


_BASE64: Final = str.maketrans("-_", "+/")


def _lecture(claims: Claims) -> Lecture:
    record = claims.record
    porteur = 0 if record.porteur is None else record.porteur
    patients = tuple(
        _patient(record, each, is_holder=place == porteur) for place, each in enumerate(record.beneficiaires or ())
    )
    return Lecture(
        SUPPORTS.get(claims.medium, claims.medium),
        claims.proof.method,
        claims.proof.verified,
        claims.origin,
        patients,
        claims.warnings,
    )


def _patient(record: Record, one: Beneficiaire, *, is_holder: bool) -> Patient:
    nir, key = one.nir_certifie or one.nir, one.cle_nir_certifie or one.cle_nir
    # The number of the insured person is the patient's own for qualité 0, and for nobody else.
    if nir is None and one.qualite == "0" and record.assure is not None:
        nir, key = record.assure.nir, record.assure.cle_nir
    return Patient(
        nom=one.nom_usuel or one.nom_patronymique or "",
        prenom=one.prenom or "",
        naissance=one.date_naissance_iso or one.date_naissance or "",
        age=_age(one.date_naissance_iso),
        qualite=QUALITES.get(one.qualite or "", ""),
        nir=f"{nir or ''}{key or ''}",
        porteur=is_holder,
    )


def _age(born: str | None) -> int | None:
    if born is None:
        return None
    day, today = date.fromisoformat(born), date.today()  # noqa: DTZ011  the age at this counter
    return today.year - day.year - ((today.month, today.day) < (day.month, day.day))
