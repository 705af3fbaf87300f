"""Calls in flight at a server and their outgoing answers; those of a batch are sent together."""

import contextlib
from collections.abc import Callable, Generator

import msgspec

from vitale_protocol.errors import LimitExceeded, LocalMisuse
from vitale_protocol.methods import Method
from vitale_protocol.session import jsonrpc
from vitale_protocol.session.jsonrpc import RequestId
from vitale_protocol.session.wire_errors import ErrorObject

__all__ = ["Answers", "Batch", "PendingCall"]


class Batch:
    """The answers of one batch, gathered until the last of them is there."""

    def __init__(self) -> None:
        self.waiting = 0
        self.answers: list[tuple[RequestId | None, bytes]] = []


class PendingCall(msgspec.Struct, frozen=True):
    """A call in flight, and the batch that its answer belongs to."""

    method: Method
    batch: Batch | None = None


class Answers:
    """Keeps account of the calls of one session.

    Args:
        limit: calls in flight at one time.
        send: sends one message, or raises ``LimitExceeded`` where it is longer than a message may be.
        explain: makes the error object for that.
    """

    def __init__(
        self, limit: int, send: Callable[[bytes], None], explain: Callable[[LimitExceeded], ErrorObject]
    ) -> None:
        self._limit = limit
        self._send = send
        self._explain = explain
        self._pending: dict[RequestId, PendingCall] = {}

    @property
    def in_flight(self) -> tuple[RequestId, ...]:
        """The ids of the calls without an answer, oldest first."""
        return tuple(self._pending)

    def awaits(self, request: RequestId | None) -> bool:
        """True if a call with this id is in flight."""
        return request in self._pending

    def admit(self, request: RequestId, pending: PendingCall) -> None:
        """Admits a call.

        Raises:
            LimitExceeded: too many are in flight.
        """
        if len(self._pending) >= self._limit:
            raise LimitExceeded("too many calls in flight", variant="requests", data={"limit": "requests"})
        self._pending[request] = pending
        if pending.batch:
            pending.batch.waiting += 1

    def pending(self, request: RequestId) -> PendingCall:
        """The call with this id.

        Raises:
            LocalMisuse: there is none.
        """
        if request not in self._pending:
            raise LocalMisuse("no such call in flight")
        return self._pending[request]

    def answer(self, request: RequestId, answer: bytes) -> None:
        """The answer to a call in flight."""
        self._deliver(request, self._pending.pop(request).batch, answer)

    def refuse(self, request: RequestId | None, batch: Batch | None, answer: bytes) -> None:
        """The answer to a message that never became a call in flight."""
        if batch:
            batch.waiting += 1
        self._deliver(request, batch, answer)

    @contextlib.contextmanager
    def batch(self) -> Generator[Batch, None, None]:
        """A batch, held until all of its messages are seen, for the sake of answers that come at once."""
        batch = Batch()
        batch.waiting += 1
        yield batch
        batch.waiting -= 1
        self._flush(batch)

    def forget(self) -> None:
        """Forgets all calls at the end of the session."""
        self._pending.clear()

    def _deliver(self, request: RequestId | None, batch: Batch | None, answer: bytes) -> None:
        if batch is None:
            self._send_or_refuse([(request, answer)], answer)
            return
        batch.answers.append((request, answer))
        batch.waiting -= 1
        self._flush(batch)

    def _flush(self, batch: Batch) -> None:
        if batch.waiting == 0 and batch.answers:
            self._send_or_refuse(batch.answers, _array([answer for _, answer in batch.answers]))

    def _send_or_refuse(self, answers: list[tuple[RequestId | None, bytes]], message: bytes) -> None:
        try:
            self._send(message)
        except LimitExceeded as error:
            wire = self._explain(error)
            refusals = [jsonrpc.encode_failure(request, wire) for request, _ in answers]
            # Below some 50 KiB a limit can be too narrow even for the refusals of a batch: then nothing can be said.
            with contextlib.suppress(LimitExceeded):
                self._send(refusals[0] if message.startswith(b"{") else _array(refusals))


def _array(messages: list[bytes]) -> bytes:
    return b"[" + b",".join(messages) + b"]"
