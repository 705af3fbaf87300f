"""One test for each rule of the hub."""

from collections.abc import Callable
from math import inf

import msgspec
import pytest

from vitale_drivers.base import Presented
from vitale_protocol.errors import (
    AmbiguousMedium,
    Cancelled,
    MediumMute,
    MediumUnsupported,
    NoReader,
    PresentationTimeout,
    ReaderGone,
    ReaderUnavailable,
    ShuttingDown,
    VitaleError,
)
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem
from vitale_reader.daemon.arbitration.actions import (
    PATIENT_MEDIA,
    Action,
    Announce,
    ArmDriver,
    Deliver,
    DisarmDriver,
    NotifyProgress,
    PendingRequest,
    Refuse,
)
from vitale_reader.daemon.arbitration.hub import GRACE_LOST, Hub

CARD = frozenset({"vitale-card"})


def reader(name: str = "a", state: str = "empty", medium: str | None = None) -> Reader:
    return Reader(id=name, name=name.upper(), driver="pcsc", media=("vitale-card",), state=state, medium=medium)  # type: ignore[arg-type]  # tests name states in words


def present(name: str = "a", medium: str = "vitale-card") -> Reader:
    return reader(name, "present", medium)


def presented(name: str = "a", number: int = 1, medium: str = "vitale-card") -> Presented:
    return Presented(id=f"p{number}", medium=medium, reader=name, at=0.0, evidence={}, simulated=True)


def ask(
    number: int,
    now: float = 0.0,
    *,
    session: int = 1,
    client: str = "one",
    media: frozenset[str] = CARD,
    readers: frozenset[str] = frozenset(),
    timeout: float = 60.0,
) -> PendingRequest:
    return PendingRequest(
        key=(session, number), client=client, media=media, readers=readers, asked_at=now, deadline=now + timeout
    )


def of(kind: type[Action], actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, kind)]


def arms(actions: list[Action]) -> list[tuple[str, ...]]:
    return [action.arm.again for action in actions if isinstance(action, ArmDriver)]


@pytest.fixture
def hub() -> Hub:
    made = Hub()
    made.driver_up("pcsc", ["vitale-card", "cps-card"], 0.0)
    made.reader_added(reader("a"), 0.0)
    return made


def test_the_oldest_matching_request_gets_the_presentation(hub: Hub) -> None:
    first, second = ask(1), ask(2)
    hub.ask(first, 0.0)
    hub.ask(second, 0.0)
    hub.reader_changed(present(), 1.0)
    actions = hub.presented(presented(), 1.1)
    assert of(Deliver, actions) == [Deliver(first, presented(), present())]
    assert hub.waiting == (second,)


def test_a_request_for_another_reader_or_medium_is_passed_over(hub: Hub) -> None:
    hub.reader_added(reader("b"), 0.0)
    elsewhere, other, right = ask(1, readers=frozenset({"b"})), ask(2, media=frozenset({"cps-card"})), ask(3)
    for request in (elsewhere, other, right):
        hub.ask(request, 0.0)
    hub.reader_changed(present(), 1.0)
    (delivery,) = of(Deliver, hub.presented(presented(), 1.1))
    assert isinstance(delivery, Deliver)
    assert delivery.request == right


