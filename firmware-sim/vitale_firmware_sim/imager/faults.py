"""Behaviour and faults on demand of a handheld imager, and the words that choose the faults.

===============  =================================================================================================
``tear@N``       the imager is unplugged after N bytes of its next scan
``split=N``      it sends pieces of N bytes, each one a read of its own at the other end
``drop-gs``      it leaves out GS, RS and US, as those do that were set up for shop counters
``no-suffix``    it sends nothing after a scan
``endless``      its next scan never ends: letters, until it is unplugged
``even-parity``  it sends seven bits and an even parity bit, and the host takes eight bits
``odd-parity``   the same with an odd one
``misread=BAUD`` it speaks at its own speed, and the host listens at BAUD
===============  =================================================================================================

Several are joined by commas: ``split=3,drop-gs``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal

from vitale_firmware_sim.fault_words import FaultWord, with_faults

__all__ = [
    "IDENTIFIERS",
    "MAKERS",
    "NO_FAULTS",
    "Behaviour",
    "ImagerFaults",
    "framed",
    "misread",
    "parse_imager_faults",
]

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

MAKERS: Final = {
    "zebra": {
        "qr": b"P01",
        "datamatrix": b"P00",
        "gs1-datamatrix": b"P0G",
        "ean": b"A",
        "code128": b"D",
        "code39": b"B",
    },
    "honeywell": {"qr": b"s", "datamatrix": b"w", "ean": b"d", "code128": b"j", "gs1-128": b"I", "code39": b"b"},
    "datalogic": {"qr": b"QR", "datamatrix": b"Dm", "ean": b"F", "code128": b"#", "code39": b"*"},
    "datalogic-eu": {"qr": b"y", "datamatrix": b"w", "ean": b"B", "code128": b"T", "code39": b"V"},
    "newland": {"qr": b"s", "datamatrix": b"u", "ean": b"d", "code128": b"j", "code39": b"b"},
    "opticon": {"qr": b"u", "datamatrix": b"t", "ean": b"B", "code128": b"T", "code39": b"V"},
}
"""Code identifiers of makers, as their imagers send them instead; a symbology that is not there has none."""

_SEPARATORS = bytes((0x1D, 0x1E, 0x1F))
_SENT_AT: Final = 9600


@dataclass(frozen=True, slots=True)
class Behaviour:
    r"""Configuration of an imager, with its faults.

    Attributes:
        prefix: what it sends before each scan.
        suffix: what it sends after each scan; factory settings are CR or CR LF, and of some makes nothing.
        aim: whether it tells the symbology.
        maker: whose own identifiers it sends instead; empty for nobody's.
        eci: whether it sends ECI escapes (``\000026``), and backslashes twice; with AIM it says so.
    """

    prefix: bytes = b""
    suffix: bytes = b"\r"
    aim: bool = False
    maker: str = ""
    eci: bool = False


@dataclass(frozen=True, slots=True)
class ImagerFaults:
    """The chosen faults; see the table of this module.

    Attributes:
        tear_after: bytes of the next scan after which it is unplugged; None for never.
        split: bytes of a piece; 0 for as many as fit into a USB packet.
        drop_separators: whether GS, RS and US are left out.
        no_suffix: whether nothing is sent after a scan.
        endless: whether the next scan never ends.
        parity: the parity bit that the host takes for the eighth bit; empty for none.
        heard_at: bits a second at which the host listens; 0 for the same as the imager.
    """

    tear_after: int | None = None
    split: int = 0
    drop_separators: bool = False
    no_suffix: bool = False
    endless: bool = False
    parity: Literal["", "even", "odd"] = ""
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
    identifier = IDENTIFIERS[symbology] if behaviour.aim else MAKERS.get(behaviour.maker, {}).get(symbology, b"")
    if behaviour.eci:
        identifier = identifier.replace(b"]Q1", b"]Q2").replace(b"]d1", b"]d4")
        data = b"\\000026" + data.replace(b"\\", b"\\\\")
    line = behaviour.prefix + identifier + data + (b"" if faults.no_suffix else behaviour.suffix)
    if faults.parity:
        line = bytes(_with_parity(byte, odd=faults.parity == "odd") for byte in line)
    return misread(line, _SENT_AT, faults.heard_at) if faults.heard_at else line


def _with_parity(byte: int, *, odd: bool) -> int:
    byte &= 0x7F
    return byte | 0x80 if (byte.bit_count() % 2 == 1) != odd else byte


def misread(data: bytes, sent: int, heard: int) -> bytes:
    """Returns the bytes (8N1) as a UART reads them that listens at another speed.

    It waits for the line to fall. From there it looks at the middle of each of the ten bits that it expects.
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


def parse_imager_faults(text: str) -> ImagerFaults:
    """Reads the words of this module's table; the empty text is no fault.

    Raises:
        ConfigurationInvalid: a word is not in the table.
    """
    return with_faults(text, NO_FAULTS, _WORDS)


_WORDS: Mapping[str, Callable[[ImagerFaults, FaultWord], ImagerFaults]] = {
    "drop-gs": lambda faults, _: replace(faults, drop_separators=True),
    "no-suffix": lambda faults, _: replace(faults, no_suffix=True),
    "endless": lambda faults, _: replace(faults, endless=True),
    "even-parity": lambda faults, _: replace(faults, parity="even"),
    "odd-parity": lambda faults, _: replace(faults, parity="odd"),
    "tear@": lambda faults, word: replace(faults, tear_after=word.number),
    "split=": lambda faults, word: replace(faults, split=word.positive),
    "misread=": lambda faults, word: replace(faults, heard_at=word.positive),
}
