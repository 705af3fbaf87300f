"""Command and response APDUs of ISO/IEC 7816-4, their status words by name, and what a reading script is.

Rules:

- Bytes that are not an APDU raise ``MediumUnreadable``; values that no APDU can carry raise ``LocalMisuse``.
- ``repr`` and ``str`` never show data: a response may carry a name or a NIR.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias, TypeVar

from vitale_protocol.errors import LocalMisuse, MediumUnreadable

__all__ = ["MAX_EXTENDED", "MAX_SHORT", "Command", "ReadingScript", "Response", "StatusWord", "status_name"]

# ISO/IEC 7816-4 §5.2: a short Le of 00 means 256, an extended one of 0000 means 65 536.
MAX_SHORT = 256
MAX_EXTENDED = 65_536

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Command:
    """A command APDU in any of the four cases, short or extended.

    Attributes:
        cla: the class byte.
        ins: the instruction byte.
        p1: the first parameter byte.
        p2: the second parameter byte.
        data: the command data, up to 65 535 bytes; more than 255 need the extended form.
        le: how many bytes are expected at most, 1 to 65 536; None for none. More than 256 need the extended form.
        pause: seconds of rest that the card is given before it; no part of the APDU.
        reset: whether the card is to be reset before it, and before that rest, where the connection can.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = field(default=b"", repr=False)
    le: int | None = None
    pause: float = field(default=0.0, compare=False, kw_only=True)
    reset: bool = field(default=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        """Refuses what cannot be encoded.

        Raises:
            LocalMisuse: a header value is not a byte, or a length is out of bounds.
        """
        if not all(0 <= value <= 0xFF for value in (self.cla, self.ins, self.p1, self.p2)):
            raise LocalMisuse("a header value of an APDU is not a byte")
        if len(self.data) >= MAX_EXTENDED:
            raise LocalMisuse("the data of an APDU has at most 65535 bytes")
        if self.le is not None and not 1 <= self.le <= MAX_EXTENDED:
            raise LocalMisuse("Le is 1 to 65536, or None")

    @property
    def extended(self) -> bool:
        """True if the lengths need the extended form."""
        return len(self.data) >= MAX_SHORT or (self.le or 0) > MAX_SHORT

    def to_bytes(self) -> bytes:
        """The encoding, in the short form wherever that can carry the lengths."""
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        return header + (self._extended_body() if self.extended else self._short_body())

    def _short_body(self) -> bytes:
        lc = bytes((len(self.data),)) + self.data if self.data else b""
        le = b"" if self.le is None else bytes((self.le % MAX_SHORT,))
        return lc + le

    def _extended_body(self) -> bytes:
        lc = len(self.data).to_bytes(2, "big") + self.data if self.data else b""
        le = b"" if self.le is None else (self.le % MAX_EXTENDED).to_bytes(2, "big")
        return b"\x00" + lc + le

    @classmethod
    def parse(cls, apdu: bytes) -> "Command":
        """Decodes a command APDU, by the table of ISO/IEC 7816-3 §12.1.3.

        Args:
            apdu: the whole APDU and nothing after it.

        Raises:
            MediumUnreadable: the bytes are in none of the cases.
        """
        if len(apdu) < 4:
            raise MediumUnreadable("a command APDU has at least 4 bytes")
        data, le = _parse_body(apdu[4:])
        return cls(apdu[0], apdu[1], apdu[2], apdu[3], data, le)

    def __str__(self) -> str:
        header = bytes((self.cla, self.ins, self.p1, self.p2)).hex().upper()
        lc = f" Lc={len(self.data)}" if self.data else ""
        le = f" Le={self.le}" if self.le is not None else ""
        return header + lc + le


def _parse_body(body: bytes) -> tuple[bytes, int | None]:
    if not body:
        return b"", None
    if len(body) == 1:
        return b"", body[0] or MAX_SHORT
    if body[0]:
        return _split(body[1:], body[0], 1)
    if len(body) == 3:
        return b"", int.from_bytes(body[1:], "big") or MAX_EXTENDED
    lc = int.from_bytes(body[1:3], "big")
    if lc == 0:
        raise MediumUnreadable("Lc of a command APDU is 0")
    return _split(body[3:], lc, 2)


def _split(rest: bytes, lc: int, le_size: int) -> tuple[bytes, int | None]:
    if len(rest) == lc:
        return rest, None
    if len(rest) == lc + le_size:
        return rest[:lc], int.from_bytes(rest[lc:], "big") or 256**le_size
    raise MediumUnreadable("Lc of a command APDU differs from its length")


@dataclass(frozen=True, slots=True)
class Response:
    """A response APDU: its data, and its status word as one number."""

    data: bytes = field(repr=False)
    sw: int

    @classmethod
    def parse(cls, apdu: bytes) -> "Response":
        """Splits a response APDU.

        Raises:
            MediumUnreadable: there is no status word, or more data than any response may carry.
        """
        if not 2 <= len(apdu) <= MAX_EXTENDED + 2:
            raise MediumUnreadable("a response APDU has 2 to 65538 bytes")
        return cls(bytes(apdu[:-2]), int.from_bytes(apdu[-2:], "big"))

    def to_bytes(self) -> bytes:
        """Encodes the response: its data, then SW1 and SW2."""
        return self.data + self.sw.to_bytes(2, "big")

    @property
    def sw1(self) -> int:
        """The first byte of the status word."""
        return self.sw >> 8

    @property
    def sw2(self) -> int:
        """The second byte of the status word."""
        return self.sw & 0xFF

    @property
    def ok(self) -> bool:
        """True if the status word is 9000."""
        return self.sw == StatusWord.OK

    def __str__(self) -> str:
        return f"{self.sw:04X} ({status_name(self.sw)}) +{len(self.data)}"


ReadingScript: TypeAlias = Generator[Command, Response, T]
"""A reading as a generator: yields commands, receives final responses, returns what it read.

Whoever runs it answers ``61xx`` and ``6Cxx`` by itself and sends in what came of it. An answer that is no response
APDU is thrown in as ``MediumUnreadable``, so that the script may try again; a medium that left or fell silent ends it.
"""


class StatusWord(IntEnum):
    """The status words of ISO/IEC 7816-4 (2013) §5.6, tables 5 and 6, that have one meaning each."""

    OK = 0x9000
    NO_INFORMATION = 0x6200
    DATA_MAY_BE_CORRUPTED = 0x6281
    END_OF_FILE_REACHED = 0x6282
    FILE_DEACTIVATED = 0x6283
    FILE_CONTROL_INFORMATION_BADLY_FORMATTED = 0x6284
    FILE_TERMINATED = 0x6285
    NO_INPUT_FROM_SENSOR = 0x6286
    STATE_CHANGED = 0x6300
    FILE_FILLED_UP = 0x6381
    EXECUTION_ERROR = 0x6400
    IMMEDIATE_RESPONSE_REQUIRED = 0x6401
    MEMORY_CHANGED_EXECUTION_ERROR = 0x6500
    MEMORY_FAILURE = 0x6581
    SECURITY_ISSUE = 0x6600
    WRONG_LENGTH = 0x6700
    FUNCTION_OF_CLASS_NOT_SUPPORTED = 0x6800
    LOGICAL_CHANNEL_NOT_SUPPORTED = 0x6881
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882
    LAST_COMMAND_OF_CHAIN_EXPECTED = 0x6883
    COMMAND_CHAINING_NOT_SUPPORTED = 0x6884
    COMMAND_NOT_ALLOWED = 0x6900
    COMMAND_INCOMPATIBLE_WITH_FILE = 0x6981
    SECURITY_STATUS_NOT_SATISFIED = 0x6982
    AUTHENTICATION_BLOCKED = 0x6983
    REFERENCE_DATA_NOT_USABLE = 0x6984
    CONDITIONS_OF_USE_NOT_SATISFIED = 0x6985
    NO_CURRENT_EF = 0x6986
    SECURE_MESSAGING_OBJECTS_MISSING = 0x6987
    SECURE_MESSAGING_OBJECTS_INCORRECT = 0x6988
    WRONG_PARAMETERS = 0x6A00
    INCORRECT_DATA = 0x6A80
    FUNCTION_NOT_SUPPORTED = 0x6A81
    FILE_OR_APPLICATION_NOT_FOUND = 0x6A82
    RECORD_NOT_FOUND = 0x6A83
    NOT_ENOUGH_MEMORY = 0x6A84
    NC_INCONSISTENT_WITH_TLV = 0x6A85
    INCORRECT_P1_P2 = 0x6A86
    NC_INCONSISTENT_WITH_P1_P2 = 0x6A87
    REFERENCED_DATA_NOT_FOUND = 0x6A88
    FILE_EXISTS = 0x6A89
    DF_NAME_EXISTS = 0x6A8A
    WRONG_OFFSET = 0x6B00
    INSTRUCTION_NOT_SUPPORTED = 0x6D00
    CLASS_NOT_SUPPORTED = 0x6E00
    NO_PRECISE_DIAGNOSIS = 0x6F00


def status_name(sw: int) -> str:
    """The meaning of a status word in a few English words, for logs and developers.

    Args:
        sw: the status word, 0 to 0xFFFF.
    """
    if sw in _NAMES:
        return _NAMES[sw]
    sw1, sw2 = sw >> 8, sw & 0xFF
    if sw1 == 0x61:
        return f"{sw2 or MAX_SHORT} bytes still available"
    if sw1 == 0x6C:
        return f"wrong Le, {sw2 or MAX_SHORT} bytes available"
    if sw & 0xFFF0 == 0x63C0:
        return f"state changed, counter {sw & 0xF}"
    return _FAMILIES.get(sw1, "not a status word of the standard")


_NAMES = {int(word): word.name.lower().replace("_", " ") for word in StatusWord}

_FAMILIES = {
    0x62: "warning, state unchanged",
    0x63: "warning, state changed",
    0x64: "execution error, state unchanged",
    0x65: "execution error, state changed",
    0x66: "security issue",
    0x67: "wrong length",
    0x68: "function of class not supported",
    0x69: "command not allowed",
    0x6A: "wrong parameters",
    0x6B: "wrong parameters",
    0x90: "proprietary",
    **dict.fromkeys(range(0x91, 0xA0), "proprietary"),
}
