"""Names that the product uses for itself, which no paired program may bear, nor one that looks like it.

Letters that look alike count as one: ``L0CAL`` is ``local``, also with a Cyrillic letter or a small capital. Of long
names one that is near is one too, as with sites.
"""

import re
from typing import Final

from vitale_protocol.web.edit_distance import NEAR, distance

__all__ = ["DASHBOARD", "LOCAL", "distinct", "is_own"]

#: The daemon's own user, and the dashboard, as clients.
LOCAL: Final = "local"
DASHBOARD: Final = "dashboard"

#: The names, and the words by which commands and pages tell of them.
_OWN: Final = (
    LOCAL,
    DASHBOARD,
    "vitale-reader",
    "the dashboard",
    "le tableau de bord",
    "tableau de bord",
    "a program of this machine",
    "un programme de ce poste",
)

#: Letters from which on a name that is near is taken for it: of a short one it would be another word.
_LONG: Final = 9

#: A Latin letter with a form of its own, in the names of Unicode: ``LATIN LETTER SMALL CAPITAL L``.
_LATIN: Final = re.compile(
    r"LATIN (?:SMALL |CAPITAL )?LETTER (?:(?:SMALL CAPITAL|SMALL|DOTLESS|SCRIPT|OPEN|BARRED|INSULAR|SIDEWAYS|LONG)"
    r" )*(?P<letter>[A-Z])(?: WITH .*)?"
)

#: Letters and digits that are taken for others among ours, and accents aside.
_ALIKE: Final = str.maketrans(
    {
        **dict.fromkeys("i1|!ıǀǃιіӏ\u05d5\u0661", "l"),
        **dict.fromkeys("0οоօσ\u0585\u06f0", "o"),
        **dict.fromkeys("аαɑ@4", "a"),
        **dict.fromkeys("сϲ", "c"),
        **dict.fromkeys("еєҽ3", "e"),
        **dict.fromkeys("ѕ5$", "s"),
        **dict.fromkeys("һհ", "h"),
        **dict.fromkeys("вьβ8", "b"),
        **dict.fromkeys("гʀ", "r"),
        **dict.fromkeys("νѵ", "v"),
        **dict.fromkeys("тτ7", "t"),
        **dict.fromkeys("ԁ", "d"),
        **dict.fromkeys("мм", "m"),
        **dict.fromkeys("рρ", "p"),
        **dict.fromkeys("ꞑпո", "n"),
        **dict.fromkeys("υսц", "u"),
        **dict.fromkeys("ց", "g"),
    }
)


def is_own(name: str) -> bool:
    """True if a name is one that the product uses itself, or looks like it."""
    seen = _seen(name)
    return any(seen == own or (len(own) >= _LONG and distance(seen, own) <= NEAR) for own in _SEEN)


def distinct(name: str, client_id: str) -> str:
    """The displayed name of a client: with its id where it could be taken for the product itself."""
    return f"{name} ({client_id})" if is_own(name) else name


def _seen(name: str) -> str:
    """The name as the eye sees it: no accents, blanks or signs; one letter for all lookalikes."""
    # The signs that stand for letters come first, since they are no letters.
    plain = (name.casefold() if name.isascii() else _latin(name)).translate(_ALIKE)
    return "".join(letter for letter in plain if letter.isalnum())


def _latin(name: str) -> str:
    """A name of any script in our small letters, as far as there are such."""
    import unicodedata  # noqa: PLC0415  a megabyte, for names that are not of ASCII

    from vitale_protocol.web.confusable_letters import ours  # noqa: PLC0415

    def small(letter: str) -> str:
        named = None if letter.isascii() else _LATIN.fullmatch(unicodedata.name(letter, ""))
        return named["letter"].lower() if named else letter

    # Capitals first: a Greek one may look like ours where its small letter does not.
    return "".join(map(small, unicodedata.normalize("NFKD", name).translate(ours()).casefold()))


_SEEN: Final = frozenset(map(_seen, _OWN))
