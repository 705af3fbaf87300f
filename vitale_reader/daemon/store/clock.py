"""The time by which a station judges what it keeps: the store's, and never further than possible.

- What several desks share is judged by the clock of their database. Between two looks at it, time goes on as the
  machine counts it, which nobody can set.
- A clock that jumped forward is believed bit by bit, a day an hour. Long-lived data do not vanish because a battery
  died or a wrong year was typed. A desk that was off for a night has caught up in half an hour.
- A clock that goes back takes nothing back: what was seen is remembered.
- How far the clock of the desk is off is told. Beyond what a verifier forgives nothing is issued. The difference is
  taken from what is issued: it bears the time of the site.
- A desk that starts while its database is away goes on by the time that it heard before. It does so for as long as the
  machine runs. After that its clock is held against that time: it is not earlier, and not much later.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, extract, func, literal, select

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.store import machine_run
from vitale_reader.daemon.store.local_anchor import MOVED, Heard, Remembered

__all__ = ["MOST_OFF", "MOST_UNHEARD", "TOLD_OFF", "StoreClock", "ahead_of", "time_of"]

logger = logging.getLogger(__name__)

#: Seconds that a desk may be off before it is told, and before it issues nothing: what a verifier forgives (RFC 7519
#: section 4.1.4 leaves it to us).
TOLD_OFF, MOST_OFF = 5.0, 30.0

#: Seconds after which a desk that starts and does not hear its site believes its own clock no more: six weeks. Nor does
#: it know by then who was revoked.
MOST_UNHEARD = 42 * 86_400.0

#: How much faster than time a clock that went forward is believed.
CATCH_UP = 24.0

#: Seconds after which what is still wrong is told again.
AGAIN = 3_600.0

# extract gives a decimal number in PostgreSQL, and a float in the tables.
_DATABASE_NOW = extract("epoch", func.clock_timestamp())


def time_of(connection: Connection, wall: Callable[[], float]) -> float:
    """The time of a store, in epoch seconds: its database's, or the desk's for a file of its own."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(select(_DATABASE_NOW)).scalar_one())
    return wall()


def ahead_of(told: float, before: float, after: float) -> float:
    """The least number of seconds by which a clock is ahead of another.

    The other told its time between two moments of the first. Where the answer took long, the time may have been told at
    any moment meanwhile. That is no error of a clock.
    """
    return before - told if told < before else after - told if told > after else 0.0


