"""Rules 10 to 12 of the hub: subscriptions take what no request claims, in turns; what is leased waits."""

from collections.abc import Iterable

import pytest

from tests.problems import named
from vitale_drivers.base import Presented
from vitale_protocol.errors import MediumMute, ReaderUnavailable
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration.actions import (
    Action,
    ArmDriver,
    Deliver,
    DisarmDriver,
    NotifyProgress,
    PendingRequest,
    PendingSubscription,
    Refuse,
    Unread,
)
from vitale_reader.daemon.arbitration.hub import GRACE_LOST, GRACE_NEW, Hub

CARD = frozenset({"vitale-card"})


def reader(name: str = "a", state: str = "empty", medium: str | None = None) -> Reader:
    return Reader(id=name, name=name.upper(), driver="pcsc", media=("vitale-card",), state=state, medium=medium)  # type: ignore[arg-type]  # tests name states in words


def present(name: str = "a") -> Reader:
    return reader(name, "present", "vitale-card")


def leased(name: str = "a") -> Reader:
    return reader(name, "leased", "vitale-card")


def presented(number: int, name: str = "a") -> Presented:
    return Presented(id=f"p{number}", medium="vitale-card", reader=name, at=0.0, evidence={}, simulated=True)


def ask(number: int, now: float = 0.0) -> PendingRequest:
    return PendingRequest(key=(9, number), client="one", media=CARD, asked_at=now, deadline=now + 60)


def subscription(
    session: int, *, client: str = "", media: frozenset[str] = CARD, readers: frozenset[str] = frozenset()
) -> PendingSubscription:
    name = f"sub-{session}"
    return PendingSubscription(key=(session, name), client=client or name, media=media, readers=readers)


def of(kind: type[Action], actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, kind)]


def served(actions: list[Action]) -> list[int]:
    """The sessions that got something."""
    return [action.request.key[0] for action in actions if isinstance(action, Deliver)]


@pytest.fixture
def hub() -> Hub:
    made = Hub()
    made.driver_up("pcsc", ["vitale-card", "cps-card"], 0.0)
    made.reader_added(reader("a"), 0.0)
    return made


def next_card(hub: Hub, number: int, now: float, name: str = "a") -> list[Action]:
    """A card is put in and read; what was to be done then."""
    hub.reader_changed(reader(name), now)
    hub.reader_changed(present(name), now)
    return hub.presented(presented(number, name), now)


def test_what_no_request_claims_goes_to_a_subscription_and_to_one_only(hub: Hub) -> None:
    hub.subscribe(subscription(1), 0.0)
    hub.subscribe(subscription(2), 0.0)
    assert len(of(Deliver, next_card(hub, 1, 1.0))) == 1
    hub.ask(ask(1, 2.0), 2.0)
    assert served(hub.presented(presented(2), 2.1)) == [9], "a request comes first, though it came later"


def test_subscriptions_are_served_in_turns(hub: Hub) -> None:
    for session in (1, 2, 3):
        hub.subscribe(subscription(session), 0.0)
    assert [served(next_card(hub, number, number)) for number in range(1, 7)] == [[1], [2], [3], [1], [2], [3]]


def test_who_comes_later_waits_for_one_turn_of_the_others_at_most(hub: Hub) -> None:
    hub.subscribe(subscription(1), 0.0)
    next_card(hub, 1, 1.0)
    hub.subscribe(subscription(2), 1.5)
    assert [served(next_card(hub, number, number)) for number in (2, 3)] == [[1], [2]]


def test_a_client_with_many_subscriptions_has_one_turn_as_any_other(hub: Hub) -> None:
    for session in (1, 2, 3):
        hub.subscribe(subscription(session, client="many"), 0.0)
    hub.subscribe(subscription(7, client="other"), 0.0)
    assert [served(next_card(hub, number, number)) for number in range(1, 6)] == [[1], [7], [2], [7], [3]]
    hub.unsubscribe((7, "sub-7"), 7.0)
    hub.subscribe(subscription(8, client="third"), 7.1)
    assert [served(next_card(hub, number, number)) for number in range(8, 11)] == [[1], [8], [2]]


