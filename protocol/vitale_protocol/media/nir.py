"""NIR as cards show it, split into number and key, with its warnings; it is never rejected."""

import re
from dataclasses import dataclass, field

from vitale_protocol.media.medium import NIR_KEY_MISMATCH, NIR_UNUSUAL

__all__ = ["ShownNir", "read_nir"]

# The shape of INSEE's XML schema: sex, year, month, place of birth, commune, order. Numbers outside of it are in use
# (test cards, provisional numbers), therefore it warns only.
_USUAL = re.compile(
    r"[1-37-8]\d{2}(?:0[0-9]|[2-35-9][0-9]|[14][0-2])"
    r"(?:(?:0[1-9]|[1-8][0-9]|9[0-69]|2[AB])(?:00[1-9]|0[1-9][0-9]|[1-8][0-9]{2}|9[0-8][0-9]|990)"
    r"|9[78][0-9](?:0[1-9]|[1-8][0-9]|90))(?:00[1-9]|0[1-9][0-9]|[1-9][0-9]{2})",
    re.ASCII,
)

# What a key is computed from, with the key. Tests compare with python-stdnum, which loads pydoc and more.
_KEYED = re.compile(r"[0-9]{5}(?:[0-9]{2}|2[AB])[0-9]{8}")


@dataclass(frozen=True, slots=True)
class ShownNir:
    """A NIR as it is shown: nothing is repaired, letters keep their case.

    Attributes:
        number: the first 13 characters; the whole text where it does not have 13 or 15.
        key: the last two of 15 characters; None where there are not 15.
        warnings: catalogue reasons.
    """

    number: str = field(repr=False)
    key: str | None
    warnings: tuple[str, ...]


def read_nir(text: str) -> ShownNir:
    """Splits a NIR and checks its key.

    The key is 97 − (number mod 97), with 2A read as 19 and 2B as 18.

    Args:
        text: 15 characters (number and key), 13 (number only), or anything else that a medium shows as a NIR.
    """
    if len(text) != 15:
        return ShownNir(text, None, (NIR_UNUSUAL,))
    number, key = text[:13], text[13:]
    warnings: list[str] = []
    if not _USUAL.fullmatch(number.upper()):
        warnings.append(NIR_UNUSUAL)
    if not _key_agrees(text.upper(), usual=not warnings):
        warnings.append(NIR_KEY_MISMATCH)
    return ShownNir(number, key, tuple(warnings))


def _key_agrees(text: str, *, usual: bool) -> bool:
    if not _KEYED.fullmatch(text):
        # No key is computed from this: where the number is as usual, it is in the key itself.
        return not usual
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return int(text[13:]) == 97 - int(number) % 97
