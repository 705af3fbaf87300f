"""A lease's end in time, on a card whose exchanges move the clock."""

import pytest

from tests.problems import named
from vitale_drivers.base import LeaseCommand, Leased, Transmit, Transmitted, Unleased
from vitale_drivers.cards import lease as card_lease
from vitale_drivers.cards.channel import Channel
from vitale_drivers.cards.lease import CardLease
from vitale_drivers.contract import Inbox

SELECT_MF = bytes.fromhex("00A40000023F00")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(card_lease, "time", clock)
    return clock


def test_no_exchange_of_a_series_is_begun_after_the_end(clock: Clock) -> None:
    inbox, sent = Inbox(), list[bytes]()

    def transmit(apdu: bytes) -> bytes:
        clock.now += 0.2
        sent.append(apdu)
        return b"\x90\x00"

    lease = CardLease(LeaseCommand(id=1, reader="pcsc:x", until=100.7), inbox)
    lease.add(Transmit(id=2, reader="pcsc:x", apdus=(SELECT_MF,) * 10, lease=1))
    lease.add(Transmit(id=3, reader="pcsc:x", apdus=(SELECT_MF,), lease=1))
    assert lease.task(1, lambda: b"\x3b").run(Channel(transmit)) == Unleased(id=1, why="ttl")
    assert len(sent) == 4
    leased, cut, refused = inbox.reports
    assert isinstance(leased, Leased)
    assert isinstance(cut, Transmitted)
    assert isinstance(refused, Transmitted)
    assert (cut.id, len(cut.responses), named(cut.problem)) == (2, 4, "lease_expired.ttl")
    assert (refused.id, refused.responses, named(refused.problem)) == (3, (), "lease_expired.ttl")
