"""Services that the handlers of all topics share."""

import contextlib
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from vitale_protocol.errors import LimitExceeded, NoReader, VitaleError
from vitale_protocol.methods import ClockHealth, Limits, Result, Station, StationInfo
from vitale_reader.daemon.clients.callers import LOCAL_CLIENT, Caller
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.conversation import Conversation, Conversations
from vitale_reader.daemon.dashboard.desk_view import DeskView
from vitale_reader.daemon.dashboard.entrance import Entrance
from vitale_reader.daemon.dashboard.simulators import Simulators
from vitale_reader.daemon.desk.coordinator import Coordinator
from vitale_reader.daemon.diagnostics import Diagnostics
from vitale_reader.daemon.fairness.audit_queue import Notes
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.handlers.page_rate_limits import PageRateLimits
from vitale_reader.daemon.issuing.contexts import Contexts
from vitale_reader.daemon.issuing.outbox import Outbox
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.daemon.keystore.station_keys import Keys
from vitale_reader.daemon.observation.incidents import BackgroundTasks
from vitale_reader.daemon.store.machine_run import steady
from vitale_reader.daemon.web.pairing_desk import PairingDesk
from vitale_reader.resolvers.guarded import GuardedResolver

if TYPE_CHECKING:
    from vitale_reader.daemon.site.remote_desks import RemoteDesks

__all__ = ["CLIENT_LOADS", "Answer", "Handler", "Handlers", "RequestId", "Services"]

#: Requests, subscriptions and leases of one client over all its sessions, in shares of what one session may have.
CLIENT_LOADS = 4

RequestId = int | str
Answer = Result | Coroutine[Any, Any, Result] | None

#: Takes a call, its id and its parameters. It returns the result, a coroutine of it, or None where it comes later.
Handler = Callable[[Conversation, RequestId | None, Any], Answer]
Handlers = Mapping[str, Handler]


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the daemon, the sessions there are, and what is done behind the answers."""

    station: Station
    limits: Limits
    desk: Coordinator
    client_registry: ClientRegistry
    outbox: Outbox
    contexts: Contexts
    resolver: GuardedResolver
    notes: Notes
    keys: Keys
    certificates: Certificates
    remote_desks: "RemoteDesks | None"
    conversations: Conversations
    pairing: PairingDesk
    page_limits: PageRateLimits
    shares: Shares
    clock: Callable[[], float]
    clock_offset: Callable[[], float]
    started_at: float
    began: float = msgspec.field(default_factory=steady)
    diagnostics: Diagnostics
    entrance: Entrance
    desk_view: DeskView
    simulators: Simulators
    apcv_formats: tuple[str, ...] = ()
    tasks: BackgroundTasks = msgspec.field(default_factory=BackgroundTasks)

    def station_info(self) -> StationInfo:
        """Describes the station and its parts as they are now."""
        drivers = self.desk.drivers
        return StationInfo(
            station=self.station,
            media=tuple(sorted({medium for driver in drivers for medium in driver.media})),
            drivers=drivers,
            uptime=steady() - self.began,
            resolver=self.resolver.health,
            clock=ClockHealth(offset=round(self.clock_offset(), 3)),
            gateway=self.desk.supervisor.gateway,
            exporter=self.desk.supervisor.exporter,
        )

    def page_may_come(self, site: str) -> bool:
        """True if a page of a site is paired, or may be paired now."""
        return self.client_registry.has_page_of(site) or self.pairing.lets_in(site, self.clock())

    def require_room(self, conversation: Conversation) -> None:
        """Refuses a session that has as many requests, subscriptions and leases already as it, or its client, may.

        Each of them is told of what happens at a reader, one after the other.

        Raises:
            LimitExceeded: no room for one more.
        """
        if self._load(conversation) >= self.limits.requests:
            told = "too many requests, subscriptions and leases in this session"
            raise LimitExceeded(told, variant="requests", data={"limit": "requests"})
        caller = conversation.authenticated()
        if caller.client_id == LOCAL_CLIENT:  # each program of the desk's own user is one
            return
        if self._load(*self.conversations.of_client(caller.client_id)) >= CLIENT_LOADS * self.limits.requests:
            told = "too many requests, subscriptions and leases of this client in all its sessions"
            raise LimitExceeded(told, variant="requests", data={"limit": "client_requests"})

    def _load(self, *conversations: Conversation) -> int:
        elsewhere = 0 if self.remote_desks is None else self.remote_desks.load(*conversations)
        return self.desk.load(*conversations) + elsewhere

    def readers_here(self, readers: Iterable[str]) -> frozenset[str]:
        """Readers that a subscription names, as this desk calls them itself.

        Raises:
            NoReader: one of them is at another desk.
        """
        if self.remote_desks is None:
            return frozenset(readers)
        names = self.remote_desks.names(frozenset(readers))
        if self.remote_desks.beyond(names):
            raise NoReader("subscriptions are for the readers of this desk")
        return self.remote_desks.own(names)

    def expel(self, client_id: str) -> int:
        """Ends the sessions of a client; how many there were."""
        ended = () if client_id == LOCAL_CLIENT else self.conversations.of_client(client_id)
        for conversation in ended:
            conversation.connection.expel()
        return len(ended)

    def revoked(self, client_id: str) -> None:
        """A client is revoked: what it held is of no more use to anybody."""
        self.expel(client_id)
        self.tasks.spawn(self.contexts.release_taken(self.contexts.revoke(client_id)))

    def note(self, action: str, outcome: str, caller: Caller | None = None, *, reader: str | None = None) -> None:
        """A line in the audit trail."""
        client_id = caller.client_id if caller else None
        self.notes.add(action, outcome, client_id=client_id, reader=reader)

    @contextlib.contextmanager
    def noted(self, action: str, caller: Caller, *, reader: str | None = None) -> Generator[None]:
        """A line in the audit trail about what is done within, with its outcome.

        A name that no reader of this desk has is not written: whoever calls may invent it.
        """
        reader = next((each.id for each in self.desk.readers if each.id == reader), None)
        try:
            yield
        except VitaleError as error:
            self.note(action, error.reason, caller, reader=reader)
            raise
        self.note(action, "ok", caller, reader=reader)
