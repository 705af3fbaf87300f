"""Both sides of a running pairing: the page that waits, and the person who is asked to type."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from vitale_protocol.errors import NotAuthenticated, PairingFailed, VitaleError
from vitale_protocol.methods import PairingRevealed
from vitale_reader.daemon.web.pairing_window import SECONDS, HoldingPage, PairingWindow

__all__ = ["Accepting", "PairingDesk"]

T = TypeVar("T")


@dataclass
class Accepting:
    """A page whose code was typed.

    Attributes:
        held: what it asked.
        revealed: what it is told, once it is paired.
    """

    held: HoldingPage
    revealed: PairingRevealed | None = None


class PairingDesk:
    """The window, and who waits for what becomes of it.

    Attributes:
        window: its state.
    """

    def __init__(self, jkt_station: str) -> None:
        self.window = PairingWindow(jkt_station)
        self._asked: asyncio.Future[HoldingPage] | None = None
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

    async def asked(self) -> HoldingPage:
        """The page that shows its code.

        Raises:
            PairingFailed: no window is open, or it closes before.
        """
        if self._asked is None:
            raise PairingFailed("no window is open")
        return await _shared(self._asked)

    async def shown(self, held: HoldingPage) -> PairingRevealed:
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

    @contextmanager
    def accepting(self, typed: str) -> Generator["Accepting"]:
        """The page whose code was typed, while it is entered among the clients; it learns how that ended.

        The window has served, and another may be opened meanwhile: what becomes of this page is its own.

        Raises:
            PairingFailed: there is no window, no page shows a code yet, or it is another code.
        """
        try:
            held = self.window.accept(typed, asyncio.get_running_loop().time())
        except PairingFailed as error:
            if not error.variant:  # else the window goes on, with one more try
                self.end(error)
            raise
        outcome, self._outcome = self._outcome, None
        self.end(PairingFailed("a page was paired"))
        accepting = Accepting(held=held)
        broken: VitaleError = PairingFailed("the pairing was broken off")
        try:
            yield accepting
        except VitaleError as error:
            broken = error
            raise
        finally:
            _settle(outcome, accepting.revealed or broken)

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
        _settle(self._asked, why)
        _settle(self._outcome, why)
        self._asked = self._outcome = None


def _settle(waited: "asyncio.Future[T] | None", how: "T | VitaleError") -> None:
    """Tells those who wait, where nobody has yet."""
    if waited is None or waited.done():
        return
    if isinstance(how, VitaleError):
        waited.set_exception(how)
        waited.exception()  # nobody has to wait for it
    else:
        waited.set_result(how)


async def _shared(future: "asyncio.Future[T]") -> T:
    """The result, for several who wait: one that goes away takes it from nobody else."""
    return await asyncio.shield(future)
