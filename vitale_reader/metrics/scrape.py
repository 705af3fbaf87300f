"""A connection of a scraper: one request, one answer, and its end."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import msgspec

from vitale_reader.metrics.exposition import CONTENT_TYPE
from vitale_reader.metrics.scrape_rules import judge
from vitale_reader.web.http_rules import MALFORMED, REFUSED, RequestHead
from vitale_reader.web.request_head import HeadReader

__all__ = ["Scrape", "Showing"]

#: Seconds for a request's head, and from there to the end of the answer.
HEAD_SECONDS, ANSWER_SECONDS = 5.0, 15.0

#: Bytes that are read of a request that was answered, so that its sender sees the answer and no reset.
MOST_IGNORED: Final = 65_536


class Showing(msgspec.Struct, kw_only=True):
    """Parts that all connections share.

    Attributes:
        hosts: the values of Host that lead here.
        digest: SHA-256 of the bearer.
        exposition: gives the figures as text, or None where the core does not tell them.
        places: for connections at a time.
        inside: the connections there are.
    """

    hosts: Collection[bytes]
    digest: bytes
    exposition: Callable[[], Awaitable[bytes | None]]
    places: int
    inside: "set[Scrape]" = msgspec.field(default_factory=set["Scrape"])


class Scrape(asyncio.Protocol):
    """One connection, from its first byte to its last.

    Attributes:
        answer: the task that answers, once there is something to be answered.
    """

    def __init__(self, showing: Showing) -> None:
        self._showing = showing
        self._head: HeadReader | None = HeadReader()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.answer: asyncio.Task[None] | None = None
        self._ignored = 0
        self._is_answered = False
        self._has_heard_all = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there, and gets a place if one is left."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        if len(self._showing.inside) >= self._showing.places:
            transport.abort()
            return
        self._showing.inside.add(self)
        self._ends_in(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Takes bytes of the head; what comes behind it is read and forgotten."""
        if self._head is None:
            self._ignored += len(data)
            if self._ignored > MOST_IGNORED:
                self.abort()
            return
        head = self._head.receive(data)
        if head is None:
            return
        self._head = None
        self._ends_in(ANSWER_SECONDS)
        if head == "malformed":
            self._say(MALFORMED)
        else:
            self.answer = asyncio.get_running_loop().create_task(self._judge(head))

    def eof_received(self) -> bool:
        """The scraper says no more, and may listen still."""
        self._has_heard_all = True
        return self._head is None and not self._is_answered

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._showing.inside.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self.answer is not None:
            self.answer.cancel()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _ends_in(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)

    async def _judge(self, head: RequestHead) -> None:
        verdict = judge(head, self._showing.hosts, self._showing.digest)
        if verdict == "malformed":
            self._say(MALFORMED)
        elif verdict == "refused":
            self._say(REFUSED)
        elif (told := await self._showing.exposition()) is None:
            self._say(_answer(b"503 Service Unavailable", "text/plain; charset=utf-8", b"the daemon does not answer\n"))
        elif verdict == "health":
            self._say(_answer(b"200 OK", "text/plain; charset=utf-8", b"ok\n"))
        else:
            self._say(_answer(b"200 OK", CONTENT_TYPE, told))

    def _say(self, answer: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._is_answered = True
        transport.write(answer)
        if self._has_heard_all:
            transport.close()
        else:
            transport.write_eof()


def _answer(status: bytes, content_type: str, body: bytes) -> bytes:
    fields = (
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n"
        "Cross-Origin-Resource-Policy: same-origin\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Cache-Control: no-store\r\n\r\n"
    )
    return b"HTTP/1.1 " + status + b"\r\n" + fields.encode("ascii") + body
