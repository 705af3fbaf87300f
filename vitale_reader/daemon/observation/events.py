"""Events that are counted and traced: presentations, requests without one, refused calls, work of the store."""

from collections.abc import Callable, Sequence

import msgspec

from vitale_reader.daemon.observation.timeline import StageTime

__all__ = ["CallRefused", "Delivered", "Event", "NotRead", "Observe", "StoreWork", "Unanswered", "all_of", "unobserved"]


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A presentation was delivered: its request was answered, with a token or with an error.

    Attributes:
        medium: of the presentation.
        driver: that read it, or ``submit``.
        outcome: ``ok``, or the reason in the catalogue.
        simulated: whether it was.
        began: when the delivery began, ``time.perf_counter``.
        ended: when it ended, likewise.
        stages: of it, in the order in which they ended.
    """

    medium: str
    driver: str
    outcome: str
    simulated: bool
    began: float
    ended: float
    stages: tuple[StageTime, ...]


class NotRead(msgspec.Struct, frozen=True, kw_only=True):
    """A medium gave no reading; ``medium`` is empty where nobody knows what it is."""

    medium: str
    driver: str
    outcome: str


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """A request ended before anything was presented for it; ``outcome`` is the reason in the catalogue."""

    outcome: str


class CallRefused(msgspec.Struct, frozen=True, kw_only=True):
    """A call was refused because its client had taken its share; ``limit`` names the share."""

    limit: str


class StoreWork(msgspec.Struct, frozen=True, kw_only=True):
    """The store was given a piece of work.

    Attributes:
        waited: seconds for its turn.
        seconds: from its turn to its answer.
        answered: whether it was there; that it refuses what is wrong is an answer.
    """

    waited: float
    seconds: float
    answered: bool


Event = Delivered | NotRead | Unanswered | CallRefused | StoreWork
Observe = Callable[[Event], None]


def unobserved(event: Event) -> None:
    """Forgets an event: nobody listens."""


def all_of(observers: Sequence[Observe]) -> Observe:
    """Tells each of some observers."""

    def observe(event: Event) -> None:
        for each in observers:
            each(event)

    return observe if observers else unobserved
