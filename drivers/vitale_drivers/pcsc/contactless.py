"""Detection of phones among the cards that PC/SC shows; pure.

A reader makes up the ATR of a contactless target (PC/SC part 3, §3.1.3.2.3). It is ``3B 8n 80 01``, n historical bytes,
a check byte. A few contact cards have such an ATR of their own. That ATR means "T=0 and T=1" as well. Where the
reader's name leaves doubt, such a card is asked for an application that it does not have. That does no harm.
"""

import re

__all__ = ["may_be_phone"]

_STORAGE = bytes.fromhex("80 4F 0C A0 00 00 03 06")
"""Historical bytes that begin so are of a memory card, by the same clause: no ISO/IEC 14443-4, no applications."""

_CONTACT_SLOT = re.compile(r"\b(ICC|SAM|Contact)\b(?!less)", re.IGNORECASE)
_ANTENNA = re.compile(r"PICC|contactless|\bCL\b|\bNFC\b", re.IGNORECASE)
"""How makers name the two halves of a dual reader: "ACS ACR1281 1S Dual Reader ICC", "… PICC"."""


def may_be_phone(atr: bytes, reader: str) -> bool:
    """True if what has this ATR may be a phone or a contactless card with applications.

    The name of the reader is considered, too.
    """
    if len(atr) < 5 or atr[0] != 0x3B or atr[1] & 0xF0 != 0x80 or atr[2:4] != b"\x80\x01":
        return False
    historical = atr[4:-1]
    if len(historical) != atr[1] & 0x0F or historical.startswith(_STORAGE):
        return False
    return bool(_ANTENNA.search(reader)) or not _CONTACT_SLOT.search(reader)
