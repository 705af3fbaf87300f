"""Time as an imager's thread has it, which a test lets pass."""

import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest

from vitale_drivers.scanner import reader
from vitale_drivers.scanner.scans import Scans

__all__ = ["ScannerClock"]


class ScannerClock:
    """The monotonic clock of the imagers that are made from now on.

    Args:
        stands: whether it stands still but for ``pass_by``, so that no pause is one that the test did not make.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, stands: bool) -> None:
        self._stood_at = time.monotonic() if stands else None
        self._passed = 0.0
        self._looks = 0
        self._looked = threading.Condition()
        monkeypatch.setattr(reader, "time", SimpleNamespace(monotonic=self))
        monkeypatch.setattr(reader, "Scans", partial(Scans, clock=self))

    def __call__(self) -> float:
        """Seconds, as ``time.monotonic`` gives them."""
        with self._looked:
            self._looks += 1
            self._looked.notify_all()
        return self._passed + (time.monotonic() if self._stood_at is None else self._stood_at)

    def pass_by(self, seconds: float) -> None:
        """Lets time pass at once; an imager's thread sees it when it looks next."""
        self._passed += seconds

    def wait_looked(self, times: int) -> None:
        """Waits until an imager's thread, which is about to give up its line, has looked so many times more."""
        with self._looked:
            enough = self._looks + times
            assert self._looked.wait_for(lambda: self._looks >= enough, 60)

    def run(self) -> None:
        """Goes on by itself from now on."""
        self._stood_at = None
