"""Situations at a counter, as data: what is presented, to which request, and how it is cleared away."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.situations.counter import Counter
from vitale_firmware_sim.card.images import CardHolder, Image, load_image
from vitale_firmware_sim.imager.faults import ImagerFaults
from vitale_firmware_sim.phone.card import PhoneCard, PhoneRefusal
from vitale_firmware_sim.pn532.faults import parse_nfc_faults
from vitale_protocol.media.ins_datamatrix import OID_DEMO, InsDatamatrix
from vitale_protocol.records import Medium

__all__ = ["SITUATIONS", "Situation"]

Deed = Callable[[Counter], object]

CARD: tuple[Medium, ...] = ("vitale-card",)
PHONE: tuple[Medium, ...] = ("apcv-nfc",)
CODE: tuple[Medium, ...] = ("apcv-qr",)
PAPER: tuple[Medium, ...] = ("ins-datamatrix", "2d-doc")
ANY: tuple[Medium, ...] = ("vitale-card", "apcv-nfc", "apcv-qr")


@dataclass(frozen=True)
class Situation:
    """A situation.

    Attributes:
        french: what happens, as a person at the counter says it.
        english: the same.
        media: what the billing software asks for.
        present: what the patient or somebody does once the request waits.
        clear: how it is taken away.
        before: what lies there already.
        lying: at how many places something lies then.
        first_slot: whether the billing software asks for the first slot alone.
        timeout: seconds of the request, where its end is what is looked at.
    """

    french: str
    english: str
    media: tuple[Medium, ...]
    present: Deed
    clear: Deed
    before: Deed = lambda _: None
    lying: int = 0
    first_slot: bool = False
    timeout: float | None = None


class BankCard:
    """A card with an ATR of its own that has none of the applications."""

    atr = bytes.fromhex("3B6500002063CB6800")

    def reset(self) -> bytes:
        """Powers it."""
        return self.atr

    def release(self) -> None:
        """Lets go."""

    def transmit(self, apdu: bytes) -> bytes:
        """Refuses every application."""
        return b"\x6a\x82" if apdu[1] == 0xA4 else b"\x6d\x00"


class ContactlessBankCard(PhoneCard):
    """It speaks ISO/IEC 14443-4 and knows none of our applications."""

    def transmit(self, apdu: bytes) -> bytes:
        """Refuses every application."""
        return b"\x6a\x82"


class Badge(PhoneCard):
    """A badge of a door: no ISO/IEC 14443-4."""

    def __init__(self) -> None:
        super().__init__(lambda: b"", uid=bytes.fromhex("04A1B2C3D4E5F6"))
        self.sak = 0x08


def _refuse() -> bytes:
    raise PhoneRefusal("the phone is locked")


def _card(image: str | Image = "adulte", faults: str = "") -> Deed:
    return lambda counter: counter.slot.insert(counter.card(image, faults))


def _take_card(counter: Counter) -> None:
    counter.slot.remove()


def _lay(*phones: Callable[[Counter], PhoneCard], faults: str = "") -> Deed:
    def lay(counter: Counter) -> None:
        for phone in phones:
            counter.reader.field.put(phone(counter), parse_nfc_faults(faults))

    return lay


def _take_phones(counter: Counter) -> None:
    counter.reader.field.remove()
    counter.service.behave("normal")


def _scan(data: bytes, symbology: str = "qr", faults: ImagerFaults | None = None) -> Deed:
    def scan(counter: Counter) -> None:
        if faults is not None:
            counter.imager.faults = faults
        counter.imager.scan(data, symbology)

    return scan


def _nothing(_: Counter) -> None:
    return


def _both_cards(counter: Counter) -> None:
    counter.slot.insert(counter.card("adulte"))
    counter.second.insert(counter.card("famille"))


def _take_both(counter: Counter) -> None:
    counter.slot.remove()
    counter.second.remove()


def _take_code(counter: Counter) -> None:
    counter.camera.clear()
    counter.service.behave("normal")


def _used_code(counter: Counter) -> None:
    code = counter.code()
    counter.service.contexts.authenticate(code, time.time())
    counter.camera.show(code)


def _unknown_code(counter: Counter) -> None:
    counter.camera.show(b"VITALESIM." + secrets.token_hex(22).upper().encode())


def _service(behaviour: str, then: Deed) -> Deed:
    def act(counter: Counter) -> None:
        counter.service.behave(behaviour)  # type: ignore[arg-type]  # one of its words
        then(counter)

    return act


def _pull_reader(counter: Counter) -> None:
    counter.imager.unplug()


def _plug_reader(counter: Counter) -> None:
    counter.imager.open()


ADULT = load_image("adulte")
WRONG_KEY = Image(
    name="wrong-key",
    atr=ADULT.atr,
    date_debut_validite=ADULT.date_debut_validite,
    beneficiaires=(
        CardHolder(nom="ESSAI", prenom="LUCIE", date_naissance="19840612", nationalite="FRA", nir="284061399004136"),
    ),
)
INS = InsDatamatrix(
    matricule="284061399004129",
    oid=OID_DEMO,
    prenoms="CLAIRE ANNE",
    nom="MERLE-ESSAI",
    sexe="F",
    date_naissance="12-06-1984",
    code_lieu_naissance="13990",
).encode()[:-20]

# After two failures of the service comes a reading that succeeds, or it would be left alone for a while.
SITUATIONS: dict[str, tuple[Situation, ...]] = {
    "The card": (
        Situation(
            "La carte est à l’envers, ou sa puce est sale",
            "The card is the wrong way round, or its chip is dirty",
            CARD,
            _card(faults="mute"),
            _take_card,
        ),
        Situation(
            "La carte est retirée trop tôt",
            "The card is withdrawn too early",
            CARD,
            _card(faults="withdrawn@20"),
            _take_card,
        ),
        Situation(
            "La carte est abîmée : son contenu est tronqué",
            "The card is damaged: its content is cut",
            CARD,
            _card(faults="truncated-tlv"),
            _take_card,
        ),
        Situation(
            "La carte hésite, puis répond",
            "The card hesitates, then answers",
            CARD,
            _card(faults="hiccup=2"),
            _take_card,
        ),
        Situation(
            "Une carte bancaire est dans la fente",
            "A bank card is in the slot",
            CARD,
            lambda counter: counter.slot.insert(BankCard()),
            _take_card,
        ),
        Situation(
            "Une carte bancaire était déjà dans la fente",
            "A bank card lay in the slot already",
            CARD,
            _nothing,
            _take_card,
            before=lambda counter: counter.slot.insert(BankCard()),
            lying=1,
            first_slot=True,
        ),
        Situation(
            "La carte de professionnel est dans la fente du patient",
            "The professional's card is in the patient's slot",
            CARD,
            _card("cps"),
            _take_card,
            first_slot=True,
        ),
        Situation(
            "C’est une carte Vitale 1",
            "It is a carte Vitale 1",
            CARD,
            _card("vitale-1"),
            _take_card,
        ),
        Situation(
            "Deux cartes sont dans les deux fentes",
            "Two cards are in the two slots",
            CARD,
            _nothing,
            _take_both,
            before=_both_cards,
            lying=2,
        ),
        Situation(
            "La clé du numéro de la carte est fausse",
            "The key of the card's number is wrong",
            CARD,
            _card(WRONG_KEY),
            _take_card,
        ),
        Situation(
            "Une carte Vitale est restée de la personne précédente",
            "A carte Vitale is left from the person before",
            CARD,
            _nothing,
            _take_card,
            before=_card(),
            lying=1,
        ),
        Situation(
            "La date de naissance n’est pas une date",
            "The date of birth is no date",
            CARD,
            _card("date-fictive"),
            _take_card,
        ),
        Situation(
            "Personne ne présente rien",
            "Nobody presents anything",
            CARD,
            _nothing,
            _nothing,
            timeout=1.0,
        ),
        Situation(
            "Une carte bancaire reste dans la fente jusqu’au bout",
            "A bank card stays in the slot to the end",
            CARD,
            _nothing,
            _take_card,
            before=lambda counter: counter.slot.insert(BankCard()),
            lying=1,
            first_slot=True,
            timeout=6.0,
        ),
    ),
    "The phone on the reader": (
        Situation(
            "Le téléphone est verrouillé",
            "The phone is locked",
            PHONE,
            _lay(lambda _: PhoneCard(_refuse)),
            _take_phones,
        ),
        Situation(
            "L’application n’est pas ouverte",
            "The application is not open",
            PHONE,
            _lay(lambda _: ContactlessBankCard(lambda: b"")),
            _take_phones,
        ),
        Situation(
            "Un badge est sur le lecteur",
            "A badge is on the reader",
            PHONE,
            _lay(lambda _: Badge()),
            _take_phones,
        ),
        Situation(
            "Deux téléphones sont sur le lecteur",
            "Two phones are on the reader",
            PHONE,
            _nothing,
            _take_phones,
            before=_lay(lambda counter: counter.phone("claire"), lambda counter: counter.phone("paul")),
        ),
        Situation(
            "Le téléphone est retiré trop tôt",
            "The phone is taken away too early",
            PHONE,
            _lay(lambda counter: counter.phone(), faults="tear@60"),
            _take_phones,
        ),
        Situation(
            "Le téléphone ne répond pas",
            "The phone does not answer",
            PHONE,
            _lay(lambda counter: counter.phone(), faults="endless-wtx"),
            _take_phones,
        ),
        Situation(
            "L’application a expiré",
            "The application has expired",
            PHONE,
            _lay(lambda counter: counter.phone("expire")),
            _take_phones,
        ),
        Situation(
            "L’application a été révoquée",
            "The application was revoked",
            PHONE,
            _lay(lambda counter: counter.phone("revoque")),
            _take_phones,
        ),
        Situation(
            "Les droits sont suspendus",
            "The rights are suspended",
            PHONE,
            _lay(lambda counter: counter.phone("suspendu")),
            _take_phones,
        ),
        Situation(
            "Le service apCV est en panne",
            "The apCV service is down",
            PHONE,
            _service("down", _lay(lambda counter: counter.phone())),
            _take_phones,
        ),
        Situation(
            "Un proche présente le téléphone pour le patient",
            "Somebody else presents the phone for the patient",
            PHONE,
            _lay(lambda counter: counter.phone("paul", present_for="claire")),
            _take_phones,
        ),
        Situation(
            "Le service apCV ne répond pas",
            "The apCV service does not answer",
            PHONE,
            _service("silent", _lay(lambda counter: counter.phone())),
            _take_phones,
        ),
        Situation(
            "Les droits ne sont pas à jour",
            "The rights are not up to date",
            PHONE,
            _lay(lambda counter: counter.phone("droits-anciens")),
            _take_phones,
        ),
        Situation(
            "Une page de connexion répond à la place du service",
            "A captive portal answers in place of the service",
            PHONE,
            _service("html", _lay(lambda counter: counter.phone())),
            _take_phones,
        ),
        Situation(
            "Le téléphone est dans son étui avec une carte bancaire",
            "The phone is in its case with a bank card",
            PHONE,
            _nothing,
            _take_phones,
            before=_lay(
                lambda counter: counter.phone("claire"),
                lambda _: ContactlessBankCard(lambda: b"", uid=bytes.fromhex("04A1B2C3D4E5F6")),
            ),
        ),
    ),
    "The code before the camera": (
        Situation(
            "Le patient montre une capture d’écran : le code a déjà servi",
            "The patient shows a screenshot: the code was used before",
            CODE,
            _used_code,
            _take_code,
        ),
        Situation(
            "Le code est celui d’un portefeuille numérique",
            "The code is a digital wallet's",
            CODE,
            lambda counter: counter.camera.show(b"openid4vp://authorize?client_id=essai"),
            _take_code,
        ),
        Situation(
            "Le code est un permis de conduire sur téléphone",
            "The code is a mobile driving licence",
            CODE,
            lambda counter: counter.camera.show(b"mdoc:owBjMS4w"),
            _take_code,
        ),
        Situation(
            "Le service refuse un code qu’il ne connaît pas",
            "The service refuses a code that it does not know",
            CODE,
            _unknown_code,
            _take_code,
        ),
        Situation(
            "L’image de la caméra est figée",
            "The camera's picture is frozen",
            CODE,
            lambda counter: counter.camera.freeze(),
            _take_code,
            timeout=1.0,
        ),
    ),
    "The imager": (
        Situation(
            "Un numéro de sécurité sociale seul",
            "A social security number alone",
            CODE,
            _scan(b"284061399004129", "code128"),
            _nothing,
        ),
        Situation(
            "Un code INS coupé en cours de route",
            "An INS code that was cut short",
            PAPER,
            _scan(INS, "datamatrix"),
            _nothing,
        ),
        Situation(
            "Le code scanné est celui d’un portefeuille numérique",
            "The scanned code is a digital wallet's",
            CODE,
            _scan(b"openid4vp://authorize?client_id=essai"),
            _nothing,
        ),
        Situation(
            "Une boîte de médicament est scannée à la place du code du patient",
            "A box of medicine is scanned in place of the patient's code",
            CODE,
            _scan(b"3400930000120", "ean"),
            _nothing,
        ),
        Situation(
            "Un code INS coupé au milieu du nom",
            "An INS code that was cut within the name",
            PAPER,
            _scan(INS[: INS.index(b"MERLE") + 3], "datamatrix"),
            _nothing,
        ),
        Situation(
            "La douchette est débranchée pendant l’attente",
            "The imager is unplugged while the request waits",
            PAPER,
            _pull_reader,
            _plug_reader,
            timeout=10.0,
        ),
        Situation(
            "Un code 2D-Doc abîmé",
            "A damaged 2D-Doc",
            PAPER,
            _scan(b"DC04FR0000011F6C1F6C0B0126FR", "datamatrix"),
            _nothing,
        ),
    ),
    "The desk": (
        Situation(
            "Le service PC/SC s’arrête pendant l’attente",
            "The PC/SC service stops while the request waits",
            CARD,
            lambda counter: counter.pcsc.stop(),
            lambda counter: counter.pcsc.start(),
            timeout=30.0,
            first_slot=True,
        ),
    ),
}
