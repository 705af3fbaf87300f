"""What a driver has to be armed for, by who waits; pure."""

from math import inf

from vitale_drivers.base import Arm
from vitale_reader.daemon.arbitration.actions import Wish
from vitale_reader.daemon.arbitration.requests import Wishes

__all__ = ["arm_for"]


def arm_for(wishes: Wishes, media: frozenset[str], readers: frozenset[str]) -> Arm | None:
    """What a driver with these media and readers is armed for; None where nobody waits for any of them.

    Only for readers that it has: names that clients made up never reach a driver. The deadline is that of the longest
    request of its kind so far: the driver is disarmed before it, when nobody waits any more.
    """

    def concerns(wish: Wish) -> bool:
        return not wish.media.isdisjoint(media) and not (wish.readers and wish.readers.isdisjoint(readers))

    kinds = [kind for kind in wishes.kinds if concerns(kind.wish)]
    subscribed = [wish for wish in wishes.subscribed.values() if concerns(wish)]
    wanted = [*(kind.wish for kind in kinds), *subscribed]
    if not wanted:
        return None
    named = frozenset[str]().union(*(wish.readers for wish in wanted))
    everywhere = any(not wish.readers for wish in wanted)
    return Arm(
        media=tuple(sorted({medium for wish in wanted for medium in wish.media & media})),
        readers=() if everywhere else tuple(sorted(readers & named)),
        deadline=inf if subscribed else max(kind.deadline for kind in kinds),
    )
