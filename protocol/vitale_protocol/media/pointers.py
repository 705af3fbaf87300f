"""EF 2001 POINTERS of the application VITALE: the card's own map of its applications and files, for ``doctor``.

Layout, as cardpeek publishes it: ``E0 { A0 { 82 application … } 80 file … }``. The value of an application is its entry
number (2 bytes), two bytes of unknown meaning and its AID. The value of a file begins with its name (8 ASCII
characters). The entry number of its application (2 bytes) and its file identifier (2 bytes) follow.
"""

import msgspec

from vitale_protocol import tlv
from vitale_protocol.errors import MediumUnreadable

__all__ = ["Application", "CardFile", "CardMap", "parse_pointers"]


class Application(msgspec.Struct, frozen=True):
    """An application of the card: its entry number in the map, and its AID."""

    entry: int
    aid: bytes


class CardFile(msgspec.Struct, frozen=True):
    """An elementary file: its name, the entry number of its application, and its file identifier."""

    name: str
    application: int
    fid: int


class CardMap(msgspec.Struct, frozen=True):
    """Applications and files of a card, protected files included."""

    applications: tuple[Application, ...]
    files: tuple[CardFile, ...]


def parse_pointers(content: bytes) -> CardMap:
    """Reads the map.

    Args:
        content: the whole file, filler included.

    Raises:
        MediumUnreadable: the file is not laid out like the map.
    """
    objects = tlv.parse_filled(content)
    if tlv.find(objects, 0xE0) is None:
        raise MediumUnreadable("POINTERS has no map")
    applications = tuple(_application(one.value) for one in tlv.find_all(objects, 0xE0, 0xA0, 0x82))
    files = tuple(_file(one.value) for one in tlv.find_all(objects, 0xE0, 0x80))
    return CardMap(applications, files)


def _application(value: bytes) -> Application:
    # ISO/IEC 7816-4 §8.2.1.2: an AID has 5 to 16 bytes (here at least 1: the map may name the root otherwise).
    if not 5 <= len(value) <= 20:
        raise MediumUnreadable("an application in POINTERS has a wrong length")
    return Application(int.from_bytes(value[:2], "big"), value[4:])


def _file(value: bytes) -> CardFile:
    if len(value) < 12:
        raise MediumUnreadable("a file in POINTERS is too short")
    name = value[:8].decode("ascii", "replace").rstrip(" \0")
    return CardFile(name, int.from_bytes(value[8:10], "big"), int.from_bytes(value[10:12], "big"))
