"""Codes in several parts (structured append, ISO/IEC 18004 §8): the parts are collected over pictures and joined; pure.

Rules:

- The collection is bounded: a few series at a time, of 16 parts each. None is kept for longer than ``collect`` seconds
  after its latest part.
- A part that says something else than before begins its series anew: it is another code's.
- Parts belong together if they carry the same parity (§8.3). It is the exclusive or of all their bytes. Some makers of
  codes calculate it otherwise (segno for bytes). Theirs are joined if all were seen in one place: a screen shows one
  after the other. Two phones whose parities are the same by chance are in two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Box", "SeenSymbol", "Series", "SeriesPart", "box_of", "overlap"]

Box = tuple[float, float, float, float]

_MOST_PARTS = 16
"""ISO/IEC 18004 §8.1: four bits say how many there are."""

_MOST_SERIES = 4


class SeriesPart(Protocol):
    """Position of a symbol in a series; ``vitale_drivers.decoding.Sequence``."""

    @property
    def index(self) -> int:
        """Its place, from 0."""
        ...

    @property
    def count(self) -> int:
        """Number of parts in the series."""
        ...

    @property
    def parity(self) -> int:
        """Parity shared by all parts: the exclusive or of the bytes of the whole."""
        ...


class SeenSymbol(Protocol):
    """A symbol in a picture, as ``vitale_drivers.decoding`` gives it."""

    @property
    def data(self) -> bytes:
        """Content of the symbol."""
        ...

    @property
    def symbology(self) -> str:
        """Symbology, such as ``qr``."""
        ...

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Corners of the symbol in the picture."""
        ...

    @property
    def sequence(self) -> SeriesPart | None:
        """Position in a series, if the symbol is part of one."""
        ...


@dataclass(slots=True)
class _Collected:
    last: float
    parts: dict[int, bytes] = field(default_factory=dict[int, bytes], repr=False)
    boxes: dict[int, Box] = field(default_factory=dict[int, Box])

    def content(self, count: int, parity: int) -> bytes | None:
        """Joins the parts, if all are there and it is certain that they are of one code; None otherwise."""
        if len(self.parts) < count:
            return None
        joined = b"".join(self.parts[index] for index in range(count))
        first, *others = self.boxes.values()
        if _parity(joined) != parity and not all(overlap(first, other) for other in others):
            return None
        return joined


class Series:
    """The series that are being collected, or are complete and still in view."""

    def __init__(self, collect: float) -> None:
        """``collect``: seconds for which a part is kept while no other comes."""
        self._collect = collect
        self._series: dict[tuple[str, int, int], _Collected] = {}

    def whole(self, symbol: SeenSymbol, now: float) -> bytes | None:
        """The content of the whole code that the symbol is, or is a part of.

        None as long as parts are missing.
        """
        part = symbol.sequence
        if part is None:
            return symbol.data
        if not (2 <= part.count <= _MOST_PARTS and 0 <= part.index < part.count):
            return None
        key = (symbol.symbology, part.parity, part.count)
        collected = self._collected(key, now)
        if collected.parts.get(part.index, symbol.data) != symbol.data:
            collected.parts.clear()
            collected.boxes.clear()
        collected.parts[part.index] = symbol.data
        collected.boxes[part.index] = box_of(symbol.corners)
        return collected.content(part.count, part.parity)

    def forget(self, now: float) -> None:
        """Drops what was not seen for too long."""
        for key in [key for key, one in self._series.items() if now - one.last > self._collect]:
            del self._series[key]

    def clear(self) -> None:
        """Drops every part collected."""
        self._series.clear()

    def _collected(self, key: tuple[str, int, int], now: float) -> _Collected:
        self.forget(now)
        if key not in self._series and len(self._series) >= _MOST_SERIES:
            del self._series[min(self._series, key=lambda one: self._series[one].last)]
        collected = self._series.setdefault(key, _Collected(now))
        collected.last = now
        return collected


def box_of(corners: Sequence[tuple[float, float]]) -> Box:
    """Left, top, right and bottom of what is between corners."""
    across = [x for x, _ in corners] or [0.0]
    down = [y for _, y in corners] or [0.0]
    return min(across), min(down), max(across), max(down)


def overlap(one: Box, other: Box) -> bool:
    """True if the middle of either is in the other.

    Codes that are beside each other are apart from edge to edge.
    """
    return _holds(one, _middle(other)) or _holds(other, _middle(one))


def _parity(content: bytes) -> int:
    parity = 0
    for byte in content:
        parity ^= byte
    return parity


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _holds(box: Box, point: tuple[float, float]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]
