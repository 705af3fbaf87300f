"""Scenarios as data: what befalls whom, when, and for how long, from a seed.

Each lane is one thing that troubles befall one after the other: a desk, its line, the database, the pairings. Lanes run
beside one another.
"""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["DESK", "LINE", "Event", "Kind", "Scenario"]


class Event(NamedTuple):
    """One trouble.

    Attributes:
        at: seconds after the beginning.
        what: its name.
        lasts: seconds until it is over.
        value: how much of it.
    """

    at: float
    what: str
    lasts: float
    value: float = 0.0


class Kind(NamedTuple):
    """A kind of trouble: how often beside the others, how long, how much."""

    what: str
    weight: int
    lasts: tuple[float, float]
    values: tuple[float, ...] = (0.0,)


#: Moods of the line between a desk and the database.
LINE = (
    Kind("round trip", 4, (1, 6), (0.01, 0.05, 0.2)),
    Kind("rate", 2, (1, 5), (20_000, 100_000)),
    Kind("silence", 2, (0.5, 8)),
    Kind("half-open", 2, (0.5, 8)),
    Kind("swallowed answers", 2, (0.2, 4)),
    Kind("refused", 2, (0.2, 4)),
    Kind("cut", 3, (0, 0)),
)
#: What befalls the daemon itself. A desk is stopped while its line says nothing, too.
DESK = (Kind("kill", 3, (0, 3)), Kind("stop", 1, (0, 2)), Kind("stop in silence", 1, (0, 2)))
#: Seconds by which the clock of a desk is off.
CLOCK = (Kind("clock", 1, (2, 12), (20, 150, -150, 86_400, 400 * 86_400, -86_400)),)
DISK = (Kind("disk full", 1, (2, 10)),)
DATABASE = (Kind("database restarts", 2, (0.1, 3)), Kind("backends end", 1, (0, 0)))
#: At which desk, counted from the first again where there are fewer.
PAIRINGS = (Kind("revoke", 3, (0, 0), (0, 1, 2, 3)), Kind("rotate keys", 1, (0, 0), (0, 1, 2, 3)))


class Scenario(NamedTuple):
    """All that befalls a site, by lane.

    Attributes:
        pooled: the desk whose line goes through a pooler; None where there is none.
    """

    seed: int
    seconds: float
    lanes: Mapping[str, Sequence[Event]]
    pooled: int | None = None

    @classmethod
    def drawn(
        cls,
        seed: int,
        *,
        desks: int,
        seconds: float,
        pace: float = 1.0,
        small_disk: bool = False,
        at_length: bool = False,
    ) -> "Scenario":
        """A scenario from a seed; ``pace`` is how much time passes between troubles, of the usual.

        The last desk has the wrong clock, all have bad lines, and each but the first is killed.

        Args:
            seed: of all that is drawn.
            desks: their number.
            seconds: that it lasts.
            pace: see above.
            small_disk: whether the disk of the desk before the last fills up.
            at_length: whether the primary fails over to a standby in the middle, and the second desk has a pooler.
        """
        chance = random.Random(seed)
        lanes: dict[str, Sequence[Event]] = {}
        for desk in range(desks):
            lanes[f"line {desk}"] = _drawn(chance, LINE, seconds, (1 * pace, 8 * pace))
            if desk:
                lanes[f"desk {desk}"] = _drawn(chance, DESK, seconds, (4 * pace, 25 * pace))
        lanes[f"clock {desks - 1}"] = _drawn(chance, CLOCK, seconds, (3 * pace, 20 * pace))
        lanes["database"] = _drawn(chance, DATABASE, seconds, (6 * pace, 30 * pace))
        lanes["pairings"] = _drawn(chance, PAIRINGS, seconds, (3 * pace, 12 * pace))
        if small_disk:
            lanes[f"disk {desks - 2}"] = _drawn(chance, DISK, seconds, (5 * pace, 25 * pace))
        if at_length:
            lanes["database"] = _with_failover(
                lanes["database"], Event(seconds / 2, "failover", chance.uniform(0.5, 3))
            )
        return cls(seed, seconds, lanes, 1 if at_length else None)


def _with_failover(events: Sequence[Event], failover: Event) -> Sequence[Event]:
    """The lane with this in the place of what would overlap it."""
    end = failover.at + failover.lasts
    rest = [event for event in events if event.at + event.lasts < failover.at or event.at > end]
    return tuple(sorted((*rest, failover)))


def _drawn(chance: random.Random, kinds: Sequence[Kind], seconds: float, pause: tuple[float, float]) -> Sequence[Event]:
    events: list[Event] = []
    at = chance.uniform(*pause)
    while at < seconds:
        (kind,) = chance.choices(kinds, [kind.weight for kind in kinds])
        lasts = min(chance.uniform(*kind.lasts), seconds - at)
        events.append(Event(at, kind.what, lasts, chance.choice(kind.values)))
        at += lasts + chance.uniform(*pause)
    return tuple(events)
