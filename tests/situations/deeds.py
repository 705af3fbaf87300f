"""Deeds at a counter, of which the situations are made: what is presented, and how it is cleared away."""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.daemon.conftest import unix_line
from tests.protocol.seal_office import Office
from tests.situations.counter import FIRST_SLOT, PATIENCE, SECOND_SLOT, Counter, Heard, Place
from tests.situations.desks import DeskName
from tests.situations.other_desk import OtherDesk
from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.files import applications
from vitale_firmware_sim.card.images import CardHolder, Image, load_image
from vitale_firmware_sim.imager.faults import ImagerFaults
from vitale_firmware_sim.phone.card import PhoneCard, PhoneRefusal
from vitale_firmware_sim.pn532.faults import parse_nfc_faults
from vitale_firmware_sim.scenario import Behaviour
from vitale_protocol.catalogue import Language
from vitale_protocol.errors import VitaleError
from vitale_protocol.media.ins_datamatrix import OID_DEMO, InsDatamatrix
from vitale_protocol.media.wedge import MANGLINGS
from vitale_protocol.records import Medium
from vitale_reader.home import Home

__all__ = [
    "ANY",
    "CARD",
    "CODE",
    "INS",
    "INS_CODE",
    "INS_WHOLE",
    "INVOICE",
    "MANGLED",
    "PAPER",
    "PHONE",
    "SEALED",
    "STAFF",
    "UNUSUAL_INS",
    "WITHOUT_NIR",
    "WRONG_KEY",
    "Badge",
    "BankCard",
    "ContactlessBankCard",
    "Deed",
    "FilesDiffer",
    "Garbled",
    "Hearing",
    "Where",
    "another_document",
    "another_reader",
    "at_other_desk",
    "badge_beside",
    "both_cards",
    "camera_is_back",
    "camera_is_free",
    "camera_leased",
    "card",
    "card_again",
    "code_of_before",
    "code_of_lost_card",
    "contactless_reader",
    "first_imager",
    "forged",
    "former_delegate",
    "given_up",
    "healthy_imager",
    "held_card",
    "image",
    "kernel_lets_reader_go",
    "kernel_takes_reader",
    "lay",
    "let_card_go",
    "mute_reader",
    "no_such_reader",
    "no_text",
    "nothing",
    "of_a_stranger",
    "open_application",
    "opening_phone",
    "other_maker",
    "phone_again",
    "phone_anew",
    "plays_simulators",
    "plug_reader",
    "prefixed",
    "pull_reader",
    "refuse",
    "refused_code",
    "renewed",
    "scan",
    "sealed",
    "sealed_text",
    "second_imager",
    "second_slot",
    "send",
    "service",
    "shown_code",
    "signs",
    "specimen",
    "started_service",
    "stays",
    "stopped_service",
    "take_both",
    "take_card",
    "take_code",
    "take_phones",
    "take_phones_of_delegates",
    "take_second",
    "the_camera",
    "two_codes",
    "two_windows",
    "typed",
    "unknown_code",
    "unlocking_phone",
    "unresolved",
    "used_code",
    "used_phone",
    "without_separators",
]

Deed = Callable[[Counter], object]
Hearing = Callable[[Counter, Language], Heard]
Where = Callable[[Counter], tuple[str, ...]]

CARD: tuple[Medium, ...] = ("vitale-card",)
PHONE: tuple[Medium, ...] = ("apcv-nfc",)
CODE: tuple[Medium, ...] = ("apcv-qr",)
PAPER: tuple[Medium, ...] = ("ins-datamatrix", "2d-doc")
INS_CODE: tuple[Medium, ...] = ("ins-datamatrix",)
SEALED: tuple[Medium, ...] = ("2d-doc",)
STAFF: tuple[Medium, ...] = ("cps-card",)
#: A place of a program that holds simulators, and one of an invoice as the simulator takes it.
SIMULATED_SLOT = {"place": "slot", "kind": "card", "things": ["adulte"]}
INVOICE = b'{"professionnel": "Dr ESSAI", "centimes": 2650}'

ANY: tuple[Medium, ...] = ("vitale-card", "apcv-nfc", "apcv-qr")


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


