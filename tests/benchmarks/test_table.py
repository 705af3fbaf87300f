"""``table``: when an allowance over a baseline holds."""

import pytest

from tests.benchmarks.table import Allowance

BARE = [0.010] * 20


@pytest.mark.parametrize(
    ("ours", "holds"),
    [
        ([0.013] * 20, True),
        ([0.0131] * 20, False),
        ([0.013] * 18 + [0.015] * 2, True),
        ([0.013] * 18 + [0.016] * 2, False),
    ],
)
def test_a_promise_is_kept_at_both(ours: list[float], holds: bool) -> None:
    assert Allowance(0.00301, 0.00501).holds(ours, BARE) == holds


def test_a_promise_in_words() -> None:
    assert Allowance(0.003, 0.005).text("pyscard") == "pyscard + 3 ms p50, + 5 ms p95"
