"""Bytes that come as base64 (RFC 4648, standard alphabet, padded): one way to write each, and no other."""

from base64 import b64decode, b64encode

from vitale_protocol.errors import InvalidParams

__all__ = ["decode_base64"]


def decode_base64(encoded: str, path: str) -> bytes:
    """The bytes of a parameter, whose place in the message is ``path``.

    Raises:
        InvalidParams: it is not base64, or one of several ways to write the same.
    """
    try:
        content = b64decode(encoded, validate=True)
    except ValueError as error:  # binascii.Error; characters beyond ASCII
        raise InvalidParams("not base64", data={"path": path}) from error
    if b64encode(content).decode() != encoded:
        raise InvalidParams("base64 with bits to spare", data={"path": path})
    return content
