"""The apCV, the carte Vitale as an application of a phone: its string is transported, never decoded or guessed at.

Evidence: ``string``, the opaque bytes that the phone gave or showed. Over NFC also ``profile``, the ``name/version`` of
the profile that read them; for a QR code ``symbology``, where known. Only the service of the GIE SESAM-Vitale can read
the string, so a reading has an empty record.

Strings of the simulated phone begin with ``SIMULATED_PREFIX``, so that nobody's camera or reader takes them for real.
"""

from collections.abc import Sequence
from typing import Final, Literal

from vitale_protocol.apdu import ReadingScript
from vitale_protocol.errors import MediumUnreadable, MediumUnsupported, PayloadInvalid
from vitale_protocol.media.medium import Evidence
from vitale_protocol.media.profile import MAX_STRING, Profile
from vitale_protocol.records import Proof, Reading, Record

__all__ = ["SIMULATED_PREFIX", "interpret", "profile_of", "reading_script"]

SIMULATED_PREFIX: Final = b"VITALESIM."
"""How every string of the simulated phone begins; a reading of one is simulated, whatever read it."""


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
    raise MediumUnsupported(
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
        simulated: whether the reader, the phone or the profile is simulated; a string of the simulated phone is so
            in any case.
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
        origin="simulated" if simulated or string.startswith(SIMULATED_PREFIX) else "unknown",
        record=Record(),
    )
