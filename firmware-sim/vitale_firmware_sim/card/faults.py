"""Faults on demand: a wrapper around a card that fails in a chosen way, and the words that choose it.

=================  =======================================================================================
``mute``           no ATR: inserted the wrong way round, dirty or broken
``withdrawn@N``    taken out after N bytes of answers
``stuck``          never answers a command; ``stuck@N``: from the Nth command on (the first is 0)
``slow=MS``        each answer takes MS milliseconds
``hiccup=N``       the first N readings of a file answer 6F00, as first readings in the field do
``wrong-length``   each reading of a file gives one byte less than it says
``truncated-tlv``  each file begins with a data object that claims to be longer than the file
=================  =======================================================================================

Several are joined by commas: ``slow=20,withdrawn@37``.
"""

import threading
from dataclasses import dataclass, replace

from vitale_firmware_sim.card.card import VirtualCard
from vitale_firmware_sim.fault_words import FaultWord, fault_words
from vitale_protocol.errors import MediumRemoved

__all__ = ["NO_FAULTS", "Faults", "FaultyCard", "parse_faults"]

_READ_BINARY = 0xB0
_NO_PRECISE_DIAGNOSIS = b"\x6f\x00"


@dataclass(frozen=True, slots=True)
class Faults:
    """The chosen faults; see the table of this module.

    Attributes:
        mute: no ATR.
        withdrawn_after: bytes of answers after which the card leaves; None for never.
        stuck_from: the command, counted from 0, from which on nothing is answered; None for never.
        slow: seconds that each answer takes.
        hiccups: how many readings of a file fail before they work.
        wrong_length: whether readings lack their last byte.
        truncated_tlv: whether files claim to be longer than they are.
    """

    mute: bool = False
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
    faults = NO_FAULTS
    for word in fault_words(text):
        faults = _with(faults, word)
    return faults


def _with(faults: Faults, word: FaultWord) -> Faults:
    match word.kind:
        case "mute":
            return replace(faults, mute=True)
        case "withdrawn@":
            return replace(faults, withdrawn_after=word.number)
        case "stuck" | "stuck@":
            return replace(faults, stuck_from=word.number)
        case "slow=":
            return replace(faults, slow=word.number / 1000)
        case "hiccup=":
            return replace(faults, hiccups=word.number)
        case "wrong-length":
            return replace(faults, wrong_length=True)
        case "truncated-tlv":
            return replace(faults, truncated_tlv=True)
        case _:
            raise word.unknown


class FaultyCard:
    """A card with faults. One call at a time; ``release`` may come from any thread."""

    def __init__(self, card: VirtualCard, faults: Faults = NO_FAULTS) -> None:
        self._card = card
        self._faults = faults
        self._released = threading.Event()
        self._commands = 0
        self._given = 0
        self._hiccups = faults.hiccups

    def reset(self) -> bytes:
        """The card's ATR, or nothing from a mute card. Power comes first after an insertion: answers may wait again."""
        self._released.clear()
        return b"" if self._faults.mute else self._card.reset()

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
        answer = self._spoil(apdu, self._card.transmit(apdu))
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