def test_a_card_that_was_there_before_is_read_once_more_for_each_request(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.reader_changed(present(), 1.0)
    hub.presented(presented(), 1.1)
    assert arms(hub.ask(ask(2, 2.0), 2.0)) == [("a",)]
    assert arms(hub.ask(ask(3, 2.0), 2.0)) == [], "one reading at a time"
    second = hub.presented(presented(number=2), 2.1)
    assert len(of(Deliver, second)) == 1
    assert arms(second) == [("a",)], "and then one for the next"


def test_an_unread_card_needs_no_second_reading(hub: Hub) -> None:
    hub.reader_changed(present(), 1.0)
    assert arms(hub.ask(ask(1, 2.0), 2.0)) == [()]


def test_who_waited_before_the_card_came_is_told_to_have_it_removed(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.ask(ask(2), 0.0)
    hub.reader_changed(present(), 1.0)
    actions = hub.presented(presented(), 1.1)
    assert of(NotifyProgress, actions) == [NotifyProgress(ask(2), "remove_card", "a", medium="vitale-card")]
    assert arms(actions) in ([], [()])
    hub.reader_changed(reader(), 2.0)
    hub.reader_changed(present(), 3.0)
    assert len(of(Deliver, hub.presented(presented(number=2), 3.1))) == 1


def test_what_was_declined_goes_to_the_oldest_that_waited_with_it(hub: Hub) -> None:
    hub.reader_changed(present(), 1.0)
    for number in (1, 2, 3):
        hub.ask(ask(number, 1.0 + number / 10), 1.0 + number / 10)
    (first,) = of(Deliver, hub.presented(presented(), 2.0))
    assert first == Deliver(ask(1, 1.1), presented(), present())
    assert of(Deliver, hub.reassigned(presented(), 2.0, 2.1)) == [Deliver(ask(2, 1.2), presented(), present())]


def test_what_was_declined_is_not_for_who_came_later(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.reader_changed(present(), 1.0)
    hub.presented(presented(), 1.1)
    hub.reader_changed(reader(), 1.2)
    hub.ask(ask(2, 1.3), 1.3)
    assert of(Deliver, hub.reassigned(presented(), 1.1, 1.4)) == []
    assert [request.key for request in hub.waiting] == [ask(2).key]


def test_what_was_declined_where_the_reader_is_gone_is_nothing(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.ask(ask(2, 0.1), 0.1)
    hub.reader_changed(present(), 1.0)
    hub.presented(presented(), 1.1)
    hub.reader_removed("a", 1.2)
    assert of(Deliver, hub.reassigned(presented(), 1.1, 1.4)) == []


def test_two_cards_are_not_resolved_by_luck(hub: Hub) -> None:
    hub.reader_added(present("b"), 0.0)
    hub.reader_changed(present("a"), 0.0)
    (refusal,) = hub.ask(ask(1, 1.0), 1.0)
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, AmbiguousMedium)
    assert refusal.error.data["choices"] == [
        {"reader": "a", "name": "A", "medium": "vitale-card"},
        {"reader": "b", "name": "B", "medium": "vitale-card"},
    ]
    assert hub.waiting == ()


def test_a_request_that_names_its_reader_is_not_ambiguous(hub: Hub) -> None:
    hub.reader_added(present("b"), 0.0)
    hub.reader_changed(present("a"), 0.0)
    hub.ask(ask(1, 1.0, readers=frozenset({"b"})), 1.0)
    assert len(of(Deliver, hub.presented(presented("b"), 1.1))) == 1


def test_a_second_card_that_comes_while_the_first_is_read_is_ambiguous(hub: Hub) -> None:
    hub.reader_added(reader("b"), 0.0)
    hub.ask(ask(1), 0.0)
    hub.reader_changed(present("a"), 1.0)
    hub.reader_changed(present("b"), 1.0)
    (refusal,) = of(Refuse, hub.presented(presented("a"), 1.1))
    assert isinstance(refusal, Refuse)
    assert refusal.error.reason == "ambiguous_medium"


def test_a_cps_in_the_second_slot_does_not_disturb(hub: Hub) -> None:
    hub.reader_added(present("b", "cps-card"), 0.0)
    hub.ask(ask(1, media=PATIENT_MEDIA), 0.0)
    hub.reader_changed(present("a"), 1.0)
    assert len(of(Deliver, hub.presented(presented("a"), 1.1))) == 1


def test_a_strange_card_is_told_to_who_waits(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    actions = hub.reader_changed(present("a", "unknown-card"), 1.0)
    assert of(NotifyProgress, actions) == [NotifyProgress(ask(1), "remove_card", "a", Problem("medium_unsupported"))]
    assert len(hub.waiting) == 1


STRANGERS = pytest.mark.parametrize(("medium", "variant"), [("unknown-card", ""), ("cps-card", "cps-card")])
STAFF_MEDIA = frozenset({"cps-card"})


@pytest.mark.parametrize(
    ("media", "medium", "variant"),
    [
        (PATIENT_MEDIA, "unknown-card", ""),
        (PATIENT_MEDIA, "cps-card", "cps-card"),
        (STAFF_MEDIA, "unknown-card", ""),
        (STAFF_MEDIA, "vitale-card", "vitale-card"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_card_that_is_not_wanted_is_told_at_once_where_it_takes_the_only_place(
    hub: Hub, media: frozenset[str], medium: str, variant: str, before: bool
) -> None:
    wanted = ask(1, media=media)
    lying = msgspec.structs.replace(present("a", medium), media=("vitale-card", "cps-card"))
    if before:
        hub.reader_changed(lying, 0.0)
        actions = hub.ask(wanted, 1.0)
    else:
        hub.ask(wanted, 0.0)
        actions = hub.reader_changed(lying, 1.0)
    told = [one for one in of(NotifyProgress, actions) if one != NotifyProgress(wanted, "armed")]
    assert told == [NotifyProgress(wanted, "remove_card", "a", Problem("medium_unsupported", variant))]
    (refusal,) = of(Refuse, hub.tick(wanted.deadline))
    assert isinstance(refusal, Refuse)
    assert refusal.error.data == {"last": {"reason": "medium_unsupported", "variant": variant}}


@STRANGERS
def test_a_card_that_lies_in_a_slot_of_its_own_is_not_told_of(hub: Hub, medium: str, variant: str) -> None:
    hub.reader_added(present("b", medium), 0.0)
    wanted = ask(1, media=PATIENT_MEDIA)
    assert variant in {"", medium}
    assert of(NotifyProgress, hub.ask(wanted, 0.0)) == [NotifyProgress(wanted, "armed")]


def test_a_patients_card_in_a_slot_of_its_own_does_not_disturb_who_waits_for_the_professionals(hub: Hub) -> None:
    for place in (reader("a"), present("b")):
        hub.reader_added(msgspec.structs.replace(place, media=("vitale-card", "cps-card")), 0.0)
    wanted = ask(1, media=STAFF_MEDIA)
    assert of(NotifyProgress, hub.ask(wanted, 0.0)) == [NotifyProgress(wanted, "armed")]


def test_a_failed_reading_answers_the_oldest_only(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.ask(ask(2), 0.0)
    hub.reader_changed(present(), 1.0)
    (refusal,) = of(Refuse, hub.failed("a", MediumMute(), 1.1))
    assert isinstance(refusal, Refuse)
    assert refusal.request == ask(1)
    assert refusal.error.reason == "medium_mute"
    assert hub.waiting == (ask(2),)


@pytest.mark.parametrize("error", [ReaderGone(), ReaderUnavailable()])
def test_a_reader_that_goes_away_only_delays(hub: Hub, error: ReaderGone) -> None:
    hub.ask(ask(1), 0.0)
    hub.reader_changed(present(), 1.0)
    actions = hub.failed("a", error, 1.1)
    assert of(NotifyProgress, actions) == [NotifyProgress(ask(1), "retry", "a", Problem.of(error))]
    hub.reader_removed("a", 1.2)
    hub.driver_down("pcsc", Problem("reader_unavailable"), 1.2)
    hub.driver_up("pcsc", ["vitale-card"], 1.5)
    hub.reader_added(present(), 1.6)
    assert len(of(Deliver, hub.presented(presented(), 1.7))) == 1


def test_a_broken_reader_that_stays_does_not_hold_a_request_for_ever(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.reader_changed(present(), 1.0)
    hub.failed("a", ReaderUnavailable(variant="camera-still"), 1.1)
    assert hub.next_deadline == 1.1 + GRACE_LOST
    (refusal,) = of(Refuse, hub.tick(1.1 + GRACE_LOST))
    assert isinstance(refusal, Refuse)
    assert (refusal.error.reason, refusal.error.variant) == ("reader_unavailable", "camera-still")


@pytest.mark.parametrize(
    "problem", [Problem("reader_unavailable", "scanner-permission"), Problem("reader_busy", "scanner")]
)
@pytest.mark.parametrize("timeout", [1.0, 60.0])
def test_a_reader_that_is_there_and_of_no_use_says_why_at_the_end(problem: Problem, timeout: float) -> None:
    hub = Hub()
    hub.driver_up("pcsc", ["vitale-card"], 0.0)
    hub.driver_settled("pcsc", 0.0)
    hub.reader_added(reader("a", "unavailable"), 0.0)
    hub.ask(ask(1, timeout=timeout), 0.0)
    hub.progress("a", "retry", problem)
    assert hub.next_deadline is not None
    (refusal,) = of(Refuse, hub.tick(hub.next_deadline))
    assert isinstance(refusal, Refuse)
    assert problem == Problem.of(refusal.error)


def test_without_any_reader_the_answer_comes_soon_and_says_why() -> None:
    hub = Hub()
    hub.driver_up("pcsc", ["vitale-card"], 0.0)
    hub.driver_health("pcsc", Problem("reader_unavailable"), 0.0)
    hub.ask(ask(1), 0.0)
    assert hub.next_deadline == 4.0
    assert of(Refuse, hub.tick(3.999)) == []
    (refusal,) = of(Refuse, hub.tick(4.0))
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, NoReader)
    assert refusal.error.data == {"drivers": {"pcsc": "reader_unavailable"}}


def test_who_asks_while_drivers_start_waits_for_what_they_find() -> None:
    hub = Hub()
    hub.expect(["camera", "pcsc"])
    hub.ask(ask(1), 0.0)
    assert ("camera", "pcsc") == hub.starting(30.0), "how long a driver may take to open is the supervisor's business"
    assert 60.0 == hub.next_deadline
    hub.driver_up("camera", ["apcv-qr"], 20.0)
    hub.driver_up("pcsc", ["vitale-card"], 20.0)
    hub.driver_settled("camera", 20.5)
    assert [] == of(Refuse, hub.tick(21.0))
    hub.reader_added(reader("a"), 22.0)
    hub.driver_settled("pcsc", 22.0)
    assert ((), 60.0) == (hub.starting(22.0), hub.next_deadline), "it has a reader"


@pytest.mark.parametrize("end", ["settled", "silent", "down"])
def test_drivers_that_found_nothing_keep_nobody_waiting(end: str) -> None:
    hub = Hub()
    hub.expect(["pcsc"])
    hub.ask(ask(1), 0.0)
    if end != "down":
        hub.driver_up("pcsc", ["vitale-card"], 20.0)
    if end == "settled":
        hub.driver_settled("pcsc", 21.0)
    elif end == "down":
        hub.driver_down("pcsc", Problem("reader_unavailable"), 21.0)
    at = 24.0 if end == "silent" else 21.0
    assert (() if end != "silent" else ("pcsc",)) == hub.starting(23.9)
    assert hub.next_deadline is not None
    assert hub.next_deadline <= at
    (refusal,) = of(Refuse, hub.tick(at))
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, NoReader)


@pytest.mark.parametrize(("readers", "variant"), [("z", "named"), ("yz", "named"), ("az", ""), ("", "")])
def test_a_reader_that_is_asked_for_by_name_and_is_not_there_is_told_so(hub: Hub, readers: str, variant: str) -> None:
    hub.ask(ask(1, readers=frozenset(readers), media=frozenset({"apcv-qr"})), 0.0)
    (refusal,) = of(Refuse, hub.tick(4.0))
    assert isinstance(refusal, Refuse)
    assert (refusal.error.reason, refusal.error.variant) == ("no_reader", variant)


@pytest.mark.parametrize("variant", ["pcsc", "pcsc-refused", ""])
def test_without_the_service_behind_the_readers_the_answer_has_its_remedy(variant: str) -> None:
    hub = Hub()
    hub.driver_up("pcsc", ["vitale-card"], 0.0)
    hub.driver_health("pcsc", Problem("reader_unavailable", variant), 0.0)
    hub.ask(ask(1), 0.0)
    (refusal,) = of(Refuse, hub.tick(4.0))
    assert isinstance(refusal, Refuse)
    assert (refusal.error.reason, refusal.error.variant) == ("no_reader", variant)


def test_nothing_is_asked_for_that_no_reader_here_reads() -> None:
    hub = Hub()
    asked = ask(1, media=PATIENT_MEDIA)
    assert PATIENT_MEDIA == hub.presentable(asked), "readers may come"
    hub.reader_added(msgspec.structs.replace(reader("camera"), media=("apcv-qr", "2d-doc")), 0.0)
    assert {"apcv-qr", "2d-doc"} == hub.presentable(asked)
    hub.ask(asked, 0.0)
    (refusal,) = of(Refuse, hub.tick(asked.deadline))
    assert isinstance(refusal, Refuse)
    assert ("timeout", "code") == (refusal.error.reason, refusal.error.variant)
    hub.reader_added(reader("slot"), 1.0)
    assert {"apcv-qr", "2d-doc", "vitale-card"} == hub.presentable(asked)
    assert {"vitale-card"} == hub.presentable(ask(2, media=PATIENT_MEDIA, readers=frozenset({"slot"})))


def test_a_short_time_ends_with_what_a_long_one_would() -> None:
    """A request of one second is shorter than every grace: it is told what it wanted for all the same."""
    trouble = Problem("reader_unavailable", "pcsc")
    leased = reader("a", "leased", "vitale-card")
    lives: dict[str, tuple[Callable[[Hub], object], str, str]] = {
        "nothing is plugged": (lambda hub: hub.reader_removed("a", 0.0), "no_reader", ""),
        "the service does not run": (lambda hub: hub.driver_down("pcsc", trouble, 0.0), "no_reader", "pcsc"),
        "the drivers start": (_start_again, "no_reader", ""),
        "its card is leased": (lambda hub: hub.reader_changed(leased, 0.0), "reader_busy", ""),
        "nothing comes": (lambda _: None, "timeout", ""),
    }
    for life, (lived, *expected) in lives.items():
        assert (life, expected) == (life, _in_vain(before=lived))
    later: dict[str, tuple[Callable[[Hub], object], str, str]] = {
        "it is unplugged": (lambda hub: hub.reader_removed("a", 0.5), "reader_gone", ""),
        "a program holds it": (lambda hub: hub.progress("a", "retry", Problem("reader_busy")), "reader_busy", ""),
        "a lease begins": (lambda hub: hub.reader_changed(leased, 0.5), "reader_busy", ""),
        "a lease ends": (
            lambda hub: (hub.reader_changed(leased, 0.5), hub.reader_changed(reader("a"), 0.6)),
            "timeout",
            "",
        ),
    }
    for life, (lived, *expected) in later.items():
        assert (life, expected) == (life, _in_vain(after=lived))


def _start_again(hub: Hub) -> None:
    hub.reader_removed("a", 0.0)
    hub.expect(["pcsc"])


def _in_vain(
    before: Callable[[Hub], object] = lambda _: None, after: Callable[[Hub], object] = lambda _: None
) -> list[str]:
    hub = Hub()
    hub.driver_up("pcsc", ["vitale-card"], 0.0)
    hub.reader_added(reader("a"), 0.0)
    before(hub)
    hub.ask(ask(1, timeout=1.0), 0.0)
    after(hub)
    (refusal,) = of(Refuse, hub.tick(1.0))
    assert isinstance(refusal, Refuse)
    return [refusal.error.reason, refusal.error.variant]


def test_a_request_that_ends_in_vain_says_what_was_not_read(hub: Hub) -> None:
    asked = ask(1)
    hub.ask(asked, 0.0)
    hub.progress("a", "retry", Problem("medium_unreadable", "phone-locked"))
    hub.progress("a", "retry", Problem("medium_unsupported", "contactless"))
    (refusal,) = of(Refuse, hub.tick(asked.deadline))
    assert isinstance(refusal, Refuse)
    assert (refusal.error.reason, refusal.error.variant) == ("timeout", "unread")
    assert refusal.error.data == {"last": {"reason": "medium_unsupported", "variant": "contactless"}}


@pytest.mark.parametrize("variant", ["garbled", "incomplete", "several", "ins-format"])
def test_a_code_that_came_spoilt_was_presented_all_the_same(hub: Hub, variant: str) -> None:
    asked = ask(1)
    hub.ask(asked, 0.0)
    hub.progress("a", "retry", Problem("payload_invalid", variant))
    (refusal,) = of(Refuse, hub.tick(asked.deadline))
    assert isinstance(refusal, Refuse)
    assert refusal.error.variant == "unread"
    assert refusal.error.data == {"last": {"reason": "payload_invalid", "variant": variant}}


DARK = Problem("reader_unavailable", "camera-dark")


def dark(hub: Hub) -> None:
    hub.progress("a", "retry", DARK)


def stopped(hub: Hub) -> None:
    hub.failed("a", ReaderUnavailable(variant="camera-still"), 1.0)
    hub.reader_changed(reader("a", "unavailable"), 1.0)


def unplugged(hub: Hub) -> None:
    hub.reader_removed("a", 1.0)


def service_stopped(hub: Hub) -> None:
    hub.driver_health("pcsc", Problem("reader_unavailable", "pcsc"), 1.0)
    hub.reader_removed("a", 1.0)


def crashed(hub: Hub) -> None:
    hub.driver_down("pcsc", Problem("internal"), 1.0)


def leased(hub: Hub) -> None:
    hub.reader_changed(present(), 1.0)
    hub.reader_changed(reader("a", "leased", "vitale-card"), 1.0)


TROUBLES: dict[str, tuple[Callable[[Hub], None], Problem]] = {
    "the picture is dark": (dark, DARK),
    "the camera has stopped": (stopped, Problem("reader_unavailable", "camera-still")),
    "unplugged": (unplugged, Problem("reader_gone")),
    "the service has stopped": (service_stopped, Problem("reader_gone", "pcsc")),
    "the driver has crashed": (crashed, Problem("reader_gone")),
    "other software has the card": (leased, Problem("reader_busy")),
}


def waits_at_two_readers(hub: Hub) -> PendingRequest:
    """A request that has a second reader, so that it ends by its own time."""
    hub.driver_up("nfc", ["vitale-card"], 0.0)
    hub.reader_added(msgspec.structs.replace(reader("b"), driver="nfc"), 0.0)
    asked = ask(1)
    hub.ask(asked, 0.0)
    return asked


@pytest.mark.parametrize("name", TROUBLES)
def test_a_request_that_ends_while_its_reader_is_in_trouble_says_so(hub: Hub, name: str) -> None:
    trouble, expected = TROUBLES[name]
    asked = waits_at_two_readers(hub)
    trouble(hub)
    (refusal,) = of(Refuse, hub.tick(asked.deadline))
    assert isinstance(refusal, Refuse)
    if expected.reason == "reader_busy":
        assert expected == Problem.of(refusal.error)
        return
    assert ("timeout", "unread") == (refusal.error.reason, refusal.error.variant)
    assert {"last": {"reason": expected.reason, "variant": expected.variant}} == refusal.error.data


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_that_is_over_is_not_said_at_the_end(hub: Hub, name: str) -> None:
    asked = waits_at_two_readers(hub)
    TROUBLES[name][0](hub)
    hub.driver_up("pcsc", ["vitale-card"], 2.0)
    hub.reader_changed(reader("a"), 2.0)
    (refusal,) = of(Refuse, hub.tick(asked.deadline))
    assert isinstance(refusal, Refuse)
    assert ("timeout", "") == (refusal.error.reason, refusal.error.variant)


def test_what_could_not_be_read_outlasts_a_trouble_that_is_over(hub: Hub) -> None:
    asked = waits_at_two_readers(hub)
    hub.progress("a", "retry", Problem("medium_unreadable", "phone-locked"))
    unplugged(hub)
    hub.reader_added(reader("a"), 2.0)
    (refusal,) = of(Refuse, hub.tick(asked.deadline))
    assert isinstance(refusal, Refuse)
    assert {"last": {"reason": "medium_unreadable", "variant": "phone-locked"}} == refusal.error.data


def test_what_turns_out_to_be_a_strangers_after_it_was_asked_is_told(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.reader_changed(msgspec.structs.replace(present("a"), medium=None), 1.0)
    actions = hub.reader_changed(present("a", "unknown-card"), 1.1)
    assert of(NotifyProgress, actions) == [NotifyProgress(ask(1), "remove_card", "a", Problem("medium_unsupported"))]


def test_a_reader_that_comes_in_time_is_used() -> None:
    hub = Hub()
    hub.ask(ask(1), 0.0)
    hub.driver_up("pcsc", ["vitale-card"], 0.5)
    hub.reader_added(reader(), 0.6)
    assert hub.next_deadline == 60.0
    assert of(Refuse, hub.tick(4.0)) == []


@pytest.mark.parametrize("end", ["back", "nothing", "down"])
def test_who_lost_its_readers_waits_for_a_driver_that_is_started_anew(hub: Hub, end: str) -> None:
    hub.ask(ask(1), 0.0)
    hub.driver_down("pcsc", Problem("reader_unavailable"), 10.0)
    hub.ask(ask(2), 10.5)
    hub.expect(["pcsc"])
    assert ("pcsc",) == hub.starting(50.0)
    assert [] == of(Refuse, hub.tick(50.0)), "how long a start takes is the supervisor's business"
    if end == "down":
        hub.driver_down("pcsc", Problem("reader_unavailable"), 50.0)
    else:
        hub.driver_up("pcsc", ["vitale-card"], 50.0)
        assert [] == of(Refuse, hub.tick(50.5)), "it tells its readers now"
        if end == "back":
            hub.reader_added(reader("a"), 51.0)
        hub.driver_settled("pcsc", 51.0)
    refusals = [refusal for refusal in of(Refuse, hub.tick(51.0)) if isinstance(refusal, Refuse)]
    troubles = {"drivers": {"pcsc": "reader_unavailable"} if end == "down" else {}}
    expected = [] if end == "back" else [(ReaderGone, troubles), (NoReader, troubles)]
    assert expected == [(type(refusal.error), refusal.error.data) for refusal in refusals]


def test_a_request_that_lost_its_readers_gets_reader_gone(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.reader_removed("a", 10.0)
    assert hub.next_deadline == 10.0 + GRACE_LOST
    (refusal,) = of(Refuse, hub.tick(10.0 + GRACE_LOST))
    assert isinstance(refusal, Refuse)
    assert isinstance(refusal.error, ReaderGone)


def test_who_waits_for_a_reader_that_goes_is_told(hub: Hub) -> None:
    hub.reader_added(reader("b"), 0.0)
    hub.ask(ask(1), 0.0)
    hub.ask(ask(2, readers=frozenset({"b"})), 0.0)
    assert of(NotifyProgress, hub.reader_removed("a", 1.0)) == [
        NotifyProgress(ask(1), "retry", "a", Problem("reader_gone"))
    ]
    assert of(NotifyProgress, hub.reader_removed("a", 1.0)) == []


def test_the_deadline_ends_a_request(hub: Hub) -> None:
    hub.ask(ask(1, timeout=5.0), 0.0)
    actions = hub.tick(5.0)
    assert [type(action.error) for action in actions if isinstance(action, Refuse)] == [PresentationTimeout]
    assert of(DisarmDriver, actions) == [DisarmDriver("pcsc")]
    assert hub.next_deadline is None


@pytest.mark.parametrize(
    ("media", "variant"),
    [
        ({"vitale-card"}, ""),
        ({"vitale-card", "apcv-nfc", "apcv-qr"}, ""),
        ({"apcv-nfc"}, "phone"),
        ({"apcv-qr"}, "code"),
        ({"ins-datamatrix", "2d-doc"}, "code"),
    ],
)
def test_at_the_deadline_it_is_said_what_was_asked_for(hub: Hub, media: set[str], variant: str) -> None:
    hub.reader_added(msgspec.structs.replace(reader("b"), media=tuple(media)), 0.0)
    hub.ask(ask(1, timeout=5.0, media=frozenset(media)), 0.0)
    (refused,) = (action for action in hub.tick(5.0) if isinstance(action, Refuse))
    assert (refused.error.reason, refused.error.variant) == ("timeout", variant)


def test_a_cancelled_request_is_answered_and_disarms(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    actions = hub.cancel((1, 1), 1.0)
    assert [type(action.error) for action in actions if isinstance(action, Refuse)] == [Cancelled]
    assert of(DisarmDriver, actions) == [DisarmDriver("pcsc")]
    assert hub.cancel((1, 1), 1.0) == []


def test_a_session_takes_its_requests_with_it_unanswered(hub: Hub) -> None:
    hub.ask(ask(1, session=1), 0.0)
    hub.ask(ask(1, session=2), 0.0)
    assert of(Refuse, hub.session_ended(1, 1.0)) == []
    assert [request.key for request in hub.waiting] == [(2, 1)]


def test_drivers_are_armed_for_what_is_wanted_and_no_more(hub: Hub) -> None:
    (arm,) = of(ArmDriver, hub.ask(ask(1, media=CARD, readers=frozenset({"a"})), 0.0))
    assert isinstance(arm, ArmDriver)
    assert (arm.arm.media, arm.arm.readers, arm.arm.deadline) == (("vitale-card",), ("a",), 60.0)
    (wider,) = of(ArmDriver, hub.ask(ask(2, 1.0), 1.0))
    assert isinstance(wider, ArmDriver)
    assert wider.arm.readers == ()
    assert of(ArmDriver, hub.ask(ask(3, 1.0), 1.0)) == [], "nothing new to arm for"


def test_names_that_clients_made_up_never_reach_a_driver(hub: Hub) -> None:
    assert of(ArmDriver, hub.ask(ask(1, readers=frozenset({"made up"})), 0.0)) == []
    (arm,) = of(ArmDriver, hub.ask(ask(2, readers=frozenset({"made up", "a"})), 0.0))
    assert isinstance(arm, ArmDriver)
    assert arm.arm.readers == ("a",)
    actions = hub.reader_added(reader("made up"), 0.1)
    assert [action.arm.readers for action in actions if isinstance(action, ArmDriver)] == [("a", "made up")]


def test_a_driver_without_the_medium_is_left_alone(hub: Hub) -> None:
    hub.driver_up("camera", ["apcv-qr"], 0.0)
    actions = hub.ask(ask(1), 0.0)
    assert [action.driver for action in actions if isinstance(action, ArmDriver)] == ["pcsc"]


def test_a_new_process_of_a_driver_is_armed_again(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.driver_down("pcsc", Problem("reader_unavailable"), 1.0)
    assert len(of(ArmDriver, hub.driver_up("pcsc", ["vitale-card"], 1.1))) == 1


def test_watchers_hear_of_each_change_once(hub: Hub) -> None:
    assert of(Announce, hub.reader_changed(present(), 1.0)) == [Announce("changed", present())]
    assert hub.reader_changed(present(), 1.1) == []
    assert of(Announce, hub.reader_removed("a", 1.2)) == [Announce("removed", present())]
    assert hub.reader_removed("a", 1.3) == []
    assert of(Announce, hub.driver_down("pcsc", None, 1.4)) == []


def test_stopping_answers_everybody(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.ask(ask(2), 0.0)
    refusals = hub.refuse_all(ShuttingDown)
    assert [type(action.error) for action in refusals if isinstance(action, Refuse)] == [ShuttingDown, ShuttingDown]
    assert hub.waiting == ()


def test_progress_goes_to_the_request_that_it_is_about(hub: Hub) -> None:
    assert hub.progress("a", "reading") == []
    hub.ask(ask(1), 0.0)
    hub.ask(ask(2), 0.0)
    assert hub.progress("a", "reading") == [NotifyProgress(ask(1), "reading", "a", None)]
    assert hub.progress("unknown", "reading") == []


def test_progress_of_a_card_is_not_told_to_who_waits_for_something_else(hub: Hub) -> None:
    both = msgspec.structs.replace(present(), media=("vitale-card", "apcv-nfc"))
    hub.reader_changed(msgspec.structs.replace(both, state="empty", medium=None), 0.0)
    phone, card = ask(1, media=frozenset({"apcv-nfc"})), ask(2)
    hub.ask(phone, 0.0)
    hub.ask(card, 0.0)
    assert [NotifyProgress(phone, "detected", "a", None, "apcv-nfc")] == hub.progress(
        "a", "detected", medium="apcv-nfc"
    )
    hub.reader_changed(both, 1.0)
    assert [NotifyProgress(card, "detected", "a", None)] == hub.progress("a", "detected")


def test_who_asked_for_a_practitioners_card_is_told_that_nobody_reads_one(hub: Hub) -> None:
    hub.ask(ask(1, media=frozenset({"cps-card"})), 0.0)
    hub.reader_changed(msgspec.structs.replace(present(medium="cps-card"), media=("vitale-card", "cps-card")), 1.0)
    (refusal,) = of(Refuse, hub.failed("a", MediumUnsupported(variant="cps-card"), 1.1))
    assert isinstance(refusal, Refuse)
    assert ("medium_unsupported", "cps-asked") == (refusal.error.reason, refusal.error.variant)


def test_no_alarm_is_needed_while_readers_are_there(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    assert hub.next_deadline not in {None, inf}
    assert hub.next_deadline == 60.0


# ── reports out of their order ───────────────────────────────────────────────────────────────────────────────────────


def test_what_a_driver_tells_of_a_reader_that_is_gone_reaches_nobody(hub: Hub) -> None:
    waiting = ask(1)
    hub.ask(waiting, 0.0)
    hub.reader_changed(present(), 1.0)
    hub.reader_removed("a", 1.1)
    assert hub.presented(presented(), 1.2) == []
    assert hub.failed("a", MediumMute(), 1.2) == []
    assert hub.waiting == (waiting,), "another reading may still be its own"


def test_a_change_of_a_reader_that_nobody_added_adds_it(hub: Hub) -> None:
    waiting = ask(1)
    hub.ask(waiting, 0.0)
    assert Announce("added", present("b")) in hub.reader_changed(present("b"), 1.0)
    assert of(Deliver, hub.presented(presented("b"), 1.1)) == [Deliver(waiting, presented("b"), present("b"))]


@pytest.mark.parametrize("error", [MediumMute(), ReaderUnavailable()])
def test_what_cannot_be_read_while_nobody_asks_is_nobodys_refusal(hub: Hub, error: VitaleError) -> None:
    hub.reader_changed(present(), 1.0)
    assert [] == of(Refuse, hub.failed("a", error, 1.1))
    assert [] == hub.failed("nowhere", error, 1.1)


def served(hub: Hub, name: str = "a", *, failing: bool = False) -> tuple[int, int | str]:
    """Puts a card in and takes it away; the request that was answered."""
    hub.reader_changed(present(name), 1.0)
    before = {request.key for request in hub.waiting}
    if failing:
        hub.failed(name, MediumMute(), 1.1)
    else:
        hub.presented(presented(name), 1.1)
    (key,) = before - {request.key for request in hub.waiting}
    hub.reader_changed(reader(name), 1.2)
    return key


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("sessions", [1, 4])
def test_a_client_with_many_requests_is_served_in_its_turn(hub: Hub, sessions: int, failing: bool) -> None:
    for number in range(128):
        hub.ask(ask(number, session=10 + number % sessions, client="many"), 0.0)
    hub.ask(ask(200, session=2, client="other"), 0.0)
    first = [served(hub, failing=failing) for _ in range(2)]
    hub.ask(ask(201, session=2, client="other"), 0.0)
    hub.ask(ask(300, session=3, client="third"), 0.0)
    later = [served(hub, failing=failing) for _ in range(5)]
    numbers = [number for _, number in (*first, *later)]
    assert numbers == [0, 200, 1, 201, 300, 2, 3]


def test_clients_with_one_request_each_are_served_in_the_order_in_which_they_asked(hub: Hub) -> None:
    served_before = list[int | str]()
    hub.ask(ask(1, client="first"), 0.0)
    hub.ask(ask(2, client="second"), 0.0)
    for number in range(3, 9):
        served_before.append(served(hub)[1])
        hub.ask(ask(number, client=f"{number % 3}"), 0.0)
    assert served_before == [1, 2, 3, 4, 5, 6]


def test_a_turn_at_one_reader_costs_a_client_none_at_another(hub: Hub) -> None:
    hub.reader_added(reader("b"), 0.0)
    for number, client, name in ((1, "many", "a"), (2, "many", "b"), (3, "other", "b"), (4, "many", "a")):
        hub.ask(ask(number, client=client, readers=frozenset({name})), 0.0)
    assert [served(hub, name)[1] for name in ("a", "b", "b", "a")] == [1, 2, 3, 4]


def test_requests_of_one_client_keep_their_order_whatever_each_of_them_names(hub: Hub) -> None:
    hub.reader_added(reader("b"), 0.0)
    for number, names in ((1, {"a"}), (2, set[str]()), (3, {"b"})):
        hub.ask(ask(number, client="many", readers=frozenset(names)), 0.0)
    assert [served(hub, name)[1] for name in ("a", "b", "b")] == [1, 2, 3]


def test_whoever_gives_up_and_asks_again_gains_no_turn(hub: Hub) -> None:
    for number in range(3):
        hub.ask(ask(number, client="many"), 0.0)
    hub.ask(ask(10, client="other"), 0.0)
    assert served(hub)[1] == 0
    for number in (1, 2):
        hub.cancel((1, number), 0.5)
        hub.ask(ask(number + 20, client="many"), 0.5)
    assert [served(hub)[1] for _ in range(3)] == [10, 21, 22]


def test_what_was_declined_goes_by_turns_to_who_waited_with_it(hub: Hub) -> None:
    hub.ask(ask(1, client="many"), 0.0)
    hub.ask(ask(2, client="many"), 0.0)
    hub.reader_changed(present(), 1.0)
    hub.presented(presented(), 1.1)
    hub.ask(ask(3, 1.2, client="other"), 1.2)
    (second,) = of(Deliver, hub.reassigned(presented(), 1.1, 1.3))
    assert isinstance(second, Deliver)
    assert (1, 2) == second.request.key, "the other came later"
