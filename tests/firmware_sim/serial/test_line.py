"""A pseudo-terminal as slow as a wire, on a clock of the test's own."""

import os
import threading
from types import SimpleNamespace

import pytest

from tests.posix import open_terminal
from vitale_firmware_sim.serial import line as serial_line
from vitale_firmware_sim.serial.line import Baud, SerialLine, Unplugged

pytestmark = pytest.mark.posix


class Clock:
    """A clock that waits move; each ends late by as much as it is told."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.late = 0.0
        self._set = False

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds + self.late
        return self._set

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(serial_line, "time", made)
    monkeypatch.setattr(serial_line, "threading", SimpleNamespace(Event=lambda: made, Lock=threading.Lock))
    return made


def receives(line: SerialLine, data: bytes) -> None:
    host = open_terminal(line.path)
    try:
        os.write(host, data)
        assert line.receive(30.0) == data
    finally:
        os.close(host)


@pytest.mark.parametrize(("baud", "seconds"), [(9_600, 1.0), (115_200, 9_600 / 115_200), (None, 0.0)])
def test_what_is_sent_is_there_when_the_wire_has_brought_it(clock: Clock, baud: Baud, seconds: float) -> None:
    line, began = SerialLine(baud), clock.now
    line.send(b"x" * 960)
    assert clock.now - began == pytest.approx(seconds)
    line.close()


def test_what_is_received_is_settled_when_the_wire_has_brought_it(clock: Clock) -> None:
    line, began = SerialLine(9_600), clock.now
    receives(line, b"x" * 96)
    assert clock.now == began
    line.settle()
    assert clock.now - began == pytest.approx(0.1)
    line.close()


def test_of_a_line_that_is_closed_nothing_is_looked_at() -> None:
    line = SerialLine()
    line.close()
    with pytest.raises(Unplugged):
        line.fetched(0.0)


def test_waits_that_end_late_do_not_add_up(clock: Clock) -> None:
    line, began = SerialLine(9_600), clock.now
    clock.late = 0.03
    for _ in range(20):
        line.send(b"x" * 96)
    assert clock.now - began == pytest.approx(20 * 0.1 + 0.03)
    line.close()


def test_the_wire_follows_what_host_and_chip_agree_upon(clock: Clock) -> None:
    line, began = SerialLine("agreed"), clock.now
    line.send(b"x" * 960)
    assert clock.now - began == pytest.approx(9_600 / 115_200)
    line.agreed, began = 921_600, clock.now
    line.send(b"x" * 960)
    assert clock.now - began == pytest.approx(9_600 / 921_600)
    line.close()
