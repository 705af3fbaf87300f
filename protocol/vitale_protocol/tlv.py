"""BER-TLV data objects of ISO/IEC 7816-4 §5.3 and 8825-1: strict decoding, encoding, finding by path.

Rules:

- Nothing is left over: ``parse`` takes all bytes or raises. Files longer than their content, as cards have them, go
  through ``parse_filled``, which says where it is lenient.
- The indefinite length, tags above four bytes, badly formed tags, and lengths above four bytes are refused.
- Depth and length are bounded. Everything that does not decode raises ``MediumUnreadable``, and nothing else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vitale_protocol.errors import LocalMisuse, MediumUnreadable

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "Tlv", "encode", "find", "find_all", "parse", "parse_filled"]

# The Vitale 2 has 32 KB of memory in all, and its deepest published object (the certificate) has three levels.
MAX_LENGTH = 65_536
MAX_DEPTH = 8

# ISO/IEC 7816-4 §5.3: between and after data objects, bytes of these values mean nothing; no tag begins with them.
FILLER = b"\x00\xff"


@dataclass(frozen=True, slots=True)
class Tlv:
    """One data object.

    Attributes:
        tag: the tag's bytes as one number: ``0x65``, ``0x7F21``.
        value: the content; for a constructed object, the encoding of its children.
        children: the data objects inside a constructed one.
    """

    tag: int
    value: bytes = field(repr=False)
    children: tuple["Tlv", ...] = ()

    @property
    def constructed(self) -> bool:
        """True if the content is data objects (bit 6 of the first tag byte)."""
        return _is_constructed(self.tag)


def parse(data: bytes, *, max_depth: int = MAX_DEPTH, max_length: int = MAX_LENGTH) -> tuple[Tlv, ...]:
    """Decodes data objects that follow one another and fill ``data`` exactly.

    Args:
        data: the encoding.
        max_depth: how many levels are allowed; 1 allows no constructed object.
        max_length: how many bytes are allowed.

    Raises:
        MediumUnreadable: the bytes are not BER-TLV, or exceed a bound.
    """
    _check_length(data, max_length)
    objects: list[Tlv] = []
    at = 0
    while at < len(data):
        one, at = _parse_one(data, at, max_depth)
        objects.append(one)
    return tuple(objects)


def parse_filled(data: bytes, *, max_depth: int = MAX_DEPTH, max_length: int = MAX_LENGTH) -> tuple[Tlv, ...]:
    """Decodes data objects followed by filler: a card's file may be longer than what was written to it.

    The filler begins where a tag would and runs to the end. Only bytes 00 and FF may be in it. Inside of a data object
    nothing is lenient.

    Raises:
        MediumUnreadable: the bytes are not BER-TLV, something follows that is not filler, or a bound is exceeded.
    """
    _check_length(data, max_length)
    objects: list[Tlv] = []
    at = 0
    while at < len(data) and data[at] not in FILLER:
        one, at = _parse_one(data, at, max_depth)
        objects.append(one)
    if data[at:].strip(FILLER):
        raise MediumUnreadable("something other than filler follows the data objects")
    return tuple(objects)


def encode(tag: int, content: bytes | Iterable[bytes]) -> bytes:
    """Encodes one data object, with the shortest length.

    Args:
        tag: the tag's bytes as one number.
        content: the value, or the encodings of the children.

    Raises:
        LocalMisuse: no such tag.
    """
    value = content if isinstance(content, bytes) else b"".join(content)
    tag_bytes = tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big")
    try:
        _, end = _parse_tag(tag_bytes, 0)
    except MediumUnreadable as malformed:
        raise LocalMisuse("no such tag") from malformed
    if end != len(tag_bytes):
        raise LocalMisuse("no such tag")
    return tag_bytes + _encode_length(len(value)) + value


def find_all(objects: Iterable[Tlv], *path: int) -> Iterator[Tlv]:
    """Every object at a path of tags, in the order of the encoding: ``find_all(objects, 0x65, 0x80)``."""
    for one in objects:
        if one.tag == path[0]:
            if len(path) == 1:
                yield one
            else:
                yield from find_all(one.children, *path[1:])


def find(objects: Iterable[Tlv], *path: int) -> Tlv | None:
    """The first object at a path of tags, or None where there is none."""
    return next(find_all(objects, *path), None)


def _check_length(data: bytes, max_length: int) -> None:
    if len(data) > max_length:
        raise MediumUnreadable(f"more than {max_length} bytes of data objects")


def _parse_one(data: bytes, at: int, depth: int) -> tuple[Tlv, int]:
    if depth < 1:
        raise MediumUnreadable("data objects are nested too deeply")
    tag, at = _parse_tag(data, at)
    length, at = _parse_length(data, at)
    if length > len(data) - at:
        raise MediumUnreadable("a data object is truncated")
    value = data[at : at + length]
    children = parse(value, max_depth=depth - 1, max_length=length) if _is_constructed(tag) else ()
    return Tlv(tag, value, children), at + length


def _parse_tag(data: bytes, at: int) -> tuple[int, int]:
    first = _byte(data, at)
    if first in FILLER:
        raise MediumUnreadable("no tag begins with 00 or FF")
    if first & 0x1F != 0x1F:
        return first, at + 1
    # ISO/IEC 7816-4 §5.3, table 9: at most three bytes in the interindustry classes; four leave room for others.
    for end in range(at + 2, at + 5):
        if not _byte(data, end - 1) & 0x80:
            break
    else:
        raise MediumUnreadable("a tag has more than four bytes")
    second = data[at + 1]
    if second == 0x80 or second < 0x1F:
        raise MediumUnreadable("a tag is not in its shortest form")
    return int.from_bytes(data[at:end], "big"), end


def _parse_length(data: bytes, at: int) -> tuple[int, int]:
    first = _byte(data, at)
    if first < 0x80:
        return first, at + 1
    size = first & 0x7F
    if not 1 <= size <= 4:
        raise MediumUnreadable("a length is indefinite or has more than four bytes")
    end = at + 1 + size
    if end > len(data):
        raise MediumUnreadable("a length is truncated")
    # Longer than needed is allowed: ISO/IEC 7816-4 §5.3 gives '81' 00–FF as a form of its own.
    return int.from_bytes(data[at + 1 : end], "big"), end


def _encode_length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def _is_constructed(tag: int) -> bool:
    first = tag >> (8 * ((max(tag.bit_length(), 1) - 1) // 8))
    return bool(first & 0x20)


def _byte(data: bytes, at: int) -> int:
    if at >= len(data):
        raise MediumUnreadable("a data object is truncated")
    return data[at]
