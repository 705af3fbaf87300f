"""Getting at a card: connection, transaction, and what to try again; never exclusive, and no longer than needed."""

import logging
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from vitale_drivers.base import Report
from vitale_drivers.cards.channel import Channel
from vitale_drivers.cards.tasks import Task
from vitale_drivers.pcsc.api import CardReset, ExchangeFailed, Pcsc, PcscCard, PcscContext
from vitale_drivers.pcsc.state import ReaderState
from vitale_protocol.errors import (
    MediumMute,
    MediumRemoved,
    MediumUnreadable,
    ReaderBusy,
    ReaderGone,
    ReaderUnavailable,
    VitaleError,
)

__all__ = [
    "FIRST_PAUSE",
    "LAST_PAUSE",
    "POWER_RETRY_DELAYS",
    "PROBES",
    "SETTLE",
    "TRIES",
    "CardAccess",
    "ReaderControl",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT = "SCardConnect"

TRIES = 3
CONNECT_RETRY_DELAYS: tuple[float, ...] = (0.03, 0.12)
"""Of a task whose exchange failed or whose card was reset, and the seconds before each but the first; reading scripts
try again by themselves on bad answers."""

POWER_RETRY_DELAYS: tuple[float, ...] = (0.1, 0.3)
"""Seconds before a card that gives no answer to reset is powered anew: dirty or half inserted ones give it then."""

SETTLE = 0.7
"""Seconds after a failure for the service to notice a removal: it looks at serial readers every 0.4 s only."""

FIRST_PAUSE, LAST_PAUSE = 0.02, 0.5
"""Seconds between attempts while a program has the card for itself alone; a change of its state ends them early."""

PROBES: tuple[float, ...] = (0.1, 0.2, 0.4, 0.4)
"""Seconds before each look into a reader in doubt: soon for who waits, the last when the service has looked itself."""


class ReaderControl(Protocol):
    """The reader, as whoever works with its cards sees it."""

    @property
    def mute(self) -> bool:
        """True if PC/SC last said that the card gives no answer to reset."""
        ...

    def grant(self, task: Task) -> bool:
        """Tells that the transaction was obtained; returns whether the task still wants it."""
        ...

    def finish(self, task: Task, report: Report) -> None:
        """Reports what came of a task, unless that was done before."""
        ...

    def pause(self, seconds: float) -> None:
        """Waits, at most until the state of the reader changes."""
        ...

    def leaves(self, task: Task, within: float) -> bool:
        """Waits until the card of a task is known to have left; True if that came about in time."""
        ...

    def doubt(self, within: float) -> ReaderState | None:
        """Waits for doubts to end, and returns the state that is in doubt if they did not."""
        ...

    def look(self) -> None:
        """Requests the state of the reader."""
        ...

    def observe(self, state: ReaderState) -> None:
        """Takes what PC/SC says of the reader now."""
        ...


class CardAccess:
    """The way to the cards in one reader, for one thread."""

    def __init__(self, name: str, pcsc: Pcsc, control: ReaderControl) -> None:
        self._name = name
        self._pcsc = pcsc
        self._control = control
        self._context: PcscContext | None = None
        self._operation: tuple[str, float] | None = None

    def stuck(self, limit: float) -> str:
        """Names the operation on a card that has lasted longer than ``limit`` seconds; else empty.

        A connection waits for others without a limit, and is none of them.
        """
        operation = self._operation
        late = operation is not None and operation[0] != CONNECT and time.monotonic() - operation[1] > limit
        return operation[0] if operation is not None and late else ""

    def waits(self, limit: float) -> bool:
        """True if a connection waits for a program that uses the card, or lasts longer than powering one may.

        It is asked with a context of its own, since that of the connection is occupied; any thread may.
        """
        operation = self._operation
        if operation is None or operation[0] != CONNECT:
            return False
        return time.monotonic() - operation[1] > limit or self._in_use()

    def _in_use(self) -> bool:
        try:
            context = self._pcsc.establish()
        except ReaderUnavailable:
            return False  # the connection fails as well, and says so
        try:
            # From nothing known: PC/SC signals no change when a program connects, and tells it only if asked anew.
            (state,) = context.wait((ReaderState(self._name),), 0)
        except (ReaderGone, ReaderUnavailable):
            return False
        finally:
            context.release()
        return state.in_use

    def perform(self, task: Task) -> None:
        """Does a task, or reports why not."""
        tries, pause, power = 1, FIRST_PAUSE, iter(POWER_RETRY_DELAYS)
        while not task.ended:
            try:
                self._attempt(task)
            except ReaderBusy:
                task.blocked = True
                self._control.pause(pause)
                pause = min(2 * pause, LAST_PAUSE)
            except (CardReset, ExchangeFailed, ReaderUnavailable) as error:
                logger.info("%s: attempt %d: %s", self._name, tries, error.detail)
                tries, task.blocked = tries + 1, False
                if tries > TRIES:
                    self._control.finish(task, task.failed(_last_word(error)))
                else:
                    self._control.pause(CONNECT_RETRY_DELAYS[tries - 2])
            except (MediumMute, MediumRemoved) as error:
                task.blocked = False
                if isinstance(error, MediumMute) and not task.granted and (rest := next(power, 0.0)):
                    logger.info("%s: no answer to reset; powered again", self._name)
                    if not self._control.leaves(task, rest):
                        continue
                # A card torn out amid an exchange is mute at first. And the reader is shown as empty before the failure
                # is told: who asks again at once is to wait for the next card.
                removed = MediumRemoved(error.detail)
                self._control.finish(task, task.failed(removed if self._control.leaves(task, SETTLE) else error))
            except VitaleError as error:
                self._control.finish(task, task.failed(error))

    def reconcile(self) -> None:
        """Looks into a reader whose emptiness is in doubt.

        It looks a few times, until it is certain or a card is found.
        """
        for pause in PROBES:
            state = self._control.doubt(pause)
            if state is None:
                return
            try:
                self._rouse(state)
            except (ReaderGone, ReaderUnavailable):
                self.close()
            except VitaleError as error:
                logger.debug("%s: is it empty? %s", self._name, error.detail)
            self._control.look()

    def close(self) -> None:
        """Gives up the context."""
        if self._context is not None:
            self._context.release()
            self._context = None

    def _attempt(self, task: Task) -> None:
        try:
            # Connecting and beginning both wait while another program has a transaction; connecting powers, too.
            card = self._timed(CONNECT, self._connect)
            try:
                task.blocked = True
                card.begin()
                task.blocked = False  # what lasts from here on is ours: the service may take its time for each step
                self._refresh()
                if task.reads and self._control.mute:
                    raise MediumMute("the card gives no whole answer to reset")
                if self._control.grant(task):
                    self._work(task, card)
            finally:
                # An exclusive user leaves the card to the others as if it had just been put in; one that gave no whole
                # answer may give it then.
                reset = self._control.mute if task.reads else task.lease is not None and task.granted
                card.release(reset=reset)
        except (ReaderGone, ReaderUnavailable):
            self.close()  # a context whose service went answers with errors for ever
            raise

    def _connect(self) -> PcscCard:
        return self._established().connect(self._name)

    def _refresh(self) -> None:
        """Has what PC/SC says looked at anew where it called the card mute.

        Being connected, the card was powered again.
        """
        if self._control.mute:
            (state,) = self._established().wait((ReaderState(self._name),), 0)
            self._control.observe(state)

    def _rouse(self, known: ReaderState) -> None:
        context = self._established()
        (now,) = context.wait((known,), 0)
        # A card that the service knows of may be in use, and is not to be powered anew.
        if not now.present and now.count == known.count:
            self._timed("SCardReconnect", lambda: context.rouse(self._name))

    def _established(self) -> PcscContext:
        if self._context is None:
            self._context = self._pcsc.establish()
        return self._context

    def _work(self, task: Task, card: PcscCard) -> None:
        def transmit(apdu: bytes) -> bytes:
            return self._timed("SCardTransmit", lambda: card.transmit(apdu))

        def rest(seconds: float) -> None:
            if self._control.leaves(task, seconds):
                raise MediumRemoved("the card left while it was given time")

        def reset() -> None:
            self._timed("SCardReconnect", card.reset)

        channel = Channel(transmit, t0=card.t0, rest=rest, reset=reset, keep=card.keep)
        try:
            # Reported before the card is released, which some services take their time for.
            self._control.finish(task, task.run(channel))
        except ExchangeFailed:
            # The card is somewhere amid an exchange: no program can go on with it before a reset.
            try:
                self._timed("SCardReconnect", card.reset)
            except ExchangeFailed as error:
                raise MediumMute(error.detail) from error
            raise

    def _timed(self, operation: str, call: Callable[[], T]) -> T:
        self._operation = (operation, time.monotonic())
        try:
            return call()
        finally:
            self._operation = None


def _last_word(error: VitaleError) -> VitaleError:
    return error if isinstance(error, ReaderUnavailable) else MediumUnreadable(error.detail)
