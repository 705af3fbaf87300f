"""Framing of an imager's bytes into scans; pure, fed with bytes and times.

Rules:

- A scan ends at the suffix of its framing. Where there is none, it ends when nothing came for ``idle_gap``. However the
  bytes were split or merged on their way, the scans are the same.
- Bytes are kept exactly, whatever they are; framing takes away prefix, suffix and AIM identifier and nothing else.
- A line without content is none: CR LF is CR, and an empty line.
- What is longer than it may be is told at once, and dropped up to the next suffix.
- A line that stops for ``line_timeout`` is incomplete. It is reported and dropped, and the next byte begins a new one.
  A torn line is never joined to the next. If what was dropped is no text, it is garbled: speed or parity are wrong.
- What follows a dropped line soon may be its rest: it is marked as a possible tail. It is not if it begins as that line
  did. Then it was scanned once more, or with an identifier. Where a pause ends a scan, what comes right after that
  pause is a tail as well.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from vitale_drivers.scanner.aim_identifiers import split_identifier, without_escapes
from vitale_drivers.scanner.maker_identifiers import Maker, split_maker_identifier

__all__ = ["Dropped", "LineEvent", "LineReader", "Scan", "ScanFraming"]

_IDENTIFIER: Final = 3
_NEVER: Final = b"(?!)"
_BETWEEN: Final = b"\t\n\r "
"""What may stand between scans, and after one, without meaning anything."""

_REST: Final = 5.0
"""Seconds after a torn line within which its rest may still come: a radio link that was lost is back by then."""

_HEAD: Final = 4
"""Bytes by which a code that is scanned once more is known again."""

_QUICKEST: Final = 0.25
"""Seconds between two scans of the quickest hand: what follows sooner, after a pause that ended a scan, is a rest."""


@dataclass(frozen=True, slots=True)
class ScanFraming:
    """Marks that an imager puts around a scan.

    Attributes:
        prefix: what stands before each scan; what comes before it is noise.
        suffixes: any of these ends a scan, and none of them begins with another; none: a pause ends it.
        aim: whether an AIM identifier is recognised where one is sent.
        maker: whose own identifiers stand before a code; None for nobody's.
    """

    prefix: bytes = b""
    suffixes: tuple[bytes, ...] = ()
    aim: bool = False
    maker: Maker | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan.

    Attributes:
        data: the content of the code.
        symbology: as the imager told it; empty where it did not.
        elapsed: seconds from its first byte to its last.
        tail: whether it may be the rest of a scan that was torn.
    """

    data: bytes = field(repr=False)
    symbology: str = ""
    elapsed: float = 0.0
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """Bytes that are no scan: too long, or without an end or a beginning.

    The latter are ``incomplete`` if they are text, else ``garbled``.
    """

    why: Literal["too-long", "incomplete", "garbled"]


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
        self._max_line = max_bytes + (_IDENTIFIER if framing.aim or framing.maker else 0)
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
        self._torn: tuple[bytes, float] | None = None

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
            self._torn = b"", self._last + max(_QUICKEST, 2 * self._pause)
        elif self._noise or (self._buffer and self._is_worth_a_report(self._buffer)):
            events.append(Dropped("incomplete" if self._noise or _is_text(self._buffer) else "garbled"))
            self._torn = bytes(self._buffer[:_HEAD]), self._last + _REST
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
        symbology, data = self._identified(line)
        tail = self._is_tail(line) and not symbology
        if len(line) > self._max_line or len(data) > self._max_bytes:
            return Dropped("too-long")
        return Scan(data, symbology, self._last - self._began, tail)

    def _identified(self, line: bytes) -> tuple[str, bytes]:
        framing = self._framing
        symbology, data = split_identifier(line) if framing.aim else ("", line)
        if symbology or not (framing.aim or framing.maker):
            return symbology, data
        if framing.maker is not None:
            symbology, data = split_maker_identifier(line, framing.maker)
        return symbology, without_escapes(data)

    def _is_tail(self, line: bytes) -> bool:
        torn, self._torn = self._torn, None
        if torn is None or self._began >= torn[1]:
            return False
        head = torn[0]
        return len(head) < _HEAD or not line.startswith(head)


def _is_text(data: bytes | bytearray) -> bool:
    try:
        return b"\0" not in data and bool(data.decode())
    except UnicodeDecodeError as error:
        # The last character may be torn as well.
        return error.reason == "unexpected end of data" and error.start > 0