def test_a_turn_is_for_what_matches(hub: Hub) -> None:
    hub.reader_added(reader("b"), 0.0)
    hub.subscribe(subscription(1, readers=frozenset({"b"})), 0.0)
    hub.subscribe(subscription(2, media=frozenset({"cps-card"})), 0.0)
    hub.subscribe(subscription(3), 0.0)
    assert served(next_card(hub, 1, 1.0)) == [3]
    assert served(next_card(hub, 2, 2.0, "b")) == [1]
    assert [each.key[0] for each in hub.subscribed] == [2, 3, 1]


def test_nothing_is_read_once_more_for_a_subscription(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    next_card(hub, 1, 1.0)
    (armed,) = of(ArmDriver, hub.subscribe(subscription(1), 2.0))
    assert isinstance(armed, ArmDriver)
    assert armed.arm.again == ()


def test_two_media_are_two_presentations(hub: Hub) -> None:
    hub.reader_added(reader("b"), 0.0)
    hub.subscribe(subscription(1), 0.0)
    hub.reader_changed(present("b"), 1.0)
    assert served(next_card(hub, 1, 1.0)) == [1]
    assert served(hub.presented(presented(2, "b"), 1.1)) == [1]


def test_a_failure_is_told_to_the_one_whose_turn_it_is_and_ends_nothing(hub: Hub) -> None:
    first, second = subscription(1), subscription(2)
    hub.subscribe(first, 0.0)
    hub.subscribe(second, 0.0)
    hub.reader_changed(present(), 1.0)
    error = MediumMute()
    assert of(Unread, hub.failed("a", error, 1.1)) == [Unread(first, error, "a")]
    assert served(next_card(hub, 1, 2.0)) == [1], "the next attempt is for the same one"
    hub.reader_changed(reader(), 3.0)
    hub.reader_changed(present(), 3.0)
    assert of(NotifyProgress, hub.failed("a", ReaderUnavailable(), 3.1)) == [
        NotifyProgress(second, "retry", "a", Problem("reader_unavailable"))
    ]


def test_a_failure_answers_a_request_before_a_subscription(hub: Hub) -> None:
    hub.subscribe(subscription(1), 0.0)
    hub.ask(ask(1), 0.0)
    hub.reader_changed(present(), 1.0)
    actions = hub.failed("a", MediumMute(), 1.1)
    assert (len(of(Refuse, actions)), of(Unread, actions)) == (1, [])


def test_a_subscription_waits_without_a_limit_with_readers_or_without() -> None:
    hub = Hub()
    assert hub.subscribe(subscription(1), 0.0) == []
    assert hub.next_deadline is None
    assert hub.tick(GRACE_NEW + GRACE_LOST + 86_400) == []
    hub.driver_up("pcsc", ["vitale-card"], 90_000.0)
    hub.reader_added(reader("a"), 90_000.0)
    assert served(next_card(hub, 1, 90_001.0)) == [1]


def test_a_subscription_ends_with_its_session_or_when_it_is_told_to(hub: Hub) -> None:
    for session in (1, 2):
        hub.subscribe(subscription(session), 0.0)
    hub.unsubscribe((1, "sub-1"), 1.0)
    assert hub.unsubscribe((1, "sub-1"), 1.0) == []
    assert of(DisarmDriver, hub.session_ended(2, 1.0)) == [DisarmDriver("pcsc")]
    assert hub.subscribed == ()
    assert served(next_card(hub, 1, 2.0)) == []


def test_progress_goes_to_the_one_whose_turn_it_is(hub: Hub) -> None:
    hub.subscribe(subscription(1), 0.0)
    hub.subscribe(subscription(2), 0.0)
    assert hub.progress("a", "reading") == [NotifyProgress(subscription(1), "reading", "a", None)]
    strange = reader("a", "present", "unknown-card")
    assert of(NotifyProgress, hub.reader_changed(strange, 1.0)) == [
        NotifyProgress(subscription(1), "remove_card", "a", Problem("medium_unsupported"))
    ], "one is enough to have it taken out"


def test_a_drivers_arm_has_no_end_for_a_subscription(hub: Hub) -> None:
    (armed,) = of(ArmDriver, hub.subscribe(subscription(1), 0.0))
    assert isinstance(armed, ArmDriver)
    assert armed.arm.deadline == float("inf")
    hub.ask(ask(1, 1.0), 1.0)
    assert of(ArmDriver, hub.tick(61.0)) == []


def test_a_code_that_was_used_by_one_subscription_is_not_given_to_the_next() -> None:
    hub = Hub()
    hub.driver_up("camera", ["apcv-qr"], 0.0)
    camera = Reader(id="c", name="c", driver="camera", media=("apcv-qr",), state="present", medium="apcv-qr")
    hub.reader_added(camera, 0.0)
    code = Presented(id="p", medium="apcv-qr", reader="c", at=0.0, evidence={"string": b"s"}, simulated=True)
    for session in (1, 2):
        hub.subscribe(subscription(session, media=frozenset({"apcv-qr"})), 0.0)
    assert served(hub.presented(code, 1.0)) == [1]
    again = hub.presented(code, 1.1)
    assert served(again) == []
    assert [named(action.problem) for action in again if isinstance(action, NotifyProgress)] == ["replayed"]
    hub.returned(code, 1.2)
    assert served(hub.presented(code, 1.3)) == [2]


def test_what_was_declined_goes_to_a_subscription(hub: Hub) -> None:
    hub.subscribe(subscription(1), 0.0)
    hub.ask(ask(1), 0.1)
    hub.reader_changed(present(), 0.5)
    assert served(hub.presented(presented(1), 1.0)) == [9]
    assert served(hub.reassigned(presented(1), 1.0, 1.1)) == [1]


def test_what_was_declined_is_not_given_away_while_its_reader_is_leased(hub: Hub) -> None:
    hub.subscribe(subscription(1), 0.0)
    hub.ask(ask(1), 0.1)
    hub.reader_changed(present(), 0.5)
    assert served(hub.presented(presented(1), 1.0)) == [9]
    hub.reader_changed(leased(), 1.1)
    assert served(hub.reassigned(presented(1), 1.0, 1.2)) == []


def test_what_is_leased_is_told_to_who_waits_and_is_read_afterwards(hub: Hub) -> None:
    hub.reader_changed(present(), 0.5)
    hub.reader_changed(leased(), 1.0)
    request = ask(1, 2.0)
    assert NotifyProgress(request, "retry", "a", Problem("reader_busy")) in hub.ask(request, 2.0)
    assert hub.reader_changed(present(), 3.0)
    assert served(hub.presented(presented(1), 3.1)) == [9]


def test_a_lease_that_begins_is_told_to_who_waits_already(hub: Hub) -> None:
    request = ask(1)
    hub.ask(request, 0.0)
    hub.reader_changed(present(), 1.0)
    assert of(NotifyProgress, hub.reader_changed(leased(), 1.1)) == [
        NotifyProgress(request, "retry", "a", Problem("reader_busy"))
    ]
    assert of(NotifyProgress, hub.reader_changed(present(), 1.2)) == []


def test_a_thousand_that_wait_and_go_take_no_time(hub: Hub) -> None:
    """No event looks at each of them more than once: with all pairs this is a million steps, and takes seconds."""
    steps = 0

    class Counted(frozenset[str]):
        def isdisjoint(self, other: Iterable[object]) -> bool:
            nonlocal steps
            steps += 1
            return super().isdisjoint(other)

    media = Counted({"vitale-card"})
    for session in range(1_000):
        hub.ask(PendingRequest(key=(session, 1), client=f"{session}", media=media, asked_at=1.0, deadline=60.0), 1.0)
    for session in range(1_000):
        hub.session_ended(session, 2.0)
    assert hub.waiting == ()
    assert steps < 20_000
