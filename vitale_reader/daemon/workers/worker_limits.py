"""The restraint of what a driver's process says: so many reports, log lines and readers, and no more.

Reports are slowed, not dropped: what is not read waits in the pipe, and holds up its writer. Log lines are dropped, and
how many is told. Readers beyond the limit are not heard of, and the driver's health says so. Nothing is heard of a
reader that the process has not announced, or has removed.
"""

import logging
import time
from collections.abc import Callable

import msgspec

from vitale_drivers.base import ReaderAdded, ReaderChanged, ReaderRemoved, Report
from vitale_protocol.errors import LimitExceeded
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.fairness.token_buckets import Bucket, Rate
from vitale_reader.daemon.workers.reports import reader_of

__all__ = ["LINES", "MOST_READERS", "REPORTS", "Restraint"]

logger = logging.getLogger(__name__)

#: A camera shows thirty pictures a second, a bulk of imagers some scans.
REPORTS = Rate(200.0, 1_000.0)

#: A driver that starts tells some lines for each of its devices.
LINES = Rate(5.0, 100.0)

#: Readers of one driver; a desk has a few.
MOST_READERS = 32

#: Bytes of what is told about one reader, in JSON.
READER_BYTES = 4_096


class Restraint:
    """The limits of what one process of a driver may say, from its start to its end."""

    def __init__(self, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._reports = Bucket(REPORTS, clock)
        self._lines = Bucket(LINES, clock)
        self._untold = 0
        self._slowed = False
        self._readers: set[str] = set()
        self._has_too_many = False

    @property
    def problem(self) -> Problem | None:
        """The fault of what it says; None if there is none."""
        if not self._has_too_many:
            return None
        return Problem(LimitExceeded.reason, "readers", detail=f"more than {MOST_READERS} readers")

    def count(self, reports: int) -> float:
        """Counts reports; gives the seconds until the next ones are to be read."""
        self._reports.spend(reports)
        wait = self._reports.wait
        if wait and not self._slowed:
            logger.warning("%s reports more than is taken, and is slowed", self._title)
        self._slowed = wait > 0
        return wait

    def hears(self, report: Report) -> bool:
        """True if a report is taken."""
        match report:
            case ReaderAdded(reader=reader) | ReaderChanged(reader=reader):
                return self._admits(reader)
            case ReaderRemoved(reader=gone) if gone in self._readers:
                self._readers.remove(gone)
                return True
            case _:
                return (name := reader_of(report)) is None or name in self._readers

    def _admits(self, reader: Reader) -> bool:
        fits = len(msgspec.json.encode(reader)) <= READER_BYTES and len(self._readers | {reader.id}) <= MOST_READERS
        if fits:
            self._readers.add(reader.id)
        elif not self._has_too_many:
            logger.error("%s announces more readers than are taken from one driver", self._title)
        self._has_too_many |= not fits
        return fits

    def tells(self) -> bool:
        """True if one more log line of the process is written."""
        if not self._lines.take():
            self._untold += 1
            return False
        if self._untold:
            logger.warning("%s logs more than is told; %d lines are not", self._title, self._untold)
            self._untold = 0
        return True

    def end(self) -> None:
        """The process ended: tells how much was not told."""
        if self._untold:
            logger.warning("%s logged more than is told; %d lines were not", self._title, self._untold)
