"""Calls for leases: a card for one session's own APDUs, which are written down nowhere."""

from vitale_protocol.errors import CardError, InvalidRequest, LeaseExpired, MediumUnreadable, ReaderError, VitaleError
from vitale_protocol.methods import (
    CardTransmit,
    CardTransmitted,
    LeaseAcquire,
    LeaseAcquired,
    LeaseRelease,
    LeaseReleased,
    LeaseRenew,
    LeaseRenewed,
    Result,
)
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration.leases import Lease, expired
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services

__all__ = ["LeaseCalls"]


class LeaseCalls:
    """``lease.*`` and ``card.transmit``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.handlers: Handlers = {
            "lease.acquire": self._lease_acquire,
            "lease.renew": self._lease_renew,
            "lease.release": self._lease_release,
            "card.transmit": self._card_transmit,
        }

    async def _lease_acquire(
        self, conversation: Conversation, request: RequestId | None, params: LeaseAcquire
    ) -> Result:
        if request is None:
            raise InvalidRequest("a lease needs an id, or its name would have nowhere to go")
        caller = conversation.authenticated()
        with self._services.noted("lease.acquire", caller, reader=params.reader):
            self._services.require_room(conversation)
            lease = await self._services.desk.leases.acquire(
                conversation,
                caller.client_id,
                params.reader,
                previous=params.previous,
                ttl=params.ttl_ms / 1000,
            )
        return LeaseAcquired(lease=lease.id, atr=lease.atr.hex().upper(), expires_at=self._ends(params.ttl_ms))

    def _lease_renew(self, conversation: Conversation, _id: RequestId | None, params: LeaseRenew) -> Answer:
        self._services.desk.leases.renew(self._held(conversation, params.lease), params.ttl_ms / 1000)
        return LeaseRenewed(expires_at=self._ends(params.ttl_ms))

    def _lease_release(self, conversation: Conversation, _id: RequestId | None, params: LeaseRelease) -> Answer:
        try:
            lease = self._held(conversation, params.lease)
        except LeaseExpired:
            return LeaseReleased(released=False)
        self._services.desk.leases.release(lease)
        self._services.note("lease.release", "ok", conversation.authenticated(), reader=lease.reader)
        return LeaseReleased(released=True)

    async def _card_transmit(self, conversation: Conversation, _id: RequestId | None, params: CardTransmit) -> Result:
        lease = self._held(conversation, params.lease)
        apdus = tuple(bytes.fromhex(apdu) for apdu in params.apdus)
        try:
            exchange = self._services.desk.supervisor.transmit(lease.driver, lease.reader, apdus, lease=lease.number)
            done = await self._services.desk.leases.answer_of(lease, exchange)
        except ReaderError as error:
            raise expired("reader") from error
        if done.problem is not None:
            raise self._failure(lease, done.problem, len(done.responses))
        return CardTransmitted(responses=tuple(response.hex().upper() for response in done.responses))

    def _failure(self, lease: Lease, problem: Problem, index: int) -> VitaleError:
        """The error of an exchange that failed: the card's own, and otherwise the lease has ended with it."""
        error = problem.error(MediumUnreadable)
        if isinstance(error, CardError):
            return CardError(data={"sw": str(problem.data.get("sw", "")), "index": index})
        why = self._services.desk.leases.why_ended(lease)
        if why is None:
            why = "reader" if isinstance(error, ReaderError) else "card"
        ended = expired(why)
        ended.data["index"] = index
        return ended

    def _held(self, conversation: Conversation, name: str) -> Lease:
        return self._services.desk.leases.held(conversation, conversation.authenticated().client_id, name)

    def _ends(self, ttl_ms: int) -> float:
        return self._services.clock() + ttl_ms / 1000
