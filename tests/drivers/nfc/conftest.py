"""Patience with a simulated chip, whose thread may not run for a while."""

from collections.abc import Callable

import pytest

from vitale_drivers.nfc import serial_line

SetPatience = Callable[[float], None]


@pytest.fixture
def set_patience(monkeypatch: pytest.MonkeyPatch) -> SetPatience:
    """Sets the seconds for which any answer of a chip is waited for at least; short only for one that is silent."""

    def change(seconds: float) -> None:
        monkeypatch.setattr(serial_line, "PATIENCE", seconds)

    return change


@pytest.fixture
def patient_line(set_patience: SetPatience) -> None:
    """Waits for every answer of a chip as long as it takes: for chips that answer."""
    set_patience(60.0)
