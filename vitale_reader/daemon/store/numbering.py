"""Numbers that the database gives to rows, where they were set back or came to their end.

A dump that was restored without its sequences does that, or a hand. Every new row would meet one of before.
"""

import logging

from sqlalchemy import BindParameter, Connection, bindparam, func, select
from sqlalchemy.exc import SQLAlchemyError

from vitale_reader.daemon.store.tables import HIGHEST, audit, site_steps

__all__ = ["ran_out", "renumber"]

logger = logging.getLogger(__name__)

NUMBERED = (audit, site_steps)

#: What PostgreSQL answers where a sequence is at its end.
AT_ITS_END = "2200H"


def ran_out(error: SQLAlchemyError) -> bool:
    """True if a row could not be written because of the number that the database gave it."""
    answer = getattr(error, "orig", None)
    constraint = getattr(getattr(answer, "diag", None), "constraint_name", None)
    return getattr(answer, "sqlstate", None) == AT_ITS_END or constraint in {f"{table.name}_pkey" for table in NUMBERED}


def renumber(connection: Connection) -> None:
    """Has the numbers go on after those that were given.

    A row that somebody else put far above is no reason to run out of them.
    """
    for table in NUMBERED:
        sequence = func.pg_get_serial_sequence(table.name, "id")
        given = select(func.max(table.c.id)).where(table.c.id < bindparam("highest"))
        highest: BindParameter[int] = bindparam("highest")
        last = func.nullif(func.least(func.pg_sequence_last_value(sequence), highest), highest)
        after = func.greatest(given.scalar_subquery(), last, 0) + 1  # of nulls it takes no notice
        connection.execute(select(func.setval(sequence, after, False)), {"highest": HIGHEST})
    logger.warning("the numbers that the database gives to rows were set back: they go on after the last one")
