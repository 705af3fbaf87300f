"""What a driver has to be armed for, by who waits; pure."""

from collections.abc import Iterable
from math import inf

from vitale_drivers.base import Arm
from vitale_reader.daemon.decisions import Waiting, Wish

__all__ = ["arm_for"]


def arm_for(wishes: Iterable[Wish], media: frozenset[str], readers: frozenset[str]) -> Arm | None:
    """What a driver with these media and readers is armed for; None where nobody waits for any of them.

    Only for readers that it has: names that clients made up never reach a driver. The challenge is that of whoever is
    served first, and a subscription has none: what can be answered again and again proves nothing.
    """
    wanted = [
        wish
        for wish in wishes
        if not wish.media.isdisjoint(media) and not (wish.readers and wish.readers.isdisjoint(readers))
    ]
    if not wanted:
        return None
    named = frozenset[str]().union(*(wish.readers for wish in wanted))
    everywhere = any(not wish.readers for wish in wanted)
    return Arm(
        media=tuple(sorted({medium for wish in wanted for medium in wish.media & media})),
        readers=() if everywhere else tuple(sorted(readers & named)),
        challenge=wanted[0].challenge if isinstance(wanted[0], Waiting) else b"",
        deadline=max(wish.deadline if isinstance(wish, Waiting) else inf for wish in wanted),
    )
