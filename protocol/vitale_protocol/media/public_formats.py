"""Published formats of codes that are no patient's, each told by a positive sign, never by what is lacking.

The real apCV's format is not public, so its string may look like anything that nobody else has published. A sign is a
prefix that a publication reserves, a whole layout, or a check digit. Where a prefix would be too weak, the sign is the
whole content. An IBAN has its country's length and its key, an address of a wallet its check bytes.

Without a sign, and so candidates: a UUID, a JWT, base64, base45 without ``HC1:``, hexadecimal digits, a sentence.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import stdnum.bitcoin
import stdnum.ean
import stdnum.iban

from vitale_protocol.media.apcv import SIMULATED_PREFIX

__all__ = ["FORMATS", "FORMAT_NAMES", "PublicFormat", "format_of"]


@dataclass(frozen=True, slots=True)
class PublicFormat:
    """A published format.

    Attributes:
        name: a word for it, as ``code.read`` tells it.
        source: the publication.
        sign: what the content begins with, or all of it where the expression ends so; no matter of capitals.
        proved: what else has to hold of a content that has the sign.
    """

    name: str
    source: str
    sign: re.Pattern[bytes]
    proved: Callable[[bytes], bool] = bool


def _format(name: str, source: str, sign: bytes, proved: Callable[[bytes], bool] = bool) -> PublicFormat:
    return PublicFormat(name, source, re.compile(sign, re.IGNORECASE | re.DOTALL), proved)


def _capitals(name: str, source: str, sign: bytes, proved: Callable[[bytes], bool] = bool) -> PublicFormat:
    return PublicFormat(name, source, re.compile(sign), proved)


def _schemes(names: str) -> bytes:
    return rb"(?:%s):" % b"|".join(names.encode().split())


def _is_iban(data: bytes) -> bool:
    return stdnum.iban.is_valid(re.sub("(?i)^iban:?", "", data.decode("ascii")), check_country=False)


def _is_article(data: bytes) -> bool:
    return stdnum.ean.is_valid(data.decode("ascii"))


def _is_wallet(data: bytes) -> bool:
    """True if base58 holds a version, 20 bytes and the four that check them, as Bitcoin began it."""
    address = stdnum.bitcoin.b58decode(data.decode("ascii"))
    check = hashlib.sha256(hashlib.sha256(address[:-4]).digest()).digest()[:4]
    return (25, check) == (len(address), address[-4:])


def _is_hibc(data: bytes) -> bool:
    *content, check = (_HIBC.index(one) for one in data)
    return sum(content) % len(_HIBC) == check


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _is_zone(data: bytes) -> bool:
    return len(re.sub(rb"\s", b"", data)) in {72, 88, 90}


# The 43 signs of Code 39, in the order of their values.
_HIBC: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"
# The labeller, a product, a unit of measure, whatever follows a stroke, and a check sign.
_HIBC_LAYOUT: Final = rb"\+[A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9](?:/[-A-Z0-9. $/+%]+)?[-A-Z0-9. $/+%]\Z"

# A date, a variant, or a value that GS or a bracket closes: boxes have them before the article as well.
_GS1_BEFORE: Final = (
    rb"\(?1[1-7]\)?\d\d[01]\d[0-3]\d|\(?20\)?\d\d"
    rb"|(?:10|21|24[0-3]|71\d)[!-z]{1,20}\x1d|\((?:10|21|24[0-3]|71\d)\)[^()\x1d]{1,20}\x1d?"
)
_GS1_BEGINS: Final = rb"\x1d|\](?:d2|C1|Q3|e0)|(?:%s){0,4}\(?01\)?\d{14}" % _GS1_BEFORE

# Suffixes under which short addresses are, among others: a path makes one of them an address.
_SHORT_SUFFIXES: Final = b"at bzh ca cc co dk es gd gg gl gle it link ly me nl online ovh page pt re site to tv uk us"

_PAYMENT_SCHEMES: Final = (
    "payto upi bitcoin bitcoincash ethereum litecoin dogecoin dash monero zcash solana cardano ripple xrp tron stellar"
    " web\\+stellar lightning lnurlp? tezos ton algorand"
)
_CALL_SCHEMES: Final = "tel callto sips? xmpp skype facetime(?:-audio)? fax threema"
_URI_SCHEMES: Final = (
    "https? ftp urn data javascript file about intent market magnet webcal ldap news nfs blob itms-apps apple-config"
    " mebkm urlto tag cid mid"
)

FORMATS: Final[Sequence[PublicFormat]] = (
    _format("gs1", "GS1 General Specifications: FNC1, or AI 01, GTIN", _GS1_BEGINS),
    _format("article", "GS1 General Specifications: GTIN", rb"[0-9]{8}(?:[0-9]{4,5})?\Z", _is_article),
    _format("parcel", "ISO/IEC 15434: compliance indicator", rb"\[\)>\x1e"),
    _capitals("hibc", "ANSI/HIBC 2.6: supplier labelling", _HIBC_LAYOUT, _is_hibc),
    _capitals("blood-product", "ISBT 128 ST-001: data structure 001", rb"=[A-NP-Z1-9][0-9]{4}[0-9]{2}[0-9]{6}"),
    _format("wifi", "Wi-Fi Alliance, WPA3 7.1, and Easy Connect (DPP)", _schemes("wifi dpp")),
    _format("e-mail", "RFC 6068; NTT DOCOMO MATMSG", _schemes("mailto matmsg smtp")),
    _format("e-mail", "RFC 5321 4.1.2", rb"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[a-z0-9-]+\.)+[a-z]{2,}\Z"),
    _format("message", "RFC 5724; 3GPP short messages as phones read them", _schemes("sms smsto mms mmsto")),
    _format("telephone", "RFC 3966, 3261, 6120", _schemes(_CALL_SCHEMES)),
    _format("place", "RFC 5870", _schemes("geo maps")),
    _format("contact", "RFC 6350; NTT DOCOMO MECARD; BIZCARD", rb"begin:vcard|(?:mecard|bizcard):"),
    _format("event", "RFC 5545", rb"begin:v(?:calendar|event|todo|journal|freebusy|timezone|alarm)|begin:v[a-z]+"),
    _format("one-time-password", "Key URI format of Google Authenticator", _schemes("otpauth otpauth-migration")),
    _format("device-setup", "Matter 5.1.3; GSMA SGP.22 4.1; CTAP 2.2", rb"mt:[a-z0-9.-]{19,}\Z|lpa:1\$|fido:/|x-hm:"),
    _format("payment", "EPC069-12: SEPA credit transfer", rb"bcd\r?\n00[12]\r?\n"),
    _format("payment", "Swiss Implementation Guidelines QR-bill 4.2", rb"spc\r?\n0[12]\d\d\r?\n"),
    _format("payment", "EMVCo merchant-presented QR", rb"000201.*6304[0-9a-f]{4}\Z"),
    _format("payment", "ČBA SPAYD; UPN QR; HUB3; GOST R 56042", rb"spd\*\d|upnqr\r?\n|hrvhub30\r?\n|st0001[0-9]\|"),
    _format("payment", "RFC 8905; BIP 21; ERC-681 and the like", _schemes(_PAYMENT_SCHEMES)),
    _format(
        "iban", "ISO 13616-1", rb"(?:iban:? ?)?[a-z]{2}[0-9]{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,4})?\Z", _is_iban
    ),
    _capitals("wallet-address", "Bitcoin: base58check", rb"[1-9A-HJ-NP-Za-km-z]{26,36}\Z", _is_wallet),
    _format(
        "wallet-address", "BIP 173, BIP 350, BOLT 11", rb"(?:[bl]t?c|tb|lnbc[0-9a-z]*|lnurl)1[ac-hj-np-z02-9]{25,}\Z"
    ),
    _format("wallet-address", "ERC-55", rb"0x[0-9a-f]{40}\Z"),
    _capitals(
        "boarding-pass",
        "IATA Resolution 792: BCBP",
        rb"M[1-9][A-Z][-A-Z /.']{19}[E ][A-Z0-9 ]{7}[A-Z]{3}[A-Z]{3}[A-Z0-9 ]{3}[0-9]{4}[A-Z0-9 ][0-9]{3}[A-Z]",
    ),
    _capitals("ticket", "UIC 918.3 and SNCF, as KDE Itinerary reads them", rb"#UT0[12]|i0CV[A-Z0-9]"),
    _capitals("mrz", "ICAO Doc 9303 parts 4 to 6", rb"[PIACV][A-Z<][A-Z<]{3}[A-Z0-9<\s]*<<[A-Z0-9<\s]*\Z", _is_zone),
    _capitals("identity-document", "ICAO Doc 9303 part 13; AAMVA DL/ID", rb"\xdc[\x02\x03]|@\n[\x1c\x1e]\rANSI "),
    _format("health-certificate", "eHN DCC 3; SMART Health Cards; CHMED16A", rb"hc1:|shc:/|chmed[0-9]{2}[ar][0-9]"),
    _format("keys", "RFC 7468", rb"-----begin [a-z0-9 ]+-----"),
    _format("uri", "RFC 3986, as phones open it", rb"[a-z][a-z0-9+.-]*://|www\.|" + _schemes(_URI_SCHEMES)),
    _capitals(
        "uri",
        "RFC 1034: a name under a well-known suffix, and a path",
        rb"(?:[a-z0-9-]+\.)+(?:fr|com|org|net|eu|io|info|app|health|paris|be|ch|lu|de)(?:[/?#][!-~]*)?\Z"
        rb"|(?:[a-z0-9-]+\.)+(?:%s)/[!-~]*\Z" % _SHORT_SUFFIXES.replace(b" ", b"|"),
    ),
    _format("xml", "XML 1.0", rb"<(?:\?xml|!doctype|[a-z_][^<>]*>.*</|[a-z_][^<>]*/>\s*\Z)"),
    _format("json", "RFC 8259: an object or an array", rb"[{[].*[}\]]\Z", _is_json),
)
"""The table, in the order of looking."""

FORMAT_NAMES: Final = tuple(sorted({one.name for one in FORMATS}))
"""Every name of the table."""


def format_of(data: bytes) -> str | None:
    """The name of a content's published format; None where it has none, or is the simulated phone's."""
    if data.startswith(SIMULATED_PREFIX):
        return None
    found = next((one for one in FORMATS if one.sign.match(data) and one.proved(data)), None)
    return None if found is None else found.name
