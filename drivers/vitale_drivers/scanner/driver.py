"""Driver ``scanner``: handheld imagers in serial mode, by pyserial. Here the parts are put together.

``settings`` are the options; ``ports`` finds and opens the ports, behind the interface of ``transport``. For each
imager ``reader`` is its thread. ``framing`` and ``aim_identifiers`` cut its bytes into scans, and ``scans`` decides
what becomes of them. ``passthrough`` writes the codes that are no patient's on to another program.
"""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from vitale_drivers.base import Emit, FindHolders, Options, Sighting, Started, Tell
from vitale_drivers.readers.discovery import PollingDriver
from vitale_drivers.readers.survey import first_place, surveyed
from vitale_drivers.scanner.device_examination import examine
from vitale_drivers.scanner.obstacles import obstacle
from vitale_drivers.scanner.passthrough import Passthrough, PseudoTerminalOutput
from vitale_drivers.scanner.reader import ScannerReader
from vitale_drivers.scanner.scans import MEDIA
from vitale_drivers.scanner.settings import PassthroughAddress, ScannerSettings, parse_options, parse_passthrough
from vitale_drivers.scanner.transport import ScannerBus
from vitale_protocol.extras import missing

__all__ = ["ScannerDriver"]


class ScannerDriver(PollingDriver[ScannerReader]):
    """Imagers; its options are those of ``ScannerSettings``."""

    name: ClassVar[str] = "scanner"
    media: ClassVar[tuple[str, ...]] = MEDIA

    def __init__(self, options: Options, bus: ScannerBus | None = None) -> None:
        """Checks the options; ``bus`` finds the imagers, unless a test brings another than pyserial's.

        Raises:
            ConfigurationInvalid: an option cannot be used.
        """
        self._settings, self._addresses, self._framing = parse_options(options)
        self._output = parse_passthrough(self._settings)
        self._passthrough: Passthrough | None = None
        super().__init__(options, self._settings.look)
        self._bus = bus

    def survey(self) -> tuple[Sighting, ...]:
        """The ports of the options, as the system lists them; none is opened.

        Raises:
            ToolMissing: pyserial is not installed.
        """
        bus = self._bus or _serial_bus(self._settings, self.find_holders)
        return tuple(surveyed(bus, self._addresses, self._settings.devices, obstacle))

    def examine(self, tell: Tell, seconds: float, reader: str = "") -> None:
        """Waits for one scan of an imager, and tells its bytes.

        Raises:
            NoReader: there is none, or none of that name.
            ReaderBusy, ReaderUnavailable: its port cannot be opened.
            PresentationTimeout: nothing came.
            ToolMissing: as ``open``.
        """
        bus = self._bus or _serial_bus(self._settings, self.find_holders)
        place = first_place(bus, self._addresses, reader)
        device = bus.open(place)
        try:
            examine(device, place, self._settings, tell, seconds)
        finally:
            device.close()

    def open(self, emit: Emit) -> None:
        """Starts to look for imagers.

        Raises:
            ToolMissing: pyserial is not installed.
            ConfigurationInvalid: the port for another program cannot be made.
        """
        if self._bus is None:
            self._bus = _serial_bus(self._settings, self.find_holders)
        self._passthrough = None if self._output is None else _passthrough(self._output)
        self.begin(emit, Started(driver=self.name, media=self.media, version=f"pyserial {version('pyserial')}"))

    def close(self) -> None:
        """Ends the threads of the imagers, and lets go of the port for another program."""
        super().close()
        if self._passthrough is not None:
            self._passthrough.close()

    def has_to_look(self) -> bool:
        """Always: an imager may come at any time."""
        return True

    def _pass_on(self, data: bytes) -> bool:
        return self._passthrough is not None and self._passthrough.pass_on(data)

    def look(self) -> None:
        """Searches for serial ports of imagers."""
        bus = self._bus
        if bus is None:
            return
        for address in self._addresses:
            for place in bus.places(address):
                make = partial(
                    ScannerReader,
                    place,
                    bus,
                    self._settings,
                    self._framing,
                    self._pass_on,
                    self.emit,
                    self.reader_health,
                )
                self.add(place.id, make)


def _passthrough(output: PassthroughAddress) -> Passthrough:
    if output.made:
        return Passthrough(PseudoTerminalOutput(Path(output.path)), output.suffix)
    from vitale_drivers.scanner.ports import PortOutput  # noqa: PLC0415 - only where it is needed

    return Passthrough(PortOutput(output.path, output.speed), output.suffix)


def _serial_bus(settings: ScannerSettings, find_holders: FindHolders) -> ScannerBus:
    try:
        from vitale_drivers.scanner.ports import SerialBus  # noqa: PLC0415 - only where it is needed
    except ImportError as error:
        raise missing(error, "driver scanner", extra="scanner", library="serial") from error
    return SerialBus(settings, find_holders)
