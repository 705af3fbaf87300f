"""One camera, plugged or not: the thread that opens it while a request waits, and reports what it sees.

Orders from other threads wait in a queue; the thread alone decides and reports. Pictures come from a feed with a thread
of its own. The calls of the binding may take any time, and no order waits for one. While no picture is needed, the
camera is closed (or, kept warm, open and ignored), and this thread sleeps.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from vitale_drivers.base import Arm, Disarm, Emit, Preview, Report
from vitale_drivers.camera.capture import CameraBus, CameraPlace, Feed, Shot
from vitale_drivers.camera.codes_in_view import MEDIA, CameraView, Moment
from vitale_drivers.camera.feeds import Feeds
from vitale_drivers.camera.frames import FramePipeline, SymbolDecoder
from vitale_drivers.camera.settings import CameraSettings
from vitale_drivers.camera.structured_append import SeenSymbol
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.lifecycle import ReaderThread
from vitale_drivers.readers.presence import Presence
from vitale_protocol.errors import ReaderError, ReaderGone, ReaderUnavailable
from vitale_protocol.events import Reader

__all__ = ["CameraReader", "Found"]

_ALL = frozenset(MEDIA)

_TICK = 0.1
"""Seconds: how often it is looked whether what was in view has left, when no pictures come that would show it."""


@dataclass(frozen=True, slots=True)
class Found:
    """An order: this is where the camera is now; None: nowhere."""

    place: CameraPlace | None


Order = Arm | Disarm | Preview | Found


class CameraReader(ReaderThread[Order]):
    """A camera, from ``start`` to ``end``."""

    def __init__(
        self,
        place: CameraPlace,
        bus: CameraBus,
        decoder: Callable[[], SymbolDecoder],
        settings: CameraSettings,
        emit: Emit,
        reader_health: HealthOfReaders,
    ) -> None:
        """Stores; nothing is touched."""
        reader = Reader(
            id=place.id, name=place.name, driver="camera", media=MEDIA, state="empty", simulated=place.simulated
        )
        super().__init__(reader, emit, reader_health)
        self._place: CameraPlace | None = place
        self._bus = bus
        self._settings = settings
        self._presence = Presence(place.id)
        self._view = CameraView(
            reader,
            self._presence,
            lambda: str(uuid.uuid4()),
            settle=settings.settle,
            collect=settings.collect,
            formats=settings.apcv_formats,
        )
        self._feeds = Feeds(bus, settings, self.changed)
        self._number = 0
        self._frames = FramePipeline(place.id, decoder, self._presence, settings)
        self._retry_at = 0.0
        self._unwanted_since: float | None = None
        self._warm_until = 0.0

    def is_stuck(self, now: float) -> bool:
        """True if a call of the binding holds the camera, and will not return."""
        return self._feeds.stuck(now)

    @property
    def is_ill(self) -> bool:
        """True if the camera is gone or cannot be used, so that changes are to be reported."""
        return self._place is None or self.status.trouble is not None

    def join(self, timeout: float) -> None:
        """Waits for the threads; one that is inside the binding ends with the process."""
        end = time.monotonic() + timeout
        super().join(timeout)
        self._feeds.join(max(0.0, end - time.monotonic()))

    # ── the thread ──

    def run(self) -> None:
        """Opens the camera while it is needed, and looks at its pictures."""
        self._stand_by()
        while not self.closed:
            self._take_orders()
            self._step(time.monotonic())
            with self.changed:
                self.changed.wait_for(self._has_work, self._pause(time.monotonic()))
        self._close()

    def _take_orders(self) -> None:
        while self.orders:
            match self.orders.popleft():
                case Arm() as order:
                    self._presence.arm(order)
                    self._frames.reported_dark = False
                    if self._wanted(time.monotonic()):
                        self.status.remind()
                case Disarm():
                    self._presence.disarm()
                case Preview() as order:
                    self._frames.preview(order)
                case Found(place):
                    self._move(place)

    def _has_work(self) -> bool:
        feed = self._feeds.current
        if self.closed or self.orders or feed is None:
            return self.closed or bool(self.orders) or self._may_open(time.monotonic())
        return feed.fault is not None or (self._looks(time.monotonic()) and feed.newer(self._number) is not None)

    def _step(self, now: float) -> None:
        if self._place is None:
            return
        if not self._is_needed(now):
            self._close()
            self._stand_by()
        elif self._feeds.current is None:
            if self._may_open(now):
                self._open(self._place)
        else:
            self._attend(self._feeds.current, now)

    def _pause(self, now: float) -> float | None:
        """Seconds for which there is nothing to do, unless an order or a picture comes; None: for ever."""
        if self._place is None or not (self._feeds.current or self._is_needed(now)):
            return None
        if self._feeds.current is None:
            return max(self._retry_at - now, _TICK if self._feeds.closing else 0.0)
        return _TICK

    # ── what is needed ──

    def _wanted(self, now: float) -> bool:
        return self._presence.wanted(now, _ALL)

    def _looks(self, now: float) -> bool:
        """True if pictures are to be looked at.

        That is so if somebody is to be read, or what was read is watched until it leaves.
        """
        if self._wanted(now):
            self._unwanted_since = None
            return True
        if self._unwanted_since is None:
            self._unwanted_since = now
        return self._view.occupied and now - self._unwanted_since < self._settings.linger

    def _is_needed(self, now: float) -> bool:
        if self._looks(now):
            warm = self._settings.warm
            self._warm_until = now if isinstance(warm, bool) else now + warm
            return True
        return self._settings.warm is True or now < self._warm_until

    def _may_open(self, now: float) -> bool:
        return self._place is not None and self._is_needed(now) and now >= self._retry_at and not self._feeds.held(now)

    # ── pictures ──

    def _open(self, place: CameraPlace) -> None:
        self._frames.open(still=self._settings.still_for(place.address, simulated=place.simulated))
        self._number = 0
        self._feeds.open(place)

    def _close(self) -> None:
        self._feeds.close()
        self._frames.close()

    def _attend(self, feed: Feed, now: float) -> None:
        if feed.fault is not None:
            self._fail(feed.fault)
            return
        if self._feeds.overdue(feed, now) > 0:
            self._fail(ReaderUnavailable("the camera does not answer", variant="camera"))
            return
        with self.changed:
            shot = feed.newer(self._number)
        if shot is not None:
            self._number = shot.number
        if not self._looks(now):
            self._forget_view()
            if shot is not None:
                self.status.well(self._view.reader)
        elif shot is None:
            self._report(self._view.passed(now))
        else:
            self._look(shot)

    def _look(self, shot: Shot) -> None:
        try:
            is_well = self._frames.examine(shot)
        except ReaderUnavailable as error:
            self._fail(error)
            return
        if not is_well:
            return
        symbols: Sequence[SeenSymbol] = ()
        if self._frames.is_sure:
            self.status.well(self._view.reader)
            symbols = self._frames.decode(simple=self._view.simple)
        # What was ordered meanwhile is obeyed: who has disarmed wants nothing to be presented any more.
        self._take_orders()
        if self._feeds.current is not None:
            now = time.monotonic()
            moment = Moment(now=now, at=time.time(), elapsed=now - shot.at)
            self._report(self._view.saw(symbols, moment, self._frames.survey))
            self._report(self._frames.pictures(shot, moment.at, now))
            if self._frames.sees_again():
                self.status.works_again(self._view.reader)

    # ── how the camera is ──

    def _stand_by(self) -> None:
        """Closes a camera that no request needs. Its fitness is then unknown, unless this user may not open it."""
        self._forget_view()
        self._retry_at = 0.0
        refusal = None if self._place is None else self._bus.refused(self._place)
        if refusal is None:
            self.status.well(self._view.reader)
        else:
            self.status.ill(self._view.reader, refusal)

    def _forget_view(self) -> None:
        self._report(self._view.leave())

    def _fail(self, error: ReaderError) -> None:
        """Handles the end of the feed."""
        self._close()
        self._view.interrupted()
        now = time.monotonic()
        self._retry_at = now + self._settings.look
        if isinstance(error, ReaderGone):
            self._move(None)
        elif self.status.ill(self._view.reader, error) and self._wanted(now):
            self.status.remind()

    def _move(self, place: CameraPlace | None) -> None:
        """Records a new place of the camera, or its absence."""
        if place is None:
            self._close()
            self._view.leave()
            self._place = None
            self.status.gone()
            return
        came_back, self._place = self._place is None, place
        # A reader once simulated is never reported as real.
        simulated = self._view.reader.simulated or place.simulated
        self._view.reader = msgspec.structs.replace(self._view.reader, simulated=simulated)
        if came_back:
            self._retry_at = 0.0
            self.status.show(self._view.reader)

    def _report(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self.status.report(report)
