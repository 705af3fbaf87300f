"""Both sides of a pairing while it goes on: the page that waits to be accepted, and the person who is asked to type."""

import asyncio
from typing import TypeVar

from vitale_protocol.errors import NotAuthenticated, PairingFailed, VitaleError
from vitale_protocol.methods import PairingRevealed
from vitale_reader.daemon.web.pairing_window import SECONDS, Held, PairingWindow

__all__ = ["PairingDesk"]

T = TypeVar("T")


class PairingDesk:
    """The window, and who waits for what becomes of it.

    Attributes:
        window: its state.
    """

    def __init__(self, jkt_station: str) -> None:
        self.window = PairingWindow(jkt_station)
        self._asked: asyncio.Future[Held] | None = None
        self._outcome: asyncio.Future[PairingRevealed] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Opens a window; whoever waited for one before is told that it is gone."""
        self.end(PairingFailed("the window was opened anew"))
        loop = asyncio.get_running_loop()
        self.window.open(loop.time())
        self._asked, self._outcome = loop.create_future(), loop.create_future()
        self._timer = loop.call_later(SECONDS, self.end, PairingFailed("the window closed after its time"))

    def lets_in(self, site: str, at: float) -> bool:
        """True if a page that nobody has paired may come now; one that may not is noted.

        Args:
            site: the web origin that the browser named.
            at: seconds since the epoch.
        """
        if self.window.is_open(asyncio.get_running_loop().time()):
            return True
        self.window.attempted(site, at)
        return False

    async def asked(self) -> Held:
        """The page that shows its code.

        Raises:
            PairingFailed: no window is open, or it closes before.
        """
        if self._asked is None:
            raise PairingFailed("no window is open")
        return await _shared(self._asked)

    async def shown(self, held: Held) -> PairingRevealed:
        """A page shows its code: how its pairing ends.

        Raises:
            NotAuthenticated: the page is not paired.
        """
        if self._asked is None or self._outcome is None:
            raise NotAuthenticated("no window is open")
        self._asked.set_result(held)
        try:
            return await _shared(self._outcome)
        except VitaleError as error:
            raise NotAuthenticated("the page was not paired") from error

    def paired(self, revealed: PairingRevealed) -> None:
        """The page is paired, and the window has served."""
        if self._outcome is not None:
            self._outcome.set_result(revealed)
        self.end(PairingFailed("a page was paired"))

    def left(self, owner: int) -> None:
        """A connection is gone, whosever it was."""
        if self.window.left(owner):
            self.end(PairingFailed("the page left"))

    def end(self, why: VitaleError) -> None:
        """Closes the window, if there is one; whoever waits for something of it is told why."""
        self.window.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waited in (self._asked, self._outcome):
            if waited is not None and not waited.done():
                waited.set_exception(why)
                waited.exception()  # nobody has to wait for it
        self._asked = self._outcome = None


async def _shared(future: "asyncio.Future[T]") -> T:
    """The result, for several who wait: one that goes away takes it from nobody else."""
    return await asyncio.shield(future)
