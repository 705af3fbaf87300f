"""One NFC reader: what its thread does with the device while it is open.

Orders from other threads wait in a queue. The thread alone touches the reader, its field and its presence, and it alone
reports. While nobody is to be read, it sleeps.
"""

import time
from collections import deque

from vitale_drivers.base import Arm, Disarm, Emit, Transmit
from vitale_drivers.cards.tasks import Task, transmission
from vitale_drivers.nfc.field import MEDIUM, NfcField
from vitale_drivers.nfc.settings import NfcSettings
from vitale_drivers.nfc.timed_transport import TimedTransport
from vitale_drivers.nfc.transport import NfcBus, NfcPlace, ReaderTransport
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.lifecycle import PluggedReader
from vitale_drivers.readers.presence import Presence
from vitale_protocol.errors import ReaderError, ReaderGone
from vitale_protocol.events import Reader
from vitale_protocol.media.apcv_profile import Profile

__all__ = ["NfcReader"]

Order = Arm | Disarm | Transmit

_MEDIA = frozenset({MEDIUM})


class NfcReader(PluggedReader[Order, NfcPlace, ReaderTransport]):
    """An NFC reader, from ``start`` to ``end``."""

    def __init__(
        self,
        place: NfcPlace,
        bus: NfcBus,
        profiles: tuple[Profile, ...],
        settings: NfcSettings,
        emit: Emit,
        reader_health: HealthOfReaders,
    ) -> None:
        """Stores; nothing is touched."""
        media = (MEDIUM,) if profiles else ()
        reader = Reader(
            id=place.id, name=place.name, driver="nfc", media=media, state="empty", simulated=place.simulated
        )
        super().__init__(place, bus, reader, settings.look, emit, reader_health)
        self._profiles = profiles
        self._settings = settings
        self._tasks: deque[Task] = deque()
        self._presence = Presence(place.id)

    @property
    def wanted(self) -> bool:
        """True if a request waits for a tap here."""
        return self._presence.wanted(time.monotonic(), _MEDIA)

    def serve(self, device: ReaderTransport) -> None:
        """Works the field until the reader is to end.

        Raises:
            ReaderError: the reader does not answer any more, or is gone.
        """
        self.status.well(self.reader)
        transport = TimedTransport(device, self.timer)
        field = NfcField(transport, self.reader, self._presence, self._profiles, self._settings, self.status.report)
        try:
            while not self.closed:
                self._take_orders()
                field.perform(self._tasks)
                self.rest(self._still_there(field.step()))
        finally:
            field.leave()

    def abandon(self, error: ReaderError) -> bool:
        """Answers the exchanges that came for the reader meanwhile."""
        armed = any(isinstance(order, Arm) for order in self.orders)
        self._take_orders()
        while self._tasks:
            self.emit(self._tasks.popleft().failed(error))
        return armed

    def _still_there(self, pause: float | None) -> float:
        """A reader that is at rest says nothing when it is unplugged; it is looked for instead."""
        if pause is not None:
            return pause
        if not self.is_there():
            raise ReaderGone("the reader was unplugged")
        return self._settings.look

    def _take_orders(self) -> None:
        while self.orders:
            match self.orders.popleft():
                case Arm() as order:
                    self._presence.arm(order)
                case Disarm():
                    self._presence.disarm()
                case Transmit() as order:
                    self._tasks.append(transmission(self._presence.number, order))
