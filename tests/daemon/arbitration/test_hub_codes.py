"""Rule 9 of the hub, and what cameras and scanners make of the others: codes are looked at, and some count once."""

import msgspec
import pytest

from vitale_drivers.base import Presented
from vitale_protocol.errors import AmbiguousMedium, MediumUnsupported
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
from vitale_reader.daemon.arbitration.hub import Hub

CODES = ("apcv-qr", "ins-datamatrix", "2d-doc")


def optical(name: str, medium: str | None = None) -> Reader:
    """A camera or a scanner, and the code that is there."""
    return Reader(id=name, name=name, driver=name, media=CODES, state="present" if medium else "empty", medium=medium)


def slot(medium: str | None = None) -> Reader:
    return Reader(
        id="slot",
        name="slot",
        driver="pcsc",
        media=("vitale-card",),
        state="present" if medium else "empty",
        medium=medium,
    )


def code(name: str, string: bytes = b"first", medium: str = "apcv-qr") -> Presented:
    evidence = {"string" if medium == "apcv-qr" else "code": string}
    return Presented(id=f"{name} {string!r}", medium=medium, reader=name, at=0.0, evidence=evidence, simulated=False)


def ask(number: int, now: float = 0.0, *, readers: frozenset[str] = frozenset()) -> PendingRequest:
    return PendingRequest(
        key=(1, number), client="one", media=PATIENT_MEDIA, readers=readers, asked_at=now, deadline=now + 60
    )


def of(kind: type[Action], actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, kind)]


def delivered(actions: list[Action]) -> list[int | str]:
    """The numbers of the requests that got something."""
    return [action.request.key[1] for action in actions if isinstance(action, Deliver)]


def again(actions: list[Action]) -> list[tuple[str, ...]]:
    """What drivers are asked to read once more."""
    return [action.arm.again for action in actions if isinstance(action, ArmDriver) and action.arm.again]


def renew(request: PendingRequest, reader: str = "camera") -> NotifyProgress:
    """What whoever waits is told of a code that was used."""
    return NotifyProgress(request, "retry", reader, Problem("replayed"))


@pytest.fixture
def hub() -> Hub:
    """A desk with a slot, a camera and a scanner."""
    made = Hub()
    made.driver_up("pcsc", ["vitale-card"], 0.0)
    made.reader_added(slot(), 0.0)
    for name in ("camera", "scanner"):
        made.driver_up(name, CODES, 0.0)
        made.reader_added(optical(name), 0.0)
    return made


@pytest.fixture
def used(hub: Hub) -> Hub:
    """A phone lies before the camera, and its code has answered a request."""
    hub.ask(ask(1), 0.0)
    hub.reader_changed(optical("camera", "apcv-qr"), 1.0)
    assert delivered(hub.presented(code("camera"), 1.1)) == [1]
    return hub


