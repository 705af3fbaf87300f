"""Driver ``camera``: codes on screens and paper, seen by webcams. Here the parts are put together; each says its rules.

``settings`` are the options. ``devices`` finds the cameras of the machine. ``opencv`` opens them behind the interface
of ``capture``, which keeps the newest picture. For each camera ``reader`` is its thread, ``liveness`` detects frozen
pictures, and ``codes_in_view`` decides which code is presented.
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from vitale_drivers.base import Emit, FindHolders, Options, Preview, Sighting, Started, Tell
from vitale_drivers.camera.capture import CameraBus, CameraPlace
from vitale_drivers.camera.codes_in_view import MEDIA
from vitale_drivers.camera.device_examination import examine
from vitale_drivers.camera.frames import SymbolDecoder
from vitale_drivers.camera.obstacles import obstacle
from vitale_drivers.camera.reader import CameraReader, Found
from vitale_drivers.camera.settings import CameraSettings, parse_options
from vitale_drivers.readers.discovery import PollingDriver
from vitale_drivers.readers.survey import first_place, surveyed
from vitale_protocol.extras import missing

__all__ = ["CameraDriver"]

_MOVING = frozenset({"auto", "name", "node", "index", "file"})
"""Kinds of addresses whose cameras come and go; what is at a URL is known only when it is opened."""


class CameraDriver(PollingDriver[CameraReader]):
    """Webcams, video files and streams; its options are those of ``CameraSettings``."""

    name: ClassVar[str] = "camera"
    media: ClassVar[tuple[str, ...]] = MEDIA

    def __init__(
        self, options: Options, bus: CameraBus | None = None, decoder: Callable[[], SymbolDecoder] | None = None
    ) -> None:
        """Checks the options; ``bus`` finds cameras and ``decoder`` reads codes, unless a test brings its own.

        Raises:
            ConfigurationInvalid: an option cannot be used.
        """
        self._settings, self._addresses = parse_options(options)
        super().__init__(options, self._settings.look)
        self._bus = bus
        self._decoder = decoder
        self._places: dict[str, CameraPlace] = {}

    def survey(self) -> tuple[Sighting, ...]:
        """The cameras of the options, as the system lists them; none is opened.

        Raises:
            ToolMissing: as ``open``.
        """
        bus = self._bus or _opencv_bus(self._settings, self.find_holders)[0]
        if self._decoder is None:
            _zxing_decoder()
        return tuple(surveyed(bus, self._addresses, tuple(map(str, self._addresses)), obstacle))

    def examine(self, tell: Tell, seconds: float, reader: str = "") -> None:
        """Looks at the pictures of a camera.

        Raises:
            NoReader: there is none, or none of that name.
            ReaderBusy, ReaderUnavailable: it cannot be opened, or delivers nothing.
            ToolMissing: as ``open``.
        """
        bus = self._bus or _opencv_bus(self._settings, self.find_holders)[0]
        decoder = self._decoder or _zxing_decoder()[0]
        place = first_place(bus, self._addresses, reader)
        capture = bus.open(place)
        try:
            self.seen = examine(capture, place, decoder, tell, seconds)
        finally:
            capture.close()

    def open(self, emit: Emit) -> None:
        """Starts to look for cameras; none is opened.

        Raises:
            ToolMissing: OpenCV or zxing-cpp cannot be loaded.
        """
        version = ""
        if self._bus is None:
            self._bus, version = _opencv_bus(self._settings, self.find_holders)
        if self._decoder is None:
            self._decoder, note = _zxing_decoder()
            version = ", ".join(filter(None, (version, note)))
        self.begin(emit, Started(driver=self.name, media=self.media, version=version))

    def preview(self, command: Preview) -> None:
        """Gives pictures of what a camera sees while it is armed."""
        reader = self.reader(command.reader)
        if reader is not None:
            reader.order(command)

    def has_to_look(self) -> bool:
        """True if any camera may come or go."""
        return any(address.kind in _MOVING for address in self._addresses)

    def look(self) -> None:
        """Asks the bus where which camera is."""
        bus, decoder = self._bus, self._decoder
        if bus is None or decoder is None:
            return
        found: dict[str, CameraPlace] = {}
        for address in self._addresses:
            for place in bus.places(address):
                found.setdefault(place.id, place)
        for name, reader in tuple(self.readers.items()):
            now = found.get(name)
            if now != self._places.get(name) or (now is not None and reader.is_ill):
                reader.order(Found(now))
        self._places = found
        for place in found.values():
            make = partial(CameraReader, place, bus, decoder, self._settings, self.emit, self.reader_health)
            self.add(place.id, make)


def _opencv_bus(settings: CameraSettings, find_holders: FindHolders) -> tuple[CameraBus, str]:
    try:
        # Late, for it takes long, and needs native libraries, where this need not.
        from vitale_drivers.camera.opencv import VERSION, OpenCvBus  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise missing(error, "driver camera", extra="camera", library="cv2") from error
    return OpenCvBus(settings, find_holders), VERSION


def _zxing_decoder() -> tuple[Callable[[], SymbolDecoder], str]:
    """The decoder, and what is to be said of it.

    zbar is a library of the system, and may be missing.
    """
    try:
        from vitale_drivers.decoding import StreamDecoder, has_zbar  # noqa: PLC0415 - likewise
    except (ImportError, OSError) as error:
        raise missing(error, "driver camera", extra="camera", library="zxingcpp") from error
    return StreamDecoder, "" if has_zbar() else "zbar missing"