def refuse() -> bytes:
    raise PhoneRefusal("the phone is locked")


def card(image: str | Image = "adulte", faults: str = "") -> Deed:
    return lambda counter: counter.slot.insert(counter.card(image, faults))


def take_card(counter: Counter) -> None:
    counter.slot.remove()


def lay(*phones: Callable[[Counter], PhoneCard], faults: str = "") -> Deed:
    def lay(counter: Counter) -> None:
        for phone in phones:
            counter.reader.field.put(phone(counter), parse_nfc_faults(faults))

    return lay


def take_phones(counter: Counter) -> None:
    counter.reader.field.remove()
    counter.service.behave("normal")


def scan(data: bytes, symbology: str = "qr", faults: ImagerFaults | None = None) -> Deed:
    def scan(counter: Counter) -> None:
        if faults is not None:
            counter.imager.faults = faults
        counter.imager.scan(data, symbology)

    return scan


def nothing(_: Counter) -> None:
    return


class Garbled(PhoneCard):
    """It has the application, which answers with what is no string."""

    def transmit(self, apdu: bytes) -> bytes:
        """Answers the selection, and then with bytes that mean nothing."""
        return super().transmit(apdu) if apdu[1] == 0xA4 else b"\x5e\x7f\x01\x90\x00"


def used_phone(counter: Counter) -> PhoneCard:
    """A phone that gives a string that the service has had."""
    code = counter.code()
    counter.service.contexts.authenticate(code, time.time())
    return PhoneCard(lambda: code)


def former_delegate(counter: Counter) -> PhoneCard:
    """A phone that presents for somebody who has withdrawn that."""
    card = counter.phone("paul", present_for="claire")
    counter.service.contexts.withdraw("claire", "paul")
    return card


def take_phones_of_delegates(counter: Counter) -> None:
    take_phones(counter)
    counter.service.contexts.delegate("claire", "paul")


def send(data: bytes) -> Deed:
    return lambda counter: counter.imager.send(data)


def prefixed(counter: Counter) -> None:
    """An imager that was set up to send STX and ETX around each code."""
    counter.imager.send(b"\x02" + counter.code() + b"\x03\r")


def sealed(message: bytes = b"60LUCIE\x1d62ESSAI\x1d6912061984", **how: object) -> Deed:
    """A sealed document under the imager."""
    return lambda counter: counter.imager.scan(counter.signer.seal(message, **how), "datamatrix")  # type: ignore[arg-type]  # passed through


def forged(counter: Counter) -> None:
    counter.imager.scan(
        counter.signer.seal(b"60LUCIE\x1d62ESSAI\x1d6912061984").replace(b"LUCIE", b"JULIE"), "datamatrix"
    )


def of_a_stranger(counter: Counter) -> None:
    counter.imager.scan(Office("FR98").signer().seal(b"60LUCIE\x1d62ESSAI\x1d6912061984"), "datamatrix")


def without_separators(counter: Counter) -> None:
    sealed = counter.signer.seal(b"60LUCIE\x1d62ESSAI\x1d6912061984")
    counter.imager.scan(sealed.translate(None, b"\x1d\x1e\x1f"), "datamatrix")


def typed(content: Callable[[Counter], str | bytes], desk: Place | None = None) -> Hearing:
    """What an imager that acts as a keyboard types into the billing software; or the bytes of a code."""

    def hear(counter: Counter, language: Language) -> Heard:
        heard = Heard()
        with counter.client(language, desk) as client:
            try:
                found = client.submit(content(counter), scopes=("identity", "rights"))
            except VitaleError as error:
                heard.failed(error, language)
            else:
                heard.given(found.warnings, language)
        return heard

    return hear


def signs(invoice: bytes, behaviour: Behaviour) -> Hearing:
    """The billing software has an invoice signed in the context of a code that was just scanned."""

    def hear(counter: Counter, language: Language) -> Heard:
        heard = Heard()
        with counter.client(language) as client:
            found = client.submit(counter.code().decode(), scopes=("identity", "context"))
            counter.service.behave(behaviour)
            try:
                client.sign_invoice(found.claims, invoice)
            except VitaleError as error:
                heard.failed(error, language)
            finally:
                counter.service.behave("normal")
        return heard

    return hear