class TestACodeThatWasUsed:
    def test_is_not_ordered_again_and_whoever_asks_learns_why(self, used: Hub) -> None:
        actions = used.ask(ask(2, 2.0), 2.0)
        assert of(NotifyProgress, actions) == [NotifyProgress(ask(2, 2.0), "armed"), renew(ask(2, 2.0))]
        assert again(actions) == []
        assert used.waiting == (ask(2, 2.0),)

    def test_is_why_nothing_was_read_where_no_other_comes(self, used: Hub) -> None:
        used.ask(ask(2, 2.0), 2.0)
        (refusal,) = of(Refuse, used.tick(62.0))
        assert isinstance(refusal, Refuse)
        assert refusal.error.data == {"last": {"reason": "replayed", "variant": ""}}

    def test_is_followed_by_the_one_that_the_phone_shows_next(self, used: Hub) -> None:
        used.ask(ask(2, 2.0), 2.0)
        assert delivered(used.presented(code("camera", b"renewed"), 3.0)) == [2]
        assert renew(ask(3, 4.0)) in used.ask(ask(3, 4.0), 4.0), "and that one counts once as well"

    def test_is_the_same_when_the_camera_was_shut_in_between(self, used: Hub) -> None:
        used.reader_changed(optical("camera"), 1.5)
        assert of(NotifyProgress, used.ask(ask(2, 2.0), 2.0)) == [NotifyProgress(ask(2, 2.0), "armed")]
        used.reader_changed(optical("camera", "apcv-qr"), 2.2)
        actions = used.presented(code("camera"), 2.3)
        assert of(NotifyProgress, actions) == [renew(ask(2, 2.0))]
        assert delivered(actions) == []
        assert delivered(used.presented(code("camera", b"renewed"), 3.0)) == [2]

    def test_is_told_to_who_waited_before_it_came(self, hub: Hub) -> None:
        hub.ask(ask(1), 0.0)
        hub.ask(ask(2), 0.0)
        hub.reader_changed(optical("camera", "apcv-qr"), 1.0)
        actions = hub.presented(code("camera"), 1.1)
        assert delivered(actions) == [1]
        assert of(NotifyProgress, actions) == [renew(ask(2))]

    def test_is_not_told_of_to_who_wants_another_reader(self, used: Hub) -> None:
        request = ask(2, 2.0, readers=frozenset({"slot"}))
        assert of(NotifyProgress, used.ask(request, 2.0)) == [NotifyProgress(request, "armed")]

    def test_is_no_choice_beside_a_card(self, used: Hub) -> None:
        used.reader_changed(slot("vitale-card"), 2.0)
        request = ask(2, 3.0)
        assert of(NotifyProgress, used.ask(request, 3.0)) == [NotifyProgress(request, "armed")], (
            "the card will answer it"
        )
        card = Presented(id="card", medium="vitale-card", reader="slot", at=0.0, evidence={}, simulated=False)
        assert delivered(used.presented(card, 3.1)) == [2]

    def test_that_gives_way_to_a_paper_says_nothing_of_that(self, used: Hub) -> None:
        used.reader_changed(optical("camera", "2d-doc"), 2.0)
        assert of(NotifyProgress, used.ask(ask(2, 2.1), 2.1)) == [NotifyProgress(ask(2, 2.1), "armed")]
        assert delivered(used.presented(code("camera", b"DC04", "2d-doc"), 2.2)) == [2]

    def test_is_known_again_after_another_medium_at_the_same_reader(self, used: Hub) -> None:
        used.ask(ask(2, 2.0), 2.0)
        assert delivered(used.presented(code("camera", b"IS01", "ins-datamatrix"), 2.1)) == [2]
        used.ask(ask(3, 3.0), 3.0)
        assert of(NotifyProgress, used.presented(code("camera"), 3.1)) == [renew(ask(3, 3.0))]

    def test_is_a_matter_of_its_reader(self, used: Hub) -> None:
        """At another reader it is a presentation, which the replay guard answers."""
        used.reader_changed(optical("camera"), 1.5)
        used.ask(ask(2, 2.0), 2.0)
        used.reader_changed(optical("scanner", "apcv-qr"), 2.1)
        assert delivered(used.presented(code("scanner"), 2.1)) == [2]

    def test_is_forgotten_with_its_reader(self, used: Hub) -> None:
        used.reader_removed("camera", 2.0)
        used.reader_added(optical("camera", "apcv-qr"), 2.1)
        used.ask(ask(2, 2.2), 2.2)
        assert delivered(used.presented(code("camera"), 2.3)) == [2]


