"""The text for Prometheus, as its own parser reads it."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from vitale_protocol.metrics.families import Distribution, Family, Sample
from vitale_reader.metrics.exposition import exposition


def read(*families: Family) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples that a scraper sees."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in text_string_to_metric_families(exposition(families).decode())
        for sample in metric.samples
    }


def test_a_gauge_and_a_counter() -> None:
    gauge = Family(name="up", kind="gauge", help="Up.", labels=("driver",), samples=(Sample(("pcsc",), 1),))
    counter = Family(name="restarts", kind="counter", help="Restarts.", samples=(Sample((), 3),))
    assert {("up", (("driver", "pcsc"),)): 1.0, ("restarts_total", ()): 3.0} == read(gauge, counter)


def test_the_buckets_of_a_histogram_count_what_is_below() -> None:
    found = read(
        Family(
            name="took_seconds",
            kind="histogram",
            help="Time.",
            labels=("medium",),
            bounds=(0.1, 1.0),
            distributions=(Distribution(("vitale-card",), (1, 2, 4), 9.5),),
        )
    )
    medium = ("medium", "vitale-card")
    assert {
        ("took_seconds_bucket", (("le", "0.1"), medium)): 1.0,
        ("took_seconds_bucket", (("le", "1.0"), medium)): 3.0,
        ("took_seconds_bucket", (("le", "+Inf"), medium)): 7.0,
        ("took_seconds_count", (medium,)): 7.0,
        ("took_seconds_sum", (medium,)): 9.5,
    } == found


def test_what_a_plug_in_is_called_breaks_no_line() -> None:
    odd = 'a"b\\c\nd'
    found = read(Family(name="up", kind="gauge", help="Up.", labels=("driver",), samples=(Sample((odd,), 1),)))
    assert {("up", (("driver", odd),)): 1.0} == found


def test_nothing_is_an_empty_text() -> None:
    assert b"" == exposition(())


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        exposition((Family(name="", kind="gauge", help="", samples=(Sample((), 1),)),))
