"""Who waits for presentations, and whose turn it is: requests, then subscriptions; pure.

Requests are served in the order in which they came. Subscriptions are served in turns: one that was served goes behind
all others, so that none starves however many there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from vitale_protocol.events import Reader
from vitale_reader.daemon.decisions import Key, Subscribed, Waiting, Wish

__all__ = ["Wishes"]


@dataclass(slots=True)
class Wishes:
    """The requests that wait, oldest first, and the subscriptions, the one served longest ago first."""

    waiting: dict[Key, Waiting] = field(default_factory=dict[Key, Waiting])
    subscribed: dict[Key, Subscribed] = field(default_factory=dict[Key, Subscribed])

    def __iter__(self) -> Iterator[Wish]:
        yield from self.waiting.values()
        yield from self.subscribed.values()

    def served(self, subscription: Subscribed) -> None:
        """Its turn is over."""
        self.subscribed[subscription.key] = self.subscribed.pop(subscription.key)

    def requests(self, reader: Reader, medium: str | None = None) -> Iterator[Waiting]:
        """The requests that a presentation at a reader could answer, oldest first; any medium of the reader if None."""
        return (wish for wish in self.waiting.values() if _matches(wish, reader, medium))

    def claimant(self, reader: Reader, medium: str | None = None) -> Wish | None:
        """Whom a presentation at a reader goes to: any request before any subscription."""
        return next((wish for wish in self if _matches(wish, reader, medium)), None)

    def concerned(self, reader: Reader, medium: str | None = None) -> list[Wish]:
        """Who is told what has to be done at a reader: all whom it would help; of the subscriptions, one is enough."""
        requests = list(self.requests(reader, medium))
        claimant = None if requests else self.claimant(reader, medium)
        return [*requests, *([claimant] if claimant else [])]


def _matches(wish: Wish, reader: Reader, medium: str | None) -> bool:
    return wish.fits(reader) and (medium is None or medium in wish.media)
