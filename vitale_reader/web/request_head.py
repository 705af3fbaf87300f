"""The head of a page's request, from bytes that come in any pieces. HTTP is read by h11; nothing here does I/O."""

from typing import Final, Literal

import h11
import msgspec

from vitale_reader.web.http_rules import RequestHead

__all__ = ["HEAD_BYTES", "MOST_FIELDS", "HeadReader"]

#: Bytes of a head; a browser's has some 600.
HEAD_BYTES: Final = 8_192
MOST_FIELDS: Final = 64


class HeadReader:
    """Reads one head, and nothing behind it: a page says nothing before its handshake is answered.

    Args:
        body_bytes: the longest body that is read with it. By default none is, and a request that has one is answered
            before it.
    """

    def __init__(self, body_bytes: int = 0) -> None:
        self._body_bytes = body_bytes
        self._head: RequestHead | None = None
        self._body = bytearray()
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._raw = bytearray()

    def receive(self, data: bytes) -> RequestHead | Literal["malformed"] | None:
        """Takes bytes; the head that they complete, or None where more is needed."""
        try:
            self._connection.receive_data(data)
            if self._head is None:
                self._raw += data
                found = self._read_head()
                if not isinstance(found, RequestHead) or not self._body_bytes:
                    return found
                self._head = found
            return self._read_body(self._head)
        except h11.RemoteProtocolError:
            return "malformed"

    def _read_body(self, head: RequestHead) -> RequestHead | Literal["malformed"] | None:
        while (event := self._connection.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Data):
                self._body += event.data
            if len(self._body) > self._body_bytes:
                return "malformed"
            if isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return msgspec.structs.replace(head, body=bytes(self._body))
        return None

    def _read_head(self) -> RequestHead | Literal["malformed"] | None:
        event = self._connection.next_event()
        if event is h11.NEED_DATA:
            return None
        rest, _ = self._connection.trailing_data
        raw = self._raw[: len(self._raw) - len(rest)]
        if not isinstance(event, h11.Request) or len(raw) > HEAD_BYTES or len(event.headers) > MOST_FIELDS:
            return "malformed"
        # A field that goes on in the next line is read as one, as two or not at all (RFC 9112, section 5.2).
        if b"\n " in raw or b"\n\t" in raw:
            return "malformed"
        return RequestHead(event.method, event.target, event.http_version, tuple(event.headers), more=bool(rest))
