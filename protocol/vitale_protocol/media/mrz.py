"""The machine-readable zone of an identity document, as one text without line ends.

Layouts: ICAO Doc 9303 parts 4 to 6 (TD3 passport, TD1 card, TD2), and the French identity card (1988). A blank stands
for the filler ``<``, as in a 2D-Doc. Check digits are not looked at: where the zone is signed, the signature says more.
"""

from dataclasses import dataclass
from typing import Final

from vitale_protocol.privacy import concealed

__all__ = ["Mrz", "read_mrz"]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Positions in a zone; ``given`` is set where the first names do not follow the name."""

    begins: str
    name: slice
    nationality: slice | None
    birth: slice
    sex: int
    given: slice | None = None


_TD1: Final = _Layout("", slice(60, 90), slice(45, 48), slice(30, 36), 37)
_TD2: Final = _Layout("", slice(5, 36), slice(46, 49), slice(49, 55), 56)
_TD3: Final = _Layout("P", slice(5, 44), slice(54, 57), slice(57, 63), 64)
_FRENCH_1988: Final = _Layout("IDFRA", slice(5, 30), None, slice(63, 69), 70, given=slice(49, 63))
_LAYOUTS: Final = {90: (_TD1,), 72: (_FRENCH_1988, _TD2), 88: (_TD3,)}


@dataclass(frozen=True, slots=True, repr=False)
class Mrz:
    """Holder's traits in the zone, empty where absent. ``birth`` is ``AAMMJJ``, without a century."""

    name: str
    given_names: str
    birth: str
    sex: str
    nationality: str

    __repr__ = concealed


def read_mrz(text: str) -> Mrz | None:
    """Reads a zone; None where it has none of these layouts."""
    zone = text.replace(" ", "<")
    layout = next((one for one in _LAYOUTS.get(len(zone), ()) if zone.startswith(one.begins)), None)
    if layout is None:
        return None
    name, _, given = zone[layout.name].partition("<<")
    return Mrz(
        name=_words(name),
        given_names=_words(zone[layout.given] if layout.given else given),
        birth=_words(zone[layout.birth]),
        sex=_words(zone[layout.sex]),
        nationality=_words(zone[layout.nationality]) if layout.nationality else "",
    )


def _words(part: str) -> str:
    return " ".join(part.replace("<", " ").split())
