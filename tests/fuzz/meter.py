"""The meter of an engine: counts inputs and processor time, writes both into the ledger, and ends the engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import process_time

import msgspec

from tests.fuzz.ledger import Place, Record

__all__ = ["BETWEEN_RECORDS", "Meter"]

#: Seconds of processor time between two writings of the record.
BETWEEN_RECORDS = 2.0


@dataclass(slots=True, kw_only=True)
class Meter:
    """Passes inputs on to a target, for as long as that has time left.

    Attributes:
        target: takes an input.
        place: of the target in the ledger.
        version: of its parser; what another version had does not count.
        seconds: of processor time that it may have, those of the record included.
        end: ends the engine, in peace.
        clock: processor time of this process.
    """

    target: Callable[[bytes], None]
    place: Place
    version: str
    seconds: float
    end: Callable[[], None]
    clock: Callable[[], float] = process_time
    _had: Record = field(default_factory=Record)
    _begun: float = 0.0
    _runs: int = 0
    _written: float = 0.0

    def begin(self) -> bool:
        """Goes on from the record; False where nothing is left to do: its time is over, or a finding is not mended."""
        had = self.place.read()
        self._had = had if had.version == self.version else Record(version=self.version)
        self.place.write(self._had)
        self._begun = self.clock()
        return self._had.seconds < self.seconds and not self._had.findings

    def run(self, data: bytes) -> None:
        """Passes an input on."""
        spent = self.clock() - self._begun
        is_over = self._had.seconds + spent >= self.seconds
        if is_over or spent >= self._written + BETWEEN_RECORDS:
            self._write(spent)
        if is_over:
            self.end()
        self._runs += 1
        self.target(data)

    def _write(self, spent: float) -> None:
        self._written = spent
        had = self._had
        self.place.write(msgspec.structs.replace(had, seconds=had.seconds + spent, runs=had.runs + self._runs))
