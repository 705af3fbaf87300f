"""Statements that tell of what they did: a write and its notifications in one round trip."""

from collections.abc import Iterable

from sqlalchemy import ARRAY, String, TextClause, bindparam, extract, func, text

from vitale_reader.daemon.store.notifications import Call

__all__ = ["NOW", "called", "statement"]

#: The time of the database, epoch seconds.
NOW = extract("epoch", func.clock_timestamp())

# One round trip each: what is written, and who is told of it. The arrays are those of ``called``.
_CALLED = """
    called AS (SELECT pg_notify(channel, payload) FROM unnest(:channels, :payloads) AS call(channel, payload)
               WHERE EXISTS (SELECT FROM done))
    SELECT (SELECT count(*) FROM done) + 0 * (SELECT count(*) FROM called)
"""


def statement(done: str) -> TextClause:
    """A statement that does something, tells of it if it concerned a row, and gives how many it concerned."""
    return text(
        f"WITH done AS ({done}), {_CALLED}".replace("<now>", "extract(epoch FROM clock_timestamp())")
    ).bindparams(bindparam("channels", type_=ARRAY(String)), bindparam("payloads", type_=ARRAY(String)))


def called(calls: Iterable[Call]) -> dict[str, list[str]]:
    """The notifications of a statement, as its values."""
    told = list(calls)
    return {"channels": [channel for channel, _ in told], "payloads": [payload for _, payload in told]}
