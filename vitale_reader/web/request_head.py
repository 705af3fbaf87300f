"""The head of a page's request, from bytes that come in any pieces. HTTP is read by h11; nothing here does I/O."""

from typing import Final, Literal

import h11

from vitale_reader.web.http_rules import Head

__all__ = ["HEAD_BYTES", "MOST_FIELDS", "HeadReader"]

#: Bytes of a head; a browser's has some 600.
HEAD_BYTES: Final = 8_192
MOST_FIELDS: Final = 64


class HeadReader:
    """Reads one head, and nothing behind it: a page says nothing before its handshake is answered."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._taken = 0

    def receive(self, data: bytes) -> Head | Literal["malformed"] | None:
        """Takes bytes; the head that they complete, or None where more is needed."""
        self._taken += len(data)
        try:
            self._connection.receive_data(data)
            event = self._connection.next_event()
        except h11.RemoteProtocolError:
            return "malformed"
        if event is h11.NEED_DATA:
            return None
        rest, _ = self._connection.trailing_data
        fits = self._taken - len(rest) <= HEAD_BYTES
        if not isinstance(event, h11.Request) or not fits or len(event.headers) > MOST_FIELDS:
            return "malformed"
        return Head(event.method, event.target, event.http_version, tuple(event.headers))
