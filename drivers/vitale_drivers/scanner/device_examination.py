"""Shows the bytes that an imager really sends, and the framing that fits them, for ``doctor``.

The content of a code may be a patient's: of it only the kind of each byte is told, a letter as ``A``, a digit as ``9``.
The marks around it are told as they are.
"""

import time
from collections.abc import Iterator

from vitale_drivers.base import Tell
from vitale_drivers.scanner.aim_identifiers import split_identifier
from vitale_drivers.scanner.framing import LineReader, Scan, ScanFraming
from vitale_drivers.scanner.settings import FRAMINGS, FramingName, ScannerSettings
from vitale_drivers.scanner.transport import ScannerPlace, SerialTransport
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.errors import PresentationTimeout

__all__ = ["examine", "fitting", "kinds"]

PAUSE = 0.3
"""Seconds without a byte after which a scan is over: an imager sends one in a piece."""

MOST_SHOWN = 400
"""Bytes of a scan that are told."""

_NAMES = {
    0x02: "STX",
    0x03: "ETX",
    0x04: "EOT",
    0x09: "TAB",
    0x0A: "LF",
    0x0D: "CR",
    0x1D: "GS",
    0x1E: "RS",
    0x20: "SP",
}

_CHOICE: tuple[FramingName, ...] = ("stx-etx", "etx", "aim-crlf", "aim-cr", "crlf", "cr", "lf", "line", "nul", "idle")
"""Framings in the order in which they are preferred: the one that names the most of what is sent."""


def examine(
    device: SerialTransport, place: ScannerPlace, settings: ScannerSettings, tell: Tell, seconds: float
) -> None:
    """Waits for one scan, and tells what came.

    Raises:
        PresentationTimeout: nothing came.
        ReaderGone: the imager was unplugged.
    """
    values = {"name": place.name, "device": place.where, "speed": settings.speed, "seconds": round(seconds)}
    tell(CheckResult(id="scan_awaited", subject="imager", state="ok", values=values))
    data, took = _one_scan(device, seconds)
    if not data:
        raise PresentationTimeout("the imager sent nothing")
    values = {"bytes": len(data), "milliseconds": round(took * 1000), "kinds": " ".join(kinds(data[:MOST_SHOWN]))}
    tell(CheckResult(id="scan_bytes", subject="imager", state="ok", values=values))
    if _garbled(data):
        tell(CheckResult(id="scan_garbled", subject="imager", state="wrong", values={"speed": settings.speed}))
        return
    name = fitting(data)
    if name is None:
        tell(CheckResult(id="scan_fits_none", subject="imager", state="wrong"))
    elif _reads(settings.scan_framing(), data):
        tell(CheckResult(id="scan_as_configured", subject="imager", state="ok", values={"framing": settings.framing}))
    else:
        tell(CheckResult(id="scan_other_framing", subject="imager", state="wrong", values={"framing": name}))


def fitting(data: bytes) -> FramingName | None:
    """The framing under which bytes are exactly one scan, with nothing around its content; None where none is."""
    named = any(split_identifier(data[at:])[0] for at in (0, 1))
    for name in _CHOICE:
        if (named or name not in {"aim-crlf", "aim-cr"}) and _reads(FRAMINGS[name], data):
            return name
    return None


def kinds(data: bytes) -> Iterator[str]:
    """The kind of each byte: control characters by name, marks as they are, ``A`` for a letter, ``9`` for a digit."""
    identifier = data.find(b"]") if data[:4].count(b"]") else -1
    for at, byte in enumerate(data):
        if byte in _NAMES:
            yield _NAMES[byte]
        elif byte < 0x20 or byte >= 0x7F:
            yield f"{byte:02X}"
        elif 0 <= identifier <= at < identifier + 3:
            yield chr(byte)  # the AIM identifier, which names a symbology
        else:
            yield "A" if chr(byte).isalpha() else "9" if chr(byte).isdigit() else "·"


def _reads(framing: ScanFraming, data: bytes) -> bool:
    """True if the bytes are one scan under a framing, and its content has no marks at its ends."""
    reader = LineReader(framing, len(data), PAUSE, PAUSE)
    events = [*reader.receive(data, 0.0), *reader.expire(PAUSE * 2)]
    if len(events) != 1 or not isinstance(events[0], Scan):
        return False
    content = events[0].data
    ends = content[:1] + content[-1:]
    unnamed = not framing.aim and content.startswith(b"]") and len(content) > 3
    return bool(content) and not unnamed and not any(byte < 0x20 for byte in ends)


def _garbled(data: bytes) -> bool:
    """True if the bytes are those of a line at another speed: mostly none of ASCII."""
    strange = sum(byte >= 0x80 or (byte < 0x20 and byte not in _NAMES) for byte in data)
    return strange * 3 > len(data)


def _one_scan(device: SerialTransport, seconds: float) -> tuple[bytes, float]:
    data = device.read(seconds)
    began = time.monotonic()
    last = began
    while data and (more := device.read(PAUSE)):
        data += more
        last = time.monotonic()
    return data, last - began