class TestACodeThatWasNotUsed:
    def test_because_nobody_waited_is_ordered_again(self, hub: Hub) -> None:
        hub.ask(ask(1), 0.0)
        hub.reader_changed(optical("camera", "apcv-qr"), 1.0)
        hub.cancel((1, 1), 1.05)
        assert delivered(hub.presented(code("camera"), 1.1)) == []
        assert again(hub.ask(ask(2, 2.0), 2.0)) == [("camera",)]
        assert delivered(hub.presented(code("camera"), 2.1)) == [2]

    def test_because_it_was_given_back_is_ordered_again(self, used: Hub) -> None:
        used.ask(ask(2, 2.0), 2.0)
        assert again(used.returned(code("camera"), 2.5)) == [("camera",)]
        assert delivered(used.presented(code("camera"), 2.6)) == [2]

    def test_given_back_late_changes_nothing_for_its_successor(self, used: Hub) -> None:
        used.ask(ask(2, 2.0), 2.0)
        used.presented(code("camera", b"renewed"), 2.1)
        used.returned(code("camera"), 2.5)
        assert renew(ask(3, 3.0)) in used.ask(ask(3, 3.0), 3.0)

    def test_given_back_when_its_reader_is_gone_is_nothing(self, used: Hub) -> None:
        used.reader_removed("camera", 2.0)
        assert used.returned(code("camera"), 2.1) == []


@pytest.mark.parametrize("medium", ["ins-datamatrix", "2d-doc"])
def test_a_printed_code_counts_as_often_as_it_is_asked_for(hub: Hub, medium: str) -> None:
    hub.ask(ask(1), 0.0)
    hub.reader_changed(optical("camera", medium), 1.0)
    assert delivered(hub.presented(code("camera", medium=medium), 1.1)) == [1]
    assert again(hub.ask(ask(2, 2.0), 2.0)) == [("camera",)]
    assert delivered(hub.presented(code("camera", medium=medium), 2.1)) == [2]


def test_who_waited_for_a_printed_code_has_it_taken_away_first(hub: Hub) -> None:
    hub.ask(ask(1), 0.0)
    hub.ask(ask(2), 0.0)
    hub.reader_changed(optical("camera", "2d-doc"), 1.0)
    actions = hub.presented(code("camera", medium="2d-doc"), 1.1)
    assert of(NotifyProgress, actions) == [NotifyProgress(ask(2), "remove_card", "camera", medium="2d-doc")]


class TestACameraAndACard:
    def test_an_empty_camera_is_no_medium(self, hub: Hub) -> None:
        hub.reader_changed(slot("vitale-card"), 0.5)
        assert of(Refuse, hub.ask(ask(1, 1.0), 1.0)) == []
        card = Presented(id="card", medium="vitale-card", reader="slot", at=0.0, evidence={}, simulated=False)
        assert delivered(hub.presented(card, 1.1)) == [1]

    def test_a_card_and_a_code_at_once_are_not_resolved_by_luck(self, hub: Hub) -> None:
        hub.ask(ask(1), 0.0)
        hub.reader_changed(slot("vitale-card"), 1.0)
        hub.reader_changed(optical("camera", "apcv-qr"), 1.0)
        (refusal,) = of(Refuse, hub.presented(code("camera"), 1.1))
        assert isinstance(refusal, Refuse)
        assert isinstance(refusal.error, AmbiguousMedium)
        assert refusal.error.data["choices"] == [
            {"reader": "camera", "name": "camera", "medium": "apcv-qr"},
            {"reader": "slot", "name": "slot", "medium": "vitale-card"},
        ]
        # The code was not used by that: whoever names the camera gets it.
        named = ask(2, 2.0, readers=frozenset({"camera"}))
        assert again(hub.ask(named, 2.0)) == [("camera",)]
        assert delivered(hub.presented(code("camera"), 2.1)) == [2]

    def test_a_scan_that_is_over_when_it_is_told_counts_beside_a_card(self, hub: Hub) -> None:
        hub.ask(ask(1), 0.0)
        hub.reader_changed(slot("vitale-card"), 1.0)
        (refusal,) = of(Refuse, hub.presented(code("scanner"), 1.1))
        assert isinstance(refusal, Refuse)
        assert refusal.error.reason == "ambiguous_medium"