def refused_code(counter: Counter, language: Language) -> Heard:
    """The service refuses a code for a reason that it alone knows."""
    counter.service.behave("refusing")
    try:
        return typed(shown_code)(counter, language)
    finally:
        counter.service.behave("normal")


def at_other_desk(reader: Callable[[OtherDesk], str]) -> Where:
    """A reader of the other desk."""
    return lambda counter: (reader(counter.other),)


def kernel_takes_reader(counter: Counter) -> None:
    """A module of the kernel takes the other desk's reader for phones."""
    assert counter.other.held is not None
    counter.other.held.take_by_kernel()


def kernel_lets_reader_go(counter: Counter) -> None:
    """It lets it go."""
    assert counter.other.held is not None
    counter.other.held.release()


def other_maker(place: str) -> Where:
    """The reader of another maker's driver that tells this."""
    return lambda _: (f"other:{place}",)


def unresolved(act: Callable[[OtherDesk], None]) -> Hearing:
    """A code is typed at the other desk, whose service is not to be reached."""

    def hear(counter: Counter, language: Language) -> Heard:
        act(counter.other)
        try:
            return typed(shown_code, "other")(counter, language)
        finally:
            counter.other.recover()

    return hear


def plays_simulators(desk: DeskName | None = None) -> Hearing:
    """Somebody plays a simulator from the dashboard: at a real desk, or one that does not do what it is asked."""

    async def work(counter: Counter, language: Language, heard: Heard) -> None:
        home = Home.under(counter.home if desk is None else counter.desks[desk])
        async with unix_line(home.endpoints()) as player, unix_line(home.endpoints()) as holder:
            await player.open(language=language)
            await holder.open(language=language)
            if desk is None:
                await holder.result("sim.attach", {"places": [SIMULATED_SLOT]})
            request = player.send_call("sim.play", {"place": "slot", "thing": "adulte"})
            if desk is None:
                act = (await holder.receive())["params"]["act"]
                told = {"act": act, "places": [SIMULATED_SLOT], "refused": "no card is left"}
                await holder.result("sim.acted", told)
            heard.refused((await player.answer(request))["error"], language)

    def hear(counter: Counter, language: Language) -> Heard:
        heard = Heard()
        asyncio.run(work(counter, language, heard))
        return heard

    return hear


def stays(counter: Counter, language: Language) -> Heard:
    """The billing software waits until the card is withdrawn, and nobody withdraws it."""
    heard = Heard()
    counter.slot.insert(counter.card())
    with counter.client(language) as client:
        client.read(media=CARD, timeout=PATIENCE)
        try:
            client.wait_until_empty(FIRST_SLOT, timeout=0.5)
        except VitaleError as error:
            heard.failed(error, language)
    return heard


def given_up(counter: Counter, language: Language) -> Heard:
    """Somebody presses "Cancel" in the billing software."""
    heard = Heard()
    with counter.client(language) as client, client.reading(media=CARD, timeout=PATIENCE) as read:
        read.cancel()
        try:
            read.result()
        except VitaleError as error:
            heard.failed(error, language)
    return heard


def camera_leased(counter: Counter, language: Language) -> Heard:
    """Other software wants to reserve a reader that reads no chip cards."""
    heard = Heard()
    with counter.client(language) as client:
        camera = next(reader.id for reader in client.readers() if reader.driver == "camera")
        try:
            with client.lease(camera):
                pass
        except VitaleError as error:
            heard.failed(error, language)
    return heard


def two_windows(media: tuple[Medium, ...], present: Deed, then: Deed) -> Hearing:
    """Two windows wait, and something is presented for the first; ``then`` it is presented for the second."""

    def hear(counter: Counter, language: Language) -> Heard:
        armed = threading.Event()
        with (
            counter.client() as client,
            client.reading(media=media, timeout=PATIENCE, on_progress=lambda _: armed.set()) as first,
            ThreadPoolExecutor(1) as window,
        ):
            given = window.submit(first.result)
            assert armed.wait(PATIENCE)
            heard = counter.hear(media, present, language, then=then)
            given.result()
        return heard

    return hear


