"""The desk: feeds the hub with requests and drivers' reports, and carries out what it decides.

The hub decides and this module acts: commands to drivers, tokens to clients, notifications to whoever asked for them.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

import msgspec

from vitale_drivers.base import (
    Disarm,
    Failed,
    Health,
    Presented,
    Preview,
    PreviewFrame,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
)
from vitale_drivers.base import Started as DriverStarted
from vitale_protocol.errors import (
    Cancelled,
    MediumUnreadable,
    NoReader,
    ShuttingDown,
    VitaleError,
    by_reason,
)
from vitale_protocol.events import Reader
from vitale_reader.daemon import delivery
from vitale_reader.daemon.decisions import (
    Action,
    Announce,
    ArmDriver,
    Deliver,
    DisarmDriver,
    Key,
    Refuse,
    Tell,
    Waiting,
)
from vitale_reader.daemon.delivery import Asked, Delivery, incident
from vitale_reader.daemon.hub import Hub
from vitale_reader.daemon.issuer import Grant
from vitale_reader.daemon.previews import Previews, Viewer
from vitale_reader.daemon.supervisor import Supervisor

__all__ = ["Client", "Desk"]

logger = logging.getLogger(__name__)

RequestId = int | str


class Client(delivery.Client, Viewer, Protocol):
    """A session, as the desk sees it.

    Attributes:
        number: unique among the sessions of this process.
    """

    number: int

    def reader_event(self, what: str, reader: Reader) -> None:
        """A reader was ``added``, ``changed`` or ``removed``."""


class Desk:
    """Runs the hub. ``supervisor`` is set by whoever composes the daemon, since each needs the other."""

    supervisor: Supervisor

    def __init__(self, delivery: Delivery) -> None:
        self._hub = Hub()
        self._delivery = delivery
        self._asked: dict[Key, Asked] = {}
        self._delivering: dict[Key, Asked] = {}
        self._watching: dict[int, Client] = {}
        self._previews = Previews(self._order_preview)
        self._tasks: set[asyncio.Task[object]] = set()
        self._alarm: asyncio.TimerHandle | None = None

    # ── for sessions ──

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The readers now."""
        return self._hub.readers

    def waiting(self, client: Client) -> int:
        """How many requests of a session wait."""
        return sum(asked.client is client for asked in (*self._asked.values(), *self._delivering.values()))

    def request(
        self,
        client: Client,
        request: RequestId,
        grant: Grant,
        *,
        media: frozenset[str],
        readers: frozenset[str],
        timeout: float,
    ) -> None:
        """A session waits for the next presentation that matches, ``timeout`` seconds at most."""
        now = self._now()
        key = (client.number, request)
        self._asked[key] = Asked(
            client=client,
            request=request,
            grant=grant,
            deadline=now + timeout,
            given_up=asyncio.get_running_loop().create_future(),
        )
        waiting = Waiting(
            key=key,
            media=media,
            readers=readers,
            challenge=grant.nonce.encode(),
            asked_at=now,
            deadline=now + timeout,
        )
        self._do(self._hub.ask(waiting, now))

    def submit(
        self, client: Client, request: RequestId, grant: Grant, presentation: Presented, *, driver: str, timeout: float
    ) -> None:
        """A session presents what its application read itself: no reader and nobody else's turn come into it."""
        key = (client.number, request)
        self._delivering[key] = Asked(
            client=client,
            request=request,
            grant=grant,
            deadline=self._now() + timeout,
            given_up=asyncio.get_running_loop().create_future(),
            action="presentation.submit",
        )
        self._spawn(self._deliver(key, presentation, driver))

    def cancel(self, client: Client, request: RequestId) -> bool:
        """Cancels a request of a session; whether it was waiting, for a medium or for the apCV service."""
        key = (client.number, request)
        if delivered := self._delivering.get(key):
            return delivered.give_up(Cancelled())
        waits = key in self._asked and any(waiting.key == key for waiting in self._hub.waiting)
        if waits:
            self._do(self._hub.cancel(key, self._now()))
        return waits

    def watch(self, client: Client) -> None:
        """A session wants to hear of readers."""
        self._watching[client.number] = client

    def unwatch(self, client: Client) -> None:
        """A session has heard enough of readers."""
        self._watching.pop(client.number, None)

    def preview(self, client: Client, reader: str, every: float) -> None:
        """A session wants pictures of what a camera sees, ``every`` so many seconds.

        Raises:
            NoReader: there is no such reader.
        """
        known = next((known for known in self._hub.readers if known.id == reader), None)
        if known is None:
            raise NoReader("no reader of this name")
        self._previews.start(client, known, every, self._now())

    def end_preview(self, client: Client, reader: str) -> None:
        """A session has seen enough of a camera's pictures."""
        self._previews.stop(client, reader, self._now())

    def leave(self, client: Client) -> None:
        """A session ended."""
        self.unwatch(client)
        self._previews.leave(client, self._now())
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
        if not isinstance(report, PreviewFrame):
            logger.debug("%s: %s", driver, _told(report))
        name = _reader_of(report)
        known = next((reader for reader in self._hub.readers if reader.id == name), None)
        if known is not None and known.driver != driver:
            logger.error("driver %s speaks of a reader of driver %s; not heard", driver, known.driver)
            return
        match report:
            case DriverStarted(media=media):
                self._do(self._hub.driver_up(driver, media, now))
            case Health(reason=reason):
                self._do(self._hub.driver_health(driver, reason, now))
            case ReaderAdded(reader=reader):
                self._do(self._hub.reader_added(msgspec.structs.replace(reader, driver=driver), now))
            case ReaderChanged(reader=reader):
                self._do(self._hub.reader_changed(msgspec.structs.replace(reader, driver=driver), now))
            case ReaderRemoved(reader=reader_id):
                self._do(self._hub.reader_removed(reader_id, now))
            case Progress():
                self._do(self._hub.progress(report.reader, report.step, report.reason))
            case Presented(simulated=simulated):
                # A simulated reader makes a simulated presentation, whatever its driver says of that.
                simulated = simulated or (known is not None and known.simulated)
                self._do(self._hub.presented(msgspec.structs.replace(report, simulated=simulated), now))
            case Failed():
                self._do(self._hub.failed(report.reader, _error_of(report), now))
            case PreviewFrame():
                self._previews.hand_on(report, now)
            case _:
                logger.warning("driver %s: nothing to do for %s", driver, type(report).__name__)

    def driver_ended(self, driver: str, reason: str) -> None:
        """A driver's process ended."""
        self._do(self._hub.driver_down(driver, reason, self._now()))

    async def stop(self) -> None:
        """Answers every request that waits, and finishes what was being delivered."""
        self._do(self._hub.refuse_all(ShuttingDown))
        for asked in self._delivering.values():
            asked.give_up(ShuttingDown())
        if self._alarm is not None:
            self._alarm.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._delivery.stop()

    # ── what the hub decides ──

    def _do(self, actions: list[Action]) -> None:
        """Each action for itself: a fault in one does not take with it the answers that others wait for."""
        for action in actions:
            try:
                self._act(action)
            except Exception as error:  # noqa: BLE001  an edge: between sessions and drivers that fail for themselves
                incident(error)
        self._set_alarm()

    def _act(self, action: Action) -> None:
        match action:
            case ArmDriver(driver=driver, arm=arm):
                logger.debug("%s: armed for %s at %s, again %s", driver, arm.media, arm.readers, arm.again)
                self.supervisor.send(driver, arm)
                self._previews.armed(driver, self._now())
            case DisarmDriver(driver=driver):
                self.supervisor.send(driver, Disarm())
            case Deliver(request=request, presentation=presentation, reader=reader):
                self._delivering[request.key] = self._asked.pop(request.key)
                self._spawn(self._deliver_to_waiting(request.key, presentation, reader.driver))
            case Refuse(request=request, error=error):
                asked = self._asked.pop(request.key)
                self._spawn(self._delivery.note(asked, error.reason))
                asked.client.fail(asked.request, error)
            case Tell(request=request, step=step, reader=reader_id, reason=reason):
                if told := self._asked.get(request.key):
                    told.client.progress(told.request, step, reader_id, reason)
            case Announce(what=what, reader=reader):
                if what == "removed":
                    self._previews.removed(reader.id)
                for client in list(self._watching.values()):
                    client.reader_event(what, reader)

    def _order_preview(self, driver: str, command: Preview) -> None:
        self.supervisor.send(driver, command)

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        end = self._hub.next_deadline
        if end is not None and end != float("inf"):
            self._alarm = asyncio.get_running_loop().call_at(end, self._tick)

    def _tick(self) -> None:
        self._alarm = None
        self._do(self._hub.tick(self._now()))

    async def _deliver_to_waiting(self, key: Key, presentation: Presented, driver: str) -> None:
        if await self._deliver(key, presentation, driver):
            self._do(self._hub.given_back(presentation, self._now()))

    async def _deliver(self, key: Key, presentation: Presented, driver: str) -> bool:
        try:
            return await self._delivery.deliver(self._delivering[key], presentation, driver)
        finally:
            del self._delivering[key]

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            incident(error)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _reader_of(report: Report) -> str | None:
    match report:
        case ReaderAdded(reader=reader) | ReaderChanged(reader=reader):
            return reader.id
        case (
            ReaderRemoved(reader=name)
            | Progress(reader=name)
            | Presented(reader=name)
            | Failed(reader=name)
            | PreviewFrame(reader=name)
        ):
            return name
        case _:
            return None


def _told(report: Report) -> str:
    """A report in a few words for the log, without anything that was read."""
    match report:
        case ReaderAdded(reader=reader) | ReaderChanged(reader=reader):
            said = f"{reader.id} {reader.state} {reader.medium or ''} {reader.error or ''}"
        case ReaderRemoved(reader=reader_id) | Presented(reader=reader_id):
            said = reader_id
        case Progress():
            said = f"{report.reader} {report.step} {report.reason}"
        case Failed():
            said = f"{report.reader} {report.reason}: {report.detail}"
        case Health():
            said = f"{report.state} {report.reason} {report.detail}"
        case _:
            said = ""
    return f"{type(report).__name__} {said}".rstrip()


def _error_of(report: Failed) -> VitaleError:
    error = by_reason(report.reason) or MediumUnreadable
    data: dict[str, Any] = dict(report.data)
    return error(report.detail, data=data)
