"""The field before a reader's antenna: what lies in it, power, and exchanges of frames with a time limit."""

import threading
from collections.abc import Callable
from typing import Protocol

from vitale_firmware_sim.pn532.card import RfAnswer, RfCard, TargetA, TargetB
from vitale_firmware_sim.pn532.faults import NO_FAULTS, NfcFaults
from vitale_protocol.errors import LocalMisuse

__all__ = ["CRC", "OVERFLOW", "TIMEOUT", "RfError", "RfField", "Wait"]

# UM0701-02 §7.1: the errors that an exchange over the air can end with.
TIMEOUT, CRC, OVERFLOW = 0x01, 0x02, 0x07
# What fits into a response to the host, after D5, the command's code and the status.
_FRAME_MAX = 262


class RfError(Exception):
    """An exchange failed; never leaves the firmware.

    Attributes:
        code: as the chip reports it, UM0701-02 §7.1.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"{code:02X}")
        self.code = code


class Wait(Protocol):
    """Wait of the firmware for a card."""

    def __call__(self, ready: Callable[[], bool], seconds: float | None) -> bool:
        """Returns True when ``ready()``, False after so many seconds; None waits without limit."""
        ...


class RfField:
    """Field with up to two targets; ``put`` and ``remove`` may come from any thread.

    Args:
        targets: what lies there from the start.
    """

    def __init__(self, *targets: TargetA | TargetB) -> None:
        self._lock = threading.RLock()
        self._on = False
        self._cards: tuple[RfCard, ...] = ()
        self._left = threading.Condition(self._lock)
        self._listener: Callable[[], None] = lambda: None
        for target in targets:
            self.put(target)

    # ── the hand ─────────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, target: TargetA | TargetB, faults: NfcFaults = NO_FAULTS) -> None:
        """Lays a target into the field.

        Args:
            target: a card of type A, or of type B when it has ``atqb``.
            faults: what is wrong with it this time.

        Raises:
            LocalMisuse: it lies there already, or a PN532 cannot tell a third one.
        """
        with self._lock:
            if len(self._cards) == 2 or target in self.targets:
                raise LocalMisuse("two different targets in the field at most")
            card = RfCard(target, faults, self._wake, self._torn)
            card.power(on=self._on)
            self._cards = (*self._cards, card)
        self._wake()

    def remove(self, target: TargetA | TargetB | None = None) -> None:
        """Takes a target, or all of them, out of the field, in the middle of whatever is under way."""
        with self._lock:
            for card in self._cards:
                if target is None or card.target is target:
                    card.take_away()
            self._torn()

    @property
    def targets(self) -> tuple[TargetA | TargetB, ...]:
        """Cards in the field now; a phone that withdrew itself is left out."""
        return tuple(card.target for card in self._cards)

    def wait_empty(self, timeout: float | None = None) -> bool:
        """Waits until nothing lies in the field.

        Args:
            timeout: seconds at most.
        """
        with self._left:
            return self._left.wait_for(lambda: not self._cards, timeout)

    # ── the reader ───────────────────────────────────────────────────────────────────────────────────────────────

    def listen(self, listener: Callable[[], None]) -> None:
        """Notifies a reader of each change, from the thread that makes it."""
        self._listener = listener

    @property
    def on(self) -> bool:
        """True if the antenna is powered."""
        return self._on

    def power(self, *, on: bool) -> None:
        """Turns the antenna on or off; a card without power forgets everything."""
        with self._lock:
            self._on = on
            for card in self._cards:
                card.power(on=on)

    @property
    def cards(self) -> tuple[RfCard, ...]:
        """The cards in the field."""
        return self._cards

    def exchange(self, card: RfCard | None, frame: bytes, seconds: float | None, wait: Wait) -> bytes:
        """Sends a frame and gives the answer.

        Args:
            card: the one that listens; None sends into the void.
            frame: without CRC.
            seconds: for which the chip listens; None without limit.
            wait: how to wait.

        Raises:
            RfError: nothing came, or not a whole frame.
        """
        answer = RfAnswer(b"")
        if card is not None:
            answer = card.receive(frame)
            if card.busy:
                answer = _patiently(card, seconds, wait)
        if not answer.data:
            wait(lambda: False, seconds)
            raise RfError(TIMEOUT)
        if answer.garbled:
            raise RfError(CRC)
        if len(answer.data) > _FRAME_MAX:
            raise RfError(OVERFLOW)
        return answer.data

    def _wake(self) -> None:
        self._listener()

    def _torn(self) -> None:
        with self._left:
            self._cards = tuple(card for card in self._cards if not card.gone)
            self._left.notify_all()
        self._wake()


def _patiently(card: RfCard, seconds: float | None, wait: Wait) -> RfAnswer:
    """Waits for a card at work: it answers, asks for more time, or misses its frame waiting time."""
    if seconds is not None and seconds <= card.patience:
        if not wait(card.done, seconds):
            raise RfError(TIMEOUT)
        return card.finish()
    return card.finish() if wait(card.done, card.patience) else card.extend()
