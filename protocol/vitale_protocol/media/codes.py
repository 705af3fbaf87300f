"""Classification of scanned codes by their bytes and symbology: pure, and nothing in a code is followed or decoded.

Rules, the first that fits:

- longer than 4096 bytes: ``too-long``; empty: ``other``;
- a byte order mark, AIM identifiers, control characters and spaces around a code do not change it;
- several codes in one: ``several``. An imager without a suffix sends them so, and a symbol may hold them. Signs are a
  patient code's header within, a medicine pack's key with more beside it, or a scan's end;
- ``IS``, a version and 22 zeros: the INS Datamatrix; ``DC01`` to ``DC04`` and a 2D-Doc header: a 2D-Doc. Both count in
  any symbology, since imagers without AIM identifiers do not tell it. Both are printed as QR codes as well;
- a NIR, typed or printed as a bar code; a wallet's ``mdoc:`` or OpenID4VP address;
- any other symbology than a QR code's: ``other``. So is what has a published format, by a positive sign
  (``public_formats``). So is what is too short for a secret: under 16 characters, or under 29 where all are digits;
- an INS Datamatrix or a 2D-Doc cut in its header, or in small letters, is of no medium. It is not ``other`` either:
  it may have somebody's number in it, and goes to nobody;
- a site with the licence knows the real apCV's format, and may name it. What has that format is a candidate;
- anything else is an apCV candidate. The real format is not public, so the code stays opaque, bounded and unchanged.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import stdnum.ean

from vitale_protocol.errors import MediumUnsupported, PayloadInvalid
from vitale_protocol.media.apcv import SIMULATED_PREFIX
from vitale_protocol.media.apcv_profile import MAX_STRING
from vitale_protocol.media.public_formats import format_of
from vitale_protocol.problems import Problem
from vitale_protocol.records import Medium

__all__ = ["LEAST_CANDIDATE", "QR_SYMBOLOGIES", "Code", "Kind", "classify"]

Kind: TypeAlias = Literal[
    "apcv-qr", "ins-datamatrix", "2d-doc", "nir", "mdoc", "openid4vp", "other", "several", "too-long"
]
"""What a code is; the first three are media."""

QR_SYMBOLOGIES: Final = frozenset({"qr", "micro-qr", "rmqr"})

LEAST_CANDIDATE: Final = 16
"""Bytes: what lets nobody guess another one's string has 96 bits at least, 16 characters of base64."""
LEAST_DIGITS: Final = 29
"""The same in digits."""

# ANS, "Format datamatrix INS" v2.2 §3: IS, two digits of version, 22 characters kept free as zeros.
_INS = re.compile(rb"IS[0-9]{2}0{22}")
# ANTS, "Spécifications techniques des codes à barres 2D-Doc": CA, certificate, two dates (hexadecimal days), type.
_TWO_D_DOC = re.compile(rb"DC0[1-4][0-9A-Z]{4}[0-9A-Z]{4}[0-9A-Fa-f]{8}[0-9A-Z]{2}")
# Without its key only where it begins as a NIR in use does: other bar codes of 13 digits are article numbers.
_NIR = re.compile(rb"(?:[1-478][0-9]{4}(?:[0-9]{2}|2[ABab])[0-9]{8}|[12][0-9]{4}(?:[0-9]{2}|2[ABab])[0-9]{6})")
# The same, cut in the zeros or with small letters: too much alike to be a patient's string.
_INS_DAMAGED = re.compile(rb"IS[0-9]{2}0{4,}", re.IGNORECASE)
_TWO_D_DOC_DAMAGED = re.compile(_TWO_D_DOC.pattern, re.IGNORECASE)
# The same header, cut behind its first date or later.
_TWO_D_DOC_CUT = re.compile(rb"DC0[1-4][0-9A-Z]{8}(?:[0-9A-F]{4,8}|[0-9A-F]{8}[0-9A-Z])", re.IGNORECASE)
# What only ever begins a code. A French certificate has an R, which no hexadecimal string has.
_BEGINS = re.compile(rb"IS[0-9]{2}0{22}|DC0[1-4]FR[0-9A-Z]{6}[0-9A-F]{8}[0-9A-Z]{2}|" + re.escape(SIMULATED_PREFIX))
# What imagers put around scans. An opaque string may have it within; nobody knows that who has no licence.
_BETWEEN_CODES = re.compile(rb"[\0\x02\x03\t\n\r]+")
# CIP13, the article number of medicines: 34009, a number and a key.
_MEDICINE = re.compile(rb"\A34009[0-9]{8}|34009[0-9]{8}\Z")
# People write a NIR in groups.
_BETWEEN_GROUPS = re.compile(rb"[ ./-]|\xc2?\xa0|\xe2\x80[\x87\x89\xaf]")
# ISO/IEC 18013-5 §8.2.2.3, and the schemes of OpenID4VP wallets: its own, HAIP's, the mdoc profile's and the EUDI's.
_MDOC = re.compile(rb"mdoc:", re.IGNORECASE)
_OPENID4VP = re.compile(rb"(?:[a-z]+-)?(?:openid4vp|haip|haip-vp):(?://)?", re.IGNORECASE)
# ISO/IEC 15424: what an imager puts before a code to say of what symbology it is.
_IDENTIFIERS = re.compile(rb"(?:\][A-Za-z][0-9A-Za-z])*")
_LONGEST_DRESS: Final = 3
"""Bytes: a maker's identifier, which only an imager's driver may take away."""
_AROUND: Final = bytes(range(0x21)) + b"\x7f"
_MARKS: Final = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


