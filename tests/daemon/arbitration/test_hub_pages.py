"""Rule 15 of the hub: a page gets what is presented for its request, and once."""

import pytest

from vitale_drivers.base import Presented
from vitale_protocol.events import Reader
from vitale_reader.daemon.arbitration.actions import Action, ArmDriver, Deliver, NotifyProgress, PendingRequest
from vitale_reader.daemon.arbitration.hub import PRESENT, Hub

EMPTY = Reader(id="a", name="A", driver="pcsc", media=("vitale-card",), state="empty")
PRESENT_CARD = Reader(id="a", name="A", driver="pcsc", media=("vitale-card",), state="present", medium="vitale-card")
OTHER_CARD = Reader(id="b", name="B", driver="pcsc", media=("vitale-card",), state="present", medium="vitale-card")


def ask(number: int, now: float, *, of_page: bool = True) -> PendingRequest:
    return PendingRequest(
        client="page",
        key=(number, 1),
        media=frozenset({"vitale-card"}),
        asked_at=now,
        deadline=now + 60,
        of_page=of_page,
    )


def card(number: int = 1, reader: str = "a") -> Presented:
    return Presented(id=f"p{number}", medium="vitale-card", reader=reader, at=0.0, evidence={}, simulated=True)


def delivered(actions: list[Action]) -> list[tuple[int, int | str]]:
    return [action.request.key for action in actions if isinstance(action, Deliver)]


def steps(actions: list[Action]) -> list[str]:
    return [action.step for action in actions if isinstance(action, NotifyProgress)]


def read_again(actions: list[Action]) -> list[str]:
    return [name for action in actions if isinstance(action, ArmDriver) for name in action.arm.again]


@pytest.fixture
def hub() -> Hub:
    """A reader in which a card was put at 100 seconds."""
    made = Hub()
    made.driver_up("pcsc", ["vitale-card"], 0.0)
    made.reader_added(EMPTY, 0.0)
    made.reader_changed(PRESENT_CARD, 100.0)
    return made


def test_a_card_that_was_just_put_in_counts(hub: Hub) -> None:
    assert ["armed"] == steps(hub.ask(ask(1, 100.0 + PRESENT), 100.0 + PRESENT))
    assert [(1, 1)] == delivered(hub.presented(card(), 111.0))


def test_a_card_that_lay_there_does_not_until_it_comes_again(hub: Hub) -> None:
    late = 100.0 + PRESENT + 0.001
    assert ["armed", "reinsert"] == steps(hub.ask(ask(1, late), late))
    assert [] == delivered(hub.presented(card(), late + 1))
    hub.reader_changed(EMPTY, late + 2)
    hub.reader_changed(PRESENT_CARD, late + 3)

    assert [(1, 1)] == delivered(hub.presented(card(2), late + 4))


def test_a_card_gives_a_page_one_token(hub: Hub) -> None:
    hub.ask(ask(1, 101.0), 101.0)
    assert [(1, 1)] == delivered(hub.presented(card(), 102.0))
    asked = hub.ask(ask(2, 103.0), 103.0)
    assert ["armed", "reinsert"] == steps(asked)
    assert [] == read_again(asked)
    assert [] == delivered(hub.presented(card(2), 104.0))


def test_other_clients_take_what_lies_there(hub: Hub) -> None:
    hub.ask(ask(1, 101.0), 101.0)
    hub.presented(card(), 102.0)
    hub.ask(ask(2, 200.0), 200.0)
    asked = hub.ask(ask(3, 201.0, of_page=False), 201.0)

    assert (["armed"], ["a"]) == (steps(asked), read_again(asked))
    assert [(3, 1)] == delivered(hub.presented(card(2), 202.0))


def test_what_another_client_was_given_counts_still_for_a_page(hub: Hub) -> None:
    hub.ask(ask(1, 101.0, of_page=False), 101.0)
    hub.presented(card(), 102.0)
    asked = hub.ask(ask(2, 103.0), 103.0)

    assert (["armed"], ["a"]) == (steps(asked), read_again(asked))
    assert [(2, 1)] == delivered(hub.presented(card(2), 104.0))


def test_a_card_that_does_not_count_makes_nothing_ambiguous(hub: Hub) -> None:
    hub.ask(ask(1, 200.0), 200.0)
    hub.reader_added(Reader(id="b", name="B", driver="pcsc", media=("vitale-card",), state="empty"), 200.0)
    hub.reader_changed(OTHER_CARD, 201.0)

    assert [(1, 1)] == delivered(hub.presented(card(2, "b"), 202.0))


def test_a_request_that_ended_leaves_no_kind_behind(hub: Hub) -> None:
    hub.ask(ask(1, 200.0), 200.0)
    hub.cancel((1, 1), 201.0)

    assert () == hub.waiting
    assert ["armed", "reinsert"] == steps(hub.ask(ask(1, 202.0), 202.0))
