"""A line of the table of measures, and the percentiles that stand in it."""

import statistics
from collections.abc import Sequence

import msgspec

__all__ = ["MILLISECONDS", "Measure", "p50", "p95"]

MILLISECONDS = 1_000.0


class Measure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: figures in ``unit``; ``kept`` is None where the architecture promises nothing."""

    name: str
    unit: str
    ours: str
    p50: float
    p95: float | None = None
    baseline: str = ""
    baseline_p50: float | None = None
    baseline_p95: float | None = None
    promise: str = ""
    kept: bool | None = None


def p50(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """The 95th percentile; of a single value, that."""
    return values[0] if len(values) == 1 else statistics.quantiles(values, n=20)[-1]
