"""The table of a session's states."""

from vitale_protocol.session.states import TRANSITIONS, State, Trigger


def test_every_state_but_the_last_can_end_and_nothing_leaves_the_last() -> None:
    assert {state for state, trigger in TRANSITIONS if trigger is Trigger.END} == set(State) - {State.CLOSED}
    assert State.CLOSED not in {state for state, _ in TRANSITIONS}


def test_only_an_answer_opens_a_session() -> None:
    assert [edge for edge, target in TRANSITIONS.items() if target is State.OPEN and edge[0] is not State.OPEN] == [
        (State.ANSWERING, Trigger.OPENED)
    ]


def test_calls_and_notifications_are_for_open_sessions() -> None:
    assert {state for state, trigger in TRANSITIONS if trigger in {Trigger.CALL, Trigger.NOTIFY}} == {State.OPEN}


def test_every_trigger_is_of_use() -> None:
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)
