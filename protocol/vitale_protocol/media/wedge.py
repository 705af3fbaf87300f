"""Text from an imager that types like a keyboard: the effects of a wrong keyboard language, undone where certain.

Such an imager (HID, "keyboard wedge") presses keys, not characters. It presses those of its own keyboard language, and
the machine reads them in another. ``IS01`` from an English imager becomes ``ISà&`` on a French machine. Caps lock adds
to it: it swaps the case of letters. On Windows with the French layout it shifts every key.

A repair is made only where exactly one of the known keyboard mismatches leads back to known content. That is an INS
Datamatrix with its fields in order, or a 2D-Doc with a signature. So are a string of the simulated phone, a NIR, or a
text in base64url. Text that shows signs of a mismatch and is none of these is refused. Passing it on would change an
opaque string. All other text is left as it is.

An INS is undone between any two of ``keyboard_layouts``. Its figures, its dates and its names leave one way back, or
the text is refused. All else is undone between "États-Unis" and "Français (traditionnel, AZERTY)" alone, for elsewhere
it leaves several. Dead keys (``[`` and ``{`` on a French machine) are not undone.

A text that begins as an INS or a 2D-Doc does and is none is refused too. It is no opaque string, but a spoilt code.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from vitale_protocol.errors import PayloadInvalid
from vitale_protocol.media import ins_datamatrix
from vitale_protocol.media.apcv import SIMULATED_PREFIX
from vitale_protocol.media.apcv_profile import MAX_STRING
from vitale_protocol.media.keyboard_layouts import DEAD, LAYOUTS, Layout
from vitale_protocol.media.two_d_doc import parsing as two_d_doc

__all__ = ["MANGLINGS", "PAIRS", "Mangling", "repair"]

# One key a column: what it writes in English and in French, without and with shift.
_US: Final = "`1234567890-=" + "qwertyuiop]" + "asdfghjkl;'\\" + "zxcvbnm,./"
_FR: Final = "²&é\"'(-è_çà)=" + "azertyuiop$" + "qsdfghjklmù*" + "wxcvbn,;:!"
_US_SHIFT: Final = "!@#$%^&*()_+" + "QWERTYUIOP}" + 'ASDFGHJKL:"|' + "ZXCVBNM<>?"
_FR_SHIFT: Final = "1234567890°+" + "AZERTYUIOP£" + "QSDFGHJKLM%µ" + "WXCVBN?./§"


def _table(one: str, other: str) -> Mapping[str, str]:
    return dict(zip(one, other, strict=True))


_US_TO_FR: Final = _table(_US + _US_SHIFT, _FR + _FR_SHIFT)
_FR_TO_US: Final = _table(_FR + _FR_SHIFT, _US + _US_SHIFT)
# ² has no second character in French; all other keys obey caps lock there.
_FR_SHIFTED: Final = _table(_FR[1:] + _FR_SHIFT, _FR_SHIFT + _FR[1:])


def _by(table: Mapping[str, str]) -> Callable[[str], str | None]:
    """Writes a text by a table; None where it has characters that no key of the table writes."""
    # The blank and what Ctrl makes are the same keys everywhere.
    write = {**table, **{chr(code): chr(code) for code in range(ord(" ") + 1)}}.__getitem__

    def written(text: str) -> str | None:
        try:
            return "".join(map(write, text))
        except KeyError:
            return None

    return written


def _turned(text: str) -> str | None:
    return text.swapcase()


@dataclass(frozen=True, slots=True)
class Mangling:
    """One way in which a text is spoilt.

    Attributes:
        name: imager and machine, and what was locked.
        steps: what happens to a text, one after the other; each gives None for what it cannot happen to.
        undone: the way back.
        seen: whether it can be seen in a text of which nothing is known: caps lock alone cannot.
    """

    name: str
    steps: tuple[Callable[[str], str | None], ...]
    undone: tuple[Callable[[str], str | None], ...]
    seen: bool = True

    def mangle(self, text: str) -> str | None:
        """Returns what a machine reads of a text; None where the keys are not in the tables."""
        return _through(self.steps, text)

    def undo(self, text: str) -> str | None:
        """Returns the text meant; None where this mangling cannot have made the text."""
        return _through(self.undone, text)


def _through(steps: tuple[Callable[[str], str | None], ...], text: str | None) -> str | None:
    for step in steps:
        text = None if text is None else step(text)
    return text


_to_fr, _to_us, _shifted = _by(_US_TO_FR), _by(_FR_TO_US), _by(_FR_SHIFTED)

MANGLINGS: Final = (
    Mangling("us-on-fr", (_to_fr,), (_to_us,)),
    Mangling("fr-on-us", (_to_us,), (_to_fr,)),
    # Letters only, as caps lock does on an English machine, and on Linux.
    Mangling("caps-lock", (_turned,), (_turned,), seen=False),
    Mangling("us-on-fr, caps-lock", (_to_fr, _turned), (_turned, _to_us)),
    Mangling("fr-on-us, caps-lock", (_to_us, _turned), (_turned, _to_fr), seen=False),
    # Every key, as caps lock does on a French Windows.
    Mangling("shift-lock", (_shifted,), (_shifted,)),
    Mangling("us-on-fr, shift-lock", (_to_fr, _shifted), (_shifted, _to_us), seen=False),
)
"""All that are undone of any known text, by the names that ``repair`` gives them."""


def _between(imager: Layout, machine: Layout) -> Callable[[str], str | None]:
    """Writes what the keys of one layout, which wrote a text, write in another."""
    table: dict[str, str] = {}
    for here, there in ((imager.plain, machine.plain), (imager.shifted, machine.shifted)):
        for one, other in zip(here, there, strict=True):
            if DEAD not in {one, other}:
                table.setdefault(one, other)
    return _by(table)


PAIRS: Final = tuple(
    Mangling(f"{imager}-on-{machine}", (_between(one, other),), (_between(other, one),))
    for imager, one in LAYOUTS.items()
    for machine, other in LAYOUTS.items()
    if imager != machine
)
"""Of any keyboard language of the table on any other: for an INS, in which there is enough that must be right."""

_NIR = re.compile(r"[1-478][0-9]{4}(?:[0-9]{2}|2[AB])[0-9]{8}")
_OPAQUE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,4}")
# What becomes of figures in a text that is too long for a word: on a French machine, where 6 and 8 may have been - and
# _, and on an English one, where so much else is typed with the same signs that there have to be some of them.
_FRENCH_SIGNS = re.compile(r"(?=.*[éèçàÉÈÇÀ°])(?=(?:[^éèçàÉÈÇÀ°&\"'(]*[éèçàÉÈÇÀ°&\"'(]){4})[^0-579 ]{24,}", re.DOTALL)
_ENGLISH_SIGNS = re.compile(r"(?=(?:[^!@#$%^*]*[!@#$%^*]){4})[A-Za-z!@#$%^&*()68<;:]{24,}")
# How mangled codes begin once they are undone; a text in hexadecimal may well begin with dc02 by itself.
_BEGINNINGS = re.compile(r"IS010{6}|DC0[1-4][A-Z]{2}[0-9A-Z]{6}[0-9A-F]{8}|VITALESIM\.")
_BEGINNING: Final = 20
_INS_BEGINNING = re.compile(r"IS010{6}")
_BEGUN: Final = 10
_BEGINS_KNOWN = re.compile(r"DC0[1-4][A-Z]{2}[0-9A-Z]{2}")
# Traits of an INS: capitals without accents, blanks, hyphens and apostrophes.
_NAME = re.compile(r"[A-Z' -]*")
# Codes for tests have figures there, which no mangling makes of letters; a record warns of them.
_TYPED_NAME = re.compile(r"[A-Z0-9' -]*")
# The number of an INS that was repaired; one that was typed as it is may be odd, and a record warns of it.
_NUMBER = re.compile(r"[0-9AB]*")
_TYPED_NUMBER = re.compile(r".*", re.DOTALL)
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")


def repair(text: str) -> tuple[bytes, str]:
    """The bytes of a scanned code from the text that an imager typed.

    Args:
        text: as typed; what ends it, Enter or Tab, does not belong to it.

    Returns:
        The bytes, and the name of the mangling that was undone. The name is empty where the text was taken as it is.

    Raises:
        PayloadInvalid: the text was mangled in an unknown way, or in one that cannot be distinguished from another. The
            variant is ``wedge-layout``. Or an INS has lost its separators alone: ``separators-lost``.
    """
    text = text.rstrip("\r\n\t")
    if len(text) > MAX_STRING:
        return _bytes(text), ""
    if (ins := _repaired_ins(text)) is not None:
        return ins
    if _is_known(text):
        return _bytes(text), ""
    ways = {undone: one for one in reversed(MANGLINGS) if (undone := one.undo(text)) is not None}
    known = {undone: one for undone, one in ways.items() if _is_known(undone)}
    if not known and _is_spoilt(text):
        known = {undone: one for undone, one in ways.items() if one.seen and _OPAQUE.fullmatch(undone)}
    if len(known) == 1:
        ((undone, mangling),) = known.items()
        return _bytes(undone), mangling.name
    if known or _FRENCH_SIGNS.fullmatch(text) or _begins_mangled(text) or _BEGINS_KNOWN.match(text):
        raise _mangled()
    return _bytes(text), ""


def _mangled() -> PayloadInvalid:
    return PayloadInvalid("the text was mangled by a keyboard's language", variant="wedge-layout")


def _repaired_ins(text: str) -> tuple[bytes, str] | None:
    """The one INS that was meant, whatever the keyboard languages; None where none was.

    Raises:
        PayloadInvalid: it was one, and cannot be told from another, or is spoilt.
    """
    every = (*MANGLINGS, *PAIRS)
    begun = [one for one in every if _INS_BEGINNING.match(one.undo(text[:_BEGUN]) or "")]
    ways = {one.undo(text) or "": one.name for one in reversed(begun)}
    found = {undone: name for undone, name in ways.items() if _is_ins(undone)}
    if _is_ins(text, _TYPED_NAME, _TYPED_NUMBER):
        found[text] = ""
    if len(found) == 1:
        ((undone, name),) = found.items()
        return _bytes(undone), name
    if found or begun or text.startswith("IS01"):
        raise _separators_lost(text) or _mangled()
    return None


def _separators_lost(text: str) -> PayloadInvalid | None:
    """The fault of an INS in which only the keys of its separators were changed; None otherwise."""
    try:
        ins_datamatrix.parse(_bytes(text))
    except PayloadInvalid as error:
        return error if error.variant == "separators-lost" else None
    return None


def _is_known(text: str) -> bool:
    if text.startswith("DC0"):
        return _is_two_d_doc(text)
    if text.startswith(SIMULATED_PREFIX.decode()):
        return _OPAQUE.fullmatch(text) is not None
    return _NIR.fullmatch(text) is not None


def _is_ins(text: str, names: re.Pattern[str] = _NAME, number: re.Pattern[str] = _NUMBER) -> bool:
    """True if it can be parsed with nothing out of place; after a wrong repair something is."""
    if not text.startswith("IS01"):
        return False
    try:
        code = ins_datamatrix.parse(_bytes(text))
    except PayloadInvalid:
        return False
    return (
        number.fullmatch(code.matricule or "") is not None
        and re.fullmatch(r"[0-9.]*", code.oid or "") is not None
        and re.fullmatch(r"(?:[0-9]{2}-[0-9]{2}-[0-9]{4})?", code.date_naissance or "") is not None
        and (code.sexe or "M") in "MFI"
        and all(names.fullmatch(name or "") for name in (code.prenoms, code.nom))
    )


def _is_two_d_doc(text: str) -> bool:
    try:
        two_d_doc.parse(_bytes(text))
    except PayloadInvalid:
        return False
    return True


def _is_spoilt(text: str) -> bool:
    return bool(_FRENCH_SIGNS.fullmatch(text) or _ENGLISH_SIGNS.fullmatch(text))


def _begins_mangled(text: str) -> bool:
    """True if it begins as a known code does once it is mangled, whatever became of the rest."""
    begun = [undone for one in MANGLINGS if (undone := one.undo(text[:_BEGINNING])) is not None]
    return not _HEXADECIMAL.fullmatch(text) and any(_BEGINNINGS.match(undone) for undone in begun)


def _bytes(text: str) -> bytes:
    # JSON may carry halves of characters; whoever reads the code has to refuse them, not the encoder.
    return text.encode("utf-8", "surrogatepass")