def card_again(counter: Counter) -> None:
    """The card is taken out and put in again."""
    counter.slot.remove()
    counter.slot.insert(counter.card())


def held_card(counter: Counter) -> None:
    """Another program has the card in the second slot for itself."""
    counter.second.insert(counter.card())
    counter.settle(1)
    counter.hold_card()


def let_card_go(counter: Counter) -> None:
    """It ends, and the card is taken out."""
    counter.let_go()
    counter.second.remove()


def two_codes(counter: Counter) -> None:
    """Two people hold their phones before the camera."""
    counter.camera.show_together(counter.code("claire"), counter.code("paul"))


def camera_is_back(counter: Counter) -> None:
    """The camera is there again, and a code before it."""
    counter.camera.come_back()
    renewed(counter)


def camera_is_free(counter: Counter) -> None:
    """The camera's picture moves again, and a code is before it."""
    counter.camera.thaw()
    renewed(counter)


def healthy_imager(counter: Counter) -> None:
    """The imager is set up well again."""
    counter.imager.faults = ImagerFaults()


def second_slot(_: Counter) -> tuple[str, ...]:
    """The second slot alone."""
    return (SECOND_SLOT,)


def no_such_reader(_: Counter) -> tuple[str, ...]:
    """A reader that this desk does not have."""
    return ("pcsc:absent",)


def contactless_reader(counter: Counter) -> tuple[str, ...]:
    """The reader for phones alone."""
    return (f"nfc:{counter.reader_link}",)


def first_imager(counter: Counter) -> tuple[str, ...]:
    """The imager that is always there."""
    return (f"scanner:{counter.imager_link}",)


def the_camera(counter: Counter) -> tuple[str, ...]:
    """The camera alone."""
    with counter.client() as client:
        return tuple(reader.id for reader in client.readers() if reader.driver == "camera")


def second_imager(counter: Counter) -> tuple[str, ...]:
    """The second imager alone."""
    return (f"scanner:{counter.second_imager_link}",)


def code_of_before(counter: Counter) -> None:
    """The code of the person before stays before the camera."""
    counter.camera.show(counter.code())
    with counter.client() as client:
        client.read(media=CODE, timeout=PATIENCE)


def sealed_text(counter: Counter) -> str:
    """What an imager types of a sealed document."""
    return counter.signer.seal(b"60LUCIE\x1d62ESSAI\x1d6912061984").decode()


def specimen(_: Counter) -> str:
    """What an imager types of a specimen: FR00 signs no real document."""
    return Office("FR00").signer().seal(b"60LUCIE\x1d62ESSAI\x1d6912061984").decode()


def shown_code(counter: Counter) -> str:
    """What an imager types of the code of a phone."""
    return counter.code().decode()


def code_of_lost_card(counter: Counter) -> str:
    """The same, of somebody whose card was reported lost."""
    return counter.code("lost").decode()


def no_text(_: Counter) -> bytes:
    """A code whose bytes are no text: the service takes text, unless it is configured otherwise."""
    return b"VITALESIM." + bytes(range(0xE0, 0x100))


def renewed(counter: Counter) -> None:
    counter.camera.show(counter.code())


def mute_reader(counter: Counter) -> None:
    counter.exchange_reader("mute")


class SlowUser(PhoneCard):
    """A phone whose user does later what the reading needs.

    Args:
        counter: where it is presented.
        refusal: its answer to every command before.
    """

    def __init__(self, counter: Counter, refusal: bytes) -> None:
        self._phone, self._refusal, self._acted = counter.phone(), refusal, counter.acted
        super().__init__(lambda: b"", uid=self._phone.uid)
        self._acted.clear()

    def transmit(self, apdu: bytes) -> bytes:
        """Answers as the phone does, once the user has acted."""
        return self._phone.transmit(apdu) if self._acted.is_set() else self._refusal


def opening_phone(counter: Counter) -> PhoneCard:
    """A phone whose application is opened later."""
    return SlowUser(counter, b"\x6a\x82")


def unlocking_phone(counter: Counter) -> PhoneCard:
    """A phone that is unlocked later."""
    return SlowUser(counter, b"\x69\x85")


