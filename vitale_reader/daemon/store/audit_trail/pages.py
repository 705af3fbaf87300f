"""Reads the audit trail page by page, each in a transaction of its own.

A slow reader of it holds up nobody else. A transaction that is open keeps PostgreSQL from clearing away what was
changed since it began.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, select

from vitale_reader.daemon.store.tables import LATEST, audit

__all__ = ["PAGE", "last_presentation", "trail_pages"]

#: Rows of one page.
PAGE = 2_000

Row = dict[str, Any]


def trail_pages(
    run: Callable[[Callable[[Connection], list[Row]]], list[Row]], station: str | None = None
) -> Iterator[list[Row]]:
    """The rows that there were when the first page was read, in the order in which they were written.

    Args:
        run: does something in a transaction of the store.
        station: whose rows; all of them by default.
    """
    end, after = _end(run), 0
    while page := run(partial(_page, station=station, after=after, end=end)):
        yield page
        after = page[-1]["id"]


def last_presentation(connection: Connection, station: str) -> Row | None:
    """The newest row about a presentation at a station that has a time; None where there is none."""
    at_station = audit.c.station == station
    query = select(audit).where(at_station, audit.c.action.like("presentation.%"), audit.c.at.between(0.0, LATEST))
    found = connection.execute(query.order_by(audit.c.id.desc()).limit(1)).mappings().first()
    return None if found is None else dict(found)


def _end(run: Callable[[Callable[[Connection], list[Row]]], list[Row]]) -> int:
    query = select(func.coalesce(func.max(audit.c.id), 0).label("id"))
    (row,) = run(lambda connection: [dict(found) for found in connection.execute(query).mappings()])
    return int(row["id"])


def _page(connection: Connection, *, station: str | None, after: int, end: int) -> list[Row]:
    query = select(audit).where(audit.c.id > after, audit.c.id <= end).order_by(audit.c.id).limit(PAGE)
    if station is not None:
        query = query.where(audit.c.station == station)
    return [dict(row) for row in connection.execute(query).mappings()]