@dataclass(frozen=True, slots=True)
class Code:
    """Kind of a scanned code.

    Attributes:
        kind: a word for it; a medium's name where it is one.
        medium: as what it can be presented, or None.
        evidence: for ``media.interpret``; empty without a medium.
        problem: why it cannot be presented; None where it is of a medium.
        format: of ``other``, the published format that it has; empty where none is known.
    """

    kind: Kind
    medium: Medium | None = None
    evidence: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False)
    problem: Problem | None = None
    format: str = ""


_SPOILT: Final = {
    b"IS": Code("ins-datamatrix", problem=Problem(PayloadInvalid.reason, "ins-format")),
    b"DC": Code("2d-doc", problem=Problem(PayloadInvalid.reason, "2d-doc-format")),
}
_SEVERAL: Final = Code("several", problem=Problem(PayloadInvalid.reason, "several"))


def classify(data: bytes, symbology: str = "", formats: Collection[str] = ()) -> Code:
    """Says what a code is.

    Args:
        data: the content as it was decoded, without an AIM identifier and without the imager's terminator.
        symbology: ``qr``, ``micro-qr``, ``rmqr``, ``datamatrix``, ``aztec``, ``pdf417``, ``code128`` …; empty when it
            is not known.
        formats: the published formats (``public_formats``) that the site's apCV strings may have.
    """
    if len(data) > MAX_STRING:
        return Code("too-long", problem=Problem(PayloadInvalid.reason, "too-long"))
    if not data:
        return Code("other", problem=Problem(PayloadInvalid.reason, "empty"))
    plain = _undressed(data)
    if within := _BEGINS.search(plain, 1):
        return _begun_within(within)
    if _is_several(_BETWEEN_CODES.split(plain), symbology, formats):
        return _SEVERAL
    if _INS.match(plain):
        return Code("ins-datamatrix", "ins-datamatrix", _evidence("code", plain, symbology))
    if _TWO_D_DOC.match(plain):
        return Code("2d-doc", "2d-doc", _evidence("code", plain, symbology))
    if len(plain) >= LEAST_CANDIDATE and _INS_DAMAGED.match(plain):
        return _SPOILT[b"IS"]
    if _TWO_D_DOC_DAMAGED.match(plain) or _TWO_D_DOC_CUT.fullmatch(plain):
        return _SPOILT[b"DC"]
    published = format_of(data) or format_of(plain) or ""
    published = "" if published in formats else published
    kind = _named(data, symbology) or _named(plain, symbology) or ("other" if published else None)
    if kind is None and any(stdnum.ean.is_valid(one.decode()) for one in _MEDICINE.findall(plain)):
        return _SEVERAL
    if kind is None:
        return Code("apcv-qr", "apcv-qr", _evidence("string", data, symbology))
    problem = Problem(MediumUnsupported.reason, kind, data={"medium": kind})
    return Code(kind, problem=problem, format=published if kind == "other" else "")


def _is_several(lines: Sequence[bytes], symbology: str, formats: Collection[str]) -> bool:
    """True if each line may be a patient's code, and one surely is."""
    if len(lines) < 2 or not any(map(_BEGINS.match, lines)):
        return False
    return all(classify(line, symbology, formats).medium for line in lines)


def _begun_within(header: re.Match[bytes]) -> Code:
    """A patient's code that has something before it: another code, or a mark that no driver took away."""
    return _SEVERAL if header.start() > _LONGEST_DRESS else _SPOILT.get(header[0][:2], _SEVERAL)


def _undressed(data: bytes) -> bytes:
    """A code without what was put around it; a code that has nothing around it as it is."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            data = data.removeprefix(mark).decode(encoding, "replace").encode()
            break
    data = data.strip(_AROUND)
    identifiers = _IDENTIFIERS.match(data)
    return data[identifiers.end() :].strip(_AROUND) if identifiers else data


def _evidence(name: str, data: bytes, symbology: str) -> dict[str, bytes]:
    return {name: data, **({"symbology": symbology.encode()} if symbology else {})}


def _named(data: bytes, symbology: str) -> Kind | None:
    """Classifies known codes that are no medium; None for a candidate, unless it has a published format."""
    two_dimensional_only = not symbology or symbology in QR_SYMBOLOGIES
    if two_dimensional_only and _MDOC.match(data):
        return "mdoc"
    if two_dimensional_only and _OPENID4VP.match(data):
        return "openid4vp"
    if _NIR.fullmatch(_BETWEEN_GROUPS.sub(b"", data)) and not symbology.startswith(("ean", "upc")):
        return "nir"
    if not two_dimensional_only or _is_too_short(data):
        return "other"
    return None


def _is_too_short(data: bytes) -> bool:
    least = LEAST_DIGITS if data.isdigit() else LEAST_CANDIDATE
    return len(data) < least and not data.startswith(SIMULATED_PREFIX)
