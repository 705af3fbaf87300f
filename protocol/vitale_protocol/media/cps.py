"""CPS, the health professional's own card: recognised by its ATR, and not read.

Sources of the ATRs: pcsc-tools ``smartcard_list.txt`` and ansforge/dops-cryptolib ``card-cps.c``.
"""

import re

from vitale_protocol.apdu import ReadingScript
from vitale_protocol.errors import MediumUnsupported
from vitale_protocol.media.medium import Recognised

__all__ = ["reading_script", "recognise"]

# Every contact CPS carries this in its historical bytes, whatever its generation.
_CONTACT_SIGNATURE = bytes.fromhex("001225006480")

# Generation by the whole ATR. Three bytes vary in that of the CPS3; in the contactless one bytes 8 and 9 vary, and
# byte 11 counts by its two high bits only.
_GENERATIONS = (
    ("cps2ter", re.compile(rb"\x3b\xac\x00\x40\x2a\x00\x12\x25\x00\x64\x80\x82\x02\x12\x00\x90\x00")),
    ("cps3", re.compile(rb"\x3b\xac\x00\x40\x2a\x00\x12\x25\x00\x64\x80.{3}\x00\x90\x00", re.DOTALL)),
    ("cps4", re.compile(rb"\x3b(?:\x9b\x18\x80\x01|\xdc\x18\xff\x00)\x00\x12\x25\x00\x64\x80.{6,7}", re.DOTALL)),
    (
        "cps3-contactless",
        re.compile(rb"\x3b\x8f\x80\x01\x00\x31\xb8\x64..\xec[\xc0-\xff]\x73\x94\x01\x80\x82\x90\x00.", re.DOTALL),
    ),
)


def recognise(atr: bytes) -> Recognised | None:
    """Names a CPS and its generation; a contact CPS of an unlisted generation is named without one."""
    for generation, pattern in _GENERATIONS:
        if pattern.fullmatch(atr):
            return Recognised("cps-card", generation)
    return Recognised("cps-card") if atr[:1] == b"\x3b" and _CONTACT_SIGNATURE in atr else None


def reading_script(card: Recognised) -> ReadingScript[dict[str, bytes]]:
    """A CPS identifies the practitioner, not the patient: there is nothing to read for a presentation.

    Raises:
        MediumUnsupported: always.
    """
    raise MediumUnsupported(
        "a CPS is not a patient's medium",
        variant="cps-card",
        data={"medium": card.medium, "generation": card.generation},
    )
