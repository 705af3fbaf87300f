"""The desk: feeds the hub with requests and drivers' reports, and carries out what it decides.

The hub decides and this module acts: commands to drivers, tokens to clients, notifications to whoever asked for them.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from math import inf
from typing import Protocol

import msgspec

from vitale_drivers.base import (
    CodeScanned,
    Command,
    Disarm,
    Failed,
    Health,
    Leased,
    Options,
    Presented,
    PreviewPicture,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    Settled,
    Unleased,
)
from vitale_drivers.base import Started as DriverStarted
from vitale_protocol.errors import (
    Cancelled,
    MediumUnreadable,
    MediumUnsupported,
    NoReader,
    ShuttingDown,
)
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
from vitale_reader.daemon.arbitration.leases import Holder
from vitale_reader.daemon.desk.codes import CodeSubscriber, CodeSubscriptions
from vitale_reader.daemon.desk.leasing import LeaseDesk
from vitale_reader.daemon.desk.previews import Previews, Viewer
from vitale_reader.daemon.desk.rationed_log import RationedLog
from vitale_reader.daemon.desk.subscriptions import Subscriber, Subscription
from vitale_reader.daemon.fairness.fair_store import paid_by
from vitale_reader.daemon.issuing import delivery
from vitale_reader.daemon.issuing.delivery import Claim, Delivery, Fate, RequestContext
from vitale_reader.daemon.issuing.issuer import Grant
from vitale_reader.daemon.observation.events import NotRead, Observe, Unanswered, unobserved
from vitale_reader.daemon.observation.incidents import BackgroundTasks, incident
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.reports import reader_of, told
from vitale_reader.daemon.workers.supervisor import Supervisor

__all__ = ["Client", "Coordinator", "Requester", "Watcher"]

logger = logging.getLogger(__name__)

#: Seconds for a presentation to become the token of a subscription. Only the apCV service takes time, and apcv.timeout
#: is 120 at most.
UNASKED = 125.0

RequestId = int | str


class Requester(delivery.Client, Protocol):
    """A session, or a request of another desk, as its requests see it.

    Attributes:
        number: unique among those of this process.
    """

    number: int


class Watcher(Protocol):
    """Receiver of the changes of readers.

    Attributes:
        number: as above.
    """

    number: int

    def reader_event(self, what: str, reader: Reader) -> None:
        """A reader was ``added``, ``changed`` or ``removed``."""


class Client(Requester, Watcher, Viewer, Subscriber, CodeSubscriber, Holder, Protocol):
    """A session, as the desk sees it."""

    number: int


class Coordinator:
    """Runs the hub, and the drivers: what they report goes to the hub, what it decides goes to them."""

    def __init__(
        self,
        delivery: Delivery,
        drivers: Mapping[str, Options],
        beat: Beat,
        *,
        hidden: tuple[str, ...] = (),
        observe: Observe = unobserved,
    ) -> None:
        self.supervisor = Supervisor(drivers, on_report=self.report, on_end=self.driver_ended, beat=beat, hidden=hidden)
        self._hub = Hub()
        self._delivery = delivery
        self._observe = observe
        self._tidings = RationedLog(logger)
        self._asked: dict[Key, RequestContext] = {}
        self._delivering: dict[Key, RequestContext] = {}
        self._watching: dict[int, Watcher] = {}
        self._subscriptions: dict[Key, Subscription] = {}
        self._unasked: dict[RequestContext, Subscription] = {}
        self._previews = Previews(self._order)
        self._codes = CodeSubscriptions()
        self.leases = LeaseDesk(self._order, self._known)
        self._tasks = BackgroundTasks(self._changed)
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
        return self._delivery.last

    def on_change(self, listener: Callable[[], None]) -> None:
        """Has somebody told that something may have changed; not what."""
        self._listeners.append(listener)

    def load(self, *clients: Client) -> int:
        """Number of requests, subscriptions and leases of a session, or of several together."""
        several, numbers = set[object](clients), {client.number for client in clients}
        requests = sum(asked.client in several for asked in (*self._asked.values(), *self._delivering.values()))
        subscriptions = sum(session in numbers for session, _ in self._subscriptions)
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
            asked_at=now,
            deadline=now + timeout,
            of_page=bool(grant.site),
        )
        self._do(self._hub.ask(waiting, now))

    def submit(
        self, client: Client, request: RequestId, grant: Grant, presentation: Presented, *, driver: str, timeout: float
    ) -> None:
        """A session presents what its application read itself: no reader and nobody else's turn come into it."""
        key = (client.number, request)
        self._delivering[key] = RequestContext(
            client=client,
            request=request,
            grant=grant,
            deadline=self._now() + timeout,
            given_up=asyncio.get_running_loop().create_future(),
            action="presentation.submit",
        )
        self._tasks.spawn(self._deliver(key, presentation, driver))

    def cancel(self, client: Client, request: RequestId) -> bool:
        """Cancels a request of a session; whether it was waiting, for a medium or for the apCV service."""
        key = (client.number, request)
        if delivered := self._delivering.get(key):
            return delivered.give_up(Cancelled())
        waits = key in self._asked and any(waiting.key == key for waiting in self._hub.waiting)
        if waits:
            self._do(self._hub.cancel(key, self._now()))
        return waits

    def subscribe(self, client: Client, grant: Grant, *, media: frozenset[str], readers: frozenset[str]) -> str:
        """A session wants whatever no request claims; gives the name of the subscription."""
        name = f"sub-{secrets.token_hex(8)}"
        key = (client.number, name)
        self._subscriptions[key] = Subscription(client, name, grant)
        self._do(self._hub.subscribe(PendingSubscription(key=key, media=media, readers=readers), self._now()))
        return name

    def unsubscribe(self, client: Client, name: str) -> None:
        """A session wants no more of it; what is being delivered is delivered."""
        if self._subscriptions.pop((client.number, name), None):
            self._do(self._hub.unsubscribe((client.number, name), self._now()))

    def subscribe_codes(self, client: Client, readers: frozenset[str]) -> str:
        """A session wants the codes that are no patient's; gives the name of the subscription."""
        return self._codes.start(client, readers)

    def unsubscribe_codes(self, client: Client, name: str) -> None:
        """A session wants no more of them."""
        self._codes.stop(client, name)

    def watch(self, client: Watcher) -> None:
        """A session wants to hear of readers."""
        self._watching[client.number] = client

    def unwatch(self, client: Watcher) -> None:
        """A session has heard enough of readers."""
        self._watching.pop(client.number, None)

    def announce(self, what: str, reader: Reader) -> None:
        """A reader was ``added``, ``changed`` or ``removed``, here or at another desk: for everyone who watches."""
        for client in list(self._watching.values()):
            client.reader_event(what, reader)

    def preview(self, client: Client, reader: str, every: float) -> None:
        """A session wants pictures of what a camera sees, ``every`` so many seconds.

        Raises:
            NoReader: there is no such reader.
        """
        self._previews.start(client, self._known(reader), every, self._now())

    def end_preview(self, client: Client, reader: str) -> None:
        """A session has seen enough of a camera's pictures."""
        self._previews.stop(client, reader, self._now())

    def leave(self, client: Client) -> None:
        """Ends all that belongs to a session that ended."""
        self.unwatch(client)
        self._previews.leave(client, self._now())
        self._codes.leave(client)
        self.leases.leave(client)
        for key in [key for key in self._subscriptions if key[0] == client.number]:
            del self._subscriptions[key]
        for asked, subscription in self._unasked.items():
            if subscription.subscriber is client:
                asked.give_up(Cancelled("the session ended"))
        self.withdraw(client)

    def withdraw(self, client: Requester) -> None:
        """The requests of a session end, and are not answered."""
        self._do(self._hub.session_ended(client.number, self._now()))
        for key in [key for key, asked in self._asked.items() if asked.client is client]:
            del self._asked[key]
        for asked in self._delivering.values():
            if asked.client is client:
                asked.give_up(Cancelled("the session ended"))

    # ── for drivers ──

    def report(self, driver: str, report: Report) -> None:
        """A driver reports; what it says of another driver's readers is not heard."""
        now = self._now()
        if not isinstance(report, PreviewPicture):
            logger.debug("%s: %s", driver, told(report))
        name = reader_of(report)
        known = next((reader for reader in self._hub.readers if reader.id == name), None)
        if known is not None and known.driver != driver:
            logger.error("driver %s speaks of a reader of driver %s; not heard", driver, known.driver)
            return
        match report:
            case DriverStarted(media=media):
                self._do(self._hub.driver_up(driver, media, now))
            case Settled():
                self._do(self._hub.driver_settled(driver, now))
                self._stirred.set()
            case Health(problem=problem):
                state = "ready" if problem is None else _named(problem)
                self._tidings.write(f"driver {driver}", "driver %s: %s", driver, state)
                self._do(self._hub.driver_health(driver, problem, now))
            case ReaderAdded(reader=reader):
                self._do(self._hub.reader_added(msgspec.structs.replace(reader, driver=driver), now))
            case ReaderChanged(reader=reader):
                self._do(self._hub.reader_changed(msgspec.structs.replace(reader, driver=driver), now))
            case ReaderRemoved(reader=reader_id):
                self._do(self._hub.reader_removed(reader_id, now))
            case PreviewPicture():
                self._previews.hand_on(report, now)
            case Leased() | Unleased():
                self.leases.report(driver, report)
            case Progress() | Presented() | Failed() | CodeScanned():
                self._read(report, now, known)
            case _:
                logger.warning("driver %s: nothing to do for %s", driver, type(report).__name__)

    def _code(self, code: CodeScanned) -> None:
        """Hands a code on; where nobody takes it, whoever waits for a patient learns that it was no patient's."""
        if not self._codes.hand_on(code) and not code.passed_on:
            self._do(self._hub.progress(code.reader, "retry", Problem(MediumUnsupported.reason, "other")))

    def _read(self, report: Progress | Presented | Failed | CodeScanned, now: float, known: Reader | None) -> None:
        match report:
            case CodeScanned():
                if known is not None:
                    self._code(report)
            case Progress():
                self._do(self._hub.progress(report.reader, report.step, report.problem, report.medium))
            case Presented():
                # A simulated reader makes a simulated presentation, whatever its driver says of that.
                simulated = report.simulated or (known is not None and known.simulated)
                self._do(self._hub.presented(msgspec.structs.replace(report, simulated=simulated), now))
            case Failed():
                said = _named(report.problem)
                self._tidings.write(f"reader {report.reader}", "reader %s: not read: %s", report.reader, said)
                if known is not None:
                    outcome = report.problem.error(MediumUnreadable).reason
                    self._observe(NotRead(medium=known.medium or "", driver=known.driver, outcome=outcome))
                self._do(self._hub.failed(report.reader, report.problem.error(MediumUnreadable), now))

    def driver_ended(self, driver: str, problem: Problem | None) -> None:
        """A driver's process ended."""
        self._do(self._hub.driver_down(driver, problem, self._now()))
        self._stirred.set()

    async def stop(self) -> None:
        """Answers every request that waits, and finishes what was being delivered."""
        self._stopping = True
        self._stirred.set()
        self._do(self._hub.refuse_all(ShuttingDown))
        for asked in (*self._delivering.values(), *self._unasked):
            asked.give_up(ShuttingDown())
        self.leases.stop()
        if self._alarm is not None:
            self._alarm.cancel()
        await self._tasks.finish()
        await self._delivery.stop()

    # ── what the hub decides ──

    def _do(self, actions: list[Action]) -> None:
        """Each action for itself: a fault in one does not take with it the answers that others wait for.

        Orders go first: whoever hears that it is armed has a code scanned at once, which the driver must not find
        unasked for.
        """
        for action in sorted(actions, key=lambda action: not isinstance(action, ArmDriver | DisarmDriver)):
            try:
                self._act(action)
            except Exception as error:  # noqa: BLE001  an edge: between sessions and drivers that fail for themselves
                incident(error)
        self._set_alarm()
        self._changed()

    def _changed(self) -> None:
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
                self._delivering[request.key] = self._asked.pop(request.key)
                self._tasks.spawn(self._deliver_to_waiting(request.key, presentation, reader.driver))
            case Unread(subscription=subscribed, error=error, reader=reader_id):
                msgspec.structs.replace(self._subscriptions[subscribed.key], reader=reader_id).fail("", error)
            case Refuse(request=request, error=error):
                asked = self._asked.pop(request.key)
                self._observe(Unanswered(outcome=error.reason))
                self._tasks.spawn(self._delivery.note(asked, error.reason))
                self._delivery.ended(asked, None, error.reason)
                asked.client.fail(asked.request, error)
            case NotifyProgress(request=request):
                self._tell(request, action)
            case Announce(what=what, reader=reader):
                if what != "changed":
                    self._tidings.write(f"reader {reader.id}", "reader %s %s", reader.id, what)
                if what == "removed":
                    self._previews.removed(reader.id)
                    self.leases.removed(reader.id)
                self.announce(what, reader)

    def _tell(self, pending: Pending, told: NotifyProgress) -> None:
        medium = ",".join(sorted(pending.media)) if told.step == "armed" else told.medium
        if isinstance(pending, PendingSubscription):
            self._subscriptions[pending.key].progress("", told.step, told.reader, told.problem, medium)
        elif asked := self._asked.get(pending.key):
            asked.client.progress(asked.request, told.step, told.reader, told.problem, medium)

    def _hand_out(self, subscription: Subscription, presentation: Presented, driver: str) -> None:
        asked = RequestContext(
            client=msgspec.structs.replace(subscription, reader=presentation.reader),
            request=presentation.id,
            grant=subscription.grant,
            deadline=self._now() + UNASKED,
            given_up=asyncio.get_running_loop().create_future(),
            action="presentations.subscribe",
        )
        self._unasked[asked] = subscription
        self._tasks.spawn(self._deliver_unasked(asked, presentation, driver))

    async def _deliver_unasked(self, asked: RequestContext, presentation: Presented, driver: str) -> None:
        try:
            with paid_by(asked.grant.client_id):
                fate = await self._delivery.deliver(asked, presentation, driver)
        finally:
            del self._unasked[asked]
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

    async def _deliver_to_waiting(self, key: Key, presentation: Presented, driver: str) -> None:
        delivered_at = self._now()
        match await self._deliver(key, presentation, driver):
            case "unused":
                self._do(self._hub.returned(presentation, self._now()))
            case "declined":
                self._do(self._hub.reassigned(presentation, delivered_at, self._now()))
            case "used":
                pass

    async def _deliver(self, key: Key, presentation: Presented, driver: str) -> Fate:
        asked = self._delivering[key]
        try:
            with paid_by(asked.grant.client_id):
                return await self._delivery.deliver(asked, presentation, driver)
        finally:
            del self._delivering[key]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _named(problem: Problem) -> str:
    """A problem as the log has it: by its name alone, since its detail may quote a device or a medium."""
    return f"{problem.reason}.{problem.variant}" if problem.variant else problem.reason
