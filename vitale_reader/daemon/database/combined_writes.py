"""Writes that go with an audit row: on PostgreSQL one statement, so one round trip in place of seven.

The chain's head is moved if it is what the writer believes and its last row is there. Everything else depends on that.
Where it is not so, nothing is written, and the writer looks at it again. If a write that must concern a row concerns
none, the whole statement fails (SQLSTATE 22012). It also fails where nothing was inserted or changed (2201F). A trigger
that somebody put there may say yes and keep nothing, or a row may be gone.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import msgspec
from sqlalchemy import (
    CTE,
    Connection,
    Delete,
    Insert,
    Integer,
    ScalarSelect,
    Select,
    Table,
    Update,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from vitale_reader.daemon.database.database_errors import swallowed

__all__ = ["COUNTED", "Write", "inserted", "write_one_by_one", "write_together"]

#: Of an insertion SQLAlchemy counts the rows only where it is told to.
COUNTED: dict[str, Any] = {"preserve_rowcount": True}

#: What PostgreSQL answers to a division by zero.
DIVISION_BY_ZERO = "22012"

#: And to the root of a negative number.
NEGATIVE_ROOT = "2201F"


class Write(msgspec.Struct, frozen=True):
    """One statement and its parameters.

    Attributes:
        statement: a constant of its module, with bound parameters whose names say what they are for.
        values: the parameters.
        else_raise: makes the error of a statement that concerned no row; None where it need not.
    """

    statement: Insert | Update | Delete | Select[Any]
    values: Mapping[str, Any]
    else_raise: Callable[[], Exception] | None = None


@cache
def insertion(table: Table, *names: str) -> Insert:
    """The statement that inserts a row of these columns; the same object for the same columns."""
    columns = [bindparam(f"{table.name}_{name}", type_=table.c[name].type).label(name) for name in names]
    return insert(table).from_select(names, select(*columns), include_defaults=False)


def inserted(table: Table, row: Mapping[str, Any]) -> Write:
    """The write that inserts a row."""
    return Write(insertion(table, *row), {f"{table.name}_{name}": value for name, value in row.items()})


def write_one_by_one(connection: Connection, writes: Sequence[Write]) -> None:
    """Does writes one after the other, in the transaction of the caller."""
    for write in writes:
        done = connection.execute(write.statement, dict(write.values), execution_options=COUNTED)
        if write.else_raise is not None and done.rowcount != 1:
            raise write.else_raise()
        # In the spool there is no row of what was begun at the site.
        kept = Insert if connection.dialect.name == "sqlite" else (Insert, Update)
        if isinstance(write.statement, kept) and done.rowcount != 1:
            raise swallowed(_table_of(write))


def write_together(
    connection: Connection,
    trail: tuple[Table, Mapping[str, Any]],
    believed: bytes,
    heads: tuple[Table, Mapping[str, Any]],
    writes: Sequence[Write],
) -> bool:
    """Does all of it in one statement, or nothing.

    Args:
        connection: of PostgreSQL, where each statement is a transaction of its own.
        trail: the table of the audit trail, and the row.
        believed: the seal of the head on which it follows.
        heads: the table of the heads, and the head after it.
        writes: what goes with it; of those that must concern a row, one at most.

    Returns:
        Whether the head was what the caller believed, and its row there.
    """
    (audit, row), (audit_heads, head) = trail, heads
    statement = _together(
        (audit, tuple(row)),
        (audit_heads, tuple(head)),
        tuple((write.statement, write.else_raise is not None) for write in writes),
    )
    values: dict[str, Any] = {"believed": believed, "of_station": head["station"]}
    values |= {f"head_{name}": value for name, value in head.items()}
    values |= {f"{audit.name}_{name}": value for name, value in row.items()}
    for write in writes:
        values |= write.values
    try:
        return bool(connection.execute(statement, values).scalar())
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == NEGATIVE_ROOT:
            raise swallowed(" or ".join(sorted({trail[0].name, *map(_table_of, writes)} - {""}))) from error
        raises = next((write.else_raise for write in writes if write.else_raise is not None), None)
        if raises is None or getattr(error.orig, "sqlstate", None) != DIVISION_BY_ZERO:
            raise
        raise raises() from error


@cache
def _together(
    trail: tuple[Table, tuple[str, ...]],
    heads: tuple[Table, tuple[str, ...]],
    writes: tuple[tuple[Insert | Update | Delete | Select[Any], bool], ...],
) -> Select[Any]:
    (audit, row), (audit_heads, head) = trail, heads
    last_row = select(audit.c.id).where(
        audit.c.station == audit_heads.c.station,
        audit.c.number == audit_heads.c.last,
        audit.c.mac == audit_heads.c.mac,
    )
    moved = (
        update(audit_heads)
        .where(audit_heads.c.station == bindparam("of_station"), audit_heads.c.seal == bindparam("believed"))
        .where(or_(audit_heads.c.last < audit_heads.c.first, last_row.exists()))
        .values({name: bindparam(f"head_{name}", type_=audit_heads.c[name].type) for name in head})
        .returning(audit_heads.c.station)
        .cte("moved")
    )
    calls: list[CTE] = []
    parts = [_after(insertion(audit, *row), moved, "written")]
    kept = [*parts]
    answer: Any = _count(moved)
    for number, (statement, must) in enumerate(writes):
        part = _after(statement, moved, f"part{number}")
        parts.append(part)
        if isinstance(statement, Select):
            calls.append(part)
        if isinstance(statement, Insert | Update) and not must:
            kept.append(part)
        if must:
            done, there = _count(part), _count(moved)
            # Not evaluated where the head was moved by another: nothing was done then, and nothing has to fail.
            answer = func.coalesce(func.nullif(there, literal_column("0", Integer)) / done, 0)
    # PostgreSQL runs a query that is part of a statement only where somebody looks at what it gives.
    told: list[Any] = [_count(part) for part in calls]
    told += [func.sqrt(_count(part) - _count(moved)) for part in kept]
    together: Select[Any] = cast("Any", select(answer, *told)).add_cte(*parts)
    return together


def _count(part: CTE) -> ScalarSelect[int]:
    return select(func.count()).select_from(part).scalar_subquery()


def _table_of(write: Write) -> str:
    return str(cast("Table", write.statement.table).name) if isinstance(write.statement, Insert | Update) else ""


def _after(statement: Insert | Update | Delete | Select[Any], moved: CTE, name: str) -> CTE:
    """A statement that does something if the head was moved."""
    if isinstance(statement, Insert):
        rows = cast("Select[Any]", statement.select)
        names = [column.name for column in rows.selected_columns]
        rows = rows.where(exists(select(moved.c.station)))
        gated: Any = insert(statement.table).from_select(names, rows, include_defaults=False)
        return cast("CTE", gated.returning(literal_column("1").label("one")).cte(name))
    gated = statement.where(exists(select(moved.c.station)))
    if isinstance(statement, Select):
        return cast("CTE", gated.cte(name))
    return cast("CTE", gated.returning(literal_column("1").label("one")).cte(name))
