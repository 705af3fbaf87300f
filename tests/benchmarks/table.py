"""A line of the table of measures, and the percentiles that stand in it."""

import statistics
from collections.abc import Sequence

import msgspec

__all__ = ["MILLISECONDS", "Allowance", "Measure", "compared_with_unix", "p50", "p95"]

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


class Allowance(msgspec.Struct, frozen=True):
    """The seconds that a promise allows over its baseline, at p50 and at p95."""

    p50: float
    p95: float

    def holds(self, ours: Sequence[float], bare: Sequence[float]) -> bool:
        """Whether these times, in seconds, keep it."""
        return p50(ours) <= p50(bare) + self.p50 and p95(ours) <= p95(bare) + self.p95

    def text(self, over: str) -> str:
        """The promise in words: ``over`` is what the baseline is called."""
        return f"{over} + {self.p50 * MILLISECONDS:g} ms p50, + {self.p95 * MILLISECONDS:g} ms p95"


def p50(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """The 95th percentile; of a single value, that."""
    return values[0] if len(values) == 1 else statistics.quantiles(values, n=20)[-1]


def compared_with_unix(
    what: str, name: str, unix: Sequence[float], ours: Sequence[float], *, allowed: float
) -> Measure:
    """The times of one way beside those of the Unix socket, seconds each; the promise allows some milliseconds more."""
    return Measure(
        name=what,
        unit="ms",
        baseline="unix",
        baseline_p50=p50(unix) * MILLISECONDS,
        baseline_p95=p95(unix) * MILLISECONDS,
        ours=name,
        p50=p50(ours) * MILLISECONDS,
        p95=p95(ours) * MILLISECONDS,
        promise=f"unix + {allowed:g} ms p50",
        kept=p50(ours) <= p50(unix) + allowed / MILLISECONDS,
    )
