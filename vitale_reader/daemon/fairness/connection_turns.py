"""The turns of connections: a little of what each sent is read, then it is the next one's turn.

- Turns go round by owner (a client; before that, a process), then by connection. A hundred connections of one owner
  have one turn as any other owner's single connection has.
- The processor time of a turn is the owner's. Whoever has used up its share waits until it has filled again. The kernel
  holds what it sends meanwhile. Nothing of it is lost, and nobody else waits for it.
"""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Protocol

from vitale_reader.daemon.fairness.processor_shares import Shares

__all__ = ["TURN", "Taker", "Turns"]

#: Seconds of one turn; the least is one piece of what was sent.
TURN = 0.001


class Taker(Protocol):
    """A connection that takes turns."""

    @property
    def owner(self) -> Hashable:
        """The owner from whose share its turns are taken."""
        ...

    @property
    def group(self) -> Hashable:
        """The group from whose share all its owners' turns are taken as well; None for nobody's."""
        ...

    def take_piece(self) -> bool:
        """Reads one piece of what was sent; whether there is more."""
        ...


class Turns:
    """The connections of all transports that have something to be read."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._waiting: dict[Hashable, deque[Taker]] = {}
        self._ready: deque[Hashable] = deque()
        self._scheduled = False

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def ask(self, taker: Taker) -> None:
        """A connection that did not wait has something to be read: at once, if its owner has time left."""
        owner = taker.owner
        if owner in self._waiting:
            self._waiting[owner].append(taker)
        elif self._shares.wait(owner, taker.group) or self._turn(owner, taker):
            self._waiting[owner] = deque((taker,))
            self._line_up(owner, taker)

    def _turn(self, owner: Hashable, taker: Taker) -> bool:
        """One turn, charged to who speaks as it begins; whether there is more."""
        group, began = taker.group, self._shares.used()
        more = taker.take_piece()
        while more and self._shares.used() - began < TURN:
            more = taker.take_piece()
        self._shares.spend(owner, group, self._shares.used() - began)
        return more

    def _line_up(self, owner: Hashable, taker: Taker) -> None:
        if wait := self._shares.wait(taker.owner, taker.group):
            asyncio.get_running_loop().call_later(wait, self._rested, owner)
        else:
            self._rested(owner)

    def _rested(self, owner: Hashable) -> None:
        self._ready.append(owner)
        self._schedule()

    def _schedule(self) -> None:
        if self._ready and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._scheduled = False
        owner = self._ready.popleft()
        takers = self._waiting[owner]
        taker = takers.popleft()
        try:
            more = self._turn(taker.owner, taker)  # who it is may have become known while it waited
        finally:
            # A connection whose owner became known in its turn goes on under that name.
            if takers:
                self._line_up(owner, takers[0])
            else:
                del self._waiting[owner]
            self._schedule()
        if not more:
            return
        if (known := taker.owner) in self._waiting:
            self._waiting[known].append(taker)
        else:
            self._waiting[known] = deque((taker,))
            self._line_up(known, taker)
