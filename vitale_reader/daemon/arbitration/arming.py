"""Arming of a driver that follows from the waiting requests; pure."""

from math import inf

from vitale_drivers.base import Arm
from vitale_reader.daemon.arbitration.actions import Pending
from vitale_reader.daemon.arbitration.request_queue import RequestQueue

__all__ = ["arm_for"]


def arm_for(pending_requests: RequestQueue, media: frozenset[str], readers: frozenset[str]) -> Arm | None:
    """Returns the arming of a driver with these media and readers; None if nothing waits for them.

    Only for readers that it has: names that clients made up never reach a driver. The deadline is the latest that any
    request of these kinds has had. The driver is disarmed before it when nobody waits any more.
    """

    def concerns(pending: Pending) -> bool:
        return not pending.media.isdisjoint(media) and not (pending.readers and pending.readers.isdisjoint(readers))

    kinds = [kind for kind in pending_requests.kinds if concerns(kind.pending)]
    subscribed = [pending for pending in pending_requests.subscribed.values() if concerns(pending)]
    wanted = [*(kind.pending for kind in kinds), *subscribed]
    if not wanted:
        return None
    named = frozenset[str]().union(*(pending.readers for pending in wanted))
    everywhere = any(not pending.readers for pending in wanted)
    return Arm(
        media=tuple(sorted({medium for pending in wanted for medium in pending.media & media})),
        readers=() if everywhere else tuple(sorted(readers & named)),
        deadline=inf if subscribed else max(kind.deadline for kind in kinds),
    )
