"""A reader whose calls are timed one by one, so that one that does not return is seen from another thread."""

from vitale_drivers.nfc.transport import Link, Target
from vitale_drivers.readers.call_timer import CallTimer

__all__ = ["TimedLink"]


class TimedLink(Link):
    """A link whose calls a timer sees; several in a row, each within its limit, are not one long one."""

    def __init__(self, link: Link, timer: CallTimer) -> None:
        self._link = link
        self._timer = timer
        self.simulated = link.simulated

    def find(self) -> tuple[Target, ...]:
        """Looks what is in the field."""
        with self._timer.call():
            return self._link.find()

    def transmit(self, apdu: bytes, limit: float) -> bytes:
        """Exchanges one APDU, timed."""
        with self._timer.call():
            return self._link.transmit(apdu, limit)

    def present(self) -> bool:
        """True if what was found is still there."""
        with self._timer.call():
            return self._link.present()

    def quiet(self) -> None:
        """Turns the field off."""
        with self._timer.call():
            self._link.quiet()

    def cancel(self) -> None:
        """Comes from another thread, and is not timed."""
        self._link.cancel()

    def close(self) -> None:
        """Lets go of the reader."""
        with self._timer.call():
            self._link.close()
