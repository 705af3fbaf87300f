"""JSON documents that are not messages: files of ours, and rows that were sealed.

Which exception a JSON library raises differs from version to version. Here there is one, whatever is wrong.
"""

import json
import re
from collections.abc import Sequence
from typing import NoReturn, TypeVar

import msgspec

from vitale_protocol.errors import ParseError

__all__ = ["decode_document", "decode_strict", "is_text", "once"]

T = TypeVar("T")

# Half a surrogate pair, or a NUL, as they stand where the value is written again: an escape can put them there.
_NO_CHARACTERS = re.compile(r"[\ud800-\udfff]|(?<!\\)(?:\\\\)*+\\u0000")


def decode_document(content: bytes, into: type[T]) -> T:
    """A JSON document as the given type.

    Args:
        content: the whole document, in UTF-8.
        into: a struct, or another type that msgspec reads.

    Raises:
        ParseError: not JSON in UTF-8, or not of that type. Nothing of the content travels along, not as a cause either.
    """
    if not is_text(content):
        raise ParseError("not UTF-8")
    try:
        return msgspec.json.decode(content, type=into)
    except (msgspec.DecodeError, RecursionError):
        pass
    # Outside of the handler: the decoder's own words may quote what it read.
    raise ParseError("not the document expected")


def is_text(content: bytes) -> bool:
    """True if the bytes are UTF-8; asked before a library is, whose answer would depend on its version."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def decode_strict(content: bytes) -> object:
    """A JSON value that every reader reads alike, from bytes of strangers; nesting is for the caller to bound.

    Raises:
        ParseError: not one JSON value in UTF-8. Or it has a byte order mark, two members of one name, a NUL or half a
            surrogate pair. Or it has a constant such as NaN, or a number that no double holds.
    """
    if not is_text(content):
        raise ParseError("not UTF-8")
    text = content.decode()
    try:
        value = json.loads(text, object_pairs_hook=once, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        value = None
    else:
        if "\\u" not in text or _NO_CHARACTERS.search(json.dumps(value, ensure_ascii=False)) is None:
            return value
    # Outside of the handler: the decoder's own words may quote what it read.
    raise ParseError("not JSON, or not such that all read it alike")


def once(pairs: Sequence[tuple[str, T]]) -> dict[str, T]:
    """The members of a JSON object, each there once.

    Raises:
        ValueError: two have one name. Libraries differ in which of them they read, so they are not read at all.
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("two members of one name")
    return members


def _no_number(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("a number that no double holds")
    return number
