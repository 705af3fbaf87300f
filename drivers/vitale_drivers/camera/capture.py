"""The newest picture of a camera: a thread for each open one, over an interface with one working method.

The thread reads pictures as fast as they come, so that no old one waits in the device. Consumers take the newest, and
the others are dropped. A call that does not return is detected by its duration and abandoned. The feed has then ended
for its consumers. Its thread ends with the call or the process.
"""

import abc
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vitale_drivers.camera.settings import CameraAddress
from vitale_drivers.readers.lifecycle import ReaderBus, ReaderPlace
from vitale_protocol.errors import ReaderError

__all__ = ["CameraBus", "CameraPicture", "CameraPlace", "Capture", "Feed", "Pixels", "Shot"]

Pixels: TypeAlias = NDArray[np.uint8]


_PACE = 4
"""Pauses between pictures by which a feed's pace is known."""


class CameraPicture(Protocol):
    """Picture as the camera delivered it."""

    @property
    def pixels(self) -> Pixels:
        """The bytes, of whatever form; their shape says nothing."""
        ...

    def grey(self) -> Pixels | None:
        """Rows of pixels, as decoders like them best; None where the picture is damaged."""
        ...

    def glance(self) -> Pixels | None:
        """A grey copy of an eighth of its width and height.

        None where that cannot be made in half the time.
        """
        ...

    def jpeg(self) -> bytes | None:
        """A small picture for people; None where it is damaged."""
        ...


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture with its number in the feed and when it came, in seconds of the monotonic clock."""

    number: int
    picture: CameraPicture
    at: float


CameraPlace: TypeAlias = ReaderPlace[CameraAddress]


class Capture(abc.ABC):
    """A camera that is open. Its calls are for one thread, but for ``cancel``."""

    @abc.abstractmethod
    def read(self) -> CameraPicture | None:
        """Waits for the next picture; None: there are no more, as at the end of a file.

        Raises:
            ReaderGone: the camera is not there any more.
            ReaderUnavailable: it delivers nothing.
        """

    def cancel(self) -> None:  # noqa: B027 - most cannot be cancelled
        """Makes a waiting call return soon, where that is possible; may be called from another thread."""

    @abc.abstractmethod
    def close(self) -> None:
        """Lets go of the camera; it may be gone already."""


class CameraBus(ReaderBus[CameraAddress, CameraPlace, Capture], Protocol):
    """Interface that finds and opens cameras; implemented by OpenCV and by the fakes of tests."""

    def refused(self, place: CameraPlace) -> ReaderError | None:
        """Returns a known obstacle to opening a camera as this user, found without opening it."""
        ...


class Feed:
    """The pictures of one camera from ``start`` to ``end``.

    ``changed`` is notified, and its lock held, whenever a picture came or the feed ended.
    """

    def __init__(self, open_camera: Callable[[], Capture], changed: threading.Condition, name: str) -> None:
        """Stores; nothing is opened."""
        self._open_camera = open_camera
        self._changed = changed
        self._capture: Capture | None = None
        self._shot: Shot | None = None
        self._fault: ReaderError | None = None
        self._ended = self._over = False
        self._since: float | None = None
        self._pauses: deque[float] = deque(maxlen=_PACE)
        self._thread = threading.Thread(target=self._run, name=f"camera feed {name}", daemon=True)

    def start(self) -> None:
        """Opens the camera and reads from it, in a thread."""
        self._since = time.monotonic()
        self._thread.start()

    def newer(self, number: int) -> Shot | None:
        """The newest picture if it came after the one of that number; ``changed`` is to be held."""
        return self._shot if self._shot is not None and self._shot.number > number else None

    @property
    def fault(self) -> ReaderError | None:
        """Reason for the end of the pictures, or None."""
        return self._fault

    @property
    def flows(self) -> bool:
        """True if a picture came: what takes time now is the next one, and not the opening."""
        return self._shot is not None

    @property
    def pace(self) -> float | None:
        """The longest of the latest pauses between two pictures, in seconds; None where there was none yet."""
        return max(self._pauses, default=None)

    @property
    def alive(self) -> bool:
        """True if the thread has not ended."""
        return self._thread.is_alive()

    @property
    def holds(self) -> bool:
        """True if the camera may still be open."""
        return not self._over

    def busy_for(self, now: float) -> float:
        """Seconds for which the thread has been in one call; 0 where it is in none.

        ``now`` is of the monotonic clock.
        """
        since = self._since
        return 0.0 if since is None else now - since

    def end(self) -> None:
        """Makes the thread release the camera and end, once its current call returns."""
        with self._changed:
            self._ended = True
            capture = self._capture
        if capture is not None:
            capture.cancel()

    def join(self, timeout: float) -> None:
        """Waits for the thread to end."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    # ── the thread ──

    def _run(self) -> None:
        fault: ReaderError | None = None
        try:
            self._read_all()
        except ReaderError as error:
            fault = error
        self._since = time.monotonic()
        if self._capture is not None:
            self._capture.close()
        self._since = None
        with self._changed:
            self._fault, self._over = fault, True
            self._changed.notify_all()

    def _read_all(self) -> None:
        capture = self._open_camera()
        with self._changed:
            self._capture = capture
        while not self._ended:
            self._since = time.monotonic()
            picture = capture.read()
            self._since = None
            if picture is None:
                return
            with self._changed:
                now = time.monotonic()
                if self._shot is not None:
                    self._pauses.append(now - self._shot.at)
                number = 1 if self._shot is None else self._shot.number + 1
                self._shot = Shot(number, picture, now)
                self._changed.notify_all()
