"""``latency_nfc``: every way reads a phone, and the driver takes next to nothing while there is none."""

import sys

import pytest

from tests.benchmarks.latency_nfc import WAYS, measure_idle, measure_taps


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_every_way_reads_every_tap(way: str) -> None:
    said: list[str] = []
    (found,) = measure_taps(2, said.append, ways=(way,), bauds=(921_600,))
    assert (found.way, found.baud, len(found.seconds)) == (way, 921_600, 2)
    assert all(0 < seconds for seconds in found.seconds)
    assert len(said) == 1


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the load is read from /proc")
def test_the_driver_at_rest_takes_next_to_nothing() -> None:
    load = measure_idle(2.0)
    print(load)
    # How much of a core that is depends on the machine and on who else is busy there; what causes it does not.
    assert 0 < load.polls < 100
    assert load.strays <= 12, "more than the poll that was under way"
    assert (load.armed >= 0, load.disarmed >= 0) == (True, True)
