"""Attempts at the phone that lies in a reader: which one ends its reading, and what is told.

- The application may be opened, or the phone unlocked, while it lies there. So one attempt follows another for as long
  as the phone stays.
- A phone that answers wrongly is tried ``UNREADABLE_TRIES`` times, unless its reading took most of the time allowed.
- What keeps it from being read is told once.
"""

from typing import NamedTuple

from vitale_drivers.base import Failed, Report
from vitale_drivers.cards.tasks import LOCKED, PHONE, TORN, UNREADABLE, UNREADABLE_TRIES, is_locked
from vitale_protocol.errors import MediumRemoved, MediumUnsupported
from vitale_protocol.problems import Problem

__all__ = ["AttemptResult", "PhoneAttempts"]


class AttemptResult(NamedTuple):
    """Consequences of one attempt.

    Attributes:
        is_outcome: whether its report ends the reading.
        again: whether another attempt follows after a pause.
        told: the reason of a ``retry``, where it is news.
        medium: what lies there, where that is known by now.
    """

    is_outcome: bool = False
    again: bool = False
    told: Problem | None = None
    medium: str | None = None


class PhoneAttempts:
    """The attempts at one phone.

    Args:
        limit: seconds that one may take.

    Attributes:
        told: whether that it is read was told, so that another attempt is made without a word.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._began_at = 0.0
        self._locked = False
        self._unreadable = 0
        self.told = False

    def begin(self, now: float) -> None:
        """Begins an attempt at the phone."""
        self._began_at = now

    def take(self, report: Report, now: float, *, here: bool) -> AttemptResult:
        """Takes what came of an attempt; ``here`` where the phone lies there still."""
        match report:
            case Failed(problem=Problem(reason=MediumUnsupported.reason)):
                self.told = self.told or here
                return AttemptResult(again=here, medium="unknown-card" if here else None)
            case Failed(problem=Problem(reason=MediumRemoved.reason)):
                return AttemptResult(told=TORN)
            case Failed(problem=problem) if is_locked(problem):
                return AttemptResult(again=here, told=self._lock() if here else None)
            case Failed(problem=Problem(reason=UNREADABLE.reason, variant=UNREADABLE.variant)) if (
                here and self._unreadable + 1 < UNREADABLE_TRIES and now - self._began_at < self._limit / 2
            ):
                return AttemptResult(again=True, told=self._misread())
            case _:
                # It has the application, or something that answers in its name.
                return AttemptResult(is_outcome=True, medium=PHONE if here else None)

    def _lock(self) -> Problem | None:
        news = not self._locked
        self._locked = self.told = True
        return LOCKED if news else None

    def _misread(self) -> Problem | None:
        self._unreadable += 1
        self.told = True
        return UNREADABLE if self._unreadable == 1 else None
