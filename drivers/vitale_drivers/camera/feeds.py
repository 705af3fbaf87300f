"""The feed of one camera, and earlier feeds that have not let go of it yet, or never will."""

import threading
import time

from vitale_drivers.camera.capture import CameraBus, CameraPlace, Feed
from vitale_drivers.camera.settings import CameraSettings

__all__ = ["Feeds"]

_PATIENCE = 1.0
"""Seconds that a call may go on beyond its limit before the worker is given up for it: so that there is a new one
before whoever waits is told that the reader is gone."""

_UNEVEN = 2.0
"""Times the pause between the latest pictures, that the next may take."""

_MOST_ENDING = 2
"""Feeds whose calls do not return; where opening the camera anew does not help once, it will not help twice."""


class Feeds:
    """All feeds of one camera; at most one of them is looked at.

    Attributes:
        current: the one that is looked at, or None.
    """

    def __init__(self, bus: CameraBus, settings: CameraSettings, changed: threading.Condition) -> None:
        """Stores; ``changed`` is notified whenever there is something new of a feed."""
        self.current: Feed | None = None
        self._bus = bus
        self._settings = settings
        self._changed = changed
        self._ending: list[Feed] = []
        self._streams = False

    def open(self, place: CameraPlace) -> None:
        """Begins a feed for one camera."""
        self._streams = place.address.kind == "url"
        feed = Feed(lambda: self._bus.open(place), self._changed, place.id)
        with self._changed:
            self.current = feed
        feed.start()

    def close(self) -> None:
        """Ends the feed, if there is one; it may take its time, but not that of the caller."""
        feed = self.current
        if feed is not None:
            with self._changed:
                self.current = None
                self._ending.append(feed)
            feed.end()

    def held(self, now: float) -> bool:
        """True while the camera is still being closed and must not be opened yet; false if closing hangs."""
        with self._changed:
            self._ending = [feed for feed in self._ending if feed.alive]
            holding = [feed for feed in self._ending if feed.holds]
            return any(self.overdue(feed, now) <= 0 for feed in holding) or len(holding) >= _MOST_ENDING

    @property
    def closing(self) -> bool:
        """True if a feed has not ended, as far as is known."""
        return bool(self._ending)

    def overdue(self, feed: Feed, now: float) -> float:
        """Seconds by which a feed has been in one call beyond what that may take.

        They are negative while the call is within its limit.
        """
        return feed.busy_for(now) - (self._limit(feed) if feed.flows else self._settings.open_limit)

    def _limit(self, feed: Feed) -> float:
        """Seconds for the next picture: a stream of less than one a second is slow, and not silent."""
        limit, slow = self._settings.frame_limit, self._settings.slow_limit
        if not self._streams:
            return limit
        return max(limit, slow if feed.pace is None else min(slow, _UNEVEN * feed.pace))

    def stuck(self, now: float) -> bool:
        """True if a call of the binding holds the camera and will not return.

        The camera cannot be opened anew then.
        """
        with self._changed:
            flows = self.current is not None and self.current.flows
            return not flows and any(self.overdue(feed, now) > _PATIENCE for feed in self._ending)

    def join(self, timeout: float) -> None:
        """Waits for those that are ending; one that is inside the binding ends with the process."""
        end = time.monotonic() + timeout
        for feed in tuple(self._ending):
            feed.join(max(0.0, end - time.monotonic()))
