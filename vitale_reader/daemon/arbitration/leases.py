"""Leases: which session has the card in a reader for its own APDUs; pure.

Rules (``docs/explanation/arbitration.md`` names the test of each):

1.  A reader has one lease at most. A client names the lease that it believes current, or none. If that is wrong, the
    answer is ``lease_conflict``, without further details.
2.  A lease is replaced by another session of the same client only. Its name is of no use to other clients.
3.  The time of a lease begins when the card is held, and can be renewed. A lease that is not renewed ends.
4.  A lease ends with its session, with its card and with its reader. None of them takes it up again.
5.  The holder is notified of an end once (``lease.ended``), unless it asked for it. Every later use of the lease by
    this client is answered with ``lease_expired`` and the reason of the end. Other clients get ``lease_conflict``.
6.  A driver that holds a card without a lease is ordered to release it.
7.  An exchange under way when its lease ends may be answered for five seconds more. Then it is ``lease_expired``.
"""

from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import Protocol

import msgspec

from vitale_drivers.base import Command, LeaseCommand, Leased, Unlease, Unleased
from vitale_protocol.errors import LeaseConflict, LeaseExpired, MediumUnreadable, ReaderBusy, VitaleError
from vitale_protocol.events import LeaseEnded, LeaseWhy, Reader

__all__ = ["Lease", "LeaseHolder", "Leases", "expired"]

#: Seconds for a driver to get at the card; ``busy_timeout`` of ``pcsc`` is 8.
ACCESS = 30.0

#: Ends that are remembered, so that the next call of their holder can be told why.
MOST_ENDED = 1_000


class LeaseHolder(Protocol):
    """A session, as a lease sees it.

    Attributes:
        number: unique among the sessions of this process.
    """

    number: int

    def lease_ended(self, event: LeaseEnded) -> None:
        """A lease of the session ended."""


#: Gets the lease once the card is held, or the error that it was not.
Answer = Callable[["Lease | VitaleError"], None]


class Lease(msgspec.Struct, kw_only=True, eq=False):
    """A lease; ``number`` is what the driver knows it as.

    ``answer`` is there until the card is held. ``ends`` is of the loop's clock: until then the end of the patience.
    """

    id: str
    number: int
    holder: LeaseHolder
    client_id: str
    reader: str
    driver: str
    ttl: float
    answer: Answer | None
    ends: float
    atr: bytes = b""


class EndedLease(msgspec.Struct, frozen=True):
    """Record of a lease that has ended."""

    client_id: str
    why: LeaseWhy


