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
====================  ============================================================================================

Several are joined by commas: ``slow=20,tear@37``. ``mute`` and ``garble`` are of the reader, the others of the phone.
"""

from dataclasses import dataclass, replace

from vitale_firmware_sim.fault_words import FaultWord, fault_words

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


NO_FAULTS = NfcFaults()

_FLAGS = {
    word: word.replace("-", "_")
    for word in ("collision", "endless-wtx", "endless-chaining", "short", "wrong-length", "mute")
}


def parse_nfc_faults(text: str) -> NfcFaults:
    """Reads the words of this module's table; the empty text is no fault.

    Raises:
        ConfigurationInvalid: a word is not in the table.
    """
    faults = NO_FAULTS
    for word in fault_words(text):
        faults = _with(faults, word)
    return faults


def _with(faults: NfcFaults, word: FaultWord) -> NfcFaults:
    if word.kind in _FLAGS:
        return replace(faults, **{_FLAGS[word.kind]: True})
    match word.kind:
        case "tear@":
            return replace(faults, tear_after=word.number)
        case "noise=":
            return replace(faults, noise_every=word.number)
        case "slow=":
            return replace(faults, slow=word.number / 1000)
        case "giant=":
            return replace(faults, giant=word.number)
        case "garble=":
            return replace(faults, garble_every=word.number)
        case _:
            raise word.unknown
