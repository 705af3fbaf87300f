"""The apCV, a carte Vitale as a phone application: its string is transported, never decoded or guessed at.

Evidence: ``string``, the opaque bytes that the phone gave or showed. Over NFC also ``profile``, the ``name/version`` of
the profile that read them. For a QR code also ``symbology``, where known. Only the service of the GIE SESAM-Vitale can
read the string, so a reading has an empty record.

Strings of the simulated phone begin with ``SIMULATED_PREFIX``, so that nobody's camera or reader takes them for real.

What is transported is what was shown, byte for byte. What a string is *known again by* is its canonical form. That is
the same however an imager, a keyboard or a hand has dressed the string.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal

from vitale_protocol.apdu import ReadingScript
from vitale_protocol.errors import MediumUnreadable, MediumUnsupported, PayloadInvalid
from vitale_protocol.media.apcv_profile import MAX_STRING, Profile
from vitale_protocol.media.medium import Evidence
from vitale_protocol.media.separators import WRITTEN
from vitale_protocol.records import Proof, Reading, Record

__all__ = [
    "SIMULATED_PREFIX",
    "canonical",
    "interpret",
    "is_simulated",
    "profile_of",
    "reading_script",
    "selection_script",
]

SIMULATED_PREFIX: Final = b"VITALESIM."
"""How every string of the simulated phone begins; a reading of one is simulated, whatever read it."""


# ISO/IEC 15424: what an imager puts before a code to say of what symbology it is.
_IDENTIFIER = re.compile(r"(?:\][A-Za-z][0-9A-Za-z])+")
_SEPARATOR = re.compile("|".join(re.escape(one.decode()) for one in sorted(WRITTEN, key=len, reverse=True)))
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROL_OR_SPACE: Final = bytes(range(0x21)) + b"\x7f"


def canonical(string: bytes) -> bytes:
    """The form in which a string, or a printed code, is known again; it is never sent to anybody.

    Gone from text are white space, control and format characters (GS, NUL, a byte order mark). So are separators as
    imagers type them, AIM identifiers before it and padding (``=``) behind it. The two alphabets of base64 become one.
    Text whose letters are all small becomes capitals. Of bytes that are no text only what surrounds them goes.
    """
    try:
        text = string.decode("utf-16" if string.startswith(_UTF16) else "utf-8")
    except UnicodeDecodeError:
        return string.strip(_CONTROL_OR_SPACE) or string
    text = "".join(one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one)[0] not in "ZC")
    text = _SEPARATOR.sub("", text)
    if identifier := _IDENTIFIER.match(text):
        text = text[identifier.end() :]
    text = text.rstrip("=").replace("+", "-").replace("/", "_")
    prefix = SIMULATED_PREFIX.decode()
    if text.upper().startswith(prefix):
        text = prefix + text[len(prefix) :]
    elif text.islower():
        text = text.upper()
    return text.encode() or string


def is_simulated(string: bytes) -> bool:
    """True if a string is one of the simulated phone, however it is dressed."""
    return canonical(string).startswith(SIMULATED_PREFIX)


def reading_script(profiles: Sequence[Profile]) -> ReadingScript[dict[str, bytes]]:
    """The script that reads a phone by the first of several profiles whose application it has.

    Raises:
        MediumUnsupported: the medium has no application of any of the profiles.
        MediumUnreadable: it has one, and cannot be read; the variant is ``phone-locked`` where that is why.
    """
    for profile in profiles:
        try:
            return (yield from profile.reading_script())
        except MediumUnsupported:
            continue
    raise _without_application()


def selection_script(profiles: Sequence[Profile]) -> ReadingScript[None]:
    """The script that asks whether a medium has the application of one of several profiles; it reads nothing.

    Raises:
        MediumUnsupported: the medium has none.
        MediumUnreadable: it has one and is locked, or its answer is none.
    """
    for profile in profiles:
        try:
            return (yield from profile.selection_script())
        except MediumUnsupported:
            continue
    raise _without_application()


def _without_application() -> MediumUnsupported:
    return MediumUnsupported(
        "the medium has no application of a profile", variant="contactless", data={"medium": "unknown-card"}
    )


def profile_of(evidence: Evidence, profiles: Sequence[Profile]) -> Profile:
    """The profile that gave the evidence; where its origin is ``simulated``, so is the presentation.

    Raises:
        MediumUnreadable: it is none of these.
    """
    label = evidence.get("profile", b"")
    for profile in profiles:
        if profile.label.encode("ascii") == label:
            return profile
    raise MediumUnreadable(
        "the string was read by a profile that is not known here", variant="apcv-nfc", data={"medium": "apcv-nfc"}
    )


def interpret(evidence: Evidence, *, simulated: bool, medium: Literal["apcv-nfc", "apcv-qr"] = "apcv-nfc") -> Reading:
    """Says that a string was presented, and nothing of what it means.

    Args:
        evidence: ``string``, 1 to 4096 bytes, and ``profile`` or ``symbology``.
        simulated: whether the reader, the phone or the profile is simulated. A string of the simulated phone is so in
            any case.
        medium: how it was presented.

    Raises:
        MediumUnreadable: a phone on a reader gave no string, or one that is too long.
        PayloadInvalid: so did a QR code.
    """
    string = evidence.get("string", b"")
    if not 1 <= len(string) <= MAX_STRING:
        detail = f"an apCV string has 1 to {MAX_STRING} bytes"
        if medium == "apcv-nfc":
            raise MediumUnreadable(detail, variant="apcv-nfc", data={"medium": medium})
        raise PayloadInvalid(detail, data={"medium": medium})
    return Reading(
        medium=medium,
        proof=Proof(method="apcv-transported", verified=False, freshness="none"),
        origin="simulated" if simulated or is_simulated(string) else "unknown",
        record=Record(),
    )
