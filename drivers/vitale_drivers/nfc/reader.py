"""One NFC reader, plugged or not: the thread that finds it, opens it, serves it, and does so again when it is back.

Orders from other threads wait in a queue; the thread alone touches the reader, its field and its presence, and it alone
reports. While nobody is to be read, it sleeps.
"""

import threading
import time
from collections import deque

import msgspec

from vitale_drivers.base import Arm, Disarm, Emit, Progress, ReaderAdded, ReaderChanged, ReaderRemoved, Report, Transmit
from vitale_drivers.cards.tasks import Task, transmission
from vitale_drivers.nfc.field import MEDIUM, Field
from vitale_drivers.nfc.settings import Settings
from vitale_drivers.nfc.timed import TimedLink
from vitale_drivers.nfc.transport import Bus, Link, Place
from vitale_drivers.readers.call_timer import CallTimer
from vitale_drivers.readers.health import Troubles
from vitale_drivers.readers.presence import Presence
from vitale_protocol.errors import ReaderError, ReaderGone
from vitale_protocol.events import Reader
from vitale_protocol.media.profile import Profile
from vitale_protocol.problems import Problem

__all__ = ["NfcReader"]

Order = Arm | Disarm | Transmit

_MEDIA = frozenset({MEDIUM})


STUCK = 10.0
"""Seconds in one call of the binding: far beyond what any of them may take."""


class NfcReader:
    """A reader, from ``start`` to ``close``."""

    def __init__(
        self,
        place: Place,
        bus: Bus,
        profiles: tuple[Profile, ...],
        settings: Settings,
        emit: Emit,
        troubles: Troubles,
    ) -> None:
        """Stores; nothing is touched."""
        self._place = place
        self._bus = bus
        self._profiles = profiles
        self._settings = settings
        self._emit_to = emit
        self._troubles = troubles
        self._changed = threading.Condition()
        self._orders: deque[Order] = deque()
        self._tasks: deque[Task] = deque()
        self._closed = False
        self._link: Link | None = None
        self._timer = CallTimer()
        self._presence = Presence(place.id)
        self._reader = Reader(
            id=place.id,
            name=place.name,
            driver="nfc",
            media=(MEDIUM,) if profiles else (),
            state="empty",
            simulated=place.simulated,
        )
        self._shown: Reader | None = None
        self._thread = threading.Thread(target=self._run, name=f"reader {place.id}", daemon=True)

    @property
    def id(self) -> str:
        """The reader's id."""
        return self._place.id

    def start(self) -> None:
        """Begins to look for the reader."""
        self._thread.start()

    def order(self, order: Order) -> None:
        """Has an order carried out; returns at once."""
        with self._changed:
            self._orders.append(order)
            self._changed.notify_all()

    def is_stuck(self, now: float) -> bool:
        """Whether it has been in one call for longer than any may take."""
        return self._timer.elapsed(now) > STUCK

    def end(self) -> None:
        """Has the thread end; nothing is reported any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if self._link is not None:
                self._link.cancel()

    def join(self, timeout: float) -> None:
        """Waits for the thread; one that is inside the binding ends with the process."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    # ── the thread ──

    def _run(self) -> None:
        while not self._closed:
            try:
                link = self._open()
            except ReaderError as error:
                self._fail(error)
                self._rest(self._settings.look)
                continue
            try:
                self._serve(link)
            except ReaderError as error:
                self._fail(error)
            finally:
                self._keep(None)
                link.close()

    def _open(self) -> Link:
        """Opens the reader.

        Raises:
            ReaderError: it is not there, or cannot be used.
        """
        place = next((one for one in self._bus.places(self._place.address) if one.id == self._place.id), None)
        if place is None:
            raise ReaderGone("the reader is not there")
        with self._timer.call():
            link = self._bus.open(place)
        # Only what was opened tells; and what was simulated once, its clients are never told to be real.
        simulated = self._reader.simulated or place.simulated or link.simulated
        self._reader = msgspec.structs.replace(self._reader, simulated=simulated)
        return TimedLink(link, self._timer)

    def _serve(self, link: Link) -> None:
        self._keep(link)
        self._show(self._reader)
        self._troubles.tell(self.id, None)
        field = Field(link, self._reader, self._presence, self._profiles, self._settings, self._report)
        try:
            while not self._closed:
                self._take_orders()
                field.perform(self._tasks)
                self._rest(self._still_there(field.step()))
        finally:
            field.leave()

    def _still_there(self, pause: float | None) -> float:
        """A reader that is at rest says nothing when it is unplugged; it is looked for instead."""
        if pause is not None:
            return pause
        if not any(one.id == self.id for one in self._bus.places(self._place.address)):
            raise ReaderGone("the reader was unplugged")
        return self._settings.look

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._orders, seconds)

    def _keep(self, link: Link | None) -> None:
        with self._changed:
            self._link = link

    def _take_orders(self) -> None:
        while self._orders:
            match self._orders.popleft():
                case Arm() as order:
                    self._presence.arm(order)
                case Disarm():
                    self._presence.disarm()
                case Transmit() as order:
                    self._tasks.append(transmission(self._presence.number, order))

    # ── when it cannot be used ──

    def _fail(self, error: ReaderError) -> None:
        """Shows why the reader cannot be used, and answers what came for it meanwhile."""
        armed = any(isinstance(order, Arm) for order in self._orders)
        self._take_orders()
        while self._tasks:
            self._report(self._tasks.popleft().failed(error))
        if self._is_gone(error):
            self._troubles.tell(self.id, None)
            if self._shown is not None:
                self._shown = None
                self._report(ReaderRemoved(reader=self.id))
            return
        new = self._show(msgspec.structs.replace(self._reader, state="unavailable", error=error.reason))
        self._troubles.tell(self.id, error)
        if (new or armed) and self._presence.wanted(time.monotonic(), _MEDIA):
            self._report(Progress(reader=self.id, step="retry", problem=Problem.of(error)))

    def _is_gone(self, error: ReaderError) -> bool:
        if isinstance(error, ReaderGone):
            return True
        return not any(one.id == self.id for one in self._bus.places(self._place.address))

    def _show(self, reader: Reader) -> bool:
        """Tells what the reader is like now; whether that is new."""
        if reader == self._shown:
            return False
        self._report(ReaderAdded(reader=reader) if self._shown is None else ReaderChanged(reader=reader))
        self._shown = reader
        return True

    def _report(self, report: Report) -> None:
        if not self._closed:
            if isinstance(report, ReaderChanged):
                self._shown = report.reader
            self._emit_to(report)
