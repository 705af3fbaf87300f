"""Driver ``camera``: codes on screens and paper, seen by webcams. Here the parts are put together; each says its rules.

``camera_settings`` are the options; ``camera_devices`` finds the cameras of the machine, ``camera_opencv`` opens them,
behind the interface of ``camera_capture``, which keeps the newest picture; for each camera ``camera_reader`` is its
thread, ``camera_watch`` tells whether its pictures are alive, and ``camera_view`` what in them is presented.
"""

import threading
import time
from collections.abc import Callable
from typing import ClassVar

from vitale_drivers.base import (
    Arm,
    Disarm,
    Driver,
    Emit,
    Health,
    Options,
    Preview,
    Report,
    Started,
    Transmit,
    Transmitted,
)
from vitale_drivers.camera_capture import Bus, Place
from vitale_drivers.camera_eye import Decoder
from vitale_drivers.camera_reader import CameraReader, Found
from vitale_drivers.camera_settings import Settings, parse_options
from vitale_drivers.camera_view import MEDIA
from vitale_drivers.troubles import Troubles
from vitale_protocol.errors import MediumUnsupported, ReaderGone, ToolMissing

__all__ = ["CameraDriver", "missing"]

CLOSE_LIMIT = 2.0
"""Seconds to end the threads in; one that is inside the binding cannot be ended, and goes with the process."""

_MOVING = frozenset({"auto", "node", "file"})
"""Kinds of addresses whose cameras come and go; what is at the others is known only when it is opened."""


class CameraDriver(Driver):
    """Webcams, video files and streams; its options are those of ``camera_settings.Settings``."""

    name: ClassVar[str] = "camera"
    media: ClassVar[tuple[str, ...]] = MEDIA

    def __init__(self, options: Options, bus: Bus | None = None, decoder: Callable[[], Decoder] | None = None) -> None:
        """Checks the options; ``bus`` finds cameras and ``decoder`` reads codes, unless a test brings its own.

        Raises:
            ConfigurationInvalid: an option cannot be used.
        """
        super().__init__(options)
        self._settings, self._addresses = parse_options(options)
        self._bus = bus
        self._decoder = decoder
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._armed: Arm | None = None
        self._readers: dict[str, CameraReader] = {}
        self._places: dict[str, Place] = {}
        self._troubles = Troubles(self._emit)
        self._emit_to: Emit | None = None
        self._finder = threading.Thread(target=self._find, name="cameras", daemon=True)

    # ── told by the worker ──

    def open(self, emit: Emit) -> None:
        """Starts to look for cameras; none is opened.

        Raises:
            ToolMissing: OpenCV or zxing-cpp cannot be loaded.
        """
        version = ""
        if self._bus is None:
            self._bus, version = _opencv_bus(self._settings)
        if self._decoder is None:
            self._decoder = _zxing_decoder()
        self._emit_to = emit
        self._emit(Started(driver=self.name, media=self.media, version=version))
        self._emit(Health(state="ok"))
        self._look(self._bus, self._decoder)
        if any(address.kind in _MOVING for address in self._addresses):
            self._finder.start()

    def arm(self, command: Arm) -> None:
        """Opens cameras, and presents the codes that they see."""
        with self._lock:
            self._armed = command
            for reader in self._readers.values():
                reader.order(command)

    def disarm(self) -> None:
        """Closes cameras, as soon as the code that was read has left their view."""
        with self._lock:
            self._armed = None
            for reader in self._readers.values():
                reader.order(Disarm())

    def transmit(self, command: Transmit) -> None:
        """Nothing in view of a camera takes APDUs."""
        with self._lock:
            known = command.reader in self._readers
        reason = MediumUnsupported.reason if known else ReaderGone.reason
        self._emit(Transmitted(id=command.id, responses=(), reason=reason))

    def preview(self, command: Preview) -> None:
        """Gives pictures of what a camera sees while it is armed."""
        with self._lock:
            reader = self._readers.get(command.reader)
            if reader is not None:
                reader.order(command)

    def stuck(self) -> str:
        """Names a camera that is held by a call that does not return."""
        now = time.monotonic()
        with self._lock:
            readers = tuple(self._readers.values())
        return next((f"call to {reader.id}" for reader in readers if reader.is_stuck(now)), "")

    def close(self) -> None:
        """Ends the threads that can be ended; the cameras are closed then."""
        self._closed.set()
        with self._lock:
            readers = tuple(self._readers.values())
        end = time.monotonic() + CLOSE_LIMIT
        for reader in readers:
            reader.end()
        for reader in readers:
            reader.join(max(0.0, end - time.monotonic()))
        if self._finder.ident is not None:
            self._finder.join(max(0.0, end - time.monotonic()))

    # ── finding ──

    def _find(self) -> None:
        """Cameras may come at any time, and the systems differ in how they would tell; so they are asked."""
        while self._bus is not None and self._decoder is not None and not self._closed.wait(self._settings.look):
            self._look(self._bus, self._decoder)

    def _look(self, bus: Bus, decoder: Callable[[], Decoder]) -> None:
        found: dict[str, Place] = {}
        for address in self._addresses:
            for place in bus.places(address):
                found.setdefault(place.id, place)
        for name, reader in tuple(self._readers.items()):
            now = found.get(name)
            if now != self._places.get(name) or (now is not None and reader.is_ill):
                reader.order(Found(now))
        self._places = found
        for place in found.values():
            self._add(place, bus, decoder)

    def _add(self, place: Place, bus: Bus, decoder: Callable[[], Decoder]) -> None:
        with self._lock:
            if place.id in self._readers or self._closed.is_set():
                return
            reader = CameraReader(place, bus, decoder, self._settings, self._emit, self._troubles)
            self._readers[place.id] = reader
            if self._armed is not None:
                reader.order(self._armed)
            reader.start()

    def _emit(self, report: Report) -> None:
        if self._emit_to is not None and not self._closed.is_set():
            self._emit_to(report)


def _opencv_bus(settings: Settings) -> tuple[Bus, str]:
    try:
        # Late, for it takes long, and needs native libraries, where this need not.
        from vitale_drivers.camera_opencv import VERSION, OpenCvBus  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise missing(error, "cv2") from error
    return OpenCvBus(settings), VERSION


def _zxing_decoder() -> Callable[[], Decoder]:
    try:
        from vitale_drivers.decoding import StreamDecoder  # noqa: PLC0415 - likewise
    except (ImportError, OSError) as error:
        raise missing(error, "zxingcpp") from error
    return StreamDecoder


_PACKAGES = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0", "libglib-2.0.so.0": "libglib2.0-0"}
"""Debian's packages of the libraries that OpenCV needs and does not bring."""


def missing(error: ImportError | OSError, module: str) -> ToolMissing:
    """The error that says what has to be installed for a module to be loaded."""
    library = str(error).partition(":")[0]
    package = _PACKAGES.get(library)
    tool = package or getattr(error, "name", None) or module
    why = f"{library} is not installed, Debian's package {package}" if package else f"{tool} cannot be loaded"
    return ToolMissing(f"driver camera: {why}", data={"tool": tool})
