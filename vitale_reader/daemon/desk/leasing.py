"""Leases at the desk: the clock beside them, and the readers that there are."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from math import inf

from vitale_drivers.base import Command, Leased, Transmitted, Unleased
from vitale_protocol.errors import VitaleError
from vitale_protocol.events import LeaseWhy, Reader
from vitale_reader.daemon.arbitration.leases import Lease, LeaseHolder, Leases, expired

__all__ = ["LeaseDesk"]

#: Seconds for which the answer to what was under way is waited for once its lease has ended.
LAST_ANSWERS = 5.0


class LeaseDesk:
    """Runs the leases.

    Args:
        send: tells a driver something.
        reader: the reader of an id; it raises ``NoReader`` where there is none.
    """

    def __init__(self, send: Callable[[str, Command], None], reader: Callable[[str], Reader]) -> None:
        self._leases = Leases(send, lambda: secrets.token_urlsafe(16), self._ended)
        self._exchanges: dict[asyncio.Timeout, Lease] = {}
        self._reader = reader
        self._alarm: asyncio.TimerHandle | None = None

    # ── for sessions ──

    async def acquire(
        self, holder: LeaseHolder, client_id: str, reader: str, *, previous: str | None, ttl: float
    ) -> Lease:
        """The card in a reader for a session alone, once it is held.

        Raises:
            NoReader: there is no such reader.
            LeaseConflict: ``previous`` is not the lease of that reader.
            VitaleError: the card could not be held.
        """
        answer: asyncio.Future[Lease | VitaleError] = asyncio.get_running_loop().create_future()
        self._leases.acquire(
            holder,
            client_id,
            self._reader(reader),
            previous=previous,
            ttl=ttl,
            now=self._now(),
            answer=answer.set_result,
        )
        self._set_alarm()
        lease = await answer
        if isinstance(lease, VitaleError):
            raise lease
        return lease

    def held(self, holder: LeaseHolder, client_id: str, name: str) -> Lease:
        """A lease, for its holder to use.

        Raises:
            LeaseExpired: it has ended.
            LeaseConflict: it is not this session's.
        """
        return self._leases.held(holder, client_id, name)

    async def answer_of(self, lease: Lease, exchange: Awaitable[Transmitted]) -> Transmitted:
        """The answer to an exchange with the card of a lease, given up some seconds after its end.

        Raises:
            LeaseExpired: the lease has ended, and its driver did not answer.
        """
        limit = asyncio.timeout(None)
        self._exchanges[limit] = lease
        try:
            async with limit:
                return await exchange
        except TimeoutError as error:
            raise expired(self._leases.why(lease.id) or "reader") from error
        finally:
            del self._exchanges[limit]

    def renew(self, lease: Lease, ttl: float) -> None:
        """A lease lasts ``ttl`` seconds from now on."""
        self._leases.renew(lease, ttl, self._now())
        self._set_alarm()

    def release(self, lease: Lease) -> None:
        """Its holder needs a lease no more."""
        self._leases.release(lease)

    def why_ended(self, lease: Lease) -> LeaseWhy | None:
        """Reason for the end of a lease, if it has ended."""
        return self._leases.why(lease.id)

    def free(self, reader: str) -> bool:
        """Ends the lease of a reader, whoever has it; whether there was one."""
        freed = self._leases.free(reader)
        self._set_alarm()
        return freed

    def of(self, holder: LeaseHolder) -> int:
        """Number of leases that a session has, or waits for."""
        return self._leases.of(holder)

    def leave(self, holder: LeaseHolder) -> None:
        """Ends the leases of a session that ended."""
        self._leases.leave(holder)

    # ── for drivers ──

    def report(self, driver: str, report: Leased | Unleased) -> None:
        """A driver holds a card, or does not any more."""
        if isinstance(report, Leased):
            self._leases.leased(driver, report, self._now())
            self._set_alarm()
        else:
            self._leases.unleased(driver, report)

    def removed(self, reader: str) -> None:
        """Ends the lease of a removed reader."""
        self._leases.removed(reader)

    def stop(self) -> None:
        """Ends every lease at the stop of the daemon."""
        self._leases.stop()
        if self._alarm is not None:
            self._alarm.cancel()

    # ── time ──

    def _ended(self, lease: Lease) -> None:
        for limit, held in self._exchanges.items():
            if held is lease:
                limit.reschedule(self._now() + LAST_ANSWERS)

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (end := self._leases.next_end) != inf:
            self._alarm = asyncio.get_running_loop().call_at(end, self._tick)

    def _tick(self) -> None:
        self._leases.tick(self._now())
        self._set_alarm()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
