"""One imager, plugged or not: the thread that finds it, opens it, reads it, and does so again when it is back.

The thread sleeps in the port until bytes come. Orders come from other threads and are carried out there, under the
lock that the thread takes for each piece that it has read.
"""

import threading
import time

import msgspec

from vitale_drivers.base import Arm, Disarm, Emit, Progress, ReaderAdded, ReaderChanged, ReaderRemoved, Report
from vitale_drivers.readers.call_timer import CallTimer
from vitale_drivers.readers.health import Troubles
from vitale_drivers.scanner.framing import Framing, LineReader
from vitale_drivers.scanner.scans import MEDIA, Scans
from vitale_drivers.scanner.settings import Settings
from vitale_drivers.scanner.transport import Bus, Line, Place
from vitale_protocol.errors import ReaderError, ReaderGone
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem

__all__ = ["ScannerReader"]

STUCK = 10.0
"""Seconds to open or close a port in: far beyond what a port takes that works."""

_BREATH = 0.05
"""Seconds between two attempts to end a read that had not yet begun when it was cancelled."""


class ScannerReader:
    """An imager, from ``start`` to ``end``."""

    def __init__(
        self, place: Place, bus: Bus, settings: Settings, framing: Framing, emit: Emit, troubles: Troubles
    ) -> None:
        """Stores; nothing is touched."""
        self._place = place
        self._bus = bus
        self._settings = settings
        self._framing = framing
        self._emit_to = emit
        self._troubles = troubles
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._line: Line | None = None
        self._timer = CallTimer()
        self._reader = Reader(
            id=place.id, name=place.name, driver="scanner", media=MEDIA, state="empty", simulated=place.simulated
        )
        self._shown: Reader | None = None
        self._error: ReaderError | None = None
        self._scans = Scans(self._reader, settings.grace, settings.repeat, self._report)
        self._thread = threading.Thread(target=self._run, name=f"reader {place.id}", daemon=True)

    @property
    def id(self) -> str:
        """The reader's id."""
        return self._place.id

    def start(self) -> None:
        """Begins to look for the imager."""
        self._thread.start()

    def order(self, order: Arm | Disarm) -> None:
        """Presents what was scanned a moment ago, and what is scanned from now on; or does so no more."""
        with self._lock:
            if isinstance(order, Disarm):
                self._scans.disarm()
                return
            self._scans.arm(order)
            if self._error is not None:
                self._tell_trouble(self._error)

    def is_stuck(self, now: float) -> bool:
        """Whether its port has been opening or closing for longer than any may take."""
        return self._timer.elapsed(now) > STUCK

    def end(self) -> None:
        """Has the thread end; nothing is reported any more."""
        with self._lock:
            self._closed.set()
            if self._line is not None:
                self._line.cancel()

    def join(self, timeout: float) -> None:
        """Waits for the thread; one that is inside the system ends with the process."""
        end = time.monotonic() + timeout
        while self._thread.is_alive() and time.monotonic() < end:
            self._thread.join(min(_BREATH, timeout))
            self.end()

    # ── the thread ──

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                line = self._open()
                try:
                    self._serve(line)
                finally:
                    self._keep(None)
                    with self._timer.call():
                        line.close()
            except ReaderError as error:
                self._fail(error)
                self._closed.wait(self._settings.look)

    def _open(self) -> Line:
        """Opens the port.

        Raises:
            ReaderError: it is not there, or cannot be used.
        """
        place = next((one for one in self._bus.places(self._place.address) if one.id == self._place.id), None)
        if place is None:
            raise ReaderGone("the imager is not there")
        with self._timer.call():
            line = self._bus.open(place)
        # Only what was opened tells; and what was simulated once, its clients are never told to be real.
        simulated = self._reader.simulated or place.simulated or line.simulated
        self._reader = msgspec.structs.replace(self._reader, simulated=simulated)
        return line

    def _serve(self, line: Line) -> None:
        """Reads until the port is no more.

        Raises:
            ReaderGone: that.
        """
        settings = self._settings
        lines = LineReader(self._framing, settings.max_bytes, settings.idle_gap, settings.line_timeout)
        self._keep(line)
        self._troubles.tell(self.id, None)
        with self._lock:
            self._error = None
            self._scans.appear(self._reader)
            self._show(self._reader)
        while not self._closed.is_set():
            data = line.read(self._pause(lines))
            with self._lock:
                now = time.monotonic()
                for event in lines.receive(data, now) if data else lines.expire(now):
                    self._scans.take(event)
                self._scans.expire()

    def _pause(self, lines: LineReader) -> float | None:
        """For how long there is nothing to do unless bytes come; None: for good."""
        due = [instant for instant in (lines.due, self._scans.due) if instant is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _keep(self, line: Line | None) -> None:
        with self._lock:
            self._line = line

    # ── when it cannot be used ──

    def _fail(self, error: ReaderError) -> None:
        """Shows why the imager cannot be used; what lay there is forgotten."""
        gone = isinstance(error, ReaderGone) or not self._is_there()
        with self._lock:
            self._scans.leave()
            self._error = None if gone else error
            if gone and self._shown is not None:
                self._shown = None
                self._report(ReaderRemoved(reader=self.id))
            elif not gone and self._show(
                msgspec.structs.replace(self._reader, state="unavailable", error=error.reason)
            ):
                self._tell_trouble(error)
        self._troubles.tell(self.id, None if gone else error)

    def _is_there(self) -> bool:
        return any(one.id == self.id for one in self._bus.places(self._place.address))

    def _tell_trouble(self, error: ReaderError) -> None:
        if self._scans.wanted:
            self._report(Progress(reader=self.id, step="retry", problem=Problem.of(error)))

    def _show(self, reader: Reader) -> bool:
        """Tells what the reader is like now; whether that is new."""
        if reader == self._shown:
            return False
        self._report(ReaderAdded(reader=reader) if self._shown is None else ReaderChanged(reader=reader))
        self._shown = reader
        return True

    def _report(self, report: Report) -> None:
        if not self._closed.is_set():
            if isinstance(report, ReaderChanged):
                self._shown = report.reader
            self._emit_to(report)
