"""Behaviour and faults on demand of a handheld imager, and the words that choose the faults.

===============  =================================================================================================
``tear@N``       the imager is unplugged after N bytes of its next scan
``split=N``      it sends pieces of N bytes, each one a read of its own at the other end
``drop-gs``      it leaves out GS, RS and US, as those do that were set up for shop counters
``no-suffix``    it sends nothing after a scan
``endless``      its next scan never ends: letters, until it is unplugged
``misread=BAUD`` it speaks at its own speed, and the host listens at BAUD
===============  =================================================================================================

Several are joined by commas: ``split=3,drop-gs``.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from vitale_firmware_sim.fault_words import FaultWord, fault_words

__all__ = ["IDENTIFIERS", "NO_FAULTS", "Behaviour", "ImagerFaults", "framed", "misread", "parse_imager_faults"]

IDENTIFIERS: Final = {
    "qr": b"]Q1",
    "datamatrix": b"]d1",
    "gs1-datamatrix": b"]d2",
    "aztec": b"]z0",
    "pdf417": b"]L0",
    "code128": b"]C0",
    "gs1-128": b"]C1",
    "code39": b"]A0",
    "ean": b"]E0",
}
"""AIM identifiers (ISO/IEC 15424) as imagers send them."""

_SEPARATORS = bytes((0x1D, 0x1E, 0x1F))
_SENT_AT: Final = 9600


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Configuration of an imager, with its faults.

    Attributes:
        prefix: what it sends before each scan.
        suffix: what it sends after each scan; factory settings are CR or CR LF, and of some makes nothing.
        aim: whether it tells the symbology.
    """

    prefix: bytes = b""
    suffix: bytes = b"\r"
    aim: bool = False


@dataclass(frozen=True, slots=True)
class ImagerFaults:
    """The chosen faults; see the table of this module.

    Attributes:
        tear_after: bytes of the next scan after which it is unplugged; None for never.
        split: bytes of a piece; 0 for as many as fit into a USB packet.
        drop_separators: whether GS, RS and US are left out.
        no_suffix: whether nothing is sent after a scan.
        endless: whether the next scan never ends.
        heard_at: bits a second at which the host listens; 0 for the same as the imager.
    """

    tear_after: int | None = None
    split: int = 0
    drop_separators: bool = False
    no_suffix: bool = False
    endless: bool = False
    heard_at: int = 0


NO_FAULTS = ImagerFaults()


def framed(data: bytes, symbology: str, behaviour: Behaviour, faults: ImagerFaults = NO_FAULTS) -> bytes:
    """Returns the bytes that an imager sends for a code.

    Args:
        data: the content of the code.
        symbology: a word of ``IDENTIFIERS``.
        behaviour: how it is set up.
        faults: its faults, as far as they change what it sends.
    """
    if faults.drop_separators:
        data = data.translate(None, _SEPARATORS)
    identifier = IDENTIFIERS[symbology] if behaviour.aim else b""
    line = behaviour.prefix + identifier + data + (b"" if faults.no_suffix else behaviour.suffix)
    return misread(line, _SENT_AT, faults.heard_at) if faults.heard_at else line


def misread(data: bytes, sent: int, heard: int) -> bytes:
    """Returns the bytes (8N1) as a UART reads them that listens at another speed.

    It waits for the line to fall, and looks at the middle of each of the ten bits that it expects from there.
    """
    levels = [bit for byte in data for bit in (0, *((byte >> place) & 1 for place in range(8)), 1)]
    # Idle before and after: the line is high.
    levels = [1, *levels, *[1] * 12]
    falls = [at for at, (before, after) in enumerate(pairwise(levels), 1) if before and not after]
    step = sent / heard
    found, free = bytearray(), 0.0
    for fall in falls:
        if fall < free:
            continue
        samples = [_level(levels, fall + (place + 0.5) * step) for place in range(10)]
        found.append(sum(bit << place for place, bit in enumerate(samples[1:9])))
        free = fall + 9.5 * step
    return bytes(found)


def _level(levels: list[int], instant: float) -> int:
    at = int(instant)
    return levels[at] if at < len(levels) else 1


_FLAGS = {"drop-gs": "drop_separators", "no-suffix": "no_suffix", "endless": "endless"}


def parse_imager_faults(text: str) -> ImagerFaults:
    """Reads the words of this module's table; the empty text is no fault.

    Raises:
        ConfigurationInvalid: a word is not in the table.
    """
    faults = NO_FAULTS
    for word in fault_words(text):
        faults = _with(faults, word)
    return faults


def _with(faults: ImagerFaults, word: FaultWord) -> ImagerFaults:
    match word.kind, word.number:
        case kind, _ if kind in _FLAGS:
            return replace(faults, **{_FLAGS[kind]: True})
        case "tear@", number:
            return replace(faults, tear_after=number)
        case "split=", number if number:
            return replace(faults, split=number)
        case "misread=", number if number:
            return replace(faults, heard_at=number)
        case _:
            raise word.unknown
