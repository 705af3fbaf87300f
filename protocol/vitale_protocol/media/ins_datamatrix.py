"""The INS Datamatrix, printed on health documents: parsed into its seven fields, and said in the uniform record.

Evidence: ``code``, its bytes as scanned; ``symbology``, where that is known.

The format is that of the Agence du numérique en santé, "Datamatrix INS" v2.2. It has ``IS``, the version ``01``, 22
zeros, then fields in any order. A field is an identifier and a value. GS closes a value of variable length that is
shorter than its maximum and not the last one::

    S1 matricule INS with its key   15          S4 nom de naissance           1 to 100
    S2 OID of the matricule         19 to 20    S5 sexe, M or F               1
    S3 prénoms de naissance         1 to 100    S6 date de naissance          10, JJ-MM-AAAA
                                                S7 code lieu de naissance     5, INSEE

Imagers that type like a keyboard often lose GS. That costs nothing. Neither an OID nor a name has an S before a digit,
so the next identifier is still found. What they type in its place, or cut off, may cost a name. A name that ends in
digits instead of GS is refused. So is a code that ends within a name. An OID has figures and full stops only. So what
stands behind it is what the imager types for GS. It is taken from the names as well. What is only unusual is warned of.
Nothing in the code is signed, anybody can print one (``code-clear-read``).
"""

import re
from dataclasses import dataclass
from typing import Final

from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.media import separators
from vitale_protocol.media.display_text import calendar_day, shown_text
from vitale_protocol.media.medium import (
    BIRTH_DATE_MISSING,
    BIRTH_DATE_NOT_CALENDAR,
    CODE_INCOMPLETE,
    IDENTITY_MISSING,
    NIR_MISSING,
    OID_UNUSUAL,
    TEXT_UNUSUAL,
    Evidence,
)
from vitale_protocol.media.nir import read_nir
from vitale_protocol.privacy import concealed
from vitale_protocol.records import Beneficiaire, Origin, Proof, Reading, Record

__all__ = ["HEADER", "OID_DEMO", "OID_NIA", "OID_NIR", "OID_TEST", "InsDatamatrix", "interpret", "parse"]

HEADER: Final = b"IS01" + b"0" * 22

OID_NIR: Final = "1.2.250.1.213.1.4.8"
OID_NIA: Final = "1.2.250.1.213.1.4.9"
OID_TEST: Final = "1.2.250.1.213.1.4.10"
OID_DEMO: Final = "1.2.250.1.213.1.4.11"
_ORIGINS: Final[dict[str, Origin]] = {OID_NIR: "unknown", OID_NIA: "unknown", OID_TEST: "test", OID_DEMO: "demo"}

_NAMES: Final = {
    "S1": "matricule",
    "S2": "oid",
    "S3": "prenoms",
    "S4": "nom",
    "S5": "sexe",
    "S6": "date_naissance",
    "S7": "code_lieu_naissance",
}
_FIXED: Final = {"S1": 15, "S5": 1, "S6": 10, "S7": 5}
_VARIABLE: Final = {"S2": 20, "S3": 100, "S4": 100}
_PERSONAL: Final = frozenset({"S3", "S4"})
_TRAITS: Final = frozenset({"S1", "S5", "S6"})
"""What every code has beside the names: without one of them, a code that ends with a name was cut within it."""

# A later version may bring more fields: what is called S8 or S9 is read over, to the next identifier.
_IDENTIFIER = re.compile(r"S[1-9]")
# RNIV: letters, blanks, hyphens and apostrophes; some issuers print accents, or the full stop of an abbreviation.
_NAME = re.compile(r"[^\W\d_]+(?:[ '’.-]+[^\W\d_]+)*\.?")
# What is longer than a separator can be, written out, is a spoilt OID.
_OID_AND_MORE = re.compile(r"[0-9.]*?(?P<more>(?:0x|[^0-9.]).{0,11})", re.DOTALL)
_END = re.compile(r"\x1d|S[1-9]|\Z")
# In UTF-8, what letters of French begin with; in Latin-1, Ã and Å, with which none of its names ends.
_FRENCH_LEADS: Final = b"\xc3\xc5"
# The seven fields at their longest have 300 bytes: the bound is for what only begins like them.
_MAX_BYTES = 1024


@dataclass(frozen=True, slots=True, repr=False)
class InsDatamatrix:
    """The fields as they are printed; None where the code does not have one.

    Attributes:
        may_be_cut: whether what is last has no end of its own, or is shorter than it is printed.
    """

    matricule: str | None = None
    oid: str | None = None
    prenoms: str | None = None
    nom: str | None = None
    sexe: str | None = None
    date_naissance: str | None = None
    code_lieu_naissance: str | None = None
    may_be_cut: bool = False

    __repr__ = concealed

    def encode(self) -> bytes:
        """The bytes of the code, for printing one."""
        code = ""
        for name, member in _NAMES.items():
            value: str | None = getattr(self, member)
            if value is not None:
                closed = len(value) < _VARIABLE.get(name, 0)
                code += f"{name}{value}" + ("\x1d" if closed else "")
        return HEADER + code.removesuffix("\x1d").encode()


