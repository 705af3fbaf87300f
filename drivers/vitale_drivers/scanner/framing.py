"""Framing of an imager's bytes into scans; pure, fed with bytes and times.

Rules:

- A scan ends where its framing says: at a suffix, or where there is none when nothing came for ``idle_gap``. However
  the bytes were split or merged on their way, the scans are the same.
- Bytes are kept exactly, whatever they are; framing takes away prefix, suffix and AIM identifier and nothing else.
- A line without content is none: CR LF is CR, and an empty line.
- What is longer than it may be is told at once, and dropped up to the next suffix.
- A line that stops for ``line_timeout`` is incomplete: it is reported and dropped, and the next byte begins a new one.
  A torn line is never joined to the next.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from vitale_drivers.scanner.aim import split_identifier

__all__ = ["Dropped", "LineEvent", "LineReader", "Scan", "ScanFraming"]

_IDENTIFIER: Final = 3
_NEVER: Final = b"(?!)"
_BETWEEN: Final = b"\t\n\r "
"""What may stand between scans, and after one, without meaning anything."""


@dataclass(frozen=True, slots=True)
class ScanFraming:
    """Marks that an imager puts around a scan.

    Attributes:
        prefix: what stands before each scan; what comes before it is noise.
        suffixes: any of these ends a scan, and none of them begins with another; none: a pause ends it.
        aim: whether an AIM identifier is recognised where one is sent.
    """

    prefix: bytes = b""
    suffixes: tuple[bytes, ...] = ()
    aim: bool = False


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan.

    Attributes:
        data: the content of the code.
        symbology: as the imager told it; empty where it did not.
        elapsed: seconds from its first byte to its last.
    """

    data: bytes = field(repr=False)
    symbology: str = ""
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class Dropped:
    """Bytes that are no scan: too long, or without an end or a beginning."""

    why: Literal["too-long", "incomplete"]


LineEvent: TypeAlias = Scan | Dropped


class LineReader:
    """The line of one imager, from its plugging to its unplugging.

    Args:
        framing: where scans begin and end.
        max_bytes: the longest content.
        idle_gap: seconds; a pause that ends a scan, where no suffix does.
        line_timeout: seconds; a pause after which a line has no end any more.
    """

    def __init__(self, framing: ScanFraming, max_bytes: int, idle_gap: float, line_timeout: float) -> None:
        self._framing = framing
        self._max_bytes = max_bytes
        self._max_line = max_bytes + (_IDENTIFIER if framing.aim else 0)
        # All at once, for the nearest: a search for each, to the end, would be long where lines are short.
        self._suffix = re.compile(b"|".join(map(re.escape, framing.suffixes)) or _NEVER)
        self._longest = max((len(suffix) for suffix in framing.suffixes), default=1)
        self._pause = line_timeout if framing.suffixes else min(idle_gap, line_timeout)
        self._timeout = line_timeout
        self._buffer = bytearray()
        self._searched = 0
        self._inside = not framing.prefix
        self._skipping = False
        self._noise = False
        self._began = 0.0
        self._last = 0.0

    @property
    def due(self) -> float | None:
        """Time at which ``expire`` has to be called; None while no line is under way."""
        return self._last + self._pause if self.under_way else None

    @property
    def under_way(self) -> bool:
        """True if a line has begun that has not ended."""
        return bool(self._buffer) or self._skipping or self._noise or (self._inside and bool(self._framing.prefix))

    @property
    def kept(self) -> int:
        """Number of bytes kept: never more than the longest line, its marks and one piece."""
        return len(self._buffer)

    def receive(self, data: bytes, now: float) -> list[LineEvent]:
        """Takes bytes; what they complete."""
        events: list[LineEvent] = []
        # Whoever reads may have come late, and find the rest of a torn line and the next scan in one piece.
        if self.under_way and now - self._last >= self._timeout:
            events += self.expire(now)
        if not self.under_way:
            self._began = now
        self._last = now
        self._buffer += data
        events += self._cut(now)
        return events

    def expire(self, now: float) -> list[LineEvent]:
        """Time has passed: what a pause ended, or left without an end."""
        if self.due is None or now < self.due:
            return []
        events: list[LineEvent] = []
        if self._skipping:
            pass  # reported when it became too long
        elif not self._framing.suffixes and self._inside and self._buffer:
            events.append(self._ended(bytes(self._buffer)))
        elif self._noise or (self._buffer and self._is_worth_a_report(self._buffer)):
            events.append(Dropped("incomplete"))
        self._buffer.clear()
        self._begin_anew(now)
        return events

    # ── inside ──

    def _cut(self, now: float) -> Iterator[LineEvent]:
        while self._find_beginning():
            end, suffix = self._find_end()
            if end < 0:
                if len(self._buffer) >= self._max_line + self._longest:
                    if not self._skipping:
                        yield Dropped("too-long")
                    self._skip()
                return
            line, skipped = bytes(self._buffer[:end]), self._skipping
            del self._buffer[: end + len(suffix)]
            if line and not skipped:
                yield self._ended(line)
            self._begin_anew(now)
            if not self._buffer:
                return

    def _find_beginning(self) -> bool:
        """True if the buffer begins with content; whatever was before the prefix is gone."""
        if self._inside:
            return True
        prefix = self._framing.prefix
        at = self._buffer.find(prefix)
        if at >= 0:
            del self._buffer[: at + len(prefix)]
            self._inside, self._noise, self._searched = True, False, 0
            return True
        # The beginning of a prefix may be there.
        before = max(0, len(self._buffer) - len(prefix) + 1)
        self._noise = self._noise or self._is_worth_a_report(self._buffer[:before])
        del self._buffer[:before]
        return False

    def _is_worth_a_report(self, noise: bytes | bytearray) -> bool:
        """True if bytes that are no scan are worth a report."""
        return bool(noise.strip(_BETWEEN))

    def _find_end(self) -> tuple[int, bytes]:
        start = max(0, self._searched - self._longest + 1)
        found = self._suffix.search(self._buffer, start)
        self._searched = len(self._buffer)
        return (-1, b"") if found is None else (found.start(), found[0])

    def _skip(self) -> None:
        """Forgets a line that is too long, but for what may be the beginning of its suffix."""
        self._skipping = True
        keep = self._longest - 1
        del self._buffer[: len(self._buffer) - keep]
        self._searched = len(self._buffer)

    def _begin_anew(self, now: float) -> None:
        self._searched = 0
        self._inside = not self._framing.prefix
        self._skipping = self._noise = False
        self._began = now

    def _ended(self, line: bytes) -> LineEvent:
        symbology, data = split_identifier(line) if self._framing.aim else ("", line)
        if len(line) > self._max_line or len(data) > self._max_bytes:
            return Dropped("too-long")
        return Scan(data, symbology, self._last - self._began)
