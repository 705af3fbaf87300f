"""Passes into the dashboard: good once, for a while, and never guessed."""

import pytest

from tests.clocks import Clock
from vitale_protocol.errors import NotAuthenticated
from vitale_reader.daemon.dashboard.passes import (
    CODE_LETTERS,
    IDLE_SECONDS,
    INVITATION_SECONDS,
    LONGEST_SECONDS,
    MOST_PASSES,
    MOST_WRONG,
    SHOWN_SECONDS,
    Passes,
)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
def passes(clock: Clock) -> Passes:
    return Passes(clock)


def refused(passes: Passes, secret: str) -> bool:
    try:
        passes.enter(secret)
    except NotAuthenticated:
        return True
    return False


@pytest.mark.parametrize("way", ["ticket", "code"])
def test_an_invitation_is_spent_by_either_of_its_ways(passes: Passes, way: str) -> None:
    made = passes.invite()
    passes.admit(passes.enter(getattr(made, way)))
    assert refused(passes, made.ticket)
    assert refused(passes, made.code)


def test_an_invitation_is_good_for_a_minute(passes: Passes, clock: Clock) -> None:
    made = passes.invite()
    clock.now += INVITATION_SECONDS
    assert refused(passes, made.ticket)


def test_a_new_invitation_takes_the_place_of_the_one_before(passes: Passes) -> None:
    before, after = passes.invite(), passes.invite()
    assert refused(passes, before.ticket)
    assert passes.enter(after.ticket)


def test_whoever_guesses_ends_the_invitation(passes: Passes) -> None:
    made = passes.invite()
    assert [True] * MOST_WRONG == [refused(passes, "BBBBBBBB") for _ in range(MOST_WRONG)]
    assert refused(passes, made.code)


def test_a_code_is_typed_by_people_and_says_nothing(passes: Passes) -> None:
    code = passes.invite().code
    assert 8 == len(code)
    assert set(code) <= set(CODE_LETTERS)
    assert not set("AEIOUY01") & set(CODE_LETTERS)


def test_what_is_a_secret_is_shown_by_no_repr(passes: Passes) -> None:
    made = passes.invite()
    assert made.ticket not in repr(made)
    assert made.code not in repr(made)


def test_a_bearer_ends_when_nobody_does_anything(passes: Passes, clock: Clock) -> None:
    bearer = passes.enter(passes.invite().ticket)
    clock.now += IDLE_SECONDS - 1
    passes.use(passes.admit(bearer))
    clock.now += IDLE_SECONDS - 1
    found = passes.admit(bearer)
    clock.now += IDLE_SECONDS
    with pytest.raises(NotAuthenticated):
        passes.use(found)
    with pytest.raises(NotAuthenticated):
        passes.admit(bearer)


def test_a_bearer_ends_after_eight_hours_whatever_is_done(passes: Passes, clock: Clock) -> None:
    bearer = passes.enter(passes.invite().ticket)
    end = clock.now + LONGEST_SECONDS
    while clock.now + IDLE_SECONDS / 2 < end:
        clock.now += IDLE_SECONDS / 2
        passes.admit(bearer)
    clock.now = end
    with pytest.raises(NotAuthenticated):
        passes.admit(bearer)


def test_a_patient_screen_lasts_and_leads_nowhere(passes: Passes, clock: Clock) -> None:
    bearer = passes.enter(passes.invite().ticket)
    found = passes.admit(bearer)
    for _ in range(4 * int(IDLE_SECONDS // SHOWN_SECONDS)):
        clock.now += SHOWN_SECONDS - 1
        passes.show(found)
    with pytest.raises(NotAuthenticated):
        passes.use(found)
    with pytest.raises(NotAuthenticated):
        passes.admit(bearer)
    passes.show(found)


def test_a_patient_screen_within_the_half_hour_is_no_use_and_no_end(passes: Passes, clock: Clock) -> None:
    found = passes.admit(passes.enter(passes.invite().ticket))
    clock.now += IDLE_SECONDS - 1
    passes.show(found)
    passes.use(found)
    clock.now += IDLE_SECONDS - 1
    passes.use(found)


def test_a_patient_screen_that_is_hidden_ends(passes: Passes, clock: Clock) -> None:
    found = passes.admit(passes.enter(passes.invite().ticket))
    clock.now += IDLE_SECONDS - 1
    passes.show(found)
    clock.now += SHOWN_SECONDS
    assert clock.now >= found.end
    with pytest.raises(NotAuthenticated):
        passes.show(found)


def test_a_patient_screen_ends_after_eight_hours_as_well(passes: Passes, clock: Clock) -> None:
    found = passes.admit(passes.enter(passes.invite().ticket))
    end = clock.now + LONGEST_SECONDS
    while clock.now + SHOWN_SECONDS / 2 < end:
        clock.now += SHOWN_SECONDS / 2
        passes.show(found)
    clock.now = end
    with pytest.raises(NotAuthenticated):
        passes.show(found)


def test_the_bearer_that_was_used_longest_ago_goes_first(passes: Passes, clock: Clock) -> None:
    bearers: list[str] = []
    for _ in range(MOST_PASSES + 1):
        clock.now += 1
        bearers.append(passes.enter(passes.invite().ticket))
    with pytest.raises(NotAuthenticated):
        passes.admit(bearers[0])
    for each in bearers[1:]:
        passes.admit(each)


def test_nothing_counts_after_the_end(passes: Passes) -> None:
    bearer = passes.enter(passes.invite().ticket)
    made = passes.invite()
    passes.end()
    assert refused(passes, made.ticket)
    with pytest.raises(NotAuthenticated):
        passes.admit(bearer)


@pytest.mark.parametrize("bearer", ["", "x", "B" * 43])
def test_a_bearer_that_was_never_given_opens_nothing(passes: Passes, bearer: str) -> None:
    passes.enter(passes.invite().ticket)
    with pytest.raises(NotAuthenticated):
        passes.admit(bearer)
