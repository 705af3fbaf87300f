"""The separators of printed codes, GS, RS and US, and how imagers that type like a keyboard write them.

A keyboard has no key for them. Imagers drop them, press Ctrl with ``]``, ``^`` or ``_``, or write one of these texts.
"""

import re
from typing import Final

__all__ = ["GS", "RS", "US", "WRITTEN", "restored", "without_torn_end"]

GS: Final = b"\x1d"
RS: Final = b"\x1e"
US: Final = b"\x1f"

_NAMED: Final = {"GS": GS, "RS": RS, "US": US}

WRITTEN: Final[dict[bytes, bytes]] = {
    # Caret notation, as terminals and many imagers show Ctrl-], Ctrl-^ and Ctrl-_.
    b"^]": GS,
    b"^^": RS,
    b"^_": US,
    # The names, as documents of the ANTS and of the ANS write them, and the variants of imagers' manuals.
    **{f"{left}{name}{right}".encode(): sign for name, sign in _NAMED.items() for left, right in ("<>", "{}", "[]")},
    # Escapes of imagers that make control characters visible.
    **{
        escape % sign[0]: sign
        for sign in _NAMED.values()
        for escape in (rb"\x%02x", rb"\x%02X", rb"\u%04x", rb"\u%04X")
    },
    # Unicode's pictures for them.
    "␝".encode(): GS,
    "␞".encode(): RS,
    "␟".encode(): US,
}
"""What stands for which separator; none of it can be part of a well-formed INS Datamatrix or 2D-Doc."""

_ANY = re.compile(b"|".join(re.escape(one) for one in sorted(WRITTEN, key=len, reverse=True)))
_REAL = re.compile(b"[\x1d-\x1f]")
_BEGUN = sorted({one[:end] for one in WRITTEN for end in range(1, len(one))}, key=len, reverse=True)
_TORN = re.compile(b"(?:" + b"|".join(map(re.escape, _BEGUN)) + rb")\Z")


def restored(code: bytes) -> bytes:
    """Returns the code with real separators in place of typed ones; a code with real ones is unchanged."""
    return code if _REAL.search(code) else _ANY.sub(lambda found: WRITTEN[found[0]], code)


def without_torn_end(code: bytes) -> bytes:
    """The code without the beginning of a written separator in which it was cut.

    That beginning would pass for the end of a name.
    """
    return _TORN.sub(b"", code)
