"""Channels: between a page and the core, through a gateway that may lie.

A channel is a stream of frames. Each is a length of 32 bits in network order, then one JSON value. A gateway reads what
a page sends and writes it anew, so that every value has one text. The core refuses any other text. So no repeated
member, byte order mark, NUL, white space or trailing byte is read in two ways.

The first frame is the preamble, which only the gateway writes. Nothing later can change what it says.
"""

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from vitale_protocol.documents import decode_strict
from vitale_protocol.errors import LimitExceeded, ParseError
from vitale_protocol.session import jsonrpc
from vitale_protocol.web.sites import SITE_CHARACTERS, parse_site

if TYPE_CHECKING:
    # A native host starts for each page, and has no use for all methods and their cryptography.
    from vitale_protocol.methods import StationMode

__all__ = [
    "CLOSE_PROTOCOL",
    "CLOSE_REFUSED",
    "CLOSE_REVOKED",
    "DEPTH",
    "FRAME_BYTES",
    "LAST_NUMBER",
    "OPENED",
    "Preamble",
    "SealedFrame",
    "Via",
    "close_code",
    "close_frame",
    "closing",
    "opened_frame",
    "read_frame",
    "read_preamble",
    "read_sealed",
    "rewrite",
    "write_frame",
]

Via = Literal["websocket", "stdio", "dashboard"]

# Browsers take no longer message from a native messaging host, in JSON, whatever is inside.
FRAME_BYTES: Final = 1_048_576
# docs/reference/wire.md, "Limits".
DEPTH: Final = 32

# Close codes of WebSocket (RFC 6455, section 7.4), which a carrier tells its page.
CLOSE_REFUSED: Final = 1008
CLOSE_REVOKED: Final = 4001
CLOSE_PROTOCOL: Final = 4002

# The largest whole number that JavaScript tells from its neighbours.
LAST_NUMBER: Final = 2**53 - 1

write_frame = msgspec.json.Encoder().encode

#: The first frame of a native host's channel from the core: it is taken. A gateway's is, once it is handed over.
OPENED: Final = write_frame({"open": True})


class Preamble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first frame of a channel: who opened it, as the gateway or the native host knows.

    Attributes:
        via: how the page reaches this machine; ``dashboard`` for the page of this station itself.
        site: the web origin that the browser named.
        peer_uid: the user of the browser's process; None where the system cannot tell.
        host: the address that the page dialled, or the extension that speaks for it.
        opened: seconds since the epoch.
    """

    via: Via
    site: Annotated[str, msgspec.Meta(max_length=SITE_CHARACTERS)]
    peer_uid: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] | None
    host: Annotated[str, msgspec.Meta(max_length=300)]
    opened: float


class _Close(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    close: Annotated[int, msgspec.Meta(ge=1000, le=4999)]


class SealedFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frame of an open session: its number, and a message in base64url that a gateway cannot read."""

    n: Annotated[int, msgspec.Meta(ge=0, le=LAST_NUMBER)]
    c: str


# The beginning of each of the two, as it is written.
_SEALED: Final = b'{"n":'
_CLOSE: Final = b'{"close":'

_decode_sealed = msgspec.json.Decoder(SealedFrame).decode
_decode_close = msgspec.json.Decoder(_Close).decode


def rewrite(text: bytes) -> bytes:
    """The frame of what a page sent: the same JSON value, written anew.

    Raises:
        ParseError: not one JSON value that all read alike, or nested deeper than a message may be.
    """
    if _is_sealed(text):
        return text
    _read(text)
    return write_frame(decode_strict(text))


def read_frame(frame: bytes) -> object:
    """The value of a frame.

    Raises:
        ParseError: the frame is not the one text of its value.
    """
    value = _read(frame)
    if jsonrpc.has_nul(frame) or write_frame(value) != frame:
        raise ParseError("not as a gateway writes it")
    return value


def read_sealed(frame: bytes) -> SealedFrame:
    """The sealed frame in a frame, for less than ``read_frame`` takes: it is most of what a session says.

    Raises:
        ParseError: the frame is not the one text of a sealed frame.
    """
    try:
        sealed = _decode_sealed(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ParseError("not a sealed frame") from error
    if write_frame(sealed) != frame:
        raise ParseError("not as a gateway writes it")
    return sealed


def read_preamble(frame: bytes, mode: "StationMode") -> Preamble:
    """The preamble in the first frame of a channel.

    Args:
        frame: without its length.
        mode: of the station; it says which sites there can be.

    Raises:
        ParseError: no preamble, or one with a site that cannot be.
    """
    try:
        preamble = msgspec.convert(read_frame(frame), Preamble)
    except msgspec.ValidationError as error:
        raise ParseError("not a preamble") from error
    parse_site(preamble.site, mode)
    return preamble


def _is_sealed(text: bytes) -> bool:
    """True for a sealed frame that is already its value's one text; with an escape it may not be."""
    if not text.startswith(_SEALED) or b"\\" in text:
        return False
    try:
        read_sealed(text)
    except ParseError:
        return False
    return True


def _read(text: bytes) -> object:
    try:
        return jsonrpc.decode(text, DEPTH)
    except LimitExceeded as error:
        raise ParseError("nested deeper than a message may be") from error


def closing(code: int) -> bytes:
    """The last frame of a channel: why it ends."""
    return write_frame(_Close(code))


def close_frame(code: int) -> bytes:
    """The last frame of a channel from the core, with its length."""
    return _with_length(closing(code))


def opened_frame() -> bytes:
    """The first frame of a native host's channel from the core, with its length."""
    return _with_length(OPENED)


def _with_length(frame: bytes) -> bytes:
    return len(frame).to_bytes(4, "big") + frame


def close_code(frame: bytes) -> int:
    """The code in a frame that says why a channel ends; 0 where it says something else."""
    if not frame.startswith(_CLOSE):
        return 0
    try:
        return _decode_close(frame).close
    except msgspec.MsgspecError:
        return 0
