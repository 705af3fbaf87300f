"""A driver whose readers are looked for again and again, each with a thread of its own.

The systems differ in how they tell that a reader was plugged in, where they tell it at all. So they are asked.
"""

import abc
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from vitale_drivers.base import (
    Arm,
    Disarm,
    Driver,
    Emit,
    Health,
    Options,
    ReaderAdded,
    Report,
    Settled,
    Transmit,
    Transmitted,
)
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.lifecycle import ReaderThread
from vitale_protocol.errors import MediumUnsupported, ReaderGone
from vitale_protocol.problems import Problem

__all__ = ["PollingDriver"]

CLOSE_LIMIT = 2.0
"""Seconds to end the threads in; one that is inside the system cannot be ended, and goes with the process."""

ReaderT = TypeVar("ReaderT", bound=ReaderThread[Any])


class PollingDriver(Driver, Generic[ReaderT]):
    """A driver whose readers are looked for every ``look`` seconds, and kept until it is closed.

    Args:
        options: those of the driver.
        look: seconds between two looks.
        well: the health to tell while nothing is the matter with any reader.
    """

    def __init__(self, options: Options, look: float, well: Health | None = None) -> None:
        super().__init__(options)
        self.readers: dict[str, ReaderT] = {}
        self.reader_health = HealthOfReaders(self.emit, Health(state="ok") if well is None else well, self._hear_of)
        self._look_every = look
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._armed: Arm | None = None
        self._emit_to: Emit | None = None
        self._awaited: frozenset[str] | None = None
        self._heard_of = set[str]()
        # Not the other lock: a reader tells of itself with its own, which whoever orders it takes after that one.
        self._settling = threading.Lock()
        self._finder = threading.Thread(target=self._find, name=f"{self.name} readers", daemon=True)

    # ── for the drivers ──

    @abc.abstractmethod
    def look(self) -> None:
        """Looks for readers; those that are new are added."""

    @abc.abstractmethod
    def has_to_look(self) -> bool:
        """True if a reader may come that is not known."""

    def begin(self, emit: Emit, started: Report) -> None:
        """Says that the driver is open and well, and looks for readers from now on.

        It has settled when those of the first look have told how they are.
        """
        self._emit_to = emit
        self.emit(started)
        self.emit(self.reader_health.health)
        self.look()
        found = frozenset(reader.id for reader in self._all())
        with self._settling:
            self._awaited = found
        self._settle()
        if self.has_to_look():
            self._finder.start()

    def add(self, name: str, make: Callable[[], ReaderT]) -> None:
        """A reader of this id was found; made and started unless it is known."""
        with self._lock:
            if name in self.readers or self._closed.is_set():
                return
            reader = self.readers[name] = make()
            if self._armed is not None:
                reader.order(self._armed)
            reader.start()

    def reader(self, name: str) -> ReaderT | None:
        """The reader of an id."""
        with self._lock:
            return self.readers.get(name)

    def emit(self, report: Report) -> None:
        """Reports, until the driver is closed."""
        if self._emit_to is not None and not self._closed.is_set():
            self._emit_to(report)
        if isinstance(report, ReaderAdded):
            self._hear_of(report.reader.id)

    # ── calls of the worker ──

    def arm(self, command: Arm) -> None:
        """Arms every reader, also those that come later."""
        with self._lock:
            self._armed = command
            self._order(command)

    def transmit(self, command: Transmit) -> None:
        """Answers that nothing takes APDUs here; a driver of chips overrides it."""
        gone = self.reader(command.reader) is None
        problem = Problem(ReaderGone.reason) if gone else Problem(MediumUnsupported.reason, "lease")
        self.emit(Transmitted(id=command.id, responses=(), problem=problem))

    def disarm(self) -> None:
        """Ends the effect of ``arm``."""
        with self._lock:
            self._armed = None
            self._order(Disarm())

    def stuck(self) -> str:
        """Names a reader that has been in one call for longer than any may take."""
        now = time.monotonic()
        return next((f"call to {reader.id}" for reader in self._all() if reader.is_stuck(now)), "")

    def close(self) -> None:
        """Ends the threads that can be ended; the devices are closed then."""
        self._closed.set()
        readers, end = self._all(), time.monotonic() + CLOSE_LIMIT
        for reader in readers:
            reader.end()
        for reader in readers:
            reader.join(max(0.0, end - time.monotonic()))
        if self._finder.ident is not None:
            self._finder.join(max(0.0, end - time.monotonic()))

    # ── inside ──

    def _hear_of(self, reader: str) -> None:
        with self._settling:
            self._heard_of.add(reader)
        self._settle()

    def _settle(self) -> None:
        with self._settling:
            settles = self._awaited is not None and self._awaited <= self._heard_of
            if settles:
                self._awaited = None
        if settles:
            self.emit(Settled())

    def _order(self, order: Arm | Disarm) -> None:
        for reader in self.readers.values():
            reader.order(order)

    def _all(self) -> tuple[ReaderT, ...]:
        with self._lock:
            return tuple(self.readers.values())

    def _find(self) -> None:
        while self.has_to_look() and not self._closed.wait(self._look_every):
            self.look()
