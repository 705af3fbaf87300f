"""Tables of what keys write in the keyboard languages that imagers and machines in France are set to.

A key is a column of each row. ``DEAD`` is a key that writes nothing by itself, but changes what follows. The tables are
those of XKB (xkb-data 2.35). Windows and macOS agree with them for letters, figures and the signs of an INS.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["DEAD", "LAYOUTS", "Layout"]

DEAD: Final = "¤"


class Layout(NamedTuple):
    """A keyboard language: the key left of 1, the figure row, three letter rows with the key beside shift."""

    plain: str
    shifted: str


LAYOUTS: Final[Mapping[str, Layout]] = {
    "us": Layout(
        "`1234567890-=qwertyuiop[]asdfghjkl;'\\<zxcvbnm,./",
        '~!@#$%^&*()_+QWERTYUIOP{}ASDFGHJKL:"|>ZXCVBNM<>?',
    ),
    "fr": Layout(
        "²&é\"'(-è_çà)=azertyuiop¤$qsdfghjklmù*<wxcvbn,;:!",
        "~1234567890°+AZERTYUIOP¤£QSDFGHJKLM%µ>WXCVBN?./§",
    ),
    "be": Layout(
        "²&é\"'(§è!çà)-azertyuiop¤$qsdfghjklmùµ<wxcvbn,;:=",
        "³1234567890°_AZERTYUIOP¤*QSDFGHJKLM%£>WXCVBN?./+",
    ),
    "ca": Layout(
        "#1234567890-=qwertyuiop¤¤asdfghjkl;¤<«zxcvbnm,.é",
        "|!\"/$%?&*()_+QWERTYUIOP¤¤ASDFGHJKL:¤>»ZXCVBNM'.É",
    ),
    "ch-fr": Layout(
        "§1234567890'¤qwertzuiopè¤asdfghjkléà$<yxcvbnm,.-",
        '°+"*ç%&/()=?¤QWERTZUIOPü!ASDFGHJKLöä£>YXCVBNM;:_',
    ),
    "ch-de": Layout(
        "§1234567890'¤qwertzuiopü¤asdfghjklöä$<yxcvbnm,.-",
        '°+"*ç%&/()=?¤QWERTZUIOPè!ASDFGHJKLéà£>YXCVBNM;:_',
    ),
    "de": Layout(
        "¤1234567890ß¤qwertzuiopü+asdfghjklöä#<yxcvbnm,.-",
        "°!\"§$%&/()=?¤QWERTZUIOPÜ*ASDFGHJKLÖÄ'>YXCVBNM;:_",
    ),
    "mac-fr": Layout(
        "@&é\"'(§è!çà)-azertyuiop¤$qsdfghjklmù¤<wxcvbn,;:=",
        "#1234567890°_AZERTYUIOP¤*QSDFGHJKLM%£>WXCVBN?./+",
    ),
    "afnor": Layout(
        "@àéèê()‘’«»'¤azertyuiop-+qsdfghjklm/*<wxcvbn.,:;",
        '#1234567890"¤AZERTYUIOP–±QSDFGHJKLM\\½>WXCVBN?!…=',
    ),
    "bépo": Layout(
        "$\"«»()@+-/*=%bépoè¤vdljzwauie,ctsrnmçêàyx.k'qghf",
        "#1234567890°`BÉPOÈ!VDLJZWAUIE;CTSRNMÇÊÀYX:K?QGHF",
    ),
    "us-intl": Layout(
        "¤1234567890-=qwertyuiop[]asdfghjkl;¤\\\\zxcvbnm,./",
        "¤!@#$%¤&*()_+QWERTYUIOP{}ASDFGHJKL:¤||ZXCVBNM<>?",
    ),
}
"""By name; the order is that in which the cause of a mangling is named."""
