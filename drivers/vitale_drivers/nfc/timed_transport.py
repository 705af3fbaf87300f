"""A reader whose calls are timed one by one.

A call that does not return is thus seen from another thread.
"""

from vitale_drivers.nfc.transport import NfcTarget, ReaderTransport
from vitale_drivers.readers.call_timer import CallTimer

__all__ = ["TimedTransport"]


class TimedTransport(ReaderTransport):
    """A transport whose calls a timer sees.

    Several calls in a row, each within its limit, are not one long one.
    """

    def __init__(self, transport: ReaderTransport, timer: CallTimer) -> None:
        self._transport = transport
        self._timer = timer
        self.simulated = transport.simulated

    def find(self) -> tuple[NfcTarget, ...]:
        """Looks what is in the field."""
        with self._timer.call():
            return self._transport.find()

    def choose(self, target: NfcTarget) -> None:
        """Makes one of several the one of the next calls."""
        self._transport.choose(target)

    def transmit(self, apdu: bytes, limit: float) -> bytes:
        """Exchanges one APDU, timed."""
        with self._timer.call():
            return self._transport.transmit(apdu, limit)

    def present(self) -> bool:
        """True if what was found is still there."""
        with self._timer.call():
            return self._transport.present()

    def quiet(self) -> None:
        """Turns the field off."""
        with self._timer.call():
            self._transport.quiet()

    def cancel(self) -> None:
        """Comes from another thread, and is not timed."""
        self._transport.cancel()

    def close(self) -> None:
        """Lets go of the reader."""
        with self._timer.call():
            self._transport.close()
