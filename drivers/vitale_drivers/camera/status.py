"""What is told of one camera itself: that it came, went, works or does not, and why; each once, when it is new."""

from collections.abc import Callable

import msgspec

from vitale_drivers.base import Progress, ReaderAdded, ReaderChanged, ReaderRemoved, Report
from vitale_drivers.readers.health import Troubles
from vitale_protocol.errors import ReaderError
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem

__all__ = ["Standing"]


class Standing:
    """How a camera stands with those who know it.

    Attributes:
        trouble: why it cannot be used, or None.
    """

    def __init__(self, reader: str, emit: Callable[[Report], None], troubles: Troubles) -> None:
        """Stores; nothing is told yet."""
        self.trouble: ReaderError | None = None
        self._reader = reader
        self._emit = emit
        self._troubles = troubles
        self._shown: Reader | None = None

    def show(self, reader: Reader) -> None:
        """Tells what the reader is like now."""
        if reader != self._shown:
            self._emit(ReaderAdded(reader=reader) if self._shown is None else ReaderChanged(reader=reader))
            self._shown = reader

    def tell(self, report: Report) -> None:
        """Passes a report on."""
        if isinstance(report, ReaderChanged):
            self.show(report.reader)
        else:
            self._emit(report)

    def well(self, reader: Reader) -> None:
        """It works."""
        if self.trouble is not None:
            self.trouble = None
            self._troubles.tell(self._reader, None)
        self.show(reader)

    def ill(self, reader: Reader, error: ReaderError, *, wanted: bool) -> None:
        """It cannot be used; ``wanted``: somebody waits for it."""
        before = self.trouble
        new = before is None or (before.reason, before.variant) != (error.reason, error.variant)
        self.trouble = error
        self.show(msgspec.structs.replace(reader, state="unavailable", error=error.reason))
        self._troubles.tell(self._reader, error)
        if new and wanted:
            self.remind()

    def remind(self) -> None:
        """Tells what is the matter to whoever has just begun to wait."""
        if self.trouble is not None:
            self._emit(Progress(reader=self._reader, step="retry", problem=Problem.of(self.trouble)))

    def gone(self) -> None:
        """It is not there any more."""
        self.trouble = None
        self._troubles.tell(self._reader, None)
        if self._shown is not None:
            self._shown = None
            self._emit(ReaderRemoved(reader=self._reader))