class Leases:
    """Leases held and awaited, by reader.

    Args:
        send: tells a driver something.
        name: makes names that nobody can guess.
        on_end: hears of the end of a lease, whatever ended it.
    """

    def __init__(
        self,
        send: Callable[[str, Command], None],
        name: Callable[[], str],
        on_end: Callable[[Lease], None] = lambda _: None,
    ) -> None:
        self._send = send
        self._name = name
        self._on_end = on_end
        self._current: dict[str, Lease] = {}
        self._ended: OrderedDict[str, EndedLease] = OrderedDict()
        self._last_number = 0

    # ── for sessions ──

    def acquire(
        self,
        holder: LeaseHolder,
        client_id: str,
        reader: Reader,
        *,
        previous: str | None,
        ttl: float,
        now: float,
        answer: Answer,
    ) -> None:
        """A session wants the card in a reader for ``ttl`` seconds; ``answer`` is called once, maybe before the return.

        Raises:
            LeaseConflict: ``previous`` is not the lease of that reader.
        """
        current = self._current.get(reader.id)
        if (current.id if current else None) != previous or (current and current.client_id != client_id):
            raise LeaseConflict("the reader is not leased as the caller believes")
        if current is not None:
            self._let_go(current, "replaced")
        self._last_number += 1
        lease = Lease(
            id=self._name(),
            number=self._last_number,
            holder=holder,
            client_id=client_id,
            reader=reader.id,
            driver=reader.driver,
            ttl=ttl,
            answer=answer,
            ends=now + ACCESS,
        )
        self._current[reader.id] = lease
        self._send(lease.driver, LeaseCommand(id=lease.number, reader=lease.reader, until=now + ttl + ACCESS))

    def held(self, holder: LeaseHolder, client_id: str, name: str) -> Lease:
        """The lease of this name, for its holder to use.

        Raises:
            LeaseExpired: it has ended; ``data.why`` says how.
            LeaseConflict: it is not this session's.
        """
        lease = next((lease for lease in self._current.values() if lease.id == name and lease.answer is None), None)
        if lease is not None and lease.holder is holder:
            return lease
        ended = self._ended.get(name)
        if ended is not None and ended.client_id == client_id:
            raise expired(ended.why)
        raise LeaseConflict("not a lease of this session")

    def renew(self, lease: Lease, ttl: float, now: float) -> None:
        """It lasts ``ttl`` seconds from now on."""
        lease.ttl, lease.ends = ttl, now + ttl
        self._send(lease.driver, LeaseCommand(id=lease.number, reader=lease.reader, until=lease.ends))

    def release(self, lease: Lease) -> None:
        """Its holder needs it no more."""
        self._let_go(lease, "released")

    def free(self, reader: str) -> bool:
        """Ends the lease of a reader for its holder, as if its time were over; whether there was one."""
        if (lease := self._current.get(reader)) is None:
            return False
        self._let_go(lease, "ttl")
        return True

    def of(self, holder: LeaseHolder) -> int:
        """Number of leases that a session has, or waits for."""
        return sum(lease.holder is holder for lease in self._current.values())

    def why(self, name: str) -> LeaseWhy | None:
        """Reason for the end of a lease, if it has ended."""
        ended = self._ended.get(name)
        return ended.why if ended else None

    def leave(self, holder: LeaseHolder) -> None:
        """Ends the leases of a session that ended."""
        for lease in [lease for lease in self._current.values() if lease.holder is holder]:
            self._let_go(lease, "client")

    def stop(self) -> None:
        """The daemon stops: every lease ends as if its session had."""
        for lease in list(self._current.values()):
            self._let_go(lease, "client")

    # ── for drivers ──

    def leased(self, driver: str, report: Leased, now: float) -> None:
        """A driver holds a card, or could not."""
        lease = self._by_number(driver, report.id)
        if lease is None or lease.answer is None:
            return  # it was given up meanwhile, and the driver told so
        answer, lease.answer = lease.answer, None
        if report.problem is not None:
            del self._current[lease.reader]
            answer(report.problem.error(MediumUnreadable))
            return
        lease.atr = report.atr
        self.renew(lease, lease.ttl, now)
        answer(lease)

    def unleased(self, driver: str, report: Unleased) -> None:
        """A driver has let a card go."""
        if lease := self._by_number(driver, report.id):
            self._end(lease, report.why)

    def removed(self, reader: str) -> None:
        """Ends the lease of a removed reader."""
        if lease := self._current.get(reader):
            self._end(lease, "reader")

    # ── time ──

    @property
    def next_end(self) -> float:
        """Time at which ``tick`` has to be called."""
        return min((lease.ends for lease in self._current.values()), default=inf)

    def tick(self, now: float) -> None:
        """Acts on the time that has passed."""
        for lease in [lease for lease in self._current.values() if lease.ends <= now]:
            self._let_go(lease, "ttl")

    # ── inside ──

    def _let_go(self, lease: Lease, why: LeaseWhy) -> None:
        self._send(lease.driver, Unlease(id=lease.number, reader=lease.reader))
        self._end(lease, why)

    def _end(self, lease: Lease, why: LeaseWhy) -> None:
        del self._current[lease.reader]
        self._ended[lease.id] = EndedLease(lease.client_id, why)
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)
        self._on_end(lease)
        if lease.answer is not None:
            answer, lease.answer = lease.answer, None
            answer(ReaderBusy("the card could not be held in time") if why == "ttl" else expired(why))
        elif why not in {"released", "client"}:
            lease.holder.lease_ended(LeaseEnded(lease=lease.id, why=why))

    def _by_number(self, driver: str, number: int) -> Lease | None:
        return next(
            (lease for lease in self._current.values() if lease.number == number and lease.driver == driver), None
        )


def expired(why: LeaseWhy) -> LeaseExpired:
    """Error for the use of a lease that has ended so."""
    return LeaseExpired(f"the lease has ended: {why}", variant=why, data={"why": why})
