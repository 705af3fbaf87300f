"""The carte Vitale, recognised by ATR. A Vitale 2's clear zone is read by script into the uniform record.

Evidence, as read, with filler. ``identity`` is the EF with
``65 {80 nom, 81 prénom, 82 date de naissance, 90 nationalité}`` for each person. ``nir`` is the one with
``65 {93 NIR}``, absent where the card does not give it.

Nothing here needs a PIN or a CPS, and nothing is authenticated: a forged card can say anything (``card-clear-read``).
Sources of the facts: pcsc-tools (ATRs), cardpeek (applications, files, tags), Rufus and node readers (sequences).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from vitale_protocol import tlv
from vitale_protocol.apdu import Command, ReadingScript, Response, StatusWord
from vitale_protocol.errors import MediumUnreadable, MediumUnsupported
from vitale_protocol.media.display_text import calendar_day, shown_text
from vitale_protocol.media.medium import (
    BIRTH_DATE_NOT_CALENDAR,
    NAMES_AND_NIRS_DIFFER,
    NIR_MISSING,
    Evidence,
    Recognised,
)
from vitale_protocol.media.nir import read_nir
from vitale_protocol.records import Assure, Beneficiaire, Proof, Reading, Record

__all__ = [
    "AID_ADELE",
    "AID_MF_VITALE",
    "AID_VITALE",
    "ATTEMPTS",
    "MAX_STEPS",
    "RETRY_DELAYS",
    "SHORT_STEP",
    "interpret",
    "pointers_script",
    "reading_script",
    "recognise",
    "sequence_scripts",
]

AID_VITALE = bytes.fromhex("D250000002") + b"VITALE"
AID_MF_VITALE = bytes.fromhex("D250000002") + b"MF_VITALE"
AID_ADELE = bytes.fromhex("D250000004") + "Adèle".encode("latin-1") + b"\x01\x01"

# Historical bytes 4x 09 EA|FA 90 00. A Cyberflex begins with 3B 75 13 00 00 as well, a pay-TV card and a France Télécom
# card with 3F 65 25: the prefix is not enough.
_VITALE_2 = re.compile(rb"\x3b\x75\x13\x00\x00[\x40-\x4f]\x09[\xea\xfa]\x90\x00")
_VITALE_1 = re.compile(rb"\x3f\x65\x25\x00(?:[\x22\x2c]\x09[\x69\xf9]|\x52\x09\x6a|[\xa3\xa4]\x09\x6a)\x90\x00")

# As in the field: built-in keyboard readers hiccup, and a first reading after the insertion often fails. Some cards
# answer 6F00 for as long as half a second after they are powered: the first pauses are for the hiccup, since somebody
# waits, and together they outlast the slow card. A reset comes last, for it makes such a card begin anew.
RETRY_DELAYS = (0.0, 0.03, 0.12, 0.45, 0.1)
ATTEMPTS = len(RETRY_DELAYS)
# A family card with 19 persons has about 1.3 KB; the bound is for cards that never end.
STEP = 256
MAX_STEPS = 32
# What the node readers ask for; some cards and readers refuse Le = 00 as a wrong length.
SHORT_STEP = 0x7C

_SELECT_MF = Command(0x00, 0xA4, 0x00, 0x00, b"\x3f\x00")
_SELECT_VITALE = Command(0x00, 0xA4, 0x04, 0x00, AID_VITALE)
_SELECT_MF_VITALE = Command(0x00, 0xA4, 0x04, 0x00, AID_MF_VITALE)
_SELECT_D001 = Command(0x00, 0xA4, 0x02, 0x00, b"\xd0\x01")
_SELECT_POINTERS = Command(0x00, 0xA4, 0x02, 0x00, b"\x20\x01")

# ISO/IEC 7816-4 §11.3.3: bit 8 of P1 says that bits 5 to 1 are a short file identifier; here SFI 2.
_SFI_2 = 0x82

# The fields of a person: name and first name, and the NIR.
_NAMES = frozenset({0x80, 0x81})
_NUMBER = frozenset({0x93})

_END_OF_FILE = frozenset({StatusWord.WRONG_OFFSET, StatusWord.END_OF_FILE_REACHED})
_READABLE = frozenset({StatusWord.OK, StatusWord.END_OF_FILE_REACHED})

_PADDING = " \0\xff"


def recognise(atr: bytes) -> Recognised | None:
    """Names a carte Vitale and its generation, ``vitale-1`` or ``vitale-2``."""
    if _VITALE_2.fullmatch(atr):
        return Recognised("vitale-card", "vitale-2")
    if _VITALE_1.fullmatch(atr):
        return Recognised("vitale-card", "vitale-1")
    return None


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


def reading_script(card: Recognised) -> ReadingScript[dict[str, bytes]]:
    """The script for a card of this module.

    Raises:
        MediumUnsupported: a Vitale 1; its zones are not public, and only the GIE's own library reads them.
    """
    if card.generation != "vitale-2":
        raise MediumUnsupported(
            "a Vitale 1 is read by the GIE SESAM-Vitale library only",
            variant="vitale-1",
            data={"medium": card.medium, "generation": card.generation},
        )
    return _read()


def _read() -> ReadingScript[dict[str, bytes]]:
    """Reads the clear zone by either published sequence, up to five times, with growing pauses and a final reset.

    A card without a NIR is accepted only at the last attempt. So a transient fault does not cost the NIR.

    Raises:
        MediumUnreadable: no attempt gave the names.
    """
    failure = MediumUnreadable()
    for attempt, pause in enumerate(RETRY_DELAYS, 1):
        last = attempt == ATTEMPTS
        for first, identity in (
            (replace(_SELECT_MF, pause=pause, reset=last), _identity_by_short_identifier),
            (_SELECT_MF_VITALE, _identity_by_master_file),
        ):
            try:
                return (yield from _read_both(identity(first), nir_required=not last))
            except MediumUnreadable as unreadable:
                failure = unreadable
    raise failure


def _read_both(identity: ReadingScript[bytes], *, nir_required: bool) -> ReadingScript[dict[str, bytes]]:
    evidence = {"identity": (yield from identity)}
    try:
        evidence["nir"] = yield from _nir()
    except MediumUnreadable:
        if nir_required:
            raise
    return evidence


def _identity_by_short_identifier(select_root: Command) -> ReadingScript[bytes]:
    """The sequence of Rufus: the root, then READ BINARY by short file identifier."""
    yield from _select(select_root)
    return (yield from _read_file(_SFI_2, _NAMES, proved=True))


def _identity_by_master_file(select_root: Command) -> ReadingScript[bytes]:
    """The sequence of the node readers: MF_VITALE, then the file D001."""
    yield from _select(select_root)
    yield from _select(_SELECT_D001)
    return (yield from _read_file(0, _NAMES, proved=True))


def _nir() -> ReadingScript[bytes]:
    yield from _select(_SELECT_VITALE)
    return (yield from _read_file(_SFI_2, _NUMBER))


def sequence_scripts() -> Mapping[str, Callable[[], ReadingScript[dict[str, bytes]]]]:
    """The two published sequences, each tried once, without pauses and resets: for ``doctor``."""
    return {
        "SFI": lambda: _read_both(_identity_by_short_identifier(_SELECT_MF), nir_required=True),
        "MF_VITALE": lambda: _read_both(_identity_by_master_file(_SELECT_MF_VITALE), nir_required=True),
    }


def pointers_script() -> ReadingScript[bytes]:
    """Reads EF 2001 POINTERS, the content for ``pointers.parse_pointers``.

    Raises:
        MediumUnreadable: the card does not give it.
    """
    yield from _select(_SELECT_VITALE)
    yield from _select(_SELECT_POINTERS)
    return (yield from _read_content(0))


def _select(command: Command) -> ReadingScript[None]:
    response = yield command
    if not response.ok:
        raise _refused(response)


def _read_file(first_p1: int, tags: frozenset[int], *, proved: bool = False) -> ReadingScript[bytes]:
    """Reads a file, and checks by its persons' fields that it is the one asked for.

    A card that loses its selection, by a power loss or another program's reset, answers from the root. There the same
    short identifier leads to the names.
    """
    content = yield from _read_content(first_p1, proved=proved)
    persons = _persons(tlv.parse_filled(content))
    if not persons:
        raise MediumUnreadable("the file has no person in it")
    if not any(one.tag in tags for person in persons for one in person.children):
        raise MediumUnreadable("the card answers with another file")
    return content


def _read_content(first_p1: int, *, proved: bool = False) -> ReadingScript[bytes]:
    """Reads a file to its end.

    The end is where the card says so, or after a short answer that completes the data objects.

    By ISO/IEC 7816-4 §11.3.3 an answer shorter than Le = 256 ends the file. Some cards cut their answers shorter: these
    are read on while a data object is incomplete. An answer that is cut behind a person looks like the end. So for a
    family the card itself has to say that nobody follows.

    Args:
        first_p1: P1 of the first READ BINARY; with a short file identifier it also selects the file.
        proved: whether the card has to show that nothing follows. It does so by giving nothing there, or what it gave
            at first.
    """
    content, step, whole = b"", STEP, False
    for _ in range(MAX_STEPS):
        p1, p2 = divmod(len(content), 256) if content else (first_p1, 0)
        response = yield Command(0x00, 0xB0, p1, p2, le=step)
        if whole and (response.sw not in _READABLE or content.startswith(response.data)):
            return content
        if response.sw == StatusWord.WRONG_LENGTH and step == STEP:
            step = SHORT_STEP
            continue
        if content and response.sw in _END_OF_FILE and not response.data:
            return content
        if response.sw not in _READABLE:
            raise _refused(response)
        if len(response.data) > step:
            raise MediumUnreadable("the card gave more than was asked for")
        content += response.data
        whole = len(response.data) < step and _complete(content)
        if response.sw in _END_OF_FILE or not response.data or (whole and not proved):
            return content
    if whole:
        return content
    raise MediumUnreadable("a file of the card does not end")


def _complete(content: bytes) -> bool:
    try:
        tlv.parse_filled(content)
    except MediumUnreadable:
        return False
    return True


def _refused(response: Response) -> MediumUnreadable:
    return MediumUnreadable("the card refused a command", data={"sw": f"{response.sw:04X}"})


# ── interpreting ─────────────────────────────────────────────────────────────────────────────────────────────────


def interpret(evidence: Evidence, *, simulated: bool) -> Reading:
    """Says what the clear zone says: pure, and never rejects what it can read.

    The first person is taken for the holder, whose NIR is the insured's. The clear zone tells no qualité, no rights.

    Args:
        evidence: ``identity`` and, where the card gave it, ``nir``.
        simulated: whether reader or card is simulated.

    Raises:
        MediumUnreadable: ``identity`` is missing, is not BER-TLV or has nobody in it.
    """
    identity = tlv.parse_filled(evidence.get("identity", b""))
    shown = tlv.parse_filled(evidence.get("nir", b""))
    warnings: list[str] = []
    nirs = _nirs(identity, shown, warnings)
    people = tuple(_person(one, nir, warnings) for one, nir in zip(_persons(identity), nirs, strict=True))
    if not people:
        raise MediumUnreadable("the card names nobody")
    start = tlv.find((*identity, *shown), 0x66, 0x80)
    assure = Assure(
        nir=people[0].nir,
        cle_nir=people[0].cle_nir,
        date_debut_validite=_text(start, warnings),
    )
    return Reading(
        medium="vitale-card",
        proof=Proof(method="card-clear-read", verified=False, freshness="none"),
        origin="simulated" if simulated else "unknown",
        record=Record(assure=assure, beneficiaires=people, porteur=0),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _persons(objects: tuple[tlv.Tlv, ...]) -> list[tlv.Tlv]:
    return [one for one in objects if one.tag == 0x65]


def _nirs(identity: tuple[tlv.Tlv, ...], shown: tuple[tlv.Tlv, ...], warnings: list[str]) -> Iterator[tlv.Tlv | None]:
    """The NIR of each person, in the order of the names.

    With fewer or more NIRs than names, their owners are not known. Only the first is given, to the holder: a wrong NIR
    beside a name is worse than none.
    """
    persons = _persons(identity)
    numbers = [tlv.find(one.children, 0x93) for one in _persons(shown) or persons]
    if len(numbers) != len(persons):
        warnings.append(NAMES_AND_NIRS_DIFFER)
        numbers = [*numbers[:1], *[None] * (len(persons) - 1)][: len(persons)]
    return iter(numbers)


def _person(template: tlv.Tlv, nir: tlv.Tlv | None, warnings: list[str]) -> Beneficiaire:
    shown = _text(nir, warnings)
    read = None if shown is None else read_nir(shown)
    warnings.extend((NIR_MISSING,) if read is None else read.warnings)
    birth = _text(tlv.find(template.children, 0x82), warnings)
    iso = _calendar_day(birth)
    if birth is not None and iso is None:
        warnings.append(BIRTH_DATE_NOT_CALENDAR)
    return Beneficiaire(
        nom_usuel=_text(tlv.find(template.children, 0x80), warnings),
        prenom=_text(tlv.find(template.children, 0x81), warnings),
        date_naissance=birth,
        date_naissance_iso=iso,
        nationalite=_text(tlv.find(template.children, 0x90), warnings),
        nir=None if read is None else read.number,
        cle_nir=None if read is None else read.key,
    )


def _text(one: tlv.Tlv | None, warnings: list[str]) -> str | None:
    """The text of a field without its padding, or None where it is absent or nothing but padding."""
    return None if one is None else shown_text(one.value.decode("latin-1").strip(_PADDING), warnings)


def _calendar_day(raw: str | None) -> str | None:
    """``AAAAMMJJ`` as ``AAAA-MM-JJ`` where it is a day of the calendar; six digits are not: they tell no century."""
    return None if raw is None or len(raw) != 8 else calendar_day(raw[:4], raw[4:6], raw[6:])
