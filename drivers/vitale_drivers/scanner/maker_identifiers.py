r"""Code identifiers of makers: what their imagers put before a code where AIM identifiers are not chosen; pure data.

Each table has what its maker's imagers send for the codes of a counter, with its factory settings. Letters of different
makers contradict each other, so that a table is used where the configuration names it. Without that, an identifier is
only recognised before what proves itself. That is an INS Datamatrix, a 2D-Doc, or a string of the simulated phone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from vitale_protocol.media.apcv import SIMULATED_PREFIX
from vitale_protocol.media.codes import classify

__all__ = [
    "MAKER_IDENTIFIERS",
    "Maker",
    "MakerIdentifiers",
    "is_proved",
    "recognise_identifier",
    "split_maker_identifier",
]

Maker: TypeAlias = Literal["zebra", "honeywell", "datalogic", "datalogic-eu", "newland", "opticon"]


@dataclass(frozen=True, slots=True)
class MakerIdentifiers:
    """The identifiers of a maker's imagers.

    Attributes:
        source: the manual, and what of the table it shows.
        symbologies: the symbology of each identifier.
    """

    source: str
    symbologies: Mapping[bytes, str]


# The letters of Hand Held Products, which Honeywell and Newland took over.
_HAND_HELD: Final = {
    b"d": "ean",
    b"D": "ean",
    b"c": "upc",
    b"E": "upc",
    b"b": "code39",
    b"j": "code128",
    b"i": "code93",
    b"e": "itf",
    b"a": "codabar",
    b"r": "pdf417",
    b"s": "qr",
    b"z": "aztec",
}

MAKER_IDENTIFIERS: Final[Mapping[Maker, MakerIdentifiers]] = {
    "zebra": MakerIdentifiers(
        "Zebra, SP72 Programmer's Guide, Symbol Code Identifiers (docs.zebra.com)",
        {
            b"A": "ean",
            b"B": "code39",
            b"C": "codabar",
            b"D": "code128",
            b"E": "code93",
            b"F": "itf",
            b"K": "gs1-128",
            b"L": "ean",
            b"R": "gs1-databar",
            b"X": "pdf417",
            b"z": "aztec",
            b"P00": "datamatrix",
            b"P01": "qr",
            b"P0G": "gs1-datamatrix",
            b"P0Q": "gs1-qr",
        },
    ),
    "honeywell": MakerIdentifiers(
        "Honeywell, 3820 User's Guide, Appendix A, Symbology Charts; the letters are those of Hand Held Products",
        {**_HAND_HELD, b"I": "gs1-128", b"y": "gs1-databar", b"w": "datamatrix", b"R": "pdf417"},
    ),
    "datalogic": MakerIdentifiers(
        "Datalogic, Gryphon I GD4500 Product Reference Guide, Label ID Pre-loaded Sets, USA; for two-dimensional codes "
        "Magellan 800i, Label ID",
        {
            b"F": "ean",
            b"FF": "ean",
            b"A": "code32",
            b"Y": "code39",
            b"*": "code39",
            b"#": "code128",
            b"%": "codabar",
            b"&": "code93",
            b"Dm": "datamatrix",
            b"QR": "qr",
            b"$Q": "micro-qr",
            b"Az": "aztec",
        },
    ),
    "datalogic-eu": MakerIdentifiers(
        "as before, EU, and QuickScan I QD2400 Product Reference Guide, Table 35; of two-dimensional codes only Aztec "
        "was compared",
        {
            b"B": "ean",
            b"A": "ean",
            b"X": "code32",
            b"Y": "code39",
            b"V": "code39",
            b"T": "code128",
            b"R": "codabar",
            b"U": "code93",
            b"!": "aztec",
            b"r": "pdf417",
            b"w": "datamatrix",
            b"y": "qr",
        },
    ),
    "newland": MakerIdentifiers(
        "Newland, Serial Programming Command Manual, Code ID List; not compared with the list itself",
        {**_HAND_HELD, b"f": "code128", b"u": "datamatrix"},
    ),
    "opticon": MakerIdentifiers(
        "Opticon, Universal Menu Book, chapter 4, String options; not compared with the table itself",
        {
            b"B": "ean",
            b"A": "ean",
            b"C": "upc",
            b"D": "upc",
            b"V": "code39",
            b"T": "code128",
            b"U": "code93",
            b"N": "itf",
            b"R": "codabar",
            b"r": "pdf417",
            b"t": "datamatrix",
            b"u": "qr",
            b"o": "aztec",
        },
    ),
}

_LONGEST: Final = 3
_ANY: Final = tuple(
    sorted(
        {
            (identifier, symbology)
            for made in MAKER_IDENTIFIERS.values()
            for identifier, symbology in made.symbologies.items()
            if symbology in {"qr", "datamatrix"}
        }
    )
)


def split_maker_identifier(line: bytes, maker: Maker) -> tuple[str, bytes]:
    """The symbology, empty where the line begins with no identifier of the maker, and the content of the code."""
    if is_proved(line):
        return "", line
    symbologies = MAKER_IDENTIFIERS[maker].symbologies
    for length in range(_LONGEST, 0, -1):
        if symbology := symbologies.get(line[:length]):
            return symbology, line[length:]
    return "", line


def recognise_identifier(line: bytes) -> tuple[str, bytes]:
    """The symbology and the content of a line before whose content some maker's identifier stands.

    Only what is proved by its own beginning is recognised: anything else might begin with these letters itself.
    """
    if is_proved(line):
        return "", line
    found = {(symbology, line[len(each) :]) for each, symbology in _ANY if line.startswith(each)}
    proved = sorted((symbology, content) for symbology, content in found if is_proved(content))
    if not proved:
        return "", line
    # The makers' letters contradict each other: then nobody knows.
    return proved[0] if len(proved) == 1 else ("", proved[0][1])


def is_proved(content: bytes) -> bool:
    """True if a content is known by its own beginning."""
    return content.startswith(SIMULATED_PREFIX) or classify(content).medium in {"ins-datamatrix", "2d-doc"}
