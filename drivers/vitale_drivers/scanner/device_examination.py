"""Shows the bytes that an imager really sends, and the settings that fit them, for ``doctor``.

The content of a code may be a patient's. Only the kind of each byte of it is told, a letter as ``A``, a digit as ``9``.
The marks around it are told as they are.
"""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from vitale_drivers.base import Tell
from vitale_drivers.scanner.aim_identifiers import split_identifier, without_escapes
from vitale_drivers.scanner.framing import LineReader, Scan, ScanFraming
from vitale_drivers.scanner.settings import FRAMINGS, ScannerSettings
from vitale_drivers.scanner.transport import ScannerPlace, SerialTransport
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.errors import PresentationTimeout

__all__ = ["FramingSettings", "examine", "fitting", "judge", "kinds"]

FramingSettings: TypeAlias = Mapping[str, str | bool]
"""Options of the table ``[drivers.options.scanner]``: ``framing``, and what replaces parts of it."""

PAUSE = 0.3
"""Seconds without a byte after which a scan is over: an imager sends one in a piece."""

MOST_SHOWN = 400
"""Bytes of a scan that are told."""

_NAMES = {
    0x00: "NUL",
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

_BEFORE: Final = b"\x01\x02"
_BEHIND: Final = b"\0\x03\t\n\r"
"""Marks that imagers put before a code, and behind it."""

_CODES_OWN: Final = frozenset(b"\x04\x1c\x1d\x1e\x1f")
"""Control characters that a code may begin or end with: those of GS1 and ISO/IEC 15434."""


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
    judge(data, settings, tell)


def judge(data: bytes, settings: ScannerSettings, tell: Tell) -> None:
    """Tells whether bytes are one scan under the settings, and which others they would need."""
    if _garbled(data):
        tell(CheckResult(id="scan_garbled", subject="imager", state="wrong", values={"speed": settings.speed}))
    elif _reads(settings.scan_framing(), data):
        tell(CheckResult(id="scan_as_configured", subject="imager", state="ok", values={"framing": settings.framing}))
    elif (found := fitting(data, settings)) is None:
        tell(CheckResult(id="scan_fits_none", subject="imager", state="wrong"))
    else:
        written = ", ".join(f"`{name} = {json.dumps(value)}`" for name, value in found.items())
        tell(
            CheckResult(id="scan_other_framing", subject="imager", state="wrong", values={**found, "settings": written})
        )


def fitting(data: bytes, settings: ScannerSettings) -> FramingSettings | None:
    """The fewest settings under which bytes are one scan, with nothing around its content; None where none are.

    Args:
        data: as an imager sent them.
        settings: those that are there; what is set in them is replaced where it does not fit.
    """
    dressed = data.lstrip(_BEFORE)
    content = dressed.rstrip(_BEHIND)
    prefix, suffix = data[: len(data) - len(dressed)], dressed[len(content) :]
    suffix = suffix[: (suffix * 2).find(suffix, 1)]  # once where it is repeated: an empty line is none
    framing = ScanFraming(prefix, (suffix,) if suffix else (), aim=_has_identifier(content), maker=settings.identifiers)
    if not _reads(framing, data):
        return None
    made = (_settings(framing, name, made, settings) for name, made in FRAMINGS.items())
    return min(made, key=lambda found: (len(found), "suffix" in found))


def _settings(framing: ScanFraming, name: str, made: ScanFraming, settings: ScannerSettings) -> FramingSettings:
    """The settings that make a framing of a ready-made one."""
    suffix = framing.suffixes[0].decode() if framing.suffixes else ""
    parts: tuple[tuple[str, str | bool, bool], ...] = (
        ("prefix", framing.prefix.decode(), made.prefix == framing.prefix),
        ("suffix", suffix, made.suffixes == framing.suffixes),
        ("aim", framing.aim, made.aim == framing.aim),
    )
    replaced = {part: value for part, value, fits in parts if getattr(settings, part) is not None or not fits}
    return {"framing": name, **replaced}


def kinds(data: bytes) -> Iterator[str]:
    """The kind of each byte: ``A`` for a letter, ``9`` for a digit, ``·`` for a mark.

    Control characters are given by name, other bytes in hex. The AIM identifier is given as it is.
    """
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
    bare = not any(byte < 0x20 and byte not in _CODES_OWN for byte in content[:1] + content[-1:])
    return bool(content) and bare and (framing.aim or not _has_identifier(content))


def _has_identifier(content: bytes) -> bool:
    """True if an AIM identifier stands before a content, or the name of a character set."""
    return bool(split_identifier(content)[0]) or without_escapes(content) != content


def _garbled(data: bytes) -> bool:
    """True if the bytes are those of a line at another speed: mostly none of ASCII."""
    strange = sum(byte >= 0x80 or byte == 0 or (byte < 0x20 and byte not in _NAMES) for byte in data)
    return strange * 3 > len(data)


def _one_scan(device: SerialTransport, seconds: float) -> tuple[bytes, float]:
    data = device.read(seconds)
    began = time.monotonic()
    last = began
    while data and (more := device.read(PAUSE)):
        data += more
        last = time.monotonic()
    return data, last - began
