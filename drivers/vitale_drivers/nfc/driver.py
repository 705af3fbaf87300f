"""Driver ``nfc``: phones on NFC readers, by nfcpy. Here the parts are put together; each says its own rules.

``settings`` are the options. ``devices`` finds and opens the readers of the machine; ``pn53x`` and ``generic`` operate
them, behind the interface of ``transport``. For each reader ``reader`` is its thread, ``timed`` times its calls, and
``field`` handles the targets in its field.
"""

from functools import partial
from importlib.metadata import version
from typing import ClassVar

from vitale_drivers.base import Emit, FindHolders, Health, Options, Sighting, Started, Tell, Transmit, Transmitted
from vitale_drivers.nfc.device_examination import examine
from vitale_drivers.nfc.field import MEDIUM
from vitale_drivers.nfc.obstacles import obstacle
from vitale_drivers.nfc.reader import NfcReader
from vitale_drivers.nfc.settings import NfcAddress, parse_options
from vitale_drivers.nfc.transport import NfcBus
from vitale_drivers.readers.discovery import PollingDriver
from vitale_drivers.readers.survey import first_place, surveyed
from vitale_protocol.errors import ConfigurationInvalid, ReaderGone
from vitale_protocol.extras import missing
from vitale_protocol.problems import Problem

__all__ = ["NfcDriver"]

WITHOUT_PROFILE = Health(
    state="degraded",
    problem=Problem(ConfigurationInvalid.reason, detail="without a profile no phone can be read"),
)


class NfcDriver(PollingDriver[NfcReader]):
    """NFC readers; its options are those of ``NfcSettings``."""

    name: ClassVar[str] = "nfc"
    media: ClassVar[tuple[str, ...]] = (MEDIUM,)

    def __init__(self, options: Options, bus: NfcBus | None = None) -> None:
        """Checks the options; ``bus`` finds the readers, unless a test brings another than nfcpy's.

        Raises:
            ConfigurationInvalid: an option cannot be used.
        """
        self._settings, self._addresses, self._profiles = parse_options(options)
        super().__init__(options, self._settings.look, None if self._profiles else WITHOUT_PROFILE)
        self._bus = bus
        self._seen: set[NfcAddress] = set()

    def survey(self) -> tuple[Sighting, ...]:
        """The readers of the options, as the system lists them; none is opened.

        Raises:
            ToolMissing: nfcpy or libusb is not installed.
        """
        bus = self._bus or _nfcpy_bus(self.find_holders)
        return tuple(surveyed(bus, self._addresses, self._settings.devices, obstacle))

    def examine(self, tell: Tell, seconds: float, reader: str = "") -> None:
        """Waits for a phone on a reader, and tries it.

        Raises:
            NoReader: there is no reader, or none of that name.
            ReaderBusy, ReaderUnavailable: it cannot be opened.
            PresentationTimeout: nothing came.
            ToolMissing: as ``open``.
        """
        bus = self._bus or _nfcpy_bus(self.find_holders)
        place = first_place(bus, self._addresses, reader)
        device = bus.open(place)
        try:
            examine(device, place, self._profiles, self._settings, tell, seconds)
        finally:
            device.close()

    def open(self, emit: Emit) -> None:
        """Starts to look for readers.

        Raises:
            ToolMissing: nfcpy or libusb is not installed.
        """
        if self._bus is None:
            self._bus = _nfcpy_bus(self.find_holders)
        media = self.media if self._profiles else ()
        self.begin(emit, Started(driver=self.name, media=media, version=f"nfcpy {version('nfcpy')}"))

    def transmit(self, command: Transmit) -> None:
        """Passes raw APDUs; ``61xx`` and ``6Cxx`` are the caller's to handle."""
        reader = self.reader(command.reader)
        if reader is None:
            self.emit(Transmitted(id=command.id, responses=(), problem=Problem(ReaderGone.reason)))
        else:
            reader.order(command)

    def has_to_look(self) -> bool:
        """True if an address is left: one that stands for one reader is done with once that was seen."""
        return bool(self._open_addresses())

    def look(self) -> None:
        """Searches the bus for readers."""
        bus = self._bus
        if bus is None:
            return
        for address in self._open_addresses():
            for place in bus.places(address):
                self._seen.add(address)
                make = partial(NfcReader, place, bus, self._profiles, self._settings, self.emit, self.reader_health)
                self.add(place.id, make)

    def _open_addresses(self) -> list[NfcAddress]:
        return [address for address in self._addresses if address.kind == "usb" or address not in self._seen]


def _nfcpy_bus(find_holders: FindHolders) -> NfcBus:
    try:
        from vitale_drivers.nfc.devices import NfcpyBus  # noqa: PLC0415 - needs native libraries, where this need not
    except (ImportError, OSError) as error:
        raise missing(error, "driver nfc", extra="nfc", library="libusb-1.0") from error
    return NfcpyBus(find_holders)
