"""Calls in flight and their answers: one by one, or a batch at once."""

import pytest

from vitale_protocol.errors import LimitExceeded, LocalMisuse
from vitale_protocol.methods import METHODS
from vitale_protocol.session.answers import Answers, PendingCall
from vitale_protocol.session.wire_errors import ErrorObject, to_wire

PING = METHODS["session.ping"]


class Wire:
    """What was sent, within a limit."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self.sent: list[bytes] = []
        self.answers = Answers(3, self.send, self.explain)

    def send(self, message: bytes) -> None:
        if len(message) > self.limit:
            raise LimitExceeded("too long", variant="message_bytes", data={"limit": "message_bytes"})
        self.sent.append(message)

    def explain(self, error: LimitExceeded) -> ErrorObject:
        return to_wire(error, "en")


def test_an_answer_goes_at_once_and_its_call_is_forgotten() -> None:
    wire = Wire()
    wire.answers.admit("a", PendingCall(PING))
    assert wire.answers.awaits("a")
    assert wire.answers.pending("a").method is PING
    wire.answers.answer("a", b"{1}")
    assert wire.sent == [b"{1}"]
    assert not wire.answers.awaits("a")
    with pytest.raises(LocalMisuse):
        wire.answers.pending("a")


def test_calls_in_flight_are_limited() -> None:
    answers = Wire().answers
    for request in (1, 2, 3):
        answers.admit(request, PendingCall(PING))
    with pytest.raises(LimitExceeded) as caught:
        answers.admit(4, PendingCall(PING))
    assert caught.value.data == {"limit": "requests"}
    assert answers.in_flight == (1, 2, 3)


def test_a_batch_goes_when_its_last_answer_is_there() -> None:
    wire = Wire()
    with wire.answers.batch() as batch:
        wire.answers.admit(1, PendingCall(PING, batch))
        wire.answers.refuse(None, batch, b"{refused}")
        wire.answers.answer(1, b"{1}")
        wire.answers.admit(2, PendingCall(PING, batch))
        assert wire.sent == []
    assert wire.sent == []
    wire.answers.answer(2, b"{2}")
    assert wire.sent == [b"[{refused},{1},{2}]"]


def test_a_batch_without_answers_says_nothing() -> None:
    wire = Wire()
    with wire.answers.batch():
        pass
    assert wire.sent == []


def test_a_session_that_ended_waits_for_nothing() -> None:
    answers = Wire().answers
    answers.admit(1, PendingCall(PING))
    answers.forget()
    assert answers.in_flight == ()


def test_an_answer_that_is_too_long_is_refused_with_its_id() -> None:
    wire = Wire(1_000)
    wire.answers.admit("a", PendingCall(PING))
    wire.answers.answer("a", b"{" + b"x" * 1_000)
    (sent,) = wire.sent
    assert sent.startswith(b'{"jsonrpc":"2.0","id":"a","error":{"code":1004')