class StoreClock:
    """The time of one store.

    Args:
        remembered: the latest time that the station has seen.
        shared: whether the store is the database of a site, which has a clock of its own.
        wall: the clock of the desk, epoch seconds.
        steady: seconds that nobody can set.
        boot: the run of the machine in which those are counted; empty where it is not known.
    """

    def __init__(
        self,
        remembered: Remembered,
        *,
        shared: bool = False,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = machine_run.steady,
        boot: Callable[[], str] = machine_run.boot,
    ) -> None:
        self._remembered = remembered
        self._shared = shared
        self._wall = wall
        self._steady = steady
        self._boot = boot() if shared else ""
        self._seen = self._of_this_boot()  # the database's time, and the steady one of that moment
        self._started = (wall(), steady())
        self._believed_at = steady()
        self._doubt = 0.0  # seconds by which that look may be wrong
        self._told: tuple[float, float] = (0.0, -AGAIN)
        if remembered.latest > wall() + TOLD_OFF:
            logger.error(
                "the clock of this desk is %.0f s behind what it was: set it, or see to its battery",
                remembered.latest - wall(),
            )

    def now(self) -> float:
        """The time of the store, epoch seconds."""
        if self._seen is None:
            return self._wall()
        told, at = self._seen
        return told + self._steady() - at

    @property
    def offset(self) -> float:
        """Seconds by which the clock of the desk is ahead of that of the store, whenever it was set."""
        return self._ahead(self._wall())

    def right(self) -> float:
        """The time that something is issued at, epoch seconds: that of the desk, by the site's where they differ.

        Raises:
            StoreUnavailable: the desk's clock is off by more than ``MOST_OFF``. Or nothing was heard of the site since
                the start and for ``MOST_UNHEARD`` before.
        """
        wall = self._wall()
        ahead = self._ahead(wall)
        if abs(ahead) > MOST_OFF:
            self._tell()
            if self._seen is None and ahead > 0:
                raise StoreUnavailable(
                    "the site was not heard for six weeks, by the clock of the desk", variant="unheard"
                )
            told = f"the clock of this desk is off by {ahead:+.0f} s"
            raise StoreUnavailable(told, variant="clock", data={"offset": round(ahead)})
        return wall - ahead

    def expression(self, connection: Connection) -> ColumnElement[Any]:
        """The time of the store, for a statement."""
        return _DATABASE_NOW if connection.dialect.name == "postgresql" else literal(self.now())

    def saw(self, told: float, before: float, after: float) -> None:
        """The database told its time, between two moments of ``steady``.

        A look that took long tells little. What it may be wrong by is not called an error of the desk.
        """
        if not self._shared:
            return
        self._seen = (told, (before + after) / 2)
        self._doubt = (after - before) / 2
        if self._doubt <= MOVED:
            self._remembered.heard_site(Heard(boot=self._boot, zero=told - (before + after) / 2, at=told))
        self._tell()

    def read(self, connection: Connection) -> float:
        """Asks the database for its time, within a transaction; in the spool of a desk, what was known last."""
        if connection.dialect.name == "postgresql":
            before = self._steady()
            told = time_of(connection, self._wall)
            self.saw(told, before, self._steady())
        return self.now()

    def purging(self, connection: Connection) -> float:
        """The time before which what has ended may be forgotten."""
        return min(self.read(connection), self.believed())

    def lasting(self) -> float:
        """The time from which long-lived data are counted: not earlier than any time that was seen."""
        return max(self.now(), self._remembered.latest)

    def believed(self) -> float:
        """The time that it can be by now, which is remembered."""
        at, now = self._steady(), self.now()
        latest = self._remembered.latest or now
        caught_up = latest + (at - self._believed_at) * CATCH_UP
        self._believed_at = at
        self._remembered.saw_time(min(now, caught_up) if now > latest else latest)
        return min(now, self._remembered.latest)

    def look(self) -> None:
        """Notices that the clock of the desk was set while it ran.

        It does so also where there is no other clock to compare it with.
        """
        if self._shared:
            self._tell()
            return
        wall, at = self._started
        jump = (self._wall() - wall) - (self._steady() - at)
        if abs(jump) > TOLD_OFF:
            logger.error("the clock of this desk was set by %+.0f s while it ran", jump)
            self._started = (self._wall(), self._steady())

    def _of_this_boot(self) -> tuple[float, float] | None:
        """The site's time as an earlier run of the daemon heard it, if the machine has run since."""
        heard = self._remembered.heard
        if not self._boot or heard is None or heard.boot != self._boot:
            return None
        at = self._steady()
        if heard.zero + at < heard.at - MOVED:
            return None  # fewer seconds than were counted then: another run, whatever it is called
        return heard.zero + at, at

    def _ahead(self, wall: float) -> float:
        if self._seen is not None:
            ahead = wall - self.now()
            return 0.0 if abs(ahead) <= self._doubt else ahead
        heard = self._remembered.heard
        if not self._shared or heard is None:
            return 0.0
        return wall - min(max(wall, heard.at), heard.at + MOST_UNHEARD)

    def _tell(self) -> None:
        offset = self.offset
        said, at = self._told
        changed = abs(offset - said) > TOLD_OFF
        due = abs(offset) > TOLD_OFF and self._steady() > at + AGAIN
        if not (changed or due):
            return
        if self._seen is None and offset > TOLD_OFF:
            logger.error(
                "the site was not heard since the start, and by the clock of this desk not for six weeks before"
            )
        elif abs(offset) > TOLD_OFF:
            logger.error("the clock of this desk is off by %+.0f s from that of the site's database", offset)
        elif abs(said) > TOLD_OFF:
            logger.info("the clock of this desk is right again")
        self._told = (offset, self._steady())
