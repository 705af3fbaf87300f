"""Queue of those that wait for presentations: requests, then subscriptions in turns; pure.

Requests of one client are served in the order in which they came, and clients in turns. At a reader, what a client has
waiting counts as asked when it was answered there last. Whoever has one request waits for one of each other client,
however many those have. Subscriptions are served in turns likewise. The client that got something goes behind the
others, and that subscription goes behind its client's others.

Of a thousand programs most want the same. The questions of each event (the next request, the arming) are answered by
*kinds* of requests. These are few, so that not every request is looked at.
"""

import itertools
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from math import inf

import msgspec

from vitale_protocol.events import Reader
from vitale_reader.daemon.arbitration.actions import Key, Pending, PendingRequest, PendingSubscription

__all__ = ["RequestKind", "RequestQueue"]


class RequestKind(msgspec.Struct):
    """Requests that want the same media at the same readers, oldest first, each with its overall number.

    ``deadline`` is that of the longest so far: whoever is gone may have had it. ``clients`` has the same requests, with
    the client of each.
    """

    pending: Pending
    waiting: dict[Key, tuple[int, PendingRequest]] = msgspec.field(
        default_factory=dict[Key, tuple[int, PendingRequest]]
    )
    clients: dict[Hashable, dict[Key, tuple[int, PendingRequest]]] = msgspec.field(
        default_factory=dict[Hashable, dict[Key, tuple[int, PendingRequest]]]
    )
    deadline: float = -inf

    def add(self, number: int, request: PendingRequest) -> None:
        """One more, the last in the order."""
        self.waiting[request.key] = self.clients.setdefault(request.client, {})[request.key] = number, request
        self.deadline = max(self.deadline, request.deadline)

    def end(self, request: PendingRequest) -> None:
        """Takes one request out."""
        del self.waiting[request.key]
        of_client = self.clients[request.client]
        del of_client[request.key]
        if not of_client:
            del self.clients[request.client]

    def oldest(self, by: float) -> Iterator[tuple[int, PendingRequest]]:
        """The oldest of each client, of those that had asked by then."""
        for of_client in self.clients.values():
            first = next(iter(of_client.values()))
            if first[1].asked_at <= by:
                yield first

    @property
    def newest(self) -> PendingRequest:
        """The one that came last."""
        return self.waiting[next(reversed(self.waiting))][1]


KindKey = tuple[frozenset[str], frozenset[str], frozenset[tuple[str, float]]]


class RequestQueue(msgspec.Struct):
    """The requests that wait, oldest first, and the subscriptions, the one served longest ago first."""

    waiting: dict[Key, PendingRequest] = msgspec.field(default_factory=dict[Key, PendingRequest])
    subscribed: dict[Key, PendingSubscription] = msgspec.field(default_factory=dict[Key, PendingSubscription])
    _handed: dict[Hashable, int] = msgspec.field(default_factory=dict[Hashable, int])
    _kinds: dict[KindKey, RequestKind] = msgspec.field(default_factory=dict[KindKey, RequestKind])
    _numbers: Iterator[int] = msgspec.field(default_factory=itertools.count)
    _of_client: Counter[Hashable] = msgspec.field(default_factory=Counter[Hashable])
    _turns: dict[Hashable, dict[str, int]] = msgspec.field(default_factory=dict[Hashable, dict[str, int]])

    def add(self, request: PendingRequest) -> None:
        """One more, the last in the order."""
        self.waiting[request.key] = request
        self._of_client[request.client] += 1
        self._kinds.setdefault(_kind_of(request), RequestKind(request)).add(next(self._numbers), request)

    def end(self, key: Key) -> PendingRequest | None:
        """One less; None if it does not wait (any more)."""
        request = self.waiting.pop(key, None)
        if request is not None:
            kind = self._kinds[_kind_of(request)]
            kind.end(request)
            if not kind.waiting:
                del self._kinds[_kind_of(request)]
            self._of_client[request.client] -= 1
            if not self._of_client[request.client]:
                # What it asks later is numbered behind its turns anyhow.
                del self._of_client[request.client]
                self._turns.pop(request.client, None)
        return request

    def subscribe(self, subscription: PendingSubscription) -> None:
        """One more subscription, behind those of its client; a client that had none is the last in turn."""
        self.subscribed[subscription.key] = subscription
        self._handed.setdefault(subscription.client, next(self._numbers))

    def unsubscribe(self, key: Key) -> None:
        """One less; nothing if there is none."""
        ended = self.subscribed.pop(key, None)
        if ended is not None and all(each.client != ended.client for each in self.subscribed.values()):
            del self._handed[ended.client]

    def served(self, pending: Pending, reader: Reader) -> None:
        """The turn of a subscription, or of a client at a reader, is over."""
        if isinstance(pending, PendingSubscription):
            self.subscribed[pending.key] = self.subscribed.pop(pending.key)
            self._handed[pending.client] = next(self._numbers)
        elif isinstance(pending, PendingRequest) and pending.client in self._of_client:
            self._turns.setdefault(pending.client, {})[reader.id] = next(self._numbers)

    @property
    def kinds(self) -> Iterable[RequestKind]:
        """The kinds of requests."""
        return self._kinds.values()

    def requests(self, reader: Reader, medium: str | None = None) -> Iterator[PendingRequest]:
        """The requests that a presentation at a reader could answer, oldest first; any medium of the reader if None."""
        return (pending for pending in self.waiting.values() if _matches(pending, reader, medium))

    def any_since(self, since: float, reader: Reader, medium: str | None) -> bool:
        """True if one of these requests came at ``since`` or later, and the medium there counts for it."""
        return any(
            _matches(kind.pending, reader, medium)
            and kind.newest.asked_at >= since
            and (reader.id, since) not in kind.pending.stale
            for kind in self.kinds
        )

    def claimant(
        self, reader: Reader, medium: str | None = None, *, since: float | None = None, asked_by: float = inf
    ) -> Pending | None:
        """Receiver of a presentation at a reader: any request before any subscription.

        Args:
            reader: that it is at.
            medium: that was presented; any of the reader if None.
            since: the beginning of its presence, where it lies there.
            asked_by: time by which a request had to be there.
        """
        kinds = [
            kind
            for kind in self.kinds
            if _matches(kind.pending, reader, medium) and (reader.id, since) not in kind.pending.stale
        ]
        if not kinds:
            subscribed = (each for each in self.subscribed.values() if _matches(each, reader, medium))
            return min(subscribed, key=lambda each: self._handed[each.client], default=None)
        oldest = (numbered for kind in kinds for numbered in kind.oldest(asked_by))
        first = min(oldest, key=lambda numbered: self._turn(numbered, reader), default=None)
        return None if first is None else first[1]

    def _turn(self, numbered: tuple[int, PendingRequest], reader: Reader) -> tuple[int, int]:
        """Place of a request at a reader: behind those waiting at its client's last answer there, then by age."""
        number, request = numbered
        return max(number, self._turns.get(request.client, {}).get(reader.id, 0)), number

    def concerned(self, reader: Reader, medium: str | None = None) -> list[Pending]:
        """Requests to notify of an action needed at a reader; of the subscriptions, one is enough."""
        requests = list(self.requests(reader, medium))
        claimant = None if requests else self.claimant(reader, medium)
        return [*requests, *([claimant] if claimant else [])]


def _matches(pending: Pending, reader: Reader, medium: str | None) -> bool:
    return pending.fits(reader) and (medium is None or medium in pending.media)


def _kind_of(request: PendingRequest) -> KindKey:
    return request.media, request.readers, request.stale
