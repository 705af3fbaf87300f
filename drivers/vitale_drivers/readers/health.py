"""Faults of a driver's readers, and the health of the driver that follows; reported when it changes."""

import threading
from collections.abc import Callable

from vitale_drivers.base import Health, Report
from vitale_protocol.errors import ReaderError
from vitale_protocol.problems import Problem

__all__ = ["HealthOfReaders"]


class HealthOfReaders:
    """Faults of the readers that are present; thread-safe.

    Args:
        emit: is told a ``Health`` that is another one than before.
        well: the health while nothing is the matter with any.
        told: is told of each reader of which anything is known, each time.
    """

    def __init__(self, emit: Callable[[Report], None], well: Health, told: Callable[[str], None] | None = None) -> None:
        self._emit = emit
        self._told = told
        self._well = well
        self._lock = threading.Lock()
        self._errors: dict[str, ReaderError] = {}

    def record(self, reader: str, error: ReaderError | None) -> None:
        """Records the fault of a reader; None: it is well, or gone."""
        with self._lock:
            before = self.health
            if error is None:
                self._errors.pop(reader, None)
            else:
                self._errors[reader] = error
            after = self.health
        if after != before:
            self._emit(after)
        if self._told is not None:
            self._told(reader)

    @property
    def health(self) -> Health:
        """Health of the first faulty reader: the driver has room for one."""
        if not self._errors:
            return self._well
        reader, error = min(self._errors.items())
        holder = error.data.get("holder")
        detail = f"{reader}: {error.detail}" + (f" ({holder})" if holder else "")
        return Health(state="degraded", problem=Problem(error.reason, error.variant, detail))
