"""Interface of a medium's module: the shape of its functions, and the warnings of readings."""

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

import msgspec

from vitale_protocol.apdu import ReadingScript
from vitale_protocol.records import Reading

__all__ = [
    "BIRTH_DATE_MISSING",
    "BIRTH_DATE_NOT_CALENDAR",
    "CODE_INCOMPLETE",
    "IDENTITY_MISSING",
    "NAMES_AND_NIRS_DIFFER",
    "NIR_KEY_MISMATCH",
    "NIR_MISSING",
    "NIR_UNUSUAL",
    "OID_UNUSUAL",
    "SEAL_CERTIFICATE_DATES",
    "SEAL_NOT_VERIFIED",
    "SEAL_SIGNER_UNKNOWN",
    "TEXT_TRUNCATED",
    "TEXT_UNUSUAL",
    "WARNINGS",
    "CardMedium",
    "CardModule",
    "Evidence",
    "Interpreter",
    "Recognised",
]

CardMedium: TypeAlias = Literal["vitale-card", "cps-card", "unknown-card"]

Evidence: TypeAlias = Mapping[str, bytes]
"""Named raw bytes of one presentation, as the medium's module documents them."""

NIR_KEY_MISMATCH = "nir_key_mismatch"
NIR_UNUSUAL = "nir_unusual"
NIR_MISSING = "nir_missing"
BIRTH_DATE_MISSING = "birth_date_missing"
BIRTH_DATE_NOT_CALENDAR = "birth_date_not_calendar"
NAMES_AND_NIRS_DIFFER = "names_and_nirs_differ"
TEXT_UNUSUAL = "text_unusual"
OID_UNUSUAL = "oid_unusual"
IDENTITY_MISSING = "identity_missing"
SEAL_CERTIFICATE_DATES = "seal_certificate_dates"
SEAL_NOT_VERIFIED = "seal_not_verified"
SEAL_SIGNER_UNKNOWN = "seal_signer_unknown"
TEXT_TRUNCATED = "text_truncated"
CODE_INCOMPLETE = "code_incomplete"

WARNINGS: tuple[str, ...] = (
    NIR_KEY_MISMATCH,
    NIR_UNUSUAL,
    NIR_MISSING,
    BIRTH_DATE_MISSING,
    BIRTH_DATE_NOT_CALENDAR,
    NAMES_AND_NIRS_DIFFER,
    TEXT_UNUSUAL,
    OID_UNUSUAL,
    IDENTITY_MISSING,
    SEAL_CERTIFICATE_DATES,
    SEAL_NOT_VERIFIED,
    SEAL_SIGNER_UNKNOWN,
    TEXT_TRUNCATED,
    CODE_INCOMPLETE,
)
"""Every warning that a module of this package gives; the catalogue has a text for each."""


class Recognised(msgspec.Struct, frozen=True):
    """Medium that an ATR identifies, and its generation where that matters (``vitale-2``), else empty."""

    medium: CardMedium
    generation: str = ""


class CardModule(Protocol):
    """A medium that is a chip card, as a module of this package."""

    def recognise(self, atr: bytes) -> Recognised | None:
        """Names the card of an ATR, or None where it is not one of this module's."""
        ...

    def reading_script(self, card: Recognised) -> ReadingScript[dict[str, bytes]]:
        """The script that reads the card's evidence.

        Raises:
            MediumUnsupported: the card is known and cannot be read.
        """
        ...


class Interpreter(Protocol):
    """Function that turns the evidence of a medium into a reading."""

    def __call__(self, evidence: Evidence, *, simulated: bool) -> Reading:
        """Says what the evidence says.

        Raises:
            MediumUnreadable: the evidence of a card or a phone cannot be understood.
            PayloadInvalid: that of a code cannot.
        """
        ...
