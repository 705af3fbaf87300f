"""Faults on demand of a contactless reader and of what lies on it, and the words that choose them.

====================  ============================================================================================
``tear@N``            the phone is gone after N bytes exchanged over the air, whatever is under way
``noise=N``           every Nth answer over the air is garbled (checksum error)
``collision``         several identifiers at once that the anticollision cannot tell apart
``slow=MS``           each answer takes MS milliseconds; the phone asks for more time (WTX) meanwhile
``endless-wtx``       the phone asks for more time for ever
``endless-chaining``  the phone's answer has no end
``giant=N``           each answer has N bytes
``short``             each answer is one byte, less than a status word
``wrong-length``      the ATS claims to be longer than it is, and blocks are longer than the reader allows
``mute``              the reader answers nothing to its host
``garble=N``          every Nth frame from reader to host has a wrong checksum
``preamble=N``        N zeros more before each frame from reader to host, as UM0701-02 §6.2.1.6 allows
``stray=N``           every Nth frame from reader to host has a stray byte before it
``slow-ack=MS``       commands are acknowledged after MS milliseconds
``split=MS``          frames from reader to host come in pieces, MS milliseconds apart
``twice=N``           every Nth acknowledgement is sent twice
====================  ============================================================================================

Several are joined by commas: ``slow=20,tear@37``. From ``mute`` on they are of the reader, the others of the phone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from vitale_firmware_sim.fault_words import FaultWord, with_faults

__all__ = ["NO_FAULTS", "NfcFaults", "parse_nfc_faults"]


@dataclass(frozen=True, slots=True)
class NfcFaults:
    """The chosen faults; see the table of this module.

    Attributes:
        tear_after: bytes over the air, both ways, after which the phone is gone; None for never.
        noise_every: every how many answers over the air one is garbled; 0 for none.
        collision: whether the anticollision fails.
        slow: seconds that each answer takes.
        endless_wtx: whether the phone asks for more time for ever.
        endless_chaining: whether answers have no end.
        giant: bytes of each answer; 0 for those of the card.
        short: whether answers are one byte.
        wrong_length: whether ATS and blocks have wrong lengths.
        mute: whether the reader answers nothing.
        garble_every: every how many frames to the host one is garbled; 0 for none.
        preamble: how many zeros more come before each frame.
        stray_every: every how many frames to the host a stray byte comes before one; 0 for none.
        slow_ack: seconds before an acknowledgement.
        split: seconds between the pieces of a frame; 0 for whole ones.
        twice_every: every how many acknowledgements one is sent twice; 0 for none.
    """

    tear_after: int | None = None
    noise_every: int = 0
    collision: bool = False
    slow: float = 0.0
    endless_wtx: bool = False
    endless_chaining: bool = False
    giant: int = 0
    short: bool = False
    wrong_length: bool = False
    mute: bool = False
    garble_every: int = 0
    preamble: int = 0
    stray_every: int = 0
    slow_ack: float = 0.0
    split: float = 0.0
    twice_every: int = 0


NO_FAULTS = NfcFaults()


def parse_nfc_faults(text: str) -> NfcFaults:
    """Reads the words of this module's table; the empty text is no fault.

    Raises:
        ConfigurationInvalid: a word is not in the table.
    """
    return with_faults(text, NO_FAULTS, _WORDS)


_WORDS: Mapping[str, Callable[[NfcFaults, FaultWord], NfcFaults]] = {
    "collision": lambda faults, _: replace(faults, collision=True),
    "endless-wtx": lambda faults, _: replace(faults, endless_wtx=True),
    "endless-chaining": lambda faults, _: replace(faults, endless_chaining=True),
    "short": lambda faults, _: replace(faults, short=True),
    "wrong-length": lambda faults, _: replace(faults, wrong_length=True),
    "mute": lambda faults, _: replace(faults, mute=True),
    "tear@": lambda faults, word: replace(faults, tear_after=word.number),
    "noise=": lambda faults, word: replace(faults, noise_every=word.number),
    "giant=": lambda faults, word: replace(faults, giant=word.number),
    "garble=": lambda faults, word: replace(faults, garble_every=word.number),
    "preamble=": lambda faults, word: replace(faults, preamble=word.number),
    "stray=": lambda faults, word: replace(faults, stray_every=word.number),
    "twice=": lambda faults, word: replace(faults, twice_every=word.number),
    "slow=": lambda faults, word: replace(faults, slow=word.number / 1000),
    "slow-ack=": lambda faults, word: replace(faults, slow_ack=word.number / 1000),
    "split=": lambda faults, word: replace(faults, split=word.number / 1000),
}