def open_application(counter: Counter) -> None:
    """The patient does what the screen says, and leaves the phone where it is."""
    counter.acted.set()


def badge_beside(counter: Counter) -> None:
    """A badge lies on the contactless half of a PC/SC reader."""
    counter.second.insert(SlowUser(counter, b"\x6e\x00"))


def take_second(counter: Counter) -> None:
    """What lies on the contactless half is taken away."""
    counter.second.remove()


def phone_again(counter: Counter) -> None:
    """The phone is put back."""
    counter.reader.field.remove()
    counter.reader.field.put(counter.phone())


def phone_anew(counter: Counter) -> None:
    """The phone that was read is taken away, and put back once that was seen."""
    counter.reader.field.remove()
    counter.settle()
    counter.reader.field.put(counter.phone())


def another_reader(counter: Counter) -> None:
    """Another reader is plugged in, and the phone put there."""
    counter.exchange_reader("")
    counter.reader.field.put(counter.phone())


def stopped_service(counter: Counter) -> None:
    counter.service.__exit__(None, None, None)
    counter.reader.field.put(counter.phone())


def started_service(counter: Counter) -> None:
    counter.service.__enter__()
    take_phones(counter)


def both_cards(counter: Counter) -> None:
    counter.slot.insert(counter.card("adulte"))
    counter.second.insert(counter.card("famille"))


def take_both(counter: Counter) -> None:
    counter.slot.remove()
    counter.second.remove()


def take_code(counter: Counter) -> None:
    """The phone is taken away from the camera."""
    counter.camera.thaw()
    counter.camera.clear()
    counter.service.behave("normal")


def another_document(counter: Counter) -> None:
    """Another paper is held before the camera."""
    counter.camera.show(sealed_text(counter).encode())


def used_code(counter: Counter) -> None:
    code = counter.code()
    counter.service.contexts.authenticate(code, time.time())
    counter.camera.show(code)


def unknown_code(counter: Counter) -> None:
    counter.camera.show(b"VITALESIM." + secrets.token_hex(22).upper().encode())


def service(behaviour: str, then: Deed) -> Deed:
    def act(counter: Counter) -> None:
        counter.service.behave(behaviour)  # type: ignore[arg-type]  # one of its words
        then(counter)

    return act


def pull_reader(counter: Counter) -> None:
    counter.imager.unplug()


def plug_reader(counter: Counter) -> None:
    counter.imager.open()


ADULT = load_image("adulte")


def image(name: str, *nirs: str | None) -> Image:
    """A card of people with these NIR."""
    people = tuple(
        CardHolder(nom="ESSAI", prenom="LUCIE", date_naissance="19840612", nationalite="FRA", nir=nir) for nir in nirs
    )
    return Image(name=name, atr=ADULT.atr, date_debut_validite=ADULT.date_debut_validite, beneficiaires=people)


WRONG_KEY = image("wrong-key", "284061399004136")
WITHOUT_NIR = image("without-nir", None)
INS_WHOLE = InsDatamatrix(
    matricule="284061399004129",
    oid=OID_DEMO,
    prenoms="CLAIRE ANNE",
    nom="MERLE-ESSAI",
    sexe="F",
    date_naissance="12-06-1984",
    code_lieu_naissance="13990",
).encode()
INS = INS_WHOLE[:-20]


class FilesDiffer(Card):
    """A card of several people with the number of one."""

    def __init__(self) -> None:
        super().__init__(load_image("famille"))
        (alone,) = (file for each in applications(ADULT) for file in each.files if file.name == "NIR")
        self._applications = tuple(
            replace(each, files=tuple(alone if file.name == alone.name else file for file in each.files))
            for each in self._applications
        )


UNUSUAL_INS = InsDatamatrix(
    matricule="284061399004129",
    oid="1.2.3.4",
    prenoms="LUCIE",
    nom="ESSAI1/",
    sexe="X",
    date_naissance="12-06-1984",
    code_lieu_naissance="13990",
).encode()
MANGLED = next(text for one in MANGLINGS if (text := one.mangle(INS.decode())) is not None)
