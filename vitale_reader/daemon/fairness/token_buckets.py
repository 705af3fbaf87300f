"""The shares that nobody exceeds: of the daemon's time, of openings, of places.

Whoever is slowed or refused here, slows nobody else. Every share belongs to one client, to one process not yet
identified, or to one user of the machine.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol

import msgspec

__all__ = ["Bucket", "Buckets", "Buffered", "Places", "Rate", "UnreadBytes"]

#: Buckets that are remembered; one that is forgotten is full again.
MOST_BUCKETS = 4_096


class Rate(msgspec.Struct, frozen=True):
    """An allowance: so much a second in the long run, and so much at once after a rest."""

    each_second: float
    burst: float


class Bucket:
    """A token bucket (ITU-T I.371), filled at a rate up to a burst, that may go into debt."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._left = rate.burst
        self._at = clock()

    def take(self, amount: float = 1.0) -> bool:
        """Takes an amount if there is as much."""
        self._fill()
        if self._left < amount:
            return False
        self._left -= amount
        return True

    def spend(self, amount: float) -> None:
        """Takes what was used already, into debt if need be."""
        self._fill()
        self._left -= amount

    @property
    def wait(self) -> float:
        """Seconds until there is no debt any more."""
        self._fill()
        return max(-self._left / self._rate.each_second, 0.0)

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._rate.each_second, self._rate.burst)
        self._at = now


class Buckets:
    """One bucket for each owner; those that were not asked for longest are forgotten first."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._of: OrderedDict[Hashable, Bucket] = OrderedDict()

    def of(self, owner: Hashable) -> Bucket:
        """The bucket of an owner."""
        bucket = self._of.get(owner)
        if bucket is None:
            bucket = self._of[owner] = Bucket(self._rate, self._clock)
            if len(self._of) > MOST_BUCKETS:
                self._of.popitem(last=False)
        self._of.move_to_end(owner)
        return bucket

    def __len__(self) -> int:
        return len(self._of)


class Buffered(Protocol):
    """A connection, as far as what waits in it goes."""

    def get_write_buffer_size(self) -> int:
        """Bytes that it was given and that are not sent."""
        ...


class UnreadBytes:
    """Bytes that each owner was sent and does not read, over all its connections.

    Args:
        limit: bytes of one owner.
        least: bytes of one connection, up to which it is not looked at.
    """

    def __init__(self, limit: int, *, least: int) -> None:
        self._limit = limit
        self._least = least
        self._owner_of: dict[Buffered, Hashable] = {}

    def exceeded(self, owner: Hashable, connection: Buffered) -> bool:
        """True if too much waits for this owner, and this connection has a part in it.

        To be asked whenever the connection was given something.
        """
        if connection.get_write_buffer_size() <= self._least:
            self.forget(connection)
            return False
        self._owner_of[connection] = owner
        waiting = (each for each, its_owner in self._owner_of.items() if its_owner == owner)
        return sum(each.get_write_buffer_size() for each in waiting) > self._limit

    def forget(self, connection: Buffered) -> None:
        """The connection is gone, or nothing waits in it that matters."""
        self._owner_of.pop(connection, None)


class Places:
    """Places, so many in all and so many for one owner."""

    def __init__(self, limit: int, *, each: int | None = None) -> None:
        self._limit = limit
        self._each = limit if each is None else each
        self._of: dict[Hashable, int] = {}
        self.count = 0

    def enter(self, owner: Hashable = None) -> bool:
        """Takes a place if there is one; whoever got it must ``leave``."""
        taken = self._of.get(owner, 0)
        if self.count >= self._limit or taken >= self._each:
            return False
        self._of[owner] = taken + 1
        self.count += 1
        return True

    def leave(self, owner: Hashable = None) -> None:
        """Gives a place back."""
        self.count -= 1
        self._of[owner] -= 1
        if not self._of[owner]:
            del self._of[owner]
