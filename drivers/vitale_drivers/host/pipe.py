"""The codec of the pipe between the supervisor and a worker, without I/O.

It turns messages of ``base`` into bytes and back. A frame is a 4-byte big-endian length and as many bytes of
MessagePack. Both ends are ours, yet the length is bounded. A native library that writes to the pipe must end the
worker, not fill the daemon's memory.
"""

from typing import Generic, TypeVar

import msgspec

from vitale_drivers.base import Command, Log, Presented, PreviewPicture, Report, Transmitted
from vitale_protocol.errors import LimitExceeded, LocalError
from vitale_protocol.problems import Problem
from vitale_protocol.session import jsonrpc

__all__ = ["MAX_MESSAGE", "Decoder", "StreamError", "encode"]

MAX_MESSAGE = 1 << 20
"""Bytes: what the wire to the clients allows for one message, so nothing that could be passed on is refused here."""

MAX_SHORT = 16_384
"""Bytes of a report of names, numbers and a problem, and of a problem in JSON. A code has 4 096 bytes."""

PROBLEM_DEPTH = 8
"""Levels of a problem, its own braces counted: within an answer it is well below the 32 of a message."""

HEADER = 4

#: Reports that carry what was read, seen or logged; commands come from the daemon.
LONG = Command | Log | Presented | PreviewPicture | Transmitted

M = TypeVar("M")


class StreamError(LocalError):
    """The stream is not one of messages; it has lost its rhythm and can only be closed.

    It has no reason of its own: it ends a worker, and never reaches a client.
    """

    def __str__(self) -> str:
        return self.detail


_encoder = msgspec.msgpack.Encoder()


def encode(message: Command | Report) -> bytes:
    """One message as one frame.

    Raises:
        StreamError: the message is longer than ``MAX_MESSAGE``.
    """
    body = _encoder.encode(message)
    if len(body) > MAX_MESSAGE:
        raise StreamError(f"a message of {len(body)} bytes is too long")
    return len(body).to_bytes(HEADER, "big") + body


class Decoder(Generic[M]):
    """Turns a stream of bytes, cut anywhere, into messages.

    ``Decoder[Report](Report)`` at the supervisor, ``Decoder[Command](Command)`` at the worker.
    """

    def __init__(self, types: object) -> None:
        """Takes the union of the messages that may come.

        It repeats the type argument, which is gone at run time.
        """
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(types)
        self._buffer = bytearray()

    def receive(self, data: bytes) -> list[M]:
        """Every message that ``data`` completes, in order.

        Raises:
            StreamError: a length above ``MAX_MESSAGE`` is announced, or a frame is not one of the messages expected.
        """
        self._buffer += data
        messages: list[M] = []
        while len(self._buffer) >= HEADER:
            length = int.from_bytes(self._buffer[:HEADER], "big")
            if length > MAX_MESSAGE:
                raise StreamError(f"a message of {length} bytes is too long")
            end = HEADER + length
            if len(self._buffer) < end:
                break
            messages.append(self._decode(bytes(self._buffer[HEADER:end])))
            del self._buffer[:end]
        return messages

    def _decode(self, body: bytes) -> M:
        try:
            message = self._decoder.decode(body)
            _check_size(b"" if isinstance(message, LONG) else body)
            problem: Problem | None = getattr(message, "problem", None)
            if problem is not None:
                # Clients are told of it in JSON, which has not all that MessagePack has.
                told = msgspec.json.encode(problem)
                _check_size(told)
                jsonrpc.decode(told, PROBLEM_DEPTH)
            return message
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError, RecursionError, LimitExceeded) as error:
            raise StreamError(f"a message of {len(body)} bytes is not one of those expected") from error


def _check_size(told: bytes) -> None:
    if len(told) > MAX_SHORT:
        raise LimitExceeded(f"{len(told)} bytes of names, numbers or a problem")
