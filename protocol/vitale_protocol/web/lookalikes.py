"""Look-alikes: why the name of a site deserves a second look before it is paired.

Nothing here decides. A person at the desk sees the warnings beside the site.
"""

import unicodedata
from collections.abc import Collection
from typing import Literal

from vitale_protocol.web.edit_distance import NEAR, distance
from vitale_protocol.web.registration import unicode_form
from vitale_protocol.web.sites import Site

__all__ = ["Warned", "warnings_of"]

Warned = Literal["mixed_scripts", "near_paired", "first_seen"]


def warnings_of(site: Site, paired: Collection[Site], seen: Collection[Site]) -> tuple[Warned, ...]:
    """The warnings about a site.

    Args:
        site: that asks.
        paired: those that are paired with this station, revoked ones not among them.
        seen: those that were paired here at any time.
    """
    warned: list[Warned] = []
    if len(scripts(unicode_form(site.host))) > 1:
        warned.append("mixed_scripts")
    if any(_is_near(site.host, other.host) for other in paired if other != site):
        warned.append("near_paired")
    if site not in seen and site not in paired:
        warned.append("first_seen")
    return tuple(warned)


def scripts(name: str) -> frozenset[str]:
    """The scripts of the letters in a name, by the first words of their names in Unicode."""
    return frozenset(unicodedata.name(letter, "UNKNOWN").split()[0] for letter in name if letter.isalpha())


def _is_near(one: str, other: str) -> bool:
    return min(distance(one, other), distance(unicode_form(one), unicode_form(other))) <= NEAR
