"""A page's session: few calls before it is open, and one answer, in the same bytes, to whatever else comes."""

import json
from typing import Any

import pytest

from vitale_protocol.errors import InternalError, LimitExceeded, NotAuthenticated, ShuttingDown, VitaleError
from vitale_protocol.methods import METHODS, SessionOpened
from vitale_protocol.session.framing import BoundedFraming
from vitale_protocol.session.session import Called, Session, SessionLimits, State

CHALLENGE = {"kid": "k" * 43, "client_nonce": "n" * 43, "epk": "e" * 87}
OPEN = {"protocol": [1], "client": {"name": "page"}, "language": "en"}
BEFORE = {name for name, method in METHODS.items() if method.before}


class WholeMessages(BoundedFraming):
    """Messages without frames: what is received is one, whole."""

    def receive(self, data: bytes) -> list[bytes]:
        self.exceeded = self.exceeded or len(data) > self.limit
        return [] if self.exceeded else [data]

    def encode(self, message: bytes) -> bytes:
        self.check(message)
        return message


def server() -> Session:
    return Session("server", WholeMessages(), page=True)


def call(method: str, params: Any = None, request: Any = 1) -> bytes:
    given: Any = {} if params is None else params
    return json.dumps({"jsonrpc": "2.0", "id": request, "method": method, "params": given}).encode()


REFUSAL = server()
REFUSAL.receive_data(call("readers.list"))
REFUSED = REFUSAL.data_to_send()


def test_the_refusal_says_nothing_but_that_it_is_one() -> None:
    error = json.loads(REFUSED)["error"]

    assert (1001, "not_authenticated") == (error["code"], error["data"]["reason"])
    assert "detail" not in error["data"]


def test_the_calls_that_come_before() -> None:
    assert {"session.challenge", "pairing.request", "pairing.reveal"} == BEFORE


@pytest.mark.parametrize(
    "message",
    [
        call("clients.list"),
        call("no.such.method"),
        call("session.challenge", {"kid": "short"}),
        call("session.challenge", [1]),
        call("session.open", {"protocol": [1]}),
        call("session.open", OPEN | {"credential": 1}),
        call("pairing.request", {"name": "\u202e"}),
        call("pairing.open"),
        b'{"jsonrpc":"1.0","id":1,"method":"session.open"}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
    ],
)
def test_whatever_else_comes_gets_the_same_bytes(message: bytes) -> None:
    session = server()

    assert [] == session.receive_data(message)
    assert REFUSED == session.data_to_send()
    assert session.refused


@pytest.mark.parametrize("message", [b"no json", b"[]", b"[1]", b"{}", b"[" * 100, call("x")[:-1]])
def test_what_has_no_id_gets_the_same_words(message: bytes) -> None:
    session = server()
    session.receive_data(message)
    answer = json.loads(session.data_to_send())

    assert json.loads(REFUSED)["error"] == (answer[0] if isinstance(answer, list) else answer)["error"]
    assert session.refused


def test_a_call_without_an_id_is_a_refusal_too() -> None:
    session = server()
    session.receive_data(b'{"jsonrpc":"2.0","method":"session.ping","params":{}}')

    assert (b"", True) == (session.data_to_send(), session.refused)


@pytest.mark.parametrize(
    "error",
    [
        NotAuthenticated("the key counts for another site"),
        LimitExceeded("full", variant="sessions"),
        ShuttingDown("the daemon is stopping"),
        InternalError("x", data={"incident": "1"}),
    ],
)
@pytest.mark.parametrize("message", [call("session.open", OPEN), call("session.challenge", CHALLENGE)])
def test_whatever_a_handler_refuses_gets_the_same_bytes(error: VitaleError, message: bytes) -> None:
    session = server()
    (called,) = session.receive_data(message)
    assert isinstance(called, Called)
    session.fail(called.id, error)

    assert REFUSED == session.data_to_send()
    assert session.refused


def test_a_page_asks_first_and_opens_then(opened: SessionOpened) -> None:
    session = server()
    (asked,) = session.receive_data(call("session.challenge", CHALLENGE))
    assert isinstance(asked, Called)
    assert (State.OPENING, "session.challenge") == (session.state, asked.method.name)
    (opening,) = session.receive_data(call("session.open", OPEN, 2))
    assert isinstance(opening, Called)
    session.reply(opening.id, opened)

    assert (State.OPEN, "en", False) == (session.state, session.language, session.refused)
    (pinged,) = session.receive_data(call("session.ping", request=3))
    assert isinstance(pinged, Called)


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_what_comes_before_comes_at_no_other_time(name: str, opened: SessionOpened) -> None:
    session = server()
    (opening,) = session.receive_data(call("session.open", OPEN))
    assert isinstance(opening, Called)
    assert [] == session.receive_data(call(name, CHALLENGE, 2)), "while it is being opened"
    session.reply(opening.id, opened)
    session.data_to_send()

    assert [] == session.receive_data(call(name, CHALLENGE, 3))
    assert "invalid_request" == json.loads(session.data_to_send())["error"]["data"]["reason"]


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_other_clients_do_not_come_before(name: str) -> None:
    session = Session("server", WholeMessages())

    assert [] == session.receive_data(call(name, CHALLENGE))
    assert "session.open comes first" == json.loads(session.data_to_send())["error"]["data"]["detail"]


def test_after_it_is_open_errors_say_what_is_wrong(opened: SessionOpened) -> None:
    session = server()
    (opening,) = session.receive_data(call("session.open", OPEN))
    assert isinstance(opening, Called)
    session.reply(opening.id, opened)
    session.data_to_send()
    session.receive_data(call("no.such.method", request=2))

    assert "method_not_found" == json.loads(session.data_to_send())["error"]["data"]["reason"]
    assert not session.refused


def test_a_message_that_is_too_long_is_refused_alike() -> None:
    session = Session("server", WholeMessages(), SessionLimits(opening_bytes=10), page=True)
    session.receive_data(call("session.open", OPEN))
    answer = json.loads(session.data_to_send())

    assert json.loads(REFUSED)["error"] == answer["error"]
    assert session.state is State.CLOSED