def parse(code: bytes) -> InsDatamatrix:
    """Reads the fields; separators that an imager dropped, or typed as text, are no obstacle.

    Raises:
        PayloadInvalid: this is no INS Datamatrix, or one of another version; the variant is ``ins-format``. Or a part
            of one: the variant is ``incomplete`` where it ends within a name. It is ``separators-lost`` where a name
            ends in digits.
    """
    if len(code) > _MAX_BYTES or not code.startswith(HEADER):
        raise _invalid("the header is not that of an INS Datamatrix of version 01")
    content = separators.without_torn_end(separators.restored(code[len(HEADER) :]))
    text = content.decode("utf-8", "surrogateescape").rstrip("\r\n\t \x1d\x04")
    fields: dict[str, str] = {}
    at, identifier = 0, ""
    while at < len(text):
        identifier = text[at : at + 2]
        if not _IDENTIFIER.fullmatch(identifier) or identifier in fields:
            raise _invalid("a field does not begin with an identifier, or is there twice")
        end = _end(text, at + 2, identifier)
        value = text[at + 2 : end].encode("utf-8", "surrogateescape")
        fields[identifier] = _decoded(value, last=end == len(text)).strip()
        closed = text[end : end + 1] == "\x1d"
        if identifier in _PERSONAL and not closed and fields[identifier][-1:].isdigit():
            # A separator that was typed as its number, as Alt+029 is where nobody takes it for a key.
            raise PayloadInvalid("a name ends in digits", variant="separators-lost", data={"medium": "ins-datamatrix"})
        at = end + closed
    _take_typed_separator(fields, last=identifier)
    if not fields.keys() & {"S1", "S3", "S4"}:
        raise _invalid("no field of a person")
    may_be_cut = _may_be_cut(identifier, fields.get(identifier, ""))
    if may_be_cut and identifier in _PERSONAL and not fields.keys() >= _TRAITS:
        raise PayloadInvalid("the code ends within a name", variant="incomplete", data={"medium": "ins-datamatrix"})
    members = {member: fields[name] for name, member in _NAMES.items() if fields.get(name)}
    return InsDatamatrix(**members, may_be_cut=may_be_cut)


def _may_be_cut(last: str, value: str) -> bool:
    """True if the last field may have gone on: an unclosed name, or another value that is too short."""
    if last in _PERSONAL:
        return len(value) < _VARIABLE[last]
    return len(value) < _FIXED.get(last, 0)


def interpret(evidence: Evidence, *, simulated: bool) -> Reading:
    """Says what the code says: pure, and never rejects what it can read.

    Args:
        evidence: ``code``.
        simulated: whether the code or what scanned it is simulated.

    Raises:
        PayloadInvalid: it is no INS Datamatrix.
    """
    code = parse(evidence.get("code", b""))
    warnings: list[str] = []
    person = _person(code, warnings)
    if code.nom is None or code.prenoms is None:
        warnings.append(IDENTITY_MISSING)
    if code.may_be_cut:
        warnings.append(CODE_INCOMPLETE)
    if not all(_NAME.fullmatch(name) for name in (code.nom, code.prenoms) if name is not None):
        warnings.append(TEXT_UNUSUAL)
    origin = _ORIGINS.get(code.oid or "")
    if origin is None:
        warnings.append(OID_UNUSUAL)
    return Reading(
        medium="ins-datamatrix",
        proof=Proof(method="code-clear-read", verified=False, freshness="none"),
        origin="simulated" if simulated else origin or "unknown",
        record=Record(beneficiaires=(person,), porteur=0),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _end(text: str, start: int, identifier: str) -> int:
    """Finds the end of a value: at its length, at GS, or before the next identifier."""
    fixed = _FIXED.get(identifier)
    if fixed is not None:
        separator = text.find("\x1d", start, start + fixed)
        return separator if separator >= 0 else min(start + fixed, len(text))
    found = _END.search(text, start)
    return found.start() if found else len(text)


def _take_typed_separator(fields: dict[str, str], *, last: str) -> None:
    """Takes away what stands behind the OID and each name, which can only be a typed separator."""
    found = _OID_AND_MORE.fullmatch(fields.get("S2", ""))
    closed = [name for name in _VARIABLE if name in fields and name != last]
    if found is None or "S2" not in closed:
        return
    if all(fields[name].endswith(found["more"]) for name in closed):
        for name in closed:
            fields[name] = fields[name].removesuffix(found["more"]).strip()


def _person(code: InsDatamatrix, warnings: list[str]) -> Beneficiaire:
    read = None if code.matricule is None else read_nir(code.matricule)
    warnings.extend((NIR_MISSING,) if read is None else read.warnings)
    birth = _text(code.date_naissance, warnings)
    day, _, rest = (birth or "").partition("-")
    month, _, year = rest.partition("-")
    iso = calendar_day(year, month, day)
    if iso is None:
        warnings.append(BIRTH_DATE_MISSING if birth is None else BIRTH_DATE_NOT_CALENDAR)
    if code.sexe not in {None, "M", "F"}:
        warnings.append(TEXT_UNUSUAL)
    return Beneficiaire(
        nom_patronymique=_text(code.nom, warnings),
        prenom=_text(code.prenoms, warnings),
        date_naissance=birth,
        date_naissance_iso=iso,
        sexe=_text(code.sexe, warnings),
        code_lieu_naissance=_text(code.code_lieu_naissance, warnings),
        nir=None if read is None else _text(read.number, warnings),
        cle_nir=None if read is None or read.key is None else _text(read.key, warnings),
    )


def _text(value: str | None, warnings: list[str]) -> str | None:
    return None if value is None else shown_text(value, warnings)


def _decoded(content: bytes, *, last: bool) -> str:
    # C40 has no accents, but some issuers print them, in either encoding. Field by field: a byte that was spoilt in one
    # changes no other.
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = last and error.reason == "unexpected end of data"
        if cut and (content[error.start] in _FRENCH_LEADS or not content[: error.start].isascii()):
            return content[: error.start].decode("utf-8")
    return content.decode("latin-1")


def _invalid(detail: str) -> PayloadInvalid:
    return PayloadInvalid(detail, variant="ins-format", data={"medium": "ins-datamatrix"})
