"""The announcements of one reader: that it came, went, works or does not, and why.

Each is made once, when it is new.
"""

from collections.abc import Callable

import msgspec

from vitale_drivers.base import Progress, ReaderAdded, ReaderChanged, ReaderRemoved, Report
from vitale_drivers.readers.health import HealthOfReaders
from vitale_protocol.errors import ReaderError
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem

__all__ = ["ReaderStatus"]


class ReaderStatus:
    """The state of a reader as the supervisor knows it.

    Attributes:
        trouble: why it cannot be used, or None.
    """

    def __init__(self, reader: str, emit: Callable[[Report], None], reader_health: HealthOfReaders) -> None:
        """Stores; nothing is reported yet."""
        self.trouble: ReaderError | None = None
        self._reader = reader
        self._emit = emit
        self._reader_health = reader_health
        self._shown: Reader | None = None

    def show(self, reader: Reader) -> None:
        """Reports the reader as it is now, unless it was reported like this."""
        if reader != self._shown:
            self._emit(ReaderAdded(reader=reader) if self._shown is None else ReaderChanged(reader=reader))
            self._shown = reader

    def report(self, report: Report) -> None:
        """Passes a report on, and remembers the reader that it shows."""
        if isinstance(report, ReaderChanged):
            self.show(report.reader)
        else:
            self._emit(report)

    def well(self, reader: Reader) -> None:
        """Reports that it works."""
        self.trouble = None
        self.show(reader)
        self._reader_health.record(self._reader, None)

    def works_again(self, reader: Reader) -> None:
        """Reports the end of a trouble that did not make it unavailable, as a dark picture."""
        self._shown = reader
        self._emit(ReaderChanged(reader=reader))

    def ill(self, reader: Reader, error: ReaderError) -> bool:
        """Reports that it cannot be used; returns whether the cause is another than before."""
        before = self.trouble
        new = before is None or (before.reason, before.variant) != (error.reason, error.variant)
        self.trouble = error
        self.show(msgspec.structs.replace(reader, state="unavailable", error=error.reason))
        self._reader_health.record(self._reader, error)
        return new

    def remind(self) -> None:
        """Reports the trouble to whoever waits for the reader; for one that works it does nothing."""
        if self.trouble is not None:
            self._emit(Progress(reader=self._reader, step="retry", problem=Problem.of(self.trouble)))

    def gone(self) -> None:
        """Reports that it is not there any more."""
        self.trouble = None
        self._reader_health.record(self._reader, None)
        if self._shown is not None:
            self._shown = None
            self._emit(ReaderRemoved(reader=self._reader))
