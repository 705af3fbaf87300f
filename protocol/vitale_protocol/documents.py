"""JSON documents that are not messages: files of ours, and rows that were sealed.

Which exception a JSON library raises differs from version to version. Here there is one, whatever is wrong.
"""

from typing import TypeVar

import msgspec

from vitale_protocol.errors import ParseError

__all__ = ["decode_document", "is_text"]

T = TypeVar("T")


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
