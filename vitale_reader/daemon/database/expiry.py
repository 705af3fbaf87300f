"""Forgets what has ended in pieces: each a short transaction, between which others have their turn.

What is done stays done, whatever comes between. Of several desks that clear one database at once, each takes rows that
no other is at.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Column, Connection, Delete, bindparam, delete, select

__all__ = ["PIECE", "forget_ended", "in_pieces", "of_ended"]

logger = logging.getLogger(__name__)

#: Rows that are forgotten in one transaction: some ten milliseconds on a slow disk.
PIECE = 500

#: Seconds between two words in the log about how far it has come.
TOLD = 5.0


Run = Callable[[Callable[[Connection], int]], Awaitable[int]]


def of_ended(ends: Column[Any]) -> Delete:
    """The statement that forgets a piece of the rows of a table that ended before ``now``."""
    (key,) = ends.table.primary_key.columns
    ended = select(key).where(ends <= bindparam("now")).order_by(ends).limit(bindparam("most"))
    return delete(ends.table).where(key.in_(ended.with_for_update(skip_locked=True)))


async def forget_ended(run: Run, now: Callable[[Connection], float], statement: Delete) -> int:
    """Forgets the rows of a table that have ended; how many there were.

    Args:
        run: does work in one transaction of the store.
        now: the time before which what has ended may be forgotten.
        statement: as ``of_ended`` gives it.

    Raises:
        StoreUnavailable: the store cannot be written; what was forgotten is.
    """

    def piece(connection: Connection) -> int:
        return connection.execute(statement, {"now": now(connection), "most": PIECE}).rowcount

    return await in_pieces(str(statement.table), lambda: run(piece), least=PIECE)


async def in_pieces(name: str, forget: Callable[[], Awaitable[int]], *, least: int = 1) -> int:
    """Forgets piece by piece, and says how far it has come; how many rows there were.

    Args:
        name: that of the table.
        forget: forgets one piece; how many rows it had.
        least: rows of a piece after which there is another one.
    """
    count, told_at = 0, time.monotonic()
    while True:
        found = await forget()
        count += found
        if found < least:
            return count
        if time.monotonic() - told_at > TOLD:
            told_at = time.monotonic()
            logger.info("of %s, %d rows whose time is over were forgotten so far", name, count)
