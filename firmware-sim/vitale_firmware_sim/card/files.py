"""The applications and files of a simulated Vitale 2, built from its image with the published identifiers and tags.

Unpublished details were chosen here: the names in POINTERS, the place of tag 66, and two file identifiers. Readers
address these two files by SFI 2 in VITALE. The protected files only stand for those of a real card.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from vitale_firmware_sim.card.images import CardHolder, Image
from vitale_protocol import tlv
from vitale_protocol.media.vitale_card import AID_ADELE, AID_MF_VITALE, AID_VITALE

__all__ = ["CardApplication", "File", "applications"]


@dataclass(frozen=True, slots=True)
class File:
    """A transparent elementary file; a protected one refuses to be read."""

    name: str
    fid: int
    content: bytes = field(repr=False)
    sfi: int | None = None
    protected: bool = False


@dataclass(frozen=True, slots=True)
class CardApplication:
    """An application (a dedicated file) with its files; the first of a card is its root, 3F00."""

    aid: bytes
    label: str
    files: tuple[File, ...]


def applications(image: Image) -> tuple[CardApplication, ...]:
    """The card's tree: the root, which is MF_VITALE, then VITALE and the signature application Adèle."""
    identity = File("IDENTITE", 0xD001, _identity(image), sfi=2)
    numbers = File("NIR", 0x2002, _numbers(image), sfi=2)
    # As cardpeek takes it: the root's DIR and PAN, and the map itself, are known beforehand and not on the map.
    listed = (
        CardApplication(AID_MF_VITALE, "MF_VITALE", (identity,)),
        CardApplication(AID_VITALE, "VITALE", (numbers, File("SIMPROT1", 0x2010, b"", protected=True))),
        CardApplication(AID_ADELE, "Adèle", (File("SIMPROT2", 0x5010, b"", protected=True),)),
    )
    root, vitale, adele = listed
    directory = File("DIR", 0x2F00, _directory(listed))
    # By analogy with the CPS, a card number that begins with the IIN 80 250; the rest is invented.
    number = File("PAN", 0x2F02, tlv.encode(0x5A, bytes.fromhex("80250000009999000017")))
    pointers = File("POINTERS", 0x2001, _pointers(listed), sfi=1)
    return (
        replace(root, files=(directory, number, *root.files)),
        replace(vitale, files=(pointers, *vitale.files)),
        adele,
    )


def _identity(image: Image) -> bytes:
    return b"".join(_person(one) for one in image.beneficiaires)


def _person(one: CardHolder) -> bytes:
    fields = ((0x80, one.nom), (0x81, one.prenom), (0x82, one.date_naissance), (0x90, one.nationalite))
    return tlv.encode(0x65, _texts(fields))


def _numbers(image: Image) -> bytes:
    people = (tlv.encode(0x65, _texts(((0x93, one.nir),))) for one in image.beneficiaires)
    card = tlv.encode(0x66, _texts(((0x80, image.date_debut_validite),)))
    return b"".join((*people, card))


def _texts(fields: Iterable[tuple[int, str | None]]) -> list[bytes]:
    return [tlv.encode(tag, text.encode("latin-1")) for tag, text in fields if text is not None]


def _directory(listed: Iterable[CardApplication]) -> bytes:
    """EF.DIR: application templates of ISO/IEC 7816-4 §8.2.1.1."""
    return b"".join(
        tlv.encode(0x61, [tlv.encode(0x4F, one.aid), tlv.encode(0x50, one.label.encode("latin-1"))]) for one in listed
    )


def _pointers(listed: Iterable[CardApplication]) -> bytes:
    """EF 2001: the layout that ``vitale_protocol.media.pointers`` documents."""
    entries = [*enumerate(listed, 1)]
    heads = [tlv.encode(0x82, _word(entry) + _word(0) + one.aid) for entry, one in entries]
    files = [
        tlv.encode(0x80, file.name.ljust(8).encode("ascii") + _word(entry) + _word(file.fid))
        for entry, one in entries
        for file in one.files
    ]
    return tlv.encode(0xE0, [tlv.encode(0xA0, heads), *files])


def _word(number: int) -> bytes:
    return number.to_bytes(2, "big")
