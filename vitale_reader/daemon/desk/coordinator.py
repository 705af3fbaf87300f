"""The desk: feeds the hub with requests and drivers' reports, and carries out what it decides.

The hub decides and this module acts: commands to drivers, tokens to clients, notifications to whoever asked for them.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from math import inf

import msgspec

from vitale_drivers.base import Command, Disarm, Options, Presented, Report
from vitale_protocol.errors import NoReader, ShuttingDown
from vitale_protocol.events import DeskOutcome, DriverHealth, Reader
from vitale_protocol.methods import ReadingShown
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration.actions import (
    Action,
    Announce,
    ArmDriver,
    Deliver,
    DisarmDriver,
    Key,
    NotifyProgress,
    Pending,
    PendingRequest,
    PendingSubscription,
    Refuse,
    Unread,
)
from vitale_reader.daemon.arbitration.hub import GRACE_NEW, Hub
from vitale_reader.daemon.desk.clients import DeskClient, Requester
from vitale_reader.daemon.desk.code_subscriptions import CodeSubscriptions
from vitale_reader.daemon.desk.deliveries import Deliveries
from vitale_reader.daemon.desk.driver_reports import DriverReports
from vitale_reader.daemon.desk.leasing import LeaseDesk
from vitale_reader.daemon.desk.previews import Previews
from vitale_reader.daemon.desk.rationed_log import RationedLog
from vitale_reader.daemon.desk.subscriptions import Subscription
from vitale_reader.daemon.desk.watchers import ReaderWatchers, Watcher
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.issuing.delivery import Claim, Delivery, Fate, RequestContext
from vitale_reader.daemon.issuing.issuer import Grant
from vitale_reader.daemon.observation.events import Observe, unobserved
from vitale_reader.daemon.observation.incidents import incident
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.supervisor import Supervisor

__all__ = ["Coordinator"]

logger = logging.getLogger(__name__)

#: Seconds for a presentation to become the token of a subscription. Only the apCV service takes time, and apcv.timeout
#: is 120 at most.
UNASKED = 125.0

RequestId = int | str


class Coordinator:
    """Runs the hub, and the drivers: what they report goes to the hub, what it decides goes to them."""

    def __init__(
        self,
        delivery: Delivery,
        drivers: Mapping[str, Options],
        beat: Beat,
        *,
        shares: Shares,
        hidden: tuple[str, ...] = (),
        observe: Observe = unobserved,
    ) -> None:
        self.supervisor = Supervisor(
            drivers,
            on_report=self.report,
            on_end=self.driver_ended,
            on_restart=lambda driver: self._hub.expect([driver]),
            beat=beat,
            hidden=hidden,
        )
        self._hub = Hub()
        self._log = RationedLog(logger)
        self._asked: dict[Key, RequestContext] = {}
        self._deliveries = Deliveries(delivery, observe, shares, self._changed)
        self._subscriptions: dict[Key, Subscription] = {}
        self._watchers = ReaderWatchers()
        self._previews = Previews(self._order)
        self._codes = CodeSubscriptions()
        self.leases = LeaseDesk(self._order, self._known)
        self._reports = DriverReports(
            self._hub,
            self._do,
            previews=self._previews,
            leases=self.leases,
            codes=self._codes,
            log=self._log,
            observe=observe,
        )
        self._alarm: asyncio.TimerHandle | None = None
        self._stirred = asyncio.Event()
        self._stopping = False
        self._listeners: list[Callable[[], None]] = []

    def start(self) -> None:
        """Starts the drivers, whose readers are expected from now on."""
        self._hub.expect(self.supervisor.workers)
        self.supervisor.start()

    # ── for sessions ──

    @property
    def drivers(self) -> tuple[DriverHealth, ...]:
        """The drivers as clients see them; one that has not told its readers yet is starting still."""
        starting = self._hub.starting(self._now())
        return tuple(
            msgspec.structs.replace(health, state="starting")
            if health.state == "ready" and health.name in starting
            else health
            for health in self.supervisor.health
        )

    @property
    def is_starting(self) -> bool:
        """True while drivers that were started have not told all their readers yet."""
        return bool(self._hub.starting(self._now()))

    async def settle(self) -> None:
        """Waits for drivers that start to tell their readers, for so long as a request without a reader does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_NEW):
                while not self._stopping and self.is_starting:
                    self._stirred.clear()
                    await self._stirred.wait()

    @property
    def readers(self) -> tuple[Reader, ...]:
        """Readers of this desk now."""
        return self._hub.readers

    @property
    def waiting(self) -> tuple[tuple[str, Pending], ...]:
        """The requests that wait, oldest first, then the subscriptions; each with the id of its client."""
        asked = ((self._asked[each.key].grant.client_id, each) for each in self._hub.waiting)
        subscribed = ((self._subscriptions[each.key].grant.client_id, each) for each in self._hub.subscribed)
        return (*asked, *subscribed)

    @property
    def last(self) -> DeskOutcome | None:
        """The outcome of the request that ended last."""
        return self._deliveries.last

    def on_change(self, listener: Callable[[], None]) -> None:
        """Has somebody told that something may have changed; not what."""
        self._listeners.append(listener)

    def load(self, *clients: DeskClient) -> int:
        """Number of requests, subscriptions and leases of a session, or of several together."""
        several, numbers = set[object](clients), {client.number for client in clients}
        waiting = sum(asked.client in several for asked in self._asked.values())
        subscriptions = sum(session in numbers for session, _ in self._subscriptions)
        requests = waiting + self._deliveries.of(several)
        return requests + subscriptions + self._codes.of(numbers) + sum(map(self.leases.of, clients))

    def request(
        self,
        client: Requester,
        request: RequestId,
        grant: Grant,
        *,
        media: frozenset[str],
        readers: frozenset[str],
        timeout: float,
        claim: Claim | None = None,
        tell: Callable[[ReadingShown], None] | None = None,
    ) -> None:
        """A session waits for the next presentation that matches, ``timeout`` seconds at most.

        With ``tell`` it gets no token: the reading is told there once, and not kept.
        """
        now = self._now()
        key = (client.number, request)
        self._asked[key] = RequestContext(
            client=client,
            request=request,
            grant=grant,
            deadline=now + timeout,
            given_up=asyncio.get_running_loop().create_future(),
            action="presentation.request" if tell is None else "reading.once",
            claim=claim,
            tell=tell,
        )
        waiting = PendingRequest(
            key=key,
            media=media,
            readers=readers,
            client=client.owner,
            asked_at=now,
            deadline=now + timeout,
            of_page=bool(grant.site),
        )
        self._do(self._hub.ask(waiting, now))

    def submit(
        self,
        client: DeskClient,
        request: RequestId,
        grant: Grant,
        presentation: Presented,
        *,
        driver: str,
        timeout: float,
    ) -> None:
        """A session presents what its application read itself: no reader and nobody else's turn come into it."""
        asked = RequestContext(
            client=client,
            request=request,
            grant=grant,
            deadline=self._now() + timeout,
            given_up=asyncio.get_running_loop().create_future(),
            action="presentation.submit",
        )
        self._deliveries.start(asked, presentation, driver, session=client)

    def cancel(self, client: DeskClient, request: RequestId) -> bool:
        """Cancels a request of a session; whether it was waiting, for a medium or for the apCV service."""
        key = (client.number, request)
        if self._deliveries.cancel(client, request):
            return True
        waits = key in self._asked and any(waiting.key == key for waiting in self._hub.waiting)
        if waits:
            self._do(self._hub.cancel(key, self._now()))
        return waits

    def subscribe(self, client: DeskClient, grant: Grant, *, media: frozenset[str], readers: frozenset[str]) -> str:
        """A session wants whatever no request claims; gives the name of the subscription."""
        name = f"sub-{secrets.token_hex(8)}"
        key = (client.number, name)
        self._subscriptions[key] = Subscription(client, name, grant)
        self._do(
            self._hub.subscribe(
                PendingSubscription(key=key, client=client.owner, media=media, readers=readers), self._now()
            )
        )
        return name

    def unsubscribe(self, client: DeskClient, name: str) -> None:
        """A session wants no more of it; what is being delivered is delivered."""
        if self._subscriptions.pop((client.number, name), None):
            self._do(self._hub.unsubscribe((client.number, name), self._now()))

    def subscribe_codes(self, client: DeskClient, readers: frozenset[str]) -> str:
        """A session wants the codes that are no patient's; gives the name of the subscription."""
        return self._codes.start(client, readers)

    def unsubscribe_codes(self, client: DeskClient, name: str) -> None:
        """A session wants no more of them."""
        self._codes.stop(client, name)

    def watch(self, client: Watcher) -> None:
        """A session wants to hear of readers."""
        self._watchers.add(client)

    def unwatch(self, client: Watcher) -> None:
        """A session has heard enough of readers."""
        self._watchers.leave(client)

    def announce(self, what: str, reader: Reader) -> None:
        """A reader was ``added``, ``changed`` or ``removed``, here or at another desk: for everyone who watches."""
        self._watchers.announce(what, reader)

    def preview(self, client: DeskClient, reader: str, every: float) -> None:
        """A session wants pictures of what a camera sees, ``every`` so many seconds.

        Raises:
            NoReader: there is no such reader.
        """
        self._previews.start(client, self._known(reader), every, self._now())

    def end_preview(self, client: DeskClient, reader: str) -> None:
        """A session has seen enough of a camera's pictures."""
        self._previews.stop(client, reader, self._now())

    def leave(self, client: DeskClient) -> None:
        """Ends all that belongs to a session that ended."""
        self.unwatch(client)
        self._previews.leave(client, self._now())
        self._codes.leave(client)
        self.leases.leave(client)
        for key in [key for key in self._subscriptions if key[0] == client.number]:
            del self._subscriptions[key]
        self.withdraw(client)

    def withdraw(self, client: Requester) -> None:
        """The requests of a session end, and are not answered."""
        self._do(self._hub.session_ended(client.number, self._now()))
        for key in [key for key, asked in self._asked.items() if asked.client is client]:
            del self._asked[key]
        self._deliveries.leave(client)

    # ── for drivers ──

    def report(self, driver: str, report: Report) -> None:
        """Takes the report of a driver."""
        self._reports.take(driver, report, self._now())

    def driver_ended(self, driver: str, problem: Problem | None) -> None:
        """A driver's process ended."""
        self._do(self._hub.driver_down(driver, problem, self._now()))

    async def stop(self) -> None:
        """Answers every request that waits, and finishes what was being delivered."""
        self._stopping = True
        self._stirred.set()
        self._do(self._hub.refuse_all(ShuttingDown))
        self.leases.stop()
        if self._alarm is not None:
            self._alarm.cancel()
        await self._deliveries.stop()

    # ── what the hub decides ──

    def _do(self, actions: list[Action]) -> None:
        """Each action for itself: a fault in one does not take with it the answers that others wait for.

        Orders go first. A client that hears of the arming may have a code scanned at once. The driver must know by then
        that it was asked for.
        """
        for action in sorted(actions, key=lambda action: not isinstance(action, ArmDriver | DisarmDriver)):
            try:
                self._act(action)
            except Exception as error:  # noqa: BLE001  an edge: between sessions and drivers that fail for themselves
                incident(error)
        self._set_alarm()
        self._changed()

    def _changed(self) -> None:
        self._stirred.set()
        for listener in self._listeners:
            listener()

    def _act(self, action: Action) -> None:
        match action:
            case ArmDriver(driver=driver, arm=arm):
                logger.debug("%s: armed for %s at %s, again %s", driver, arm.media, arm.readers, arm.again)
                self.supervisor.send(driver, msgspec.structs.replace(arm, at=self._now()))
                self._previews.armed(driver, self._now())
            case DisarmDriver(driver=driver):
                self.supervisor.send(driver, Disarm())
            case Deliver(request=PendingSubscription() as subscribed, presentation=presentation, reader=reader):
                self._hand_out(self._subscriptions[subscribed.key], presentation, reader.driver)
            case Deliver(request=request, presentation=presentation, reader=reader):
                self._answer(self._asked.pop(request.key), presentation, reader.driver)
            case Unread(subscription=subscribed, error=error, reader=reader_id):
                msgspec.structs.replace(self._subscriptions[subscribed.key], reader=reader_id).fail("", error)
            case Refuse(request=request, error=error):
                self._deliveries.refuse(self._asked.pop(request.key), error)
            case NotifyProgress(request=request):
                self._tell(request, action)
            case Announce(what=what, reader=reader):
                if what != "changed":
                    self._log.write(reader.driver, "reader %s %s", reader.id, what)
                if what == "removed":
                    self._previews.removed(reader.id)
                    self.leases.removed(reader.id)
                self.announce(what, reader)

    def _tell(self, pending: Pending, told: NotifyProgress) -> None:
        medium = ",".join(sorted(self._hub.presentable(pending))) if told.step == "armed" else told.medium
        if isinstance(pending, PendingSubscription):
            self._subscriptions[pending.key].progress("", told.step, told.reader, told.problem, medium)
        elif asked := self._asked.get(pending.key):
            asked.client.progress(asked.request, told.step, told.reader, told.problem, medium)

    def _answer(self, asked: RequestContext, presentation: Presented, driver: str) -> None:
        begun = self._now()

        def then(fate: Fate) -> None:
            if fate == "declined":
                self._do(self._hub.reassigned(presentation, begun, self._now()))
            else:
                self._take_back(presentation, fate)

        self._deliveries.start(asked, presentation, driver, session=asked.client, then=then)

    def _hand_out(self, subscription: Subscription, presentation: Presented, driver: str) -> None:
        asked = RequestContext(
            client=msgspec.structs.replace(subscription, reader=presentation.reader),
            request=presentation.id,
            grant=subscription.grant,
            deadline=self._now() + UNASKED,
            given_up=asyncio.get_running_loop().create_future(),
            action="presentations.subscribe",
        )
        owner = subscription.subscriber
        self._deliveries.start(asked, presentation, driver, session=owner, then=partial(self._take_back, presentation))

    def _take_back(self, presentation: Presented, fate: Fate) -> None:
        if fate == "unused":
            self._do(self._hub.returned(presentation, self._now()))

    def _known(self, reader: str) -> Reader:
        for known in self._hub.readers:
            if known.id == reader:
                return known
        raise NoReader("no reader of this name")

    def _order(self, driver: str, command: Command) -> None:
        self.supervisor.send(driver, command)

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        end = self._hub.next_deadline
        if end is not None and end != inf:
            self._alarm = asyncio.get_running_loop().call_at(end, self._tick)

    def _tick(self) -> None:
        self._alarm = None
        self._do(self._hub.tick(self._now()))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
