"""Shares: a rate with its burst and its debt, one bucket for each owner, places by owner."""

from tests.clocks import Clock
from vitale_reader.daemon.fairness import token_buckets
from vitale_reader.daemon.fairness.token_buckets import Bucket, Buckets, Places, Rate, UnreadBytes


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
    for number in range(token_buckets.MOST_BUCKETS):
        buckets.of(number)
    assert len(buckets) == token_buckets.MOST_BUCKETS
    assert buckets.of("a").take()


def test_places_are_limited_in_all_and_for_each() -> None:
    places = Places(3, each=2)
    assert [places.enter("a"), places.enter("a"), places.enter("a")] == [True, True, False]
    assert [places.enter("b"), places.enter("c")] == [True, False]
    places.leave("a")
    assert places.enter("c")
    assert places.count == 3


class Connection:
    """A connection in which so much waits."""

    def __init__(self, waits: int) -> None:
        self.waits = waits

    def get_write_buffer_size(self) -> int:
        return self.waits


def test_what_is_unread_counts_over_all_connections_of_an_owner() -> None:
    unread = UnreadBytes(100, least=10)
    first, second, little, other = Connection(60), Connection(40), Connection(10), Connection(100)
    assert [unread.exceeded("a", each) for each in (first, second, little)] == [False, False, False]
    assert not unread.exceeded("b", other)
    second.waits = 41
    assert unread.exceeded("a", second)
    assert not unread.exceeded("a", little), "it has no part in it"
    first.waits = 0
    assert not unread.exceeded("a", second)


def test_a_connection_that_is_gone_counts_no_more() -> None:
    unread = UnreadBytes(100, least=10)
    gone, left = Connection(60), Connection(60)
    assert not unread.exceeded("a", gone)
    unread.forget(gone)
    assert not unread.exceeded("a", left)
    assert unread.exceeded("a", gone)
