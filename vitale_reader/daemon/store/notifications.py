"""Notifications between the desks of a site through PostgreSQL, so that none has to poll all the time.

A call is heard when its transaction is done; whoever does not hear it looks later. There is a channel for the whole
site, and one for each desk. A request wakes the desks that can answer it, and no other.
"""

from collections.abc import Iterable
from typing import Literal

from sqlalchemy import ARRAY, Connection, Select, String, bindparam, column, func, select

from vitale_reader.daemon.database.combined_writes import Write

__all__ = ["CHANNEL", "MOST", "Call", "Word", "call", "calling", "desk_channel", "heard"]

CHANNEL = "vitale_reader_site"

#: Bytes of a call; PostgreSQL takes less than 8 000.
MOST = 7_900

Word = Literal["desk", "news", "asked", "taken", "answered", "ended", "step", "told", "beat"]
"""To the whole site: something about a desk is new, or something else in the store. To a desk, about a request: that it
was asked, taken by somebody, answered, ended; a step of it, or that there is one to look at. And, to itself, a beat."""

Call = tuple[str, str]
"""A channel, and what is called there."""

# Statements are constants: to build one anew costs more than to run it.
_TEXTS = ARRAY(String)
_CALLS = (
    func.unnest(bindparam("channels", type_=_TEXTS), bindparam("payloads", type_=_TEXTS))
    .table_valued(column("channel", String), column("payload", String))
    .render_derived()
)
_CALL: Select[tuple[object]] = select(func.pg_notify(_CALLS.c.channel, _CALLS.c.payload).label("called"))


def desk_channel(station: str) -> str:
    """The channel of a desk."""
    return f"desk_{station}"


def call(connection: Connection, word: Word, name: str = "") -> None:
    """Calls the whole site within a transaction; a SQLite file has nobody who would hear."""
    if connection.dialect.name == "postgresql":
        connection.execute(_CALL, {"channels": [CHANNEL], "payloads": [f"{word}:{name}"]}).all()


def calling(calls: Iterable[Call]) -> Write:
    """Returns what calls, as part of a transaction; in this order."""
    channels, payloads = zip(*calls, strict=True)
    return Write(_CALL, {"channels": list(channels), "payloads": list(payloads)})


def heard(payload: str) -> tuple[str, str, str]:
    """A call taken apart: its word, the name of what it is about, and what is told besides."""
    word, _, rest = payload.partition(":")
    name, _, told = rest.partition(":")
    return word, name, told
