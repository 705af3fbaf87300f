"""An imager in keyboard mode: what its keys become on the layout of the machine; pure.

An imager types the keys of an American keyboard unless it was set up otherwise. A French machine puts other characters
on the same keys. That is why a code scanned into a text field of a practice is so often not the code. What has no key
(GS, and whatever is not ASCII) is not typed.
"""

from typing import Final, Literal, TypeAlias

__all__ = ["Layout", "typed"]

Layout: TypeAlias = Literal["us", "fr"]

# The keys of the American board, row by row, and the same places on the French one (the old layout, as on Windows).
_US_PLAIN: Final = "`1234567890-=qwertyuiop[]\\asdfghjkl;'zxcvbnm,./ "
_US_SHIFT: Final = '~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:"ZXCVBNM<>? '
_FR_PLAIN: Final = "²&é\"'(-è_çà)=azertyuiop^$*qsdfghjklmùwxcvbn,;:! "
_FR_SHIFT: Final = "\0" + "1234567890°+AZERTYUIOP¨£µQSDFGHJKLM%WXCVBN?./§ "
_NOTHING: Final = "\0"
_SEPARATORS: Final = "\x1d\x1e\x1f"

# With caps lock the French board gives shift to letters and to the row of digits, the American one to letters only.
_FR_LOCKED: Final = frozenset("²&é\"'(-è_çà)=^$*ù,;:!")

_DEAD: Final = {
    "^": {"a": "â", "e": "ê", "i": "î", "o": "ô", "u": "û", "A": "Â", "E": "Ê", "I": "Î", "O": "Ô", "U": "Û"},
    "¨": {"a": "ä", "e": "ë", "i": "ï", "o": "ö", "u": "ü", "y": "ÿ", "A": "Ä", "E": "Ë", "I": "Ï", "O": "Ö", "U": "Ü"},
}


def typed(
    data: bytes, layout: Layout = "fr", *, caps_lock: bool = False, separators: bool = False, enter: bool = True
) -> str:
    """The text in the field that has the focus when a code is scanned.

    Args:
        data: the content of the code.
        layout: what the machine takes the keyboard for.
        caps_lock: whether somebody left it on.
        separators: whether GS, RS and US, typed with Ctrl, reach the field. In most fields they do not.
        enter: whether the imager ends with the Enter key.
    """
    text = ""
    for character in map(chr, data):
        if key := _key(character):
            text += _on(layout, *key, caps_lock=caps_lock).replace(_NOTHING, "")
        elif separators and character in _SEPARATORS:
            text += character
    return (_composed(text) if layout == "fr" else text) + ("\n" if enter else "")


def _key(character: str) -> tuple[int, bool] | None:
    """The place of the key that an American board has for a character, and whether shift goes with it."""
    if (at := _US_PLAIN.find(character)) >= 0:
        return at, False
    return (at, True) if (at := _US_SHIFT.find(character)) >= 0 else None


def _on(layout: Layout, at: int, shift: bool, *, caps_lock: bool) -> str:
    plain, shifted = (_US_PLAIN, _US_SHIFT) if layout == "us" else (_FR_PLAIN, _FR_SHIFT)
    locked = caps_lock and (plain[at].isalpha() if layout == "us" else plain[at].isalpha() or plain[at] in _FR_LOCKED)
    return (shifted if shift != locked else plain)[at]


def _composed(text: str) -> str:
    """The circumflex and the diaeresis wait for the next key; alone, they come with it."""
    found, dead = "", ""
    for character in text:
        if dead:
            found += dead if character == " " else _DEAD[dead].get(character, dead + character)
            dead = ""
        elif character in _DEAD:
            dead = character
        else:
            found += character
    return found + dead
