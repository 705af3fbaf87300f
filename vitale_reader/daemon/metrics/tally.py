"""The tally: counts and distributions of what was observed since the start.

Labels are words of the catalogue, of the configuration and of this program. Whoever sends a new one each time, as a
plug-in might, fills no more than ``MOST_SERIES``. What is beyond counts as ``other``.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import msgspec

from vitale_protocol.metrics.families import Distribution, Families, Family, Sample
from vitale_reader.daemon.observation.events import (
    CallRefused,
    Delivered,
    Event,
    NotRead,
    StoreWork,
    Unanswered,
)

__all__ = ["MOST_SERIES", "OTHER", "Tally"]

#: Series of one family: 12 media by 6 drivers with the outcomes that occur are fewer.
MOST_SERIES: Final = 500
OTHER: Final = "other"

#: Seconds. The promises of a desk stand at some milliseconds, the end of patience at ten seconds.
LATENCIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = tuple[str, ...]


class _Counter:
    def __init__(self, name: str, help_: str, *labels: str) -> None:
        self._family = Family(name=name, kind="counter", help=help_, labels=labels)
        self._counts: dict[Labels, float] = {} if labels else {(): 0.0}

    def add(self, *labels: str) -> None:
        labels = _bounded(labels, self._counts)
        self._counts[labels] = self._counts.get(labels, 0.0) + 1.0

    def family(self) -> Family:
        samples = tuple(Sample(labels, value) for labels, value in sorted(self._counts.items()))
        return msgspec.structs.replace(self._family, samples=samples)


class _Histogram:
    def __init__(self, name: str, help_: str, *labels: str) -> None:
        self._family = Family(name=name, kind="histogram", help=help_, labels=labels, bounds=LATENCIES)
        self._counts: dict[Labels, list[int]] = {}
        self._totals: dict[Labels, float] = {}

    def observe(self, seconds: float, *labels: str) -> None:
        labels = _bounded(labels, self._counts)
        counts = self._counts.setdefault(labels, [0] * (len(LATENCIES) + 1))
        counts[bisect_left(LATENCIES, seconds)] += 1
        self._totals[labels] = self._totals.get(labels, 0.0) + seconds

    def family(self) -> Family:
        found = (Distribution(labels, tuple(counts), self._totals[labels]) for labels, counts in self._counts.items())
        spread = tuple(sorted(found, key=lambda each: each.labels))
        return msgspec.structs.replace(self._family, distributions=spread)


class Tally:
    """Observer that adds up what it is told."""

    def __init__(self) -> None:
        self._presentations = _Counter(
            "vitale_reader_presentations",
            "Media that were presented, by what became of them: ok, or the reason in the catalogue of errors.",
            "medium",
            "driver",
            "outcome",
        )
        self._unanswered = _Counter(
            "vitale_reader_requests_unanswered",
            "Requests that ended before anything was presented for them.",
            "outcome",
        )
        self._refused = _Counter(
            "vitale_reader_calls_refused",
            "Calls that were refused because their client had taken its share.",
            "limit",
        )
        self._failures = _Counter("vitale_reader_store_failures", "Pieces of work for which the store was not there.")
        self._presentation = _Histogram(
            "vitale_reader_presentation_seconds",
            "From a presentation to the answer in its client's hands, the driver's reading included.",
            "medium",
        )
        self._stages = _Histogram(
            "vitale_reader_presentation_stage_seconds",
            "Stages of a presentation: read, guard, resolve, sign, keep.",
            "medium",
            "stage",
        )
        self._store = _Histogram("vitale_reader_store_seconds", "Work of the store, from its turn to its answer.")
        self._turns = _Histogram("vitale_reader_store_wait_seconds", "Time that work of the store waited for its turn.")

    def __call__(self, event: Event) -> None:
        """Adds an event to what was counted."""
        match event:
            case StoreWork():
                self._turns.observe(event.waited)
                self._store.observe(event.seconds)
                if not event.answered:
                    self._failures.add()
            case Delivered():
                self._delivered(event)
            case NotRead():
                self._presentations.add(event.medium or "unknown", event.driver, event.outcome)
            case Unanswered():
                self._unanswered.add(event.outcome)
            case CallRefused():
                self._refused.add(event.limit)

    def families(self) -> Families:
        """All that was counted so far."""
        return tuple(self._families())

    def _families(self) -> Iterator[Family]:
        for counter in (self._presentations, self._unanswered, self._refused, self._failures):
            yield counter.family()
        for histogram in (self._presentation, self._stages, self._store, self._turns):
            yield histogram.family()

    def _delivered(self, event: Delivered) -> None:
        self._presentations.add(event.medium, event.driver, event.outcome)
        began = min((event.began, *(stage.began for stage in event.stages)))
        self._presentation.observe(event.ended - began, event.medium)
        for stage in event.stages:
            self._stages.observe(stage.seconds, event.medium, stage.stage)


def _bounded(labels: Labels, known: "dict[Labels, float] | dict[Labels, list[int]]") -> Labels:
    return labels if labels in known or len(known) < MOST_SERIES else (OTHER,) * len(labels)
