"""The apCV, the carte Vitale as an application of a phone: its string is transported, never decoded or guessed at.

Evidence: ``string``, the opaque bytes as the phone gave them; ``profile``, ``name/version`` of the profile that read
them. What the string says, only the service of the GIE SESAM-Vitale knows: a reading has an empty record.
"""

from collections.abc import Sequence

from vitale_protocol.apdu import ReadingScript
from vitale_protocol.errors import MediumUnreadable, MediumUnsupported
from vitale_protocol.media.medium import Evidence
from vitale_protocol.media.profile import MAX_STRING, Profile
from vitale_protocol.records import Proof, Reading, Record

__all__ = ["interpret", "profile_of", "reading_script"]


def reading_script(profiles: Sequence[Profile]) -> ReadingScript[dict[str, bytes]]:
    """The script that reads a phone by the first of several profiles whose application it has.

    Raises:
        MediumUnsupported: the medium has no application of any of the profiles.
        MediumUnreadable: it has one, and cannot be read; ``data.state`` is ``phone-locked`` where that is why.
    """
    for profile in profiles:
        try:
            return (yield from profile.reading_script())
        except MediumUnsupported:
            continue
    raise MediumUnsupported(
        "the medium has no application of a profile", data={"medium": "unknown-card", "generation": "contactless"}
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
    raise MediumUnreadable("the string was read by a profile that is not known here", data={"medium": "apcv-nfc"})


def interpret(evidence: Evidence, *, simulated: bool) -> Reading:
    """Says that a string was presented over NFC, and nothing of what it means.

    Args:
        evidence: ``string``, 1 to 4096 bytes, and ``profile``.
        simulated: whether the reader, the phone or the profile is simulated.

    Raises:
        MediumUnreadable: there is no string, or it is too long.
    """
    if not 1 <= len(evidence.get("string", b"")) <= MAX_STRING:
        raise MediumUnreadable(f"an apCV string has 1 to {MAX_STRING} bytes", data={"medium": "apcv-nfc"})
    return Reading(
        medium="apcv-nfc",
        proof=Proof(method="apcv-transported", verified=False, freshness="none"),
        origin="simulated" if simulated else "unknown",
        record=Record(),
    )
