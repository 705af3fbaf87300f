"""Deliveries that are under way, a task each: whose they are, and how they are given up."""

from collections.abc import Callable, Container

from vitale_drivers.base import Presented
from vitale_protocol.errors import Cancelled, ShuttingDown, VitaleError
from vitale_protocol.events import DeskOutcome
from vitale_reader.daemon.fairness.fair_store import paid_by
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.issuing.delivery import Delivery, Fate, RequestContext
from vitale_reader.daemon.observation.events import Observe, Unanswered
from vitale_reader.daemon.observation.incidents import BackgroundTasks

__all__ = ["Deliveries"]


class Deliveries:
    """Carries presentations to those who get them.

    Args:
        delivery: makes a token of each.
        observe: hears of requests that end without one.
        shares: a token costs its client what an answer would. It is made, kept and sent in the client's name.
        on_end: called when a task has ended.
    """

    def __init__(self, delivery: Delivery, observe: Observe, shares: Shares, on_end: Callable[[], None]) -> None:
        self._delivery = delivery
        self._shares = shares
        self._observe = observe
        self._under_way: dict[RequestContext, object] = {}
        self._tasks = BackgroundTasks(on_end)

    @property
    def last(self) -> DeskOutcome | None:
        """The outcome of the request that ended last."""
        return self._delivery.last

    def of(self, sessions: Container[object]) -> int:
        """Number of requests of some sessions that are being answered; what subscriptions get does not count."""
        return sum(asked.client in sessions for asked in self._under_way)

    def start(
        self,
        asked: RequestContext,
        presentation: Presented,
        driver: str,
        *,
        session: object,
        then: Callable[[Fate], None] = lambda _: None,
    ) -> None:
        """Delivers a presentation to a session, in the background; ``then`` hears what became of it."""
        self._under_way[asked] = session
        client, delivered = asked.client, self._deliver(asked, presentation, driver, then)
        self._tasks.spawn(self._shares.charged(client.owner, client.group, delivered))

    def refuse(self, asked: RequestContext, error: VitaleError) -> None:
        """Ends a request that waited, and for which nothing came."""
        self._observe(Unanswered(outcome=error.reason))
        self._tasks.spawn(self._delivery.note(asked, error.reason))
        self._delivery.ended(asked, None, error.reason)
        asked.client.fail(asked.request, error)

    def cancel(self, session: object, request: int | str) -> bool:
        """Cancels the delivery to one request; whether there was one that could be."""
        for asked in self._under_way:
            if asked.client is session and asked.request == request:
                return asked.give_up(Cancelled())
        return False

    def leave(self, session: object) -> None:
        """Gives up all that was for a session that ended."""
        for asked, owner in self._under_way.items():
            if owner is session:
                asked.give_up(Cancelled("the session ended"))

    async def stop(self) -> None:
        """Gives up what can be, and finishes the rest."""
        for asked in self._under_way:
            asked.give_up(ShuttingDown())
        await self._tasks.finish()
        await self._delivery.stop()

    async def _deliver(
        self, asked: RequestContext, presentation: Presented, driver: str, then: Callable[[Fate], None]
    ) -> None:
        try:
            with paid_by(asked.client.owner):
                fate = await self._delivery.deliver(asked, presentation, driver)
        finally:
            del self._under_way[asked]
        then(fate)
