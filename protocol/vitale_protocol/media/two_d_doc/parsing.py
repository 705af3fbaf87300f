"""The 2D-Doc of the ANTS, a signed code on official documents: taken apart into header, fields and signature.

Format of the "Spécifications techniques des codes à barres 2D-Doc", encoding C40, versions 01 to 04::

    DC vv  AAAA CCCC  eeee ssss  tt [pp [cc]]   fields …   US  signature  [GS  annex fields …]

``vv`` is the version, ``AAAA`` the certification authority and ``CCCC`` its certificate. ``eeee`` and ``ssss`` are the
days of emission and of signature: hexadecimal days since 2000-01-01, FFFF for none. ``tt`` is the type of document,
``pp`` the perimeter (from version 03), ``cc`` the country (from 04). A field is two characters of identifier and a
value. GS closes a value of variable length that is shorter than its maximum; RS closes one that was cut. The signature
is ECDSA, r and s one after the other, in base32 without padding. It covers all that stands before US. The annex is not
signed.
"""

import base64
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.media import separators
from vitale_protocol.media.two_d_doc.fields import LENGTHS, Length
from vitale_protocol.privacy import concealed

__all__ = ["Field", "TwoDDoc", "parse"]

_HEADER = re.compile(
    rb"DC(?P<version>0[1-4])(?P<authority>[0-9A-Z]{4})(?P<certificate>[0-9A-Z]{4})"
    rb"(?P<emitted>[0-9A-F]{4})(?P<signed>[0-9A-F]{4})(?P<type>[0-9A-Z]{2})"
)
# Where a version has a perimeter, and where a country.
_REST: Final = {"01": rb"", "02": rb"", "03": rb"(?P<perimeter>[0-9A-Z]{2})"}
_REST_04: Final = rb"(?P<perimeter>[0-9A-Z]{2})(?P<country>[A-Z]{2})"

_EPOCH: Final = date(2000, 1, 1)
_NO_DAY: Final = "FFFF"

_IDENTIFIER = re.compile(r"[0-9A-Z]{2}")
_SEPARATOR = re.compile(r"[\x1d\x1e]")
_UNKNOWN: Final = Length(None)

_BASE32 = re.compile(rb"[A-Z2-7]+")
# ECDSA over P-256, P-384 and P-521, in base32.
_SIGNATURE_TEXT: Final = {103: 64, 154: 96, 212: 132}
_MAX_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, repr=False)
class Field:
    """A field of the message; ``cut`` where the issuer shortened its value to fit."""

    id: str
    value: str
    cut: bool = False

    __repr__ = concealed


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TwoDDoc:
    """A 2D-Doc, whose signature was not looked at yet.

    Attributes:
        version: 1 to 4.
        authority: the certification authority (``FR01`` …).
        certificate: which of its certificates signed.
        emitted: the day of the document, where it has one.
        signed: the day of the signature.
        type: the type of document (``07`` a titre d'identité …).
        perimeter: which table the identifiers belong to; ``01`` is that of the ANTS.
        country: of the issuer, from version 04.
        fields: of the message, which the signature covers.
        annex: fields that it does not cover: nothing is to be believed of them.
        covered: the bytes that are signed.
        signature: r and s, of equal length.
    """

    version: int
    authority: str
    certificate: str
    emitted: date | None
    signed: date | None
    type: str
    perimeter: str
    country: str | None
    fields: tuple[Field, ...]
    annex: tuple[Field, ...]
    covered: bytes
    signature: bytes

    __repr__ = concealed

    def field(self, *ids: str) -> Field | None:
        """The first signed field that is there and not empty, of several in order of preference."""
        found = (one for wanted in ids for one in self.fields if one.id == wanted and one.value.strip())
        return next(found, None)


def parse(code: bytes) -> TwoDDoc:
    """Takes a 2D-Doc apart, even if an imager typed separators as text or dropped a US.

    Raises:
        PayloadInvalid: this is no 2D-Doc (the variant is ``2d-doc-format``), or one whose separators were lost on
            the way (``separators-lost``).
    """
    code = separators.restored(code).rstrip(b"\r\n\t \x04")
    header = _HEADER.match(code)
    if len(code) > _MAX_BYTES or header is None:
        raise _invalid("the header is not that of a 2D-Doc")
    version = header["version"].decode()
    rest = re.compile(_REST.get(version, _REST_04)).match(code, header.end())
    if rest is None:
        raise _invalid("the header has no perimeter or country")
    covered, signature, annex = _zones(code, rest.end())
    places = rest.groupdict()
    perimeter = places.get("perimeter", b"01").decode()
    return TwoDDoc(
        version=int(version),
        authority=header["authority"].decode(),
        certificate=header["certificate"].decode(),
        emitted=_day(header["emitted"].decode()),
        signed=_day(header["signed"].decode()),
        type=header["type"].decode(),
        perimeter=perimeter,
        country=places["country"].decode() if "country" in places else None,
        fields=_fields(_text(covered[rest.end() :]), perimeter),
        annex=_fields(_text(annex), perimeter),
        covered=covered,
        signature=signature,
    )


def _zones(code: bytes, message: int) -> tuple[bytes, bytes, bytes]:
    """Splits a code into the signed part, the signature and the annex."""
    covered, found, tail = code.partition(separators.US)
    if not found:
        covered, tail = _without_us(code, message)
    signed, _, annex = tail.partition(separators.GS)
    size = _SIGNATURE_TEXT.get(len(signed))
    if size is None or not _BASE32.fullmatch(signed):
        raise _invalid("the signature is not one of ECDSA in base32")
    return covered, base64.b32decode(signed + b"=" * (-len(signed) % 8))[:size], annex


def _without_us(code: bytes, message: int) -> tuple[bytes, bytes]:
    """Splits a code whose US was dropped by an imager that typed GS.

    The signature of a P-256 key ends it.
    """
    at = len(code) - 103
    if separators.GS not in code or at < message or not _BASE32.fullmatch(code[at:]):
        raise PayloadInvalid(
            "the separators of the 2D-Doc were lost", variant="separators-lost", data={"medium": "2d-doc"}
        )
    return code[:at], code[at:]


def _fields(text: str, perimeter: str) -> tuple[Field, ...]:
    lengths = LENGTHS if perimeter == "01" else {}
    fields: list[Field] = []
    at = 0
    while at < len(text):
        if text[at] in "\x1d\x1e":
            at += 1
            continue
        name, start = text[at : at + 2], at + 2
        if not _IDENTIFIER.fullmatch(name):
            raise _invalid("a field does not begin with an identifier")
        at = _end(text, start, lengths.get(name, _UNKNOWN), lengths)
        fields.append(Field(name, text[start:at], cut=text[at : at + 1] == "\x1e"))
    return tuple(fields)


def _end(text: str, start: int, length: Length, known: dict[str, Length]) -> int:
    """Finds the end of a value: a separator, its length, or its maximum where another known field begins.

    A value longer than its maximum belongs to a newer table than ours. It ends at the next separator, after which
    fields are recognised again. The same holds for unknown identifiers.
    """
    separator = _SEPARATOR.search(text, start)
    end = separator.start() if separator else len(text)
    if length.most is None or end - start <= length.most:
        return end
    most = start + length.most
    return most if length.fixed or text[most : most + 2] in known else end


def _day(text: str) -> date | None:
    return None if text == _NO_DAY else _EPOCH + timedelta(days=int(text, 16))


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _invalid(detail: str) -> PayloadInvalid:
    return PayloadInvalid(detail, variant="2d-doc-format", data={"medium": "2d-doc"})
