"""Shares: a rate with its burst and its debt, one bucket for each owner, places by owner."""

from tests.clocks import Clock
from vitale_reader.daemon.fairness import rate_limits
from vitale_reader.daemon.fairness.rate_limits import Bucket, Buckets, Places, Rate


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock(100.0)
    bucket = Bucket(Rate(4.0, 3.0), clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now += 0.25
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.now += 1_000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_what_was_used_already_is_a_debt_that_is_waited_for() -> None:
    clock = Clock(100.0)
    bucket = Bucket(Rate(2.0, 1.0), clock)
    bucket.spend(4.0)
    assert bucket.wait == 1.5
    assert not bucket.take(0.0)
    clock.now += 1.5
    assert bucket.wait == 0.0
    assert bucket.take(0.0)


def test_each_owner_has_a_bucket_and_forgotten_ones_are_full() -> None:
    buckets = Buckets(Rate(1.0, 1.0), Clock(100.0))
    assert buckets.of("a").take()
    assert not buckets.of("a").take()
    assert buckets.of("b").take()
    for number in range(rate_limits.MOST_BUCKETS):
        buckets.of(number)
    assert len(buckets) == rate_limits.MOST_BUCKETS
    assert buckets.of("a").take()


def test_places_are_limited_in_all_and_for_each() -> None:
    places = Places(3, each=2)
    assert [places.enter("a"), places.enter("a"), places.enter("a")] == [True, True, False]
    assert [places.enter("b"), places.enter("c")] == [True, False]
    places.leave("a")
    assert places.enter("c")
    assert places.count == 3
