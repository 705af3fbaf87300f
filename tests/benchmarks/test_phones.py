"""``phones``: each figure in its line, and a promise that is broken is told."""

import sys

import pytest

from tests.benchmarks import phones
from tests.benchmarks.latency_nfc import BAUD_RATES, WAYS, IdleLoad, TapTimes
from tests.benchmarks.phones import idle_lines, tap_lines
from tests.benchmarks.table import Measure

SECONDS = {"connect": 0.344, "connect-20": 0.018, "chip": 0.009}


def lines(driver: float) -> list[Measure]:
    seconds = {**SECONDS, "driver": driver}
    return tap_lines([TapTimes(way=way, baud=baud, seconds=(seconds[way],) * 5) for baud in BAUD_RATES for way in WAYS])


def test_the_driver_stands_beside_every_other_way_at_every_speed() -> None:
    found = lines(0.012)
    assert [round(line.baseline_p50 or 0) for line in found] == [344, 18, 9] * 2
    assert {(round(line.p50), round(line.p95 or 0)) for line in found} == {(12, 12)}
    assert [line.name.split()[-2] for line in found] == [str(baud) for baud in BAUD_RATES for _ in range(3)]
    assert [line.kept for line in found] == [None, None, True] * 2


def test_a_driver_that_is_too_slow_does_not_keep_its_promise() -> None:
    assert [line.kept for line in lines(0.025)] == [None, None, False] * 2


@pytest.mark.parametrize(
    ("armed", "disarmed", "kept"), [(0.01, 0.0, [True, True]), (0.03, 0.0, [False, True]), (0.0, 0.01, [True, False])]
)
def test_a_reader_at_rest(armed: float, disarmed: float, kept: list[bool]) -> None:
    found = idle_lines(IdleLoad(armed=armed, disarmed=disarmed))
    assert [line.p50 for line in found] == [armed * 100, disarmed * 100]
    assert [line.kept for line in found] == kept


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the load is read from /proc")
def test_everything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phones, "measure_taps", made_up)
    said: list[str] = []
    found = phones.lines(3, 1, said.append)
    assert len(said) == 2
    whole, resolver = found[-2:]
    assert 0 < resolver.p50 < whole.p50


def made_up(taps: int, say: object) -> list[TapTimes]:
    assert callable(say)
    return [TapTimes(way=way, baud=baud, seconds=(0.01,) * taps) for baud in BAUD_RATES for way in WAYS]
