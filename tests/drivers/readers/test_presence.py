"""When a medium is to be read: the rules of ``base``, one by one and in any order."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vitale_drivers.base import Arm
from vitale_drivers.readers.presence import Presence

ARM = Arm(media=("vitale-card",), deadline=100.0)


def present(*media: str) -> Presence:
    presence = Presence("r")
    presence.came(*(media or ("vitale-card",)))
    return presence


def test_nothing_is_due_before_it_is_armed_or_there() -> None:
    assert not present().due(0.0)
    empty = Presence("r")
    empty.arm(ARM)
    assert not empty.due(0.0)


@pytest.mark.parametrize(
    ("command", "due"),
    [
        (ARM, True),
        (Arm(media=("cps-card",), deadline=100.0), False),
        (Arm(media=("vitale-card",), readers=("r", "s"), deadline=100.0), True),
        (Arm(media=("vitale-card",), readers=("s",), deadline=100.0), False),
        (Arm(media=("vitale-card",), deadline=50.0), False),
        (Arm(media=("vitale-card",), again=("r",), deadline=100.0), True),
    ],
)
def test_what_is_due_at_50(command: Arm, due: bool) -> None:
    presence = present()
    presence.arm(command)
    assert presence.due(50.0) == due


def test_a_medium_that_does_not_say_what_it_is_may_be_what_is_wanted() -> None:
    presence = present("vitale-card", "cps-card")
    presence.arm(ARM)
    assert presence.due(0.0)


def test_again_asks_for_one_reading_also_of_a_medium_not_read_before() -> None:
    presence = present()
    presence.arm(Arm(media=("vitale-card",), again=("r",), deadline=100.0))
    presence.begin()
    assert not presence.due(0.0)


def test_again_asked_while_it_is_read_is_one_reading_more() -> None:
    presence = present()
    presence.arm(ARM)
    presence.begin()
    presence.arm(Arm(media=("vitale-card",), again=("r",), deadline=100.0))
    assert presence.due(0.0)


class Readings(RuleBasedStateMachine):
    """Counts readings against a model: at most one for a presence, and one more for each ``again``."""

    def __init__(self) -> None:
        super().__init__()
        self.presence = Presence("r")
        self.there = self.armed = False
        self.allowed = self.readings = 0

    @rule()
    def come(self) -> None:
        self.presence.came("vitale-card")
        self.there, self.allowed, self.readings = True, 1, 0

    @rule()
    def leave(self) -> None:
        self.presence.left()
        self.there = False

    @rule(again=st.booleans())
    def arm(self, again: bool) -> None:
        self.presence.arm(Arm(media=("vitale-card",), again=("r",) if again else (), deadline=1.0))
        self.armed = True
        self.allowed += again

    @rule()
    def disarm(self) -> None:
        self.presence.disarm()
        self.armed = False

    @rule()
    def work(self) -> None:
        if self.presence.due(0.0):
            assert self.there
            assert self.armed
            self.presence.begin()
            self.readings += 1

    @invariant()
    def never_too_often(self) -> None:
        assert self.readings <= self.allowed

    @invariant()
    def the_first_is_never_forgotten(self) -> None:
        if self.there and self.armed and not self.readings:
            assert self.presence.due(0.0)


TestReadings = Readings.TestCase


def test_a_reading_that_gave_nothing_is_due_anew() -> None:
    presence = present()
    presence.arm(ARM)
    presence.begin()
    assert not presence.due(0.0)
    presence.renew()
    assert presence.due(0.0)
    presence.begin()
    assert not presence.due(0.0)


def test_disarming_forgets_that_it_was_asked_again() -> None:
    presence = present()
    presence.arm(ARM)
    presence.begin()
    presence.arm(Arm(media=("vitale-card",), again=("r",), deadline=100.0))
    presence.disarm()
    assert not presence.due(0.0)
    presence.arm(ARM)
    assert not presence.due(0.0)


def test_again_is_over_when_the_medium_has_left() -> None:
    presence = present()
    presence.arm(Arm(media=("vitale-card",), again=("r",), deadline=100.0))
    presence.came("vitale-card")
    presence.begin()
    assert not presence.due(0.0)


def test_an_order_for_another_reader_asks_nothing_again_here() -> None:
    presence = present()
    presence.arm(ARM)
    presence.begin()
    presence.arm(Arm(media=("vitale-card",), again=("s",), deadline=100.0))
    assert not presence.due(0.0)


@pytest.mark.parametrize(("now", "due"), [(99.999, True), (100.0, False)])
def test_an_order_ends_at_its_deadline(now: float, due: bool) -> None:
    presence = present()
    presence.arm(ARM)
    assert presence.due(now) == due
