"""One end of a session, sans-I/O, for daemon and SDK: bytes in, events out, answers checked and gathered.

The table of ``states`` governs both ends. The server moves when it receives the call and when it replies. The client
moves when it calls and when it receives the answer. What the table does not allow is an error.

A server's session answers some messages by itself, without an event. These are whatever is not JSON-RPC 2.0, unknown
methods, and parameters that do not fit. It also answers anything before ``session.open``, a second ``session.open``,
ids already in flight, and exceeded limits. It ends only where it can no longer find the next message. A client's
session ends at the first message that is not an answer or a notification. The caller would wait in vain for an answer
that cannot be read.
"""

from collections.abc import Iterator
from typing import Final, Literal, cast

import msgspec

from vitale_protocol import events
from vitale_protocol.catalogue import LANGUAGES, Language
from vitale_protocol.errors import (
    InternalError,
    InvalidParams,
    InvalidRequest,
    LimitExceeded,
    LocalMisuse,
    MethodNotFound,
    NotAuthenticated,
    ParseError,
    VitaleError,
)
from vitale_protocol.methods import METHODS, Method, Params, Result, SessionOpen
from vitale_protocol.session import jsonrpc
from vitale_protocol.session.answers import Answers, Batch, PendingCall
from vitale_protocol.session.framing import MESSAGE_BYTES, Framing
from vitale_protocol.session.jsonrpc import RequestId
from vitale_protocol.session.states import TRANSITIONS, State, Trigger
from vitale_protocol.session.wire_errors import ErrorObject, from_wire, to_wire

__all__ = [
    "TRANSITIONS",
    "Called",
    "Ended",
    "Event",
    "Notified",
    "Refused",
    "Returned",
    "Role",
    "Session",
    "SessionLimits",
    "State",
    "Trigger",
]

Role = Literal["server", "client"]


class SessionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a session: docs/reference/wire.md, "Limits".

    Attributes:
        message_bytes: the longest message, for the framing to be made with.
        depth: the deepest nesting of a message, its own braces counted.
        batch: messages in a batch.
        items: values in a message that a server reads, those of a whole batch together.
        opening_bytes: the longest message that a server reads before the session is open.
        requests: calls without an answer at one time.
    """

    message_bytes: int = MESSAGE_BYTES
    depth: int = 32
    batch: int = 50
    items: int = 32_768
    opening_bytes: int = 16_384
    requests: int = 64


DEFAULT_LIMITS: Final = SessionLimits()


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Called(msgspec.Struct, frozen=True):
    """Server: a call with checked parameters. ``id`` is None for a notification, which gets no answer."""

    id: RequestId | None
    method: Method
    params: Params


class Returned(msgspec.Struct, frozen=True):
    """Client: the result of a call, of the type that ``METHODS`` gives."""

    id: RequestId
    result: Result


class Refused(msgspec.Struct, frozen=True):
    """Client: the error of a call."""

    id: RequestId
    error: VitaleError


class Notified(msgspec.Struct, frozen=True):
    """Client: a notification, of the type that ``EVENTS`` gives."""

    name: str
    event: events.Event


class Ended(msgspec.Struct, frozen=True):
    """Both: the last event. ``reason`` is ``eof``, or the reason of ``error``."""

    reason: str
    error: VitaleError | None = None


Event = Called | Returned | Refused | Notified | Ended

# ── the session ──────────────────────────────────────────────────────────────────────────────────────────────────


class Session:
    """One end of a session.

    After a session has ended nothing is read and nothing is sent; what a handler still replies is dropped.

    Attributes:
        role: which end this is.
        state: how far the session is.
        limits: what is accepted; ``message_bytes`` is the framing's own.
        language: of the texts in errors and progress; a server takes it from ``session.open``.
        rejected: how many messages a server's session has refused by itself, for the metrics.
        refused: a page did not prove itself; whatever it did is answered alike, and the connection has to end.
    """

    def __init__(
        self, role: Role, framing: Framing, limits: SessionLimits = DEFAULT_LIMITS, *, page: bool = False
    ) -> None:
        """Stores; nothing is sent yet.

        Args:
            role: which end this is.
            framing: of the connection.
            limits: what is accepted.
            page: whether a page is at the other end of a server's session. Before the session is open, the page may
                make the calls that precede it. Anything else gets the same answer, in the same words.
        """
        self.role: Final = role
        self.state = State.OPENING
        self.limits = limits
        self.language: Language = "fr"
        self.rejected = 0
        self.refused = False
        self._page = page
        self._language_once_open: Language = "fr"
        self._framing = framing
        self._outgoing: list[bytes] = []
        self._calls: dict[RequestId, Method] = {}
        self._answers = Answers(limits.requests, self._send, self._explain)
        self._next_id = 1
        self._has_nul = False

    # What happens

    def receive_data(self, data: bytes) -> list[Event]:
        """Returns the events in the peer's bytes. Never raises; afterwards ``data_to_send`` may have something."""
        return list(self.incoming(data))

    def incoming(self, data: bytes) -> Iterator[Event]:
        """The events of ``receive_data`` one by one, to be taken to the end.

        Each message is read after the event before it was dealt with. For a server that answers between events, the
        cutting of the bytes makes no difference. A change by one call (an open session, room made by an answer) holds
        for the next. That is so even where both came at once.
        """
        receive = self._receive_at_server if self.role == "server" else self._receive_at_client
        for message in self._framing.receive(data):
            if self.state is State.CLOSED:
                return
            if self._is_unopened and len(message) > self.limits.opening_bytes:
                yield self._end_of_patience()
                return
            yield from receive(message)
        if self.state is State.CLOSED:
            return
        if self._framing.exceeded or (self._is_unopened and self._framing.held > self.limits.opening_bytes):
            yield self._end_of_patience()

    @property
    def _is_unopened(self) -> bool:
        """True if nobody has said yet who speaks to this server."""
        return self.role == "server" and (self.state is State.OPENING or self.state is State.ANSWERING)

    def _end_of_patience(self) -> Ended:
        """The end that a message brings which is longer than may be."""
        error = LimitExceeded("the message is too long", variant="message_bytes", data={"limit": "message_bytes"})
        if self.role == "server":
            self._reject(None, error)
        return self._end(error)

    def receive_eof(self) -> list[Event]:
        """Ends the session: the peer has closed the connection."""
        if self.state is State.CLOSED:
            return []
        return [self._end(None)]

    def data_to_send(self) -> bytes:
        """The bytes to be sent now, once."""
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        return data

    @property
    def in_flight(self) -> tuple[RequestId, ...]:
        """The ids of the calls that have no answer yet, oldest first."""
        return tuple(self._calls) if self.role == "client" else self._answers.in_flight

    def close(self) -> None:
        """Ends the session from this side: nothing is read any more, and what was queued can still be sent."""
        if self.state is not State.CLOSED:
            self._end(None)

    # What a client does

    def call(self, method: str, params: Params) -> int:
        """Calls a method.

        Returns:
            The id that ``Returned`` or ``Refused`` will carry.

        Raises:
            LocalMisuse: not now, not by a server, or not with these parameters.
            LimitExceeded: the parameters are longer than a message may be.
        """
        self._only("client")
        definition = METHODS.get(method)
        if definition is None or not isinstance(params, definition.params):
            raise LocalMisuse("no such method, or not its parameters")
        state = self._after(_trigger(definition, is_page=True))
        if state is None:
            raise LocalMisuse(f"{definition.name} cannot be called while the session is {self.state.value}")
        request = self._next_id
        self._send(jsonrpc.encode_call(request, method, params))
        self.state = state
        self._next_id += 1
        self._calls[request] = definition
        if isinstance(params, SessionOpen):
            self.language = params.language
        return request

    # What a server does

    def notify(self, name: str, event: events.Event) -> None:
        """Sends a notification; dropped when the session has ended.

        Raises:
            LocalMisuse: not before the session is open, not by a client, or not the event of that name.
            LimitExceeded: the event is longer than a message may be.
        """
        self._only("server")
        if self.state is State.CLOSED:
            return
        if name not in events.EVENTS or not isinstance(event, events.EVENTS[name]):
            raise LocalMisuse("no such notification, or not its event")
        if self._after(Trigger.NOTIFY) is None:
            raise LocalMisuse(f"no notification while the session is {self.state.value}")
        self._send(jsonrpc.encode_call(None, name, event))

    def reply(self, request: RequestId | None, result: Result) -> None:
        """Answers a call. Nothing is sent for a notification (None), nor when the session has ended.

        A result that is longer than a message may be is answered with ``limit_exceeded``.

        Raises:
            LocalMisuse: no such call in flight, not by a client, or not the result of the method.
        """
        self._only("server")
        if request is None or self.state is State.CLOSED:
            return
        method = self._answers.pending(request).method
        if not isinstance(result, method.result):
            raise LocalMisuse(f"not the result of {method.name}")
        if method.opens:
            self._advance(Trigger.OPENED)
            if self._page:
                self.language = self._language_once_open
        self._answers.answer(request, jsonrpc.encode_success(request, result))

    def fail(self, request: RequestId | None, error: VitaleError) -> None:
        """Answers a call with an error, in the session's language; see ``reply``.

        Raises:
            LocalMisuse: no such call in flight, or not by a client.
        """
        self._only("server")
        if request is None or self.state is State.CLOSED:
            return
        if self._answers.pending(request).method.opens:
            self._advance(Trigger.REFUSED)
        self._answers.answer(request, self._failure(request, error))

    # The table

    def _after(self, trigger: Trigger) -> State | None:
        return TRANSITIONS.get((self.state, trigger))

    def _advance(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS[self.state, trigger]

    def _end(self, error: VitaleError | None) -> Ended:
        self._advance(Trigger.END)
        self._calls.clear()
        self._answers.forget()
        return Ended(error.reason if error else "eof", error)

    def _only(self, role: Role) -> None:
        if self.role != role:
            raise LocalMisuse(f"only a {role} does this")

    # The server's side

    def _receive_at_server(self, data: bytes) -> Iterator[Event]:
        try:
            value = jsonrpc.decode(data, self.limits.depth, self.limits.items)
        except VitaleError as error:
            self._reject(None, error)
            return
        self._has_nul = jsonrpc.has_nul(data)
        if not isinstance(value, list):
            yield from self._receive_call(value, None)
            return
        items = cast("list[object]", value)
        if not items:
            self._reject(None, InvalidRequest("an empty batch"))
        elif len(items) > self.limits.batch:
            self._reject(None, LimitExceeded("too many messages in a batch", variant="batch", data={"limit": "batch"}))
        else:
            yield from self._receive_batch(items)

    def _receive_batch(self, items: list[object]) -> Iterator[Event]:
        with self._answers.batch() as batch:
            for item in items:
                yield from self._receive_call(item, batch)

    def _receive_call(self, value: object, batch: Batch | None) -> Iterator[Event]:
        is_notification = False
        request: RequestId | None = None
        try:
            if self._has_nul and jsonrpc.holds_nul(value):
                raise InvalidRequest("a string with a NUL")
            message = jsonrpc.parse(value)
            if not isinstance(message, jsonrpc.Call):
                raise InvalidRequest("an answer, where only calls are expected")
            is_notification = message.id is None
            if self._answers.awaits(message.id):
                # Its own id would answer the call that it collides with.
                raise InvalidRequest("the id is that of a call in flight")
            request = message.id
            yield self._accept(message, batch)
        except VitaleError as error:
            if is_notification:
                self.rejected += 1
                self._note_refusal()
                return
            self._reject(request if request is not None else self._id_for_refusal(value), error, batch)

    def _id_for_refusal(self, value: object) -> RequestId | None:
        request = jsonrpc.readable_id(value)
        return None if self._answers.awaits(request) else request

    def _accept(self, call: jsonrpc.Call, batch: Batch | None) -> Called:
        method = METHODS.get(call.method)
        opens = method is not None and method.opens
        if opens and not self._page:
            self._note_language(call.params)
        state = self._after(_trigger(method, is_page=self._page))
        if state is None:
            raise self._untimely(method)
        if method is None:
            raise MethodNotFound("no such method")
        if call.id is None and (opens or method.before):
            raise InvalidRequest(f"{method.name} needs an id")
        if isinstance(call.params, list):
            raise InvalidParams("parameters are by name", data={"path": "$"})
        params = jsonrpc.convert(call.params, method.params)
        if call.id is not None:
            self._answers.admit(call.id, PendingCall(method, batch))
        if isinstance(params, SessionOpen):
            self._language_once_open = params.language
        self.state = state
        return Called(call.id, method, params)

    def _untimely(self, method: Method | None) -> VitaleError:
        if self.state is not State.OPEN:
            return NotAuthenticated("session.open comes first")
        name = method.name if method is not None else ""
        return InvalidRequest("the session is open already" if name == "session.open" else f"{name} comes before")

    def _note_language(self, params: object) -> None:
        # Before the parameters are checked, so that their refusal is in that language too.
        if isinstance(params, dict) and self.state is State.OPENING:
            wanted = cast("dict[str, object]", params).get("language")
            for language in LANGUAGES:
                if language == wanted:
                    self.language = language

    def _reject(self, request: RequestId | None, error: VitaleError, batch: Batch | None = None) -> None:
        self.rejected += 1
        self._answers.refuse(request, batch, self._failure(request, error))

    def _failure(self, request: RequestId | None, error: VitaleError) -> bytes:
        return jsonrpc.encode_failure(request, self._explain(error))

    def _explain(self, error: VitaleError) -> ErrorObject:
        return to_wire(NotAuthenticated() if self._note_refusal() else error, self.language)

    def _note_refusal(self) -> bool:
        """True if a refusal now is that of a page which has not proved itself."""
        if self._page and self._is_unopened:
            self.refused = True
            return True
        return False

    # The client's side

    def _receive_at_client(self, data: bytes) -> Iterator[Event]:
        try:
            value = jsonrpc.decode(data, self.limits.depth)
            if jsonrpc.has_nul(data):
                raise ParseError("a string with a NUL")
            items = cast("list[object]", value) if isinstance(value, list) else [value]
            if len(items) > self.limits.batch:
                raise LimitExceeded("too many messages in a batch", variant="batch", data={"limit": "batch"})
            for item in items:
                yield from self._receive_answer(jsonrpc.parse(item))
        except VitaleError as error:
            yield self._end(error)

    def _receive_answer(self, message: jsonrpc.Message) -> Iterator[Event]:
        if isinstance(message, jsonrpc.Call):
            yield from self._receive_notification(message)
            return
        if message.id is None:
            raise from_wire(message)
        method = self._calls.pop(message.id, None)
        if method is None:
            raise InvalidRequest("an answer to no call")
        answer = self._read_answer(message, message.id, method)
        if method.opens:
            self._advance(Trigger.OPENED if isinstance(answer, Returned) else Trigger.REFUSED)
        yield answer

    def _read_answer(
        self, message: jsonrpc.Success | jsonrpc.Failure, request: RequestId, method: Method
    ) -> Returned | Refused:
        if isinstance(message, jsonrpc.Failure):
            return Refused(request, from_wire(message))
        try:
            return Returned(request, jsonrpc.convert(message.result, method.result))
        except InvalidParams as error:
            detail = f"the result of {method.name} is not readable"
            return Refused(request, InternalError(detail, variant="answer", data=error.data))

    def _receive_notification(self, message: jsonrpc.Call) -> Iterator[Event]:
        if message.id is not None:
            raise InvalidRequest("a call, where only answers are expected")
        expected = events.EVENTS.get(message.method)
        if expected is None or self._after(Trigger.NOTIFY) is None:
            return
        try:
            yield Notified(message.method, msgspec.convert(message.params, expected))
        except msgspec.ValidationError:
            # A newer daemon's event that this version cannot read: nothing waits for it.
            return

    def _send(self, message: bytes) -> None:
        self._outgoing.append(self._framing.encode(message))


def _trigger(method: Method | None, *, is_page: bool) -> Trigger:
    """The trigger of a call; those that pages make before are like others where no page is."""
    if method is not None and method.opens:
        return Trigger.CALL_OPEN
    return Trigger.CALL_BEFORE if method is not None and method.before and is_page else Trigger.CALL
