"""The session: its opening, the server's own answers, batches, and a client's tolerance."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from vitale_protocol.errors import (
    InternalError,
    InvalidRequest,
    LimitExceeded,
    LocalMisuse,
    NotAuthenticated,
    ParseError,
    PresentationTimeout,
    RemoteError,
    StoreUnavailable,
    ToolMissing,
)
from vitale_protocol.events import PresentationProgress, Reader, ReaderEvent
from vitale_protocol.methods import (
    METHODS,
    Done,
    Empty,
    Identity,
    OutboxList,
    OutboxListed,
    OutboxToken,
    ReadersListed,
    SessionOpen,
    SessionOpened,
    SessionPing,
    SessionPonged,
)
from vitale_protocol.session.framing import LineFraming, NativeFraming
from vitale_protocol.session.session import (
    Called,
    Ended,
    Notified,
    Refused,
    Returned,
    Session,
    SessionLimits,
    State,
)

PING = '{"jsonrpc":"2.0","id":%s,"method":"session.ping","params":{}}'
OPEN = {"protocol": [1], "client": {"name": "essai"}, "language": "en"}
READER = Reader(id="r-1", name="Lecteur", driver="pcsc", media=("vitale-card",), state="empty")

Pair = tuple[Session, Session]


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def call(request: object, method: str, params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": request, "method": method, "params": params}


def sent(session: Session) -> list[Any]:
    """What a session has to send, a value for each line."""
    return [json.loads(text) for text in session.data_to_send().splitlines()]


def reasons(session: Session) -> list[tuple[Any, str]]:
    """The id and the reason of each error that a session has to send, batches taken apart."""
    answers: list[Any] = []
    for value in sent(session):
        answers += value if isinstance(value, list) else [value]
    return [(answer["id"], answer["error"]["data"]["reason"]) for answer in answers if "error" in answer]


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_opens_on_both_sides(make_pair: Callable[..., Pair]) -> None:
    client, server = make_pair()
    request = client.call("session.ping", SessionPing())
    assert server.receive_data(client.data_to_send()) == [
        Called(request, METHODS["session.ping"], SessionPing()),
    ]
    server.reply(request, SessionPonged(time=1.5))
    assert client.receive_data(server.data_to_send()) == [Returned(request, SessionPonged(time=1.5))]
    assert client.in_flight == server.in_flight == ()


@pytest.mark.parametrize("framing", [LineFraming, NativeFraming])
def test_every_framing_carries_a_session(framing: type[Any], opened: SessionOpened) -> None:
    client, server = Session("client", framing()), Session("server", framing())
    request = client.call("session.open", SessionOpen(protocol=(1,), client=Identity(name="essai")))
    assert server.receive_data(client.data_to_send()) == [
        Called(request, METHODS["session.open"], SessionOpen(protocol=(1,), client=Identity(name="essai")))
    ]
    server.reply(request, opened)
    assert client.receive_data(server.data_to_send()) == [Returned(request, opened)]


def test_a_refused_opening_can_be_tried_again(opened: SessionOpened) -> None:
    client, server = Session("client", LineFraming()), Session("server", LineFraming())
    params = SessionOpen(protocol=(1,), client=Identity(name="essai"), language="en")
    first = client.call("session.open", params)
    server.receive_data(client.data_to_send())
    server.fail(first, NotAuthenticated("the credential is not known"))
    (refused,) = client.receive_data(server.data_to_send())
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, NotAuthenticated)
    assert (client.state, server.state) == (State.OPENING, State.OPENING)
    second = client.call("session.open", params)
    server.receive_data(client.data_to_send())
    server.reply(second, opened)
    assert client.receive_data(server.data_to_send()) == [Returned(second, opened)]


@pytest.mark.parametrize("method", ["session.ping", "clients.add", "no.such.method"])
def test_nothing_comes_before_session_open(method: str) -> None:
    server = Session("server", LineFraming())
    assert server.receive_data(line(call(1, method, {}))) == []
    assert reasons(server) == [(1, "not_authenticated")]


def test_nothing_comes_before_the_answer_to_session_open() -> None:
    server = Session("server", LineFraming())
    events = server.receive_data(line(call(1, "session.open", OPEN)) + (PING % 2).encode() + b"\n")
    assert [event.id for event in events if isinstance(event, Called)] == [1]
    assert reasons(server) == [(2, "not_authenticated")]


def test_a_second_session_open_is_refused(server: Session) -> None:
    assert server.receive_data(line(call(7, "session.open", OPEN))) == []
    assert reasons(server) == [(7, "invalid_request")]
    assert server.state is State.OPEN


def test_session_open_needs_an_id() -> None:
    server = Session("server", LineFraming())
    assert server.receive_data(line({"jsonrpc": "2.0", "method": "session.open", "params": OPEN})) == []
    assert server.data_to_send() == b""
    assert server.state is State.OPENING


def test_the_refusal_of_an_opening_is_in_its_language() -> None:
    server = Session("server", LineFraming())
    server.receive_data(line(call(1, "session.open", {"protocol": "x", "language": "en"})))
    assert server.language == "en"
    assert sent(server)[0]["error"]["message"] == "Parameters not valid"


@pytest.mark.parametrize("language", ["de", 1, None, [], {}], ids=repr)
def test_an_unknown_language_leaves_french(language: object) -> None:
    server = Session("server", LineFraming())
    assert server.receive_data(line(call(1, "session.open", OPEN | {"language": language}))) == []
    assert server.language == "fr"
    assert sent(server)[0]["error"]["message"] == "Paramètres non valides"


# ── the server's own answers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"{\n", (None, "parse_error")),
        (b"\xff\n", (None, "parse_error")),
        (b"1\n", (None, "invalid_request")),
        (b"[]\n", (None, "invalid_request")),
        (b'{"jsonrpc":"2.0","id":3}\n', (3, "invalid_request")),
        (b'{"jsonrpc":"2.0","id":3,"result":1}\n', (3, "invalid_request")),
        (line(call(None, "session.ping", {})), (None, "invalid_request")),
        (line(call(1.0, "session.ping", {})), (None, "invalid_request")),
        (line(call(3, "no.such.method", {})), (3, "method_not_found")),
        (line(call("a", "session.ping", {"x": 1})), ("a", "invalid_params")),
        (line(call(3, "session.ping", [])), (3, "invalid_params")),
        (line(call(3, "presentation.request", ["n" * 22])), (3, "invalid_params")),
        (b"[" * 33 + b"]" * 33 + b"\n", (None, "limit_exceeded")),
        (line([call(n, "session.ping", {}) for n in range(51)]), (None, "limit_exceeded")),
    ],
    ids=repr,
)
def test_the_server_answers_by_itself_and_goes_on(server: Session, data: bytes, expected: tuple[Any, str]) -> None:
    assert server.receive_data(data) == []
    assert reasons(server) == [expected]
    assert server.rejected == 1
    assert len(server.receive_data((PING % 99).encode() + b"\n")) == 1


def test_an_error_has_the_texts_of_the_catalogue(server: Session) -> None:
    server.receive_data(line(call(3, "presentation.request", {"nonce": "secret-value"})))
    (answer,) = sent(server)
    assert answer["error"] == {
        "code": -32602,
        "message": "Parameters not valid",
        "data": {
            "reason": "invalid_params",
            "retryable": False,
            "path": "$.nonce",
            "cause": "A parameter of the call is missing, unknown or out of bounds.",
            "remedy": "Report it to the publisher of the software, with the name of the parameter.",
            "detail": "the value at $.nonce is not what the method takes",
        },
    }


def test_an_id_in_flight_is_refused_without_answering_the_call_that_has_it(server: Session) -> None:
    (first,) = server.receive_data((PING % 5).encode() + b"\n")
    assert isinstance(first, Called)
    assert server.receive_data((PING % 5).encode() + b"\n") == []
    assert reasons(server) == [(None, "invalid_request")]
    assert server.receive_data(b'{"jsonrpc":"2.0","id":5}\n') == []
    assert reasons(server) == [(None, "invalid_request")]
    server.reply(5, SessionPonged(time=1))
    assert sent(server) == [{"jsonrpc": "2.0", "id": 5, "result": {"time": 1.0}}]
    assert len(server.receive_data((PING % 5).encode() + b"\n")) == 1


def test_an_integer_and_a_string_are_different_ids(server: Session) -> None:
    assert len(server.receive_data((PING % 5 + "\n" + PING % '"5"' + "\n").encode())) == 2
    assert server.in_flight == (5, "5")


def test_calls_in_flight_are_limited(make_pair: Callable[..., Pair]) -> None:
    _, server = make_pair(SessionLimits(requests=2))
    assert len(server.receive_data("".join(PING % n + "\n" for n in range(10, 13)).encode())) == 2
    assert reasons(server) == [(12, "limit_exceeded")]
    server.fail(10, PresentationTimeout())
    assert len(server.receive_data((PING % 13).encode() + b"\n")) == 1


def test_a_message_that_is_too_long_ends_the_session(make_pair: Callable[..., Pair]) -> None:
    _, server = make_pair(SessionLimits(message_bytes=4_000))
    events = server.receive_data((PING % 8).encode() + b"\n" + b"x" * 4_001)
    assert isinstance(events[0], Called)
    assert isinstance(events[1], Ended)
    assert events[1].reason == "limit_exceeded"
    assert isinstance(events[1].error, LimitExceeded)
    assert reasons(server) == [(None, "limit_exceeded")]
    assert server.receive_data((PING % 9).encode() + b"\n") == []
    assert server.receive_eof() == []
    server.reply(8, SessionPonged(time=1))
    server.fail(8, PresentationTimeout())
    server.notify("reader.added", ReaderEvent(reader=READER))
    assert server.data_to_send() == b""


def test_notifications_are_called_and_never_answered(server: Session) -> None:
    (event,) = server.receive_data(line({"jsonrpc": "2.0", "method": "session.ping"}))
    assert event == Called(None, METHODS["session.ping"], SessionPing())
    server.reply(None, SessionPonged(time=1))
    server.fail(None, PresentationTimeout())
    assert server.receive_data(line({"jsonrpc": "2.0", "method": "no.such.method"})) == []
    assert server.receive_data(line({"jsonrpc": "2.0", "method": "session.ping", "params": {"x": 1}})) == []
    assert server.data_to_send() == b""
    assert server.rejected == 2


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_answers_of_a_batch_go_together_once_all_are_there(server: Session) -> None:
    batch = [call(1, "session.ping", {}), {"jsonrpc": "2.0", "method": "session.ping"}, call(2, "no", {}), 7]
    events = server.receive_data(line([*batch, call("c", "session.ping", {})]))
    assert [event.id for event in events if isinstance(event, Called)] == [1, None, "c"]
    assert server.data_to_send() == b""
    server.reply("c", SessionPonged(time=2))
    assert server.data_to_send() == b""
    server.fail(1, PresentationTimeout())
    (answers,) = sent(server)
    assert [answer["id"] for answer in answers] == [2, None, "c", 1]


def test_a_batch_of_notifications_has_no_answer(server: Session) -> None:
    notification = {"jsonrpc": "2.0", "method": "session.ping"}
    assert len(server.receive_data(line([notification, notification]))) == 2
    assert server.data_to_send() == b""


def test_a_batch_of_refusals_is_answered_at_once(server: Session) -> None:
    assert server.receive_data(line([1, call(2, "no", {})])) == []
    (answers,) = sent(server)
    assert [answer["id"] for answer in answers] == [None, 2]


def test_two_calls_of_a_batch_with_one_id(server: Session) -> None:
    assert len(server.receive_data(line([call(1, "session.ping", {}), call(1, "session.ping", {})]))) == 1
    server.reply(1, SessionPonged(time=2))
    (answers,) = sent(server)
    assert [answer["id"] for answer in answers] == [None, 1]


def test_fifty_are_a_batch(server: Session) -> None:
    assert len(server.receive_data(line([call(n, "session.ping", {}) for n in range(50)]))) == 50


def test_fifty_one_are_none(server: Session) -> None:
    assert server.receive_data(line([call(n, "session.ping", {}) for n in range(51)])) == []
    assert reasons(server) == [(None, "limit_exceeded")]


def test_a_client_reads_as_many_answers_at_once_as_a_server_gives(make_pair: Callable[..., Pair]) -> None:
    for count, state in ((50, State.OPEN), (51, State.CLOSED)):
        client, _ = make_pair()
        unheard: dict[str, object] = {"jsonrpc": "2.0", "method": "reader.unheard", "params": {}}
        events = client.receive_data(line([unheard] * count))
        assert [type(event) for event in events] == ([] if state is State.OPEN else [Ended])
        assert client.state is state


def test_a_message_may_be_nested_32_deep(server: Session) -> None:
    def nested(depth: int) -> bytes:
        # The braces of the message and of its parameters are the first two levels.
        inner = "[" * (depth - 2) + "]" * (depth - 2)
        return f'{{"jsonrpc":"2.0","id":1,"method":"session.ping","params":{{"x":{inner}}}}}\n'.encode()

    for depth, answer in ((32, (1, "invalid_params")), (33, (None, "limit_exceeded"))):
        assert server.receive_data(nested(depth)) == []
        assert reasons(server) == [answer]


def test_a_nul_is_refused_under_the_id_of_its_own_call(server: Session) -> None:
    good, bad = call(1, "session.ping", {}), call(2, "session.ping", {"x": ["a\0b"]})
    server.receive_data(line(bad))
    assert reasons(server) == [(2, "invalid_request")]
    events = server.receive_data(line([good, bad]))
    assert [event.id for event in events if isinstance(event, Called)] == [1]
    server.reply(1, SessionPonged(time=1.0))
    assert reasons(server) == [(2, "invalid_request")]


@pytest.mark.parametrize("complete", [True, False])
def test_before_the_session_is_open_messages_are_short(complete: bool) -> None:
    limits = SessionLimits()
    server = Session(role="server", framing=LineFraming(limits.message_bytes), limits=limits)
    data = b"[" * (limits.opening_bytes + 1) + b"\n" * complete
    ended = server.receive_data(data)
    assert [type(event) for event in ended] == [Ended]
    assert server.state is State.CLOSED
    assert reasons(server) == [(None, "limit_exceeded")]


def test_the_language_is_that_of_the_opening(server: Session) -> None:
    before = server.language
    other = {"fr": "en", "en": "fr"}[before]
    server.receive_data(line(call(7, "session.open", OPEN | {"language": other})))
    assert server.language == before
    assert reasons(server) == [(7, "invalid_request")]


def test_batches_in_batches_are_refused(server: Session) -> None:
    assert server.receive_data(line([[call(1, "session.ping", {})]])) == []
    assert reasons(server) == [(None, "invalid_request")]


# ── what a server sends ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_that_is_too_long_becomes_an_error(make_pair: Callable[..., Pair]) -> None:
    client, server = make_pair(SessionLimits(message_bytes=4_000))
    long = OutboxListed(tokens=(OutboxToken(jti="j", exp=1, token="x" * 5_000),))
    request = client.call("outbox.list", OutboxList())
    server.receive_data(client.data_to_send())
    server.reply(request, long)
    (refused,) = client.receive_data(server.data_to_send())
    assert isinstance(refused, Refused)
    assert refused.error.data["limit"] == "message_bytes"


def test_answers_of_a_batch_that_are_too_long_together_become_errors(make_pair: Callable[..., Pair]) -> None:
    _, server = make_pair(SessionLimits(message_bytes=4_000))
    server.receive_data(line([call(n, "outbox.list", {}) for n in (1, 2)]))
    half = OutboxListed(tokens=(OutboxToken(jti="j", exp=1, token="x" * 2_500),))
    server.reply(1, half)
    server.reply(2, half)
    assert reasons(server) == [(1, "limit_exceeded"), (2, "limit_exceeded")]


def test_a_limit_too_narrow_for_a_refusal_does_not_raise() -> None:
    server = Session("server", LineFraming(100), SessionLimits(message_bytes=100))
    assert server.receive_data(b"1\n") == []
    assert server.data_to_send() == b""


@pytest.mark.parametrize("error", [InternalError("secret", data={"incident": "i-1"}), ToolMissing("secret")], ids=repr)
def test_internal_errors_say_nothing(pair: Pair, error: InternalError | ToolMissing) -> None:
    client, server = pair
    request = client.call("session.ping", SessionPing())
    server.receive_data(client.data_to_send())
    server.fail(request, error)
    data = server.data_to_send()
    assert b"secret" not in data
    (refused,) = client.receive_data(data)
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, InternalError)
    assert refused.error.data.get("incident") == error.data.get("incident")


def test_notifications_arrive_typed(pair: Pair) -> None:
    client, server = pair
    progress = PresentationProgress(request=4, step="armed", message="Insérez la carte.")
    server.notify("reader.added", ReaderEvent(reader=READER))
    server.notify("presentation.progress", progress)
    assert client.receive_data(server.data_to_send()) == [
        Notified("reader.added", ReaderEvent(reader=READER)),
        Notified("presentation.progress", progress),
    ]


def test_misuse_is_told_to_the_one_who_does_it(pair: Pair) -> None:
    client, server = pair
    event = ReaderEvent(reader=READER)
    with pytest.raises(LocalMisuse):
        client.notify("reader.added", event)
    with pytest.raises(LocalMisuse):
        client.reply(1, Done())
    with pytest.raises(LocalMisuse):
        client.fail(1, PresentationTimeout())
    with pytest.raises(LocalMisuse):
        client.call("session.ping", Empty())
    with pytest.raises(LocalMisuse):
        client.call("no.such.method", Empty())
    with pytest.raises(LocalMisuse):
        client.call("session.open", SessionOpen(protocol=(1,), client=Identity(name="essai")))
    with pytest.raises(LocalMisuse):
        server.call("session.ping", SessionPing())
    with pytest.raises(LocalMisuse):
        server.reply(1, Done())
    with pytest.raises(LocalMisuse):
        server.notify("presentation.progress", event)
    with pytest.raises(LocalMisuse):
        server.notify("no.such.event", event)
    with pytest.raises(LocalMisuse):
        Session("server", LineFraming()).notify("reader.added", event)
    with pytest.raises(LocalMisuse):
        Session("client", LineFraming()).call("session.ping", SessionPing())
    assert client.data_to_send() == server.data_to_send() == b""


def test_a_reply_of_the_wrong_type_leaves_the_call_in_flight(server: Session) -> None:
    server.receive_data((PING % 5).encode() + b"\n")
    with pytest.raises(LocalMisuse):
        server.reply(5, Done())
    server.reply(5, SessionPonged(time=1))
    assert len(sent(server)) == 1


def test_a_call_that_is_too_long_is_not_made() -> None:
    client = Session("client", LineFraming(200))
    with pytest.raises(LimitExceeded):
        client.call("session.open", SessionOpen(protocol=(1,), client=Identity(name="essai"), credential="x" * 200))
    assert client.in_flight == ()
    assert client.state is State.OPENING
    assert client.data_to_send() == b""


def test_a_closed_session_neither_reads_nor_sends(pair: Pair) -> None:
    client, server = pair
    server.notify("reader.added", ReaderEvent(reader=READER))
    server.close()
    server.close()
    assert len(server.data_to_send()) > 0
    assert server.receive_data((PING % 1).encode() + b"\n") == []
    assert client.receive_eof() == [Ended("eof")]
    assert client.receive_eof() == []
    with pytest.raises(LocalMisuse):
        client.call("session.ping", SessionPing())


# ── a client before a strange daemon ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"HTTP/1.1 400 Bad Request\n", ParseError),
        (b"\xff\xfe\n", ParseError),
        (b"[" * 100 + b"\n", LimitExceeded),
        (b"x" * 1_048_577, LimitExceeded),
        (b"1\n", InvalidRequest),
        (b'{"jsonrpc":"2.0","id":77,"result":{}}\n', InvalidRequest),
        (b'{"jsonrpc":"2.0","id":"1","result":{}}\n', InvalidRequest),
        (b'{"jsonrpc":"2.0","id":1,"error":{}}\n', InvalidRequest),
        (b'{"jsonrpc":"2.0","id":1,"method":"session.ping"}\n', InvalidRequest),
        (line([1] * 51), LimitExceeded),
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":1005,"message":"m"}}\n', None),
    ],
    ids=repr,
)
def test_what_is_no_answer_ends_a_clients_session(pair: Pair, data: bytes, error: type[Exception] | None) -> None:
    client, _ = pair
    client.call("session.ping", SessionPing())
    (ended,) = client.receive_data(data)
    assert isinstance(ended, Ended)
    assert ended.error is not None
    assert ended.reason == ended.error.reason
    if error is None:
        assert ended.reason == "shutting_down"
    else:
        assert type(ended.error) is error
    assert client.state is State.CLOSED
    assert client.receive_data(b'{"jsonrpc":"2.0","id":2,"result":{"time":1}}\n') == []


def test_a_result_of_a_newer_daemon_is_read(pair: Pair) -> None:
    client, _ = pair
    request = client.call("session.ping", SessionPing())
    assert client.receive_data(line({"jsonrpc": "2.0", "id": request, "result": {"time": 1, "zone": "Z"}})) == [
        Returned(request, SessionPonged(time=1))
    ]


def test_a_result_that_cannot_be_read_is_the_daemons_fault(pair: Pair) -> None:
    client, _ = pair
    request = client.call("readers.list", Empty())
    (refused,) = client.receive_data(line({"jsonrpc": "2.0", "id": request, "result": {"readers": ["secret"]}}))
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, InternalError)
    assert ("answer", {"path": "$.readers[0]"}) == (refused.error.variant, refused.error.data)
    assert client.state is State.OPEN


def test_an_error_of_a_newer_daemon_keeps_what_it_says(pair: Pair) -> None:
    client, _ = pair
    request = client.call("session.ping", SessionPing())
    data = {"reason": "patient_asleep", "retryable": True, "remedy": "Réveillez le patient."}
    client_error = {"code": 1999, "message": "Patient endormi", "data": data}
    (refused,) = client.receive_data(line({"jsonrpc": "2.0", "id": request, "error": client_error}))
    assert isinstance(refused, Refused)
    assert type(refused.error) is RemoteError
    assert refused.error.data == data | {"code": 1999, "message": "Patient endormi"}


def test_a_known_error_is_of_its_class(pair: Pair) -> None:
    client, server = pair
    request = client.call("session.ping", SessionPing())
    server.receive_data(client.data_to_send())
    server.fail(request, StoreUnavailable("disk full", data={"file": "outbox.db"}))
    (refused,) = client.receive_data(server.data_to_send())
    assert isinstance(refused, Refused)
    assert type(refused.error) is StoreUnavailable
    assert refused.error.detail == "disk full"
    assert refused.error.data["file"] == "outbox.db"
    assert refused.error.data["message"] == "Store not available"


@pytest.mark.parametrize(
    "notification",
    [
        {"jsonrpc": "2.0", "method": "reader.painted", "params": {}},
        {"jsonrpc": "2.0", "method": "reader.added", "params": {"reader": 1}},
        {"jsonrpc": "2.0", "method": "reader.added", "params": []},
    ],
    ids=repr,
)
def test_notifications_of_a_newer_daemon_are_passed_over(pair: Pair, notification: object) -> None:
    client, _ = pair
    assert client.receive_data(line(notification)) == []
    assert client.state is State.OPEN


def test_notifications_before_the_opening_are_passed_over() -> None:
    client = Session("client", LineFraming())
    notification = {"jsonrpc": "2.0", "method": "reader.removed", "params": {"reader": {"id": "r"}}}
    assert client.receive_data(line(notification)) == []


def test_a_client_reads_batches(pair: Pair) -> None:
    client, _ = pair
    first, second = (client.call("session.ping", SessionPing()) for _ in range(2))
    answers = [{"jsonrpc": "2.0", "id": request, "result": {"time": request}} for request in (second, first)]
    assert client.receive_data(line(answers)) == [
        Returned(second, SessionPonged(time=second)),
        Returned(first, SessionPonged(time=first)),
    ]


def test_a_list_of_readers_arrives_typed(pair: Pair) -> None:
    client, server = pair
    request = client.call("readers.list", Empty())
    server.receive_data(client.data_to_send())
    server.reply(request, ReadersListed(readers=(READER,)))
    assert client.receive_data(server.data_to_send()) == [Returned(request, ReadersListed(readers=(READER,)))]
