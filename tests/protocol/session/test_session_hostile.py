"""The session before strangers: arbitrary pieces, arbitrary bytes, ten thousand broken messages, any order of calls."""

import json
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from vitale_protocol import events
from vitale_protocol.errors import Cancelled, LocalMisuse, NotAuthenticated, VitaleError, by_code
from vitale_protocol.methods import (
    METHODS,
    Done,
    Empty,
    Identity,
    ReadersListed,
    Result,
    SessionOpen,
    SessionOpened,
    SessionPing,
    SessionPonged,
)
from vitale_protocol.session.framing import LineFraming
from vitale_protocol.session.session import (
    TRANSITIONS,
    Called,
    Ended,
    Event,
    Refused,
    Returned,
    Session,
    SessionLimits,
    State,
    Trigger,
)

Pair = tuple[Session, Session]

MESSAGES: list[object] = [
    {"jsonrpc": "2.0", "id": 10, "method": "session.ping", "params": {}},
    {"jsonrpc": "2.0", "id": "a", "method": "readers.list"},
    {"jsonrpc": "2.0", "method": "session.ping", "params": {}},
    {
        "jsonrpc": "2.0",
        "id": 11,
        "method": "presentation.request",
        "params": {"nonce": "n" * 22, "media": ["vitale-card"]},
    },
    {"jsonrpc": "2.0", "id": 12, "method": "presentation.cancel", "params": {"request": 11}},
    {
        "jsonrpc": "2.0",
        "id": 13,
        "method": "clients.add",
        "params": {"name": "é", "scopes": ["nir"], "transports": ["tls"]},
    },
    {"jsonrpc": "2.0", "id": 14, "method": "outbox.ack", "params": {"jti": ["j"]}},
    {"jsonrpc": "2.0", "id": 15, "method": "session.open", "params": {"protocol": [1], "client": {"name": "x"}}},
    [{"jsonrpc": "2.0", "id": 16, "method": "session.ping"}, {"jsonrpc": "2.0", "method": "session.ping"}, 1],
    {"jsonrpc": "2.0", "id": 1, "result": {"time": 1.0}},
    {"jsonrpc": "2.0", "id": 2, "error": {"code": 1201, "message": "m", "data": {"reason": "timeout"}}},
    {"jsonrpc": "2.0", "method": "reader.removed", "params": {"reader": {"id": "r"}}},
]
SEEDS = [json.dumps(message).encode() for message in MESSAGES]

streams = st.lists(st.sampled_from([seed + b"\n" for seed in SEEDS]) | st.binary(max_size=20), max_size=8).map(b"".join)


def in_pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def described(found: list[Event]) -> list[str]:
    """Events in words, because errors are equal only to themselves."""
    return [repr(event) for event in found]


@given(stream=streams, cuts=st.lists(st.integers(0)))
def test_a_server_hears_the_same_whatever_the_pieces(
    make_pair: Callable[..., Pair], stream: bytes, cuts: list[int]
) -> None:
    _, whole = make_pair(SessionLimits(message_bytes=1_000))
    _, pieces = make_pair(SessionLimits(message_bytes=1_000))
    found = [event for piece in in_pieces(stream, cuts) for event in pieces.receive_data(piece)]
    assert described(found) == described(whole.receive_data(stream))
    assert pieces.data_to_send() == whole.data_to_send()
    assert described(pieces.receive_eof()) == described(whole.receive_eof())


@given(stream=streams, cuts=st.lists(st.integers(0)))
def test_a_client_hears_the_same_whatever_the_pieces(
    make_pair: Callable[..., Pair], stream: bytes, cuts: list[int]
) -> None:
    whole, _ = make_pair()
    pieces, _ = make_pair()
    for client in (whole, pieces):
        client.call("session.ping", SessionPing())
        client.call("readers.list", Empty())
    found = [event for piece in in_pieces(stream, cuts) for event in pieces.receive_data(piece)]
    assert described(found) == described(whole.receive_data(stream))
    assert described(pieces.receive_eof()) == described(whole.receive_eof())


def check_answers(data: bytes) -> int:
    """How many errors a server sent, each one of the catalogue."""
    count = 0
    for text in data.splitlines():
        value: Any = json.loads(text)
        answers = cast("list[dict[str, Any]]", value if isinstance(value, list) else [value])
        for answer in answers:
            error = answer["error"]
            known = by_code(error["code"])
            assert known is not None
            assert known.reason == error["data"]["reason"] != "internal_error"
            assert error["message"]
            assert error["data"]["remedy"]
            count += 1
    return count


@given(st.binary(max_size=200))
def test_any_bytes_get_errors_of_the_catalogue_from_a_server(make_pair: Callable[..., Pair], data: bytes) -> None:
    _, server = make_pair()
    assert not [event for event in server.receive_data(data + b"\n") if not isinstance(event, Called)]
    check_answers(server.data_to_send())
    assert server.state is State.OPEN


@given(st.binary(max_size=200))
def test_any_bytes_end_a_client_with_a_documented_error_or_nothing(make_pair: Callable[..., Pair], data: bytes) -> None:
    client, _ = make_pair()
    for event in client.receive_data(data + b"\n"):
        assert isinstance(event, Ended)
        assert isinstance(event.error, VitaleError)


