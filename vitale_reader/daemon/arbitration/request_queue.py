"""Queue of those that wait for presentations: requests, then subscriptions in turns; pure.

Requests are served in the order in which they came. Subscriptions are served in turns: one that was served goes behind
all others, so that none starves however many there are.

Of a thousand programs most want the same. The questions of each event (the next request, the arming) are answered by
*kinds* of requests, of which there are few, and not by looking at each request.
"""

import itertools
from collections.abc import Iterable, Iterator
from math import inf

import msgspec

from vitale_protocol.events import Reader
from vitale_reader.daemon.arbitration.actions import Key, Pending, PendingRequest, PendingSubscription

__all__ = ["Kind", "PendingRequests"]


class Kind(msgspec.Struct):
    """Requests that want the same media at the same readers, oldest first, each with its number in the order of all.

    ``deadline`` is that of the longest so far: whoever is gone may have had it.
    """

    pending: Pending
    waiting: dict[Key, tuple[int, PendingRequest]] = msgspec.field(
        default_factory=dict[Key, tuple[int, PendingRequest]]
    )
    deadline: float = -inf

    @property
    def oldest(self) -> tuple[int, PendingRequest]:
        """The one that is served first."""
        return next(iter(self.waiting.values()))

    @property
    def newest(self) -> PendingRequest:
        """The one that came last."""
        return self.waiting[next(reversed(self.waiting))][1]


KindKey = tuple[frozenset[str], frozenset[str], frozenset[tuple[str, float]]]


class PendingRequests(msgspec.Struct):
    """The requests that wait, oldest first, and the subscriptions, the one served longest ago first."""

    waiting: dict[Key, PendingRequest] = msgspec.field(default_factory=dict[Key, PendingRequest])
    subscribed: dict[Key, PendingSubscription] = msgspec.field(default_factory=dict[Key, PendingSubscription])
    _kinds: dict[KindKey, Kind] = msgspec.field(default_factory=dict[KindKey, Kind])
    _numbers: Iterator[int] = msgspec.field(default_factory=itertools.count)

    def add(self, request: PendingRequest) -> None:
        """One more, the last in the order."""
        self.waiting[request.key] = request
        kind = self._kinds.setdefault(_kind_of(request), Kind(request))
        kind.waiting[request.key] = next(self._numbers), request
        kind.deadline = max(kind.deadline, request.deadline)

    def end(self, key: Key) -> PendingRequest | None:
        """One less; None if it does not wait (any more)."""
        request = self.waiting.pop(key, None)
        if request is not None:
            kind = self._kinds[_kind_of(request)]
            del kind.waiting[key]
            if not kind.waiting:
                del self._kinds[_kind_of(request)]
        return request

    def served(self, subscription: PendingSubscription) -> None:
        """Its turn is over."""
        self.subscribed[subscription.key] = self.subscribed.pop(subscription.key)

    @property
    def kinds(self) -> Iterable[Kind]:
        """The kinds of requests."""
        return self._kinds.values()

    def requests(self, reader: Reader, medium: str | None = None) -> Iterator[PendingRequest]:
        """The requests that a presentation at a reader could answer, oldest first; any medium of the reader if None."""
        return (pending for pending in self.waiting.values() if _matches(pending, reader, medium))

    def any_since(self, since: float, reader: Reader, medium: str | None) -> bool:
        """True if one of these requests came at that time or later, and what lies there since then counts for it."""
        return any(
            _matches(kind.pending, reader, medium)
            and kind.newest.asked_at >= since
            and (reader.id, since) not in kind.pending.stale
            for kind in self.kinds
        )

    def claimant(self, reader: Reader, medium: str | None = None, *, since: float | None = None) -> Pending | None:
        """Receiver of a presentation at a reader: any request before any subscription.

        Args:
            reader: that it is at.
            medium: that was presented; any of the reader if None.
            since: the beginning of its presence, where it lies there.
        """
        oldest = min(
            (
                kind.oldest
                for kind in self.kinds
                if _matches(kind.pending, reader, medium) and (reader.id, since) not in kind.pending.stale
            ),
            key=lambda numbered: numbered[0],
            default=None,
        )
        if oldest is not None:
            return oldest[1]
        return next((pending for pending in self.subscribed.values() if _matches(pending, reader, medium)), None)

    def concerned(self, reader: Reader, medium: str | None = None) -> list[Pending]:
        """Requests to notify of an action needed at a reader; of the subscriptions, one is enough."""
        requests = list(self.requests(reader, medium))
        claimant = None if requests else self.claimant(reader, medium)
        return [*requests, *([claimant] if claimant else [])]


def _matches(pending: Pending, reader: Reader, medium: str | None) -> bool:
    return pending.fits(reader) and (medium is None or medium in pending.media)


def _kind_of(request: PendingRequest) -> KindKey:
    return request.media, request.readers, request.stale
