"""Notifications between the desks of a site through PostgreSQL, so that none has to poll all the time.

A call holds one word and one id. It is heard when its transaction is done; whoever does not hear it looks later.
"""

from typing import Literal

from sqlalchemy import Connection, func, select

__all__ = ["CHANNEL", "Word", "call"]

CHANNEL = "vitale_reader_site"

Word = Literal["desk", "asked", "told", "ended", "news"]
"""About a desk; about a request, that it was asked, got on, or ended; or that something else is new in the store."""


def call(connection: Connection, word: Word, name: str = "") -> None:
    """Calls within a transaction; a SQLite file has nobody who would hear."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(CHANNEL, f"{word}:{name}")))
