"""``call_timer``: a call that does not return is seen from another thread."""

import time

import pytest

from vitale_drivers.readers.call_timer import CallTimer


def test_a_call_is_timed_while_it_lasts() -> None:
    timer = CallTimer()
    assert timer.elapsed(time.monotonic()) == 0.0
    with timer.call():
        assert timer.elapsed(time.monotonic() + 5) > 4
    assert timer.elapsed(time.monotonic() + 5) == 0.0


def test_a_call_that_raises_has_ended() -> None:
    timer = CallTimer()
    with pytest.raises(OSError, match="unplugged"), timer.call():
        raise OSError("unplugged")
    assert timer.elapsed(time.monotonic() + 5) == 0.0