def mutated(rng: random.Random) -> bytes:
    """A valid message with a few faults: bytes changed, cut, doubled, or a member replaced by something odd."""
    message = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(message))
        match rng.randrange(5):
            case 0:
                message[at] = rng.randrange(256)
            case 1:
                del message[at : at + rng.randint(1, 10)]
            case 2:
                message[at:at] = rng.randbytes(rng.randint(1, 8))
            case 3:
                message[at:at] = rng.choice(
                    [b"[" * 40, b'{"a":', b"\\u0000", b"\\ud800", b"null", b"1e999", b"\xed\xa0\x80", b'"']
                )
            case _:
                message += message[at : at + 50]
        if not message:
            message += b"{"
    return bytes(message).replace(b"\n", b" ")


def test_ten_thousand_broken_messages_get_errors_of_the_catalogue_only(make_pair: Callable[..., Pair]) -> None:
    rng = random.Random(20260)
    _, server = make_pair()
    errors = 0
    for _ in range(10_000):
        for event in server.receive_data(mutated(rng) + b"\n"):
            assert isinstance(event, Called)
            assert isinstance(event.params, event.method.params)
            if event.id is not None:
                server.fail(event.id, Cancelled())
        errors += check_answers(server.data_to_send())
        # Nothing stays behind.
        assert server.in_flight == ()
        assert server.state is State.OPEN
    assert errors > 9_000
    assert len(server.receive_data(SEEDS[0] + b"\n")) == 1


def test_ten_thousand_broken_messages_never_raise_in_a_client(make_pair: Callable[..., Pair]) -> None:
    rng = random.Random(20261)
    endings = 0
    for _ in range(2_000):
        client, _ = make_pair()
        client.call("session.ping", SessionPing())
        client.call("readers.list", Empty())
        for _ in range(5):
            for event in client.receive_data(mutated(rng) + b"\n"):
                match event:
                    case Ended(error=error) | Refused(error=error):
                        assert isinstance(error, VitaleError)
                        endings += isinstance(event, Ended)
                    case _:
                        assert not isinstance(event, Called)
    assert endings > 1_500


@pytest.mark.parametrize("role", ["server", "client"])
def test_a_stream_without_an_end_is_not_kept(role: Any) -> None:
    framing = LineFraming(1_000)
    session = Session(role, framing, SessionLimits(message_bytes=1_000))
    found = [event for _ in range(100) for event in session.receive_data(b"x" * 100)]
    assert [type(event) for event in found] == [Ended]
    assert framing.held == 0


# ── any order of calls ───────────────────────────────────────────────────────────────────────────────────────────


class Conversation(RuleBasedStateMachine):
    """A client and a server that call in any order: both keep the table, and every call is answered once."""

    opened: SessionOpened

    def __init__(self) -> None:
        super().__init__()
        self.client, self.server = Session("client", LineFraming()), Session("server", LineFraming())
        self.waiting: dict[int, str] = {}
        self.ended = False

    def exchange(self) -> None:
        """Carries everything to the server."""
        for event in self.server.receive_data(self.client.data_to_send()):
            assert isinstance(event, Called)
            assert isinstance(event.id, int)
            assert self.waiting[event.id] == event.method.name

    def call(self, method: str, params: Any, trigger: Trigger) -> None:
        state = self.client.state
        try:
            request = self.client.call(method, params)
        except LocalMisuse:
            assert (state, trigger) not in TRANSITIONS
            return
        assert self.client.state is TRANSITIONS[state, trigger]
        self.waiting[request] = method
        self.exchange()

    @rule(language=st.sampled_from(["fr", "en"]))
    def open(self, language: Any) -> None:
        params = SessionOpen(protocol=(1,), client=Identity(name="essai"), language=language)
        before = self.server.language
        self.call("session.open", params, Trigger.CALL_OPEN)
        assert self.server.language in {before, language}

    @rule(method=st.sampled_from(["session.ping", "readers.list", "readers.unwatch"]))
    def ask(self, method: str) -> None:
        self.call(method, METHODS[method].params(), Trigger.CALL)

    @precondition(lambda self: self.waiting and not self.ended)
    @rule(data=st.data(), refuse=st.booleans())
    def answer(self, data: Any, refuse: bool) -> None:
        request = data.draw(st.sampled_from(sorted(self.waiting)))
        results: dict[str, Result] = {
            "session.open": self.opened,
            "session.ping": SessionPonged(time=1),
            "readers.list": ReadersListed(readers=()),
            "readers.unwatch": Done(),
        }
        result = results[self.waiting.pop(request)]
        if refuse:
            self.server.fail(request, NotAuthenticated())
        else:
            self.server.reply(request, result)
        (event,) = self.client.receive_data(self.server.data_to_send())
        if refuse:
            assert isinstance(event, Refused)
            assert event.id == request
        else:
            assert event == Returned(request, result)

    @rule()
    def notify(self) -> None:
        event = events.ReaderEvent(
            reader=events.Reader(id="r", name="n", driver="d", media=("vitale-card",), state="empty")
        )
        state = self.server.state
        try:
            self.server.notify("reader.added", event)
        except LocalMisuse:
            assert (state, Trigger.NOTIFY) not in TRANSITIONS
        else:
            assert len(self.client.receive_data(self.server.data_to_send())) == (state is State.OPEN)

    @rule()
    def end(self) -> None:
        expected = 0 if self.ended else 1
        assert len(self.client.receive_eof()) == len(self.server.receive_eof()) == expected
        self.ended = True
        self.waiting.clear()

    @invariant()
    def both_ends_agree(self) -> None:
        assert self.client.state is self.server.state
        assert set(self.client.in_flight) == set(self.server.in_flight) == set(self.waiting)


def test_any_order_of_calls_keeps_the_table(opened: SessionOpened) -> None:
    Conversation.opened = opened
    run_state_machine_as_test(Conversation, settings=settings(max_examples=60, stateful_step_count=30))
