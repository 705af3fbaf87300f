"""Faults on demand: a wrapper around a card that fails in a chosen way, and the words for it.

=================  =======================================================================================
``mute``           no ATR: inserted the wrong way round, dirty or broken; ``mute=N``: at the first N power-ups
``waking=MS``      6F00 to everything for the first MS milliseconds after the card is put in
``late-le=MS``     6Cxx, and a refusal of what is asked for anew within MS milliseconds of it
``deselected=N``   the selection is lost before each of the first N readings in an application: the root answers
``strict-le``     a reading with Le = 00 is refused with 6700
``withdrawn@N``    taken out after N bytes of answers
``stuck``          never answers a command; ``stuck@N``: from the Nth command on (the first is 0)
``slow=MS``        each answer takes MS milliseconds
``hiccup=N``       the first N readings of a file answer 6F00, as first readings in the field do
``wrong-length``   each reading of a file gives one byte less than it says
``truncated-tlv``  each file begins with a data object that claims to be longer than the file
=================  =======================================================================================

Several are joined by commas: ``slow=20,withdrawn@37``.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from vitale_firmware_sim.card.card import VirtualCard
from vitale_firmware_sim.fault_words import FaultWord, with_faults
from vitale_protocol.errors import MediumRemoved

__all__ = ["NO_FAULTS", "Faults", "FaultyCard", "parse_faults"]

_SELECT, _BY_NAME = 0xA4, 0x04
_READ_BINARY = 0xB0
_WRONG_LE = 0x6C
_WRONG_LENGTH = b"\x67\x00"
_WRONG_NC = b"\x6a\x87"
_NO_PRECISE_DIAGNOSIS = b"\x6f\x00"


@dataclass(frozen=True, slots=True)
class Faults:
    """The chosen faults; see the table of this module.

    Attributes:
        mute: how many times there is no ATR; None for always.
        waking: seconds from the insertion for which nothing works.
        late_le: seconds after 6Cxx for which a repetition is refused.
        deselected: how many times the selection of an application is lost.
        strict_le: whether Le = 00 is refused.
        withdrawn_after: bytes of answers after which the card leaves; None for never.
        stuck_from: the command, counted from 0, from which on nothing is answered; None for never.
        slow: seconds that each answer takes.
        hiccups: how many readings of a file fail before they work.
        wrong_length: whether readings lack their last byte.
        truncated_tlv: whether files claim to be longer than they are.
    """

    mute: int | None = 0
    waking: float = 0.0
    late_le: float = 0.0
    deselected: int = 0
    strict_le: bool = False
    withdrawn_after: int | None = None
    stuck_from: int | None = None
    slow: float = 0.0
    hiccups: int = 0
    wrong_length: bool = False
    truncated_tlv: bool = False


NO_FAULTS = Faults()


def parse_faults(text: str) -> Faults:
    """Reads the words of this module's table; the empty text is no fault.

    Raises:
        ConfigurationInvalid: a word is not in the table.
    """
    return with_faults(text, NO_FAULTS, _WORDS)


_WORDS: Mapping[str, Callable[[Faults, FaultWord], Faults]] = {
    "mute": lambda faults, _: replace(faults, mute=None),
    "wrong-length": lambda faults, _: replace(faults, wrong_length=True),
    "truncated-tlv": lambda faults, _: replace(faults, truncated_tlv=True),
    "strict-le": lambda faults, _: replace(faults, strict_le=True),
    "withdrawn@": lambda faults, word: replace(faults, withdrawn_after=word.number),
    "stuck@": lambda faults, word: replace(faults, stuck_from=word.number),
    "stuck": lambda faults, word: replace(faults, stuck_from=word.number),
    "hiccup=": lambda faults, word: replace(faults, hiccups=word.number),
    "mute=": lambda faults, word: replace(faults, mute=word.number),
    "deselected=": lambda faults, word: replace(faults, deselected=word.number),
    "slow=": lambda faults, word: replace(faults, slow=word.number / 1000),
    "waking=": lambda faults, word: replace(faults, waking=word.number / 1000),
    "late-le=": lambda faults, word: replace(faults, late_le=word.number / 1000),
}


class FaultyCard:
    """A card with faults. One call at a time; ``release`` may come from any thread."""

    def __init__(
        self, card: VirtualCard, faults: Faults = NO_FAULTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._card = card
        self._clock = clock
        self._powered = 0
        self._awake_at: float | None = None
        self._named_le_at = -math.inf
        self._deselections = faults.deselected
        self._in_application = False
        self._faults = faults
        self._released = threading.Event()
        self._commands = 0
        self._given = 0
        self._hiccups = faults.hiccups

    def reset(self) -> bytes:
        """The card's ATR, or nothing from a mute card. Power comes first after an insertion: answers may wait again."""
        self._released.clear()
        self._in_application = False
        self._powered += 1
        if self._faults.mute is None or self._powered <= self._faults.mute:
            return b""
        if self._awake_at is None:
            self._awake_at = self._clock() + self._faults.waking
        return self._card.reset()

    def release(self) -> None:
        """Ends the wait of a slow or stuck answer, which then raises ``MediumRemoved``."""
        self._released.set()
        self._card.release()

    def transmit(self, apdu: bytes) -> bytes:
        """The card's answer, spoilt as chosen.

        Raises:
            MediumRemoved: the card was withdrawn, or let go of while it was kept waiting.
        """
        self._delay()
        answer = self._refusal(apdu) or self._spoil(apdu, self._card.transmit(apdu))
        if answer[0] == _WRONG_LE:
            self._named_le_at = self._clock()
        self._given += len(answer)
        limit = self._faults.withdrawn_after
        if limit is not None and self._given > limit:
            raise MediumRemoved("the simulated card was withdrawn")
        return answer

    def _delay(self) -> None:
        stuck = self._faults.stuck_from is not None and self._commands >= self._faults.stuck_from
        self._commands += 1
        if (stuck or self._faults.slow) and self._released.wait(None if stuck else self._faults.slow):
            raise MediumRemoved("the simulated card was taken out while it was slow to answer")

    def _refusal(self, apdu: bytes) -> bytes:
        """Answer of a fault in place of the card's own; empty if the command reaches the card."""
        if self._awake_at is not None and self._clock() < self._awake_at:
            return _NO_PRECISE_DIAGNOSIS
        late, self._named_le_at = self._clock() - self._named_le_at < self._faults.late_le, -math.inf
        if late:
            return _WRONG_NC
        if len(apdu) < 5:
            return b""
        if apdu[1] == _READ_BINARY:
            if self._faults.strict_le and apdu[4] == 0:
                return _WRONG_LENGTH
            if self._in_application and self._deselections:
                self._deselections -= 1
                self._card.reset()
        elif apdu[1] == _SELECT:
            self._in_application = apdu[2] == _BY_NAME
        return b""

    def _spoil(self, apdu: bytes, answer: bytes) -> bytes:
        if len(apdu) < 4 or apdu[1] != _READ_BINARY or len(answer) == 2:
            return answer
        if self._hiccups:
            self._hiccups -= 1
            return _NO_PRECISE_DIAGNOSIS
        data, status = answer[:-2], answer[-2:]
        # The first reading of a file is the one at offset 0: P2, and P1 unless that carries a short file identifier.
        if self._faults.truncated_tlv and apdu[3] == 0 and (apdu[2] == 0 or apdu[2] & 0x80):
            data = data[:1] + b"\x82\xff\xff" + data[4:]
        if self._faults.wrong_length:
            data = data[:-1]
        return data + status