class TestAScanJustBeforeTheRequest:
    """The scanner holds it for its grace time, and is armed when a request comes."""

    def test_is_used_once_by_one_request(self, hub: Hub) -> None:
        hub.reader_changed(optical("scanner", "apcv-qr"), 1.0)
        assert {action.driver for action in hub.ask(ask(1, 2.0), 2.0) if isinstance(action, ArmDriver)} == {
            "pcsc",
            "camera",
            "scanner",
        }
        assert delivered(hub.presented(code("scanner"), 2.1)) == [1]
        assert len(of(DisarmDriver, hub.reader_changed(optical("scanner"), 2.1))) == 0
        assert of(NotifyProgress, hub.ask(ask(2, 3.0), 3.0)) == [NotifyProgress(ask(2, 3.0), "armed")], (
            "it waits for the next scan"
        )
        assert hub.waiting == (ask(2, 3.0),)

    def test_is_over_when_it_is_told(self, hub: Hub) -> None:
        """Also where the reader's own word of that is late: who asks next is not told of somebody else's code."""
        hub.ask(ask(1), 0.0)
        hub.reader_changed(optical("scanner", "apcv-qr"), 1.0)
        actions = hub.presented(msgspec.structs.replace(code("scanner"), over=True), 1.1)
        assert (delivered(actions), of(Announce, actions)) == ([1], [Announce("changed", optical("scanner"))])
        assert of(NotifyProgress, hub.ask(ask(2, 1.2), 1.2)) == [NotifyProgress(ask(2, 1.2), "armed")]
        assert hub.reader_changed(optical("scanner"), 1.3) == []
        assert delivered(hub.presented(msgspec.structs.replace(code("scanner", b"another"), over=True), 9.0)) == [2]

    def test_goes_to_the_older_of_two(self, hub: Hub) -> None:
        hub.reader_changed(optical("scanner", "apcv-qr"), 1.0)
        hub.ask(ask(1, 2.0), 2.0)
        hub.ask(ask(2, 2.0), 2.0)
        actions = hub.presented(code("scanner"), 2.1)
        assert delivered(actions) == [1]
        assert again(actions) == []
        assert again(hub.reader_changed(optical("scanner"), 2.1)) == []
        assert hub.waiting == (ask(2, 2.0),)
        assert delivered(hub.presented(code("scanner", b"another"), 9.0)) == [2]

    def test_that_nobody_used_is_gone_after_its_grace(self, hub: Hub) -> None:
        hub.reader_changed(optical("scanner", "apcv-qr"), 1.0)
        hub.reader_changed(optical("scanner"), 6.0)
        actions = hub.ask(ask(1, 7.0), 7.0)
        assert again(actions) == []
        assert hub.waiting == (ask(1, 7.0),)


class TestWhoIsTold:
    """A scan is an act and gets an answer; a camera sees posters too, and only remarks on them."""

    @pytest.mark.parametrize("medium", [None, "mdoc"])
    def test_a_scan_of_something_else_answers_who_waits(self, hub: Hub, medium: str | None) -> None:
        hub.ask(ask(1), 0.0)
        hub.ask(ask(2), 0.0)
        hub.reader_changed(optical("scanner", medium), 1.0)
        (refusal,) = of(Refuse, hub.failed("scanner", MediumUnsupported(data={"medium": "mdoc"}), 1.1))
        assert isinstance(refusal, Refuse)
        assert (refusal.request, refusal.error.data) == (ask(1), {"medium": "mdoc"})
        assert hub.waiting == (ask(2),)

    def test_a_camera_remarks_and_goes_on(self, hub: Hub) -> None:
        hub.ask(ask(1), 0.0)
        told = hub.progress("camera", "retry", Problem("medium_unsupported", "mdoc"))
        assert told == [NotifyProgress(ask(1), "retry", "camera", Problem("medium_unsupported", "mdoc"))]
        assert hub.waiting == (ask(1),)
