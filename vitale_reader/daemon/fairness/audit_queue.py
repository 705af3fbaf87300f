"""Audit lines that wait to be written behind everybody's readings: bounded, and summed up in a flood.

The first lines of a kind (who, what, which outcome, where) in a minute are written one by one. What comes beyond is
counted. When the minute is over, the count is written as one line, ``OUTCOME*COUNT``.

A client of too many kinds loses where they were. No line loses its client, whatever others do.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

import msgspec

from vitale_reader.daemon.fairness.fair_store import BACKGROUND, paid_by
from vitale_reader.daemon.observation.incidents import attempt
from vitale_reader.daemon.store.audit_trail.audit import Audit

__all__ = ["MOST_KINDS", "MOST_LINES", "NoteKind", "Notes"]

#: Lines of a kind in a minute that are written one by one.
MOST_LINES = 30
MINUTE = 60.0

#: Kinds of a client's lines in a minute that say where: at each of a driver's readers, in a few ways.
MOST_KINDS = 128


class NoteKind(msgspec.Struct, frozen=True):
    """The traits that lines counted together have in common."""

    action: str
    outcome: str
    client_id: str | None
    medium: str | None
    reader: str | None


class Notes:
    """The lines that are to be written; from ``open`` to ``close`` they are.

    Args:
        audit: writes a line.
        clock: monotonic seconds.
    """

    def __init__(self, audit: Audit, *, clock: Callable[[], float]) -> None:
        self._audit = audit
        self._clock = clock
        self._lines: deque[tuple[NoteKind, int]] = deque()
        self._counted: Counter[NoteKind] = Counter()
        self._kinds: Counter[str | None] = Counter()
        self._minute_ends = clock() + MINUTE
        self._due = asyncio.Event()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Number of lines that wait."""
        return len(self._lines)

    async def note(
        self,
        action: str,
        outcome: str,
        *,
        client_id: str | None = None,
        medium: str | None = None,
        reader: str | None = None,
    ) -> None:
        """Has a line written of something that has happened already; does not wait for it."""
        self.add(action, outcome, client_id=client_id, medium=medium, reader=reader)

    def add(
        self,
        action: str,
        outcome: str,
        *,
        client_id: str | None = None,
        medium: str | None = None,
        reader: str | None = None,
    ) -> None:
        """The same, for those who cannot wait."""
        self._sum_up_when_over()
        kind = NoteKind(action, outcome, client_id, medium, reader)
        if kind not in self._counted and self._kinds[client_id] >= MOST_KINDS:
            kind = NoteKind(action, outcome, client_id, None, None)
        self._kinds[client_id] += kind not in self._counted
        self._counted[kind] += 1
        if self._counted[kind] <= MOST_LINES:
            self._lines.append((kind, 1))
        self._due.set()

    def open(self) -> None:
        """Begins to write lines."""
        with paid_by(BACKGROUND):
            self._writer = asyncio.create_task(self._run(), name="audit lines")

    async def close(self) -> None:
        """Writes what is left, and no more."""
        self._sum_up()
        self._closing = True
        self._due.set()
        if self._writer is not None:
            # Not cancelled: a line that is being written would be written again.
            await self._writer

    async def _run(self) -> None:
        while self._lines or not self._closing:
            await self._wait()
            while self._lines:
                kind, count = self._lines.popleft()
                outcome = kind.outcome if count == 1 else f"{kind.outcome}*{count}"
                line = self._audit.note(
                    kind.action, outcome, client_id=kind.client_id, medium=kind.medium, reader=kind.reader
                )
                await attempt(line)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(max(self._minute_ends - self._clock(), 0.0) if self._counted else None):
                await self._due.wait()
        except TimeoutError:
            self._sum_up_when_over()
        self._due.clear()

    def _sum_up_when_over(self) -> None:
        if self._clock() >= self._minute_ends:
            self._sum_up()

    def _sum_up(self) -> None:
        for kind, count in self._counted.items():
            if count > MOST_LINES:
                self._lines.append((kind, count - MOST_LINES))
        self._counted.clear()
        self._kinds.clear()
        self._minute_ends = self._clock() + MINUTE
