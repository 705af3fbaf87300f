"""Tables that decide who gets in.

Each has a head, sealed, which holds its revision and the seal of every row.

- A row counts if it bears its seal, and the head holds that seal for it. An older row put back has a seal that the head
  does not hold. An older head put back with its rows has a revision below the known one.
- Each change moves the revision, within its own transaction. So what is new is known by a number, and by no clock.
- A row that does not count costs that row. A head that does not count costs the table, since nobody can say then what
  is missing in it. An administrator looks at it, and accepts it (``accept``).
"""

import hmac
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    RowMapping,
    String,
    Table,
    and_,
    cast,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.database.database_errors import swallowed
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.observation.told_once import ToldOnce
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.machine_run import steady
from vitale_reader.daemon.store.row_seals import Row, holds, key_of, name_of, sealed
from vitale_reader.daemon.store.tables import HIGHEST, clients, opposition_lists, stations, table_heads

__all__ = ["HEADED", "Contents", "SealedTable", "TableFault", "revisions"]

logger = logging.getLogger(__name__)

#: The tables that have a head.
HEADED = (clients, stations, opposition_lists)

#: Bytes of the digest of a key, and of the seal that is kept for it: 128 bits of a keyed hash cannot be guessed.
KEY, MAC = 8, 16

_HEADS = select(table_heads)

#: Has triggers do now what they would do at the end of the transaction.
_TRIGGERS_NOW = text("SET CONSTRAINTS ALL IMMEDIATE")


class TableFault(msgspec.Struct, frozen=True, kw_only=True):
    """A row, or a head, that does not count.

    Attributes:
        table: its table.
        key: its primary key; empty where it is the head.
        why: ``changed`` (not as sealed), ``replaced`` (sealed, but not what the table holds now), ``unknown``,
            ``missing``, or ``older``. ``unknown`` means not sealed by this store, ``older`` that the whole table was
            put back.
    """

    table: str
    key: str
    why: Literal["changed", "replaced", "unknown", "missing", "older"]


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one look: the rows that count, and those that do not."""

    revision: int
    rows: tuple[Mapping[str, Any], ...]
    faults: tuple[TableFault, ...]
    trusted: bool


class TableHead(msgspec.Struct, frozen=True):
    """A row of ``table_heads``."""

    revision: int
    rows: dict[bytes, bytes]


class SealedTable:
    """One such table; every method works within a transaction."""

    def __init__(self, table: Table, vault: Vault, remembered: Remembered) -> None:
        self._table = table
        self._name = name_of(table)
        self._vault = vault
        self._remembered = remembered
        self._told = ToldOnce()

    def read(self, connection: Connection, *, copy: bool = False) -> Contents:
        """The rows that count.

        Args:
            connection: the transaction.
            copy: whether this is the station's own copy of the table, which may be behind it.
        """
        found, rows = self._consistent(connection)
        if isinstance(found, TableFault) or (found.revision < self._remembered.revision(self._name) and not copy):
            fault = found if isinstance(found, TableFault) else self._fault("", "older")
            return self._contents(0, (), (fault,), trusted=False)
        left = dict(found.rows)
        good: list[RowMapping] = []
        faults: list[TableFault] = []
        for row in rows:
            kept = left.pop(self._digest(row), None)
            if not holds(self._vault, self._table, row):
                faults.append(self._fault(key_of(self._table, row), "changed" if kept else "unknown"))
            elif kept is None or not hmac.compare_digest(kept, row["seal"][:MAC]):
                faults.append(self._fault(key_of(self._table, row), "replaced"))
            else:
                good.append(row)
        faults += [self._fault(digest.hex(), "missing") for digest in left]
        if not copy:
            self._remembered.saw_revision(self._name, found.revision)
        return self._contents(found.revision, tuple(map(dict, good)), tuple(faults), trusted=True)

    def put(self, connection: Connection, *rows: Row) -> int:
        """Writes rows, each in the place of the one of its key.

        Gives the revision, which counts once it is committed.

        Raises:
            StoreUnavailable: the head of the table does not count, or the database did something else.
        """
        head = self._locked(connection)
        kept = dict(head.rows)
        for row in rows:
            whole = sealed(self._vault, self._table, row)
            connection.execute(delete(self._table).where(self._of_key(row)))
            try:
                connection.execute(insert(self._table), whole)
            except IntegrityError as error:  # the one of before is there still, or hidden
                raise swallowed(self._name) from error
            kept[self._digest(row)] = whole["seal"][:MAC]
        return self._finish(connection, TableHead(head.revision + 1, kept), rows)

    def committed(self, revision: int) -> None:
        """Notes in the station's own folder, at once, that the write is in the store."""
        self._remembered.saw_revision(self._name, revision)
        self._remembered.write()

    def locked_row(self, connection: Connection, row: Row) -> RowMapping | None:
        """The row of a key as it is, and stays until the transaction ends.

        Raises:
            StoreUnavailable: the head of the table does not count.
        """
        self._locked(connection)
        return connection.execute(select(self._table).where(self._of_key(row))).mappings().first()

    def remove(self, connection: Connection, *rows: Row) -> None:
        """Removes rows, by their primary keys.

        Raises:
            StoreUnavailable: the head of the table does not count.
        """
        head = self._locked(connection)
        kept = dict(head.rows)
        for row in rows:
            connection.execute(delete(self._table).where(self._of_key(row)))
            kept.pop(self._digest(row), None)
        self._finish(connection, TableHead(head.revision + 1, kept), rows)

    def establish(self, connection: Connection) -> None:
        """Makes the head where there is none; rows of a version before are brought forward, once.

        Nothing is made where the station knows that there was one: somebody took it away. Nor is it made for rows in a
        store of others that the station has never seen. Anybody could have put them there.
        """
        name = self._name
        if connection.execute(_HEADS.where(table_heads.c.name == name)).first() is not None:
            return
        rows = connection.execute(select(self._table)).mappings().all()
        of_before = not self._remembered.knows(name) and (
            connection.dialect.name == "sqlite" or self._remembered.knows_store
        )
        if self._remembered.revision(name) or (rows and not of_before):
            return
        kept: dict[bytes, bytes] = {}
        for row in rows:
            whole = sealed(self._vault, self._table, row)
            connection.execute(update(self._table).where(self._of_key(row)).values(seal=whole["seal"]))
            kept[self._digest(row)] = whole["seal"][:MAC]
        connection.execute(insert(table_heads), self._row(TableHead(1 if rows else 0, kept)))
        if rows:
            logger.info("%d rows of %s were brought forward", len(rows), name)

    def accept(self, connection: Connection) -> int:
        """Takes the rows that bear their seal for the table, as an administrator told.

        Gives the number of those that do not, which are removed. The new head is above every other that the station has
        seen.
        """
        name = self._name
        found = connection.execute(_HEADS.where(table_heads.c.name == name)).mappings().first()
        there = found["revision"] if found is not None and isinstance(found["revision"], int) else 0
        if there >= HIGHEST:  # by somebody else: no reason to run out of them
            there = 0
        rows = connection.execute(select(self._table)).mappings().all()
        good = [row for row in rows if holds(self._vault, self._table, row)]
        for row in rows:
            if row not in good:
                connection.execute(delete(self._table).where(self._of_key(row)))
        kept = {self._digest(row): row["seal"][:MAC] for row in good}
        connection.execute(delete(table_heads).where(table_heads.c.name == name))
        head = TableHead(max(there, self._remembered.revision(name)) + 1, kept)
        connection.execute(insert(table_heads), self._row(head))
        return len(rows) - len(good)

    def copy(
        self, connection: Connection, head: Mapping[str, Any] | None, rows: "tuple[Mapping[str, Any], ...]"
    ) -> None:
        """Writes down elsewhere what was read, as it is."""
        connection.execute(delete(self._table))
        connection.execute(delete(table_heads).where(table_heads.c.name == self._name))
        if rows:
            connection.execute(insert(self._table), list(rows))
        if head is not None:
            connection.execute(insert(table_heads), dict(head))

    def head_row(self, connection: Connection) -> Mapping[str, Any] | None:
        """The head as it is in the database, for ``copy``."""
        found = connection.execute(_HEADS.where(table_heads.c.name == self._name)).mappings().first()
        return None if found is None else dict(found)

    # ── inside ──

    def _contents(
        self, revision: int, rows: tuple[Mapping[str, Any], ...], faults: tuple[TableFault, ...], *, trusted: bool
    ) -> Contents:
        for fault in faults:
            if self._told.is_due(fault):
                logger.error(
                    "%s %s was not written by this store (%s): it is refused", fault.table, fault.key, fault.why
                )
        return Contents(revision=revision, rows=rows, faults=faults, trusted=trusted)

    def _consistent(self, connection: Connection) -> tuple[TableHead | TableFault, Sequence[RowMapping]]:
        """The head and its rows; READ COMMITTED may show the rows of a transaction that ended between the two."""
        while True:
            found = self._head(connection)
            rows = connection.execute(select(self._table)).mappings().all()
            if self._head(connection) == found:
                return found, rows

    def _fault(self, key: str, why: Literal["changed", "replaced", "unknown", "missing", "older"]) -> TableFault:
        return TableFault(table=self._name, key=key, why=why)

    def _head(self, connection: Connection, *, for_update: bool = False) -> TableHead | TableFault:
        query = _HEADS.where(table_heads.c.name == self._name)
        row = connection.execute(query.with_for_update() if for_update else query).mappings().first()
        if row is None:
            there = connection.execute(select(self._table).limit(1)).first()
            never = there is None and not self._remembered.revision(self._name)
            return TableHead(0, {}) if never else self._fault("", "missing")
        if not holds(self._vault, table_heads, row):
            return self._fault("", "changed")
        size = KEY + MAC
        pieces = (row["rows"][at : at + size] for at in range(0, len(row["rows"]), size))
        return TableHead(row["revision"], {piece[:KEY]: piece[KEY:] for piece in pieces})

    def _locked(self, connection: Connection) -> TableHead:
        self.establish(connection)
        found = self._head(connection, for_update=True)
        if isinstance(found, TableFault) or found.revision < self._remembered.revision(self._name):
            name = self._name
            told = f"the table {name} was changed or put back by somebody else: see `vitale-reader audit verify`"
            raise StoreUnavailable(told, variant="tampered", data={"table": name})
        return found

    def _finish(self, connection: Connection, head: TableHead, rows: Sequence[Row]) -> int:
        """Writes the head, and looks at what is there then.

        A trigger, a rule or a view may do otherwise.
        """
        self._write(connection, head)
        if connection.dialect.name == "postgresql":
            connection.execute(_TRIGGERS_NOW)
        if self._head(connection) != head:
            raise swallowed(self._name)
        for row in rows:
            seal = connection.execute(select(self._table.c.seal).where(self._of_key(row))).scalar()
            if (seal or b"")[:MAC] != head.rows.get(self._digest(row), b""):
                raise swallowed(self._name)
        return head.revision

    def _write(self, connection: Connection, head: TableHead) -> None:
        statement = update(table_heads).where(table_heads.c.name == self._name)
        connection.execute(statement.values(self._row(head)))

    def _row(self, head: TableHead) -> dict[str, Any]:
        rows = b"".join(key + mac for key, mac in sorted(head.rows.items()))
        return sealed(self._vault, table_heads, {"name": self._name, "revision": head.revision, "rows": rows})

    def _digest(self, row: Row) -> bytes:
        return self._vault.row(f"key of {self._name}", key_of(self._table, row).encode())[:KEY]

    def _of_key(self, row: Row) -> Any:
        return and_(*(_is(column, row[column.name]) for column in self._table.primary_key.columns))


def _is(column: Column[Any], value: object) -> ColumnElement[bool]:
    """Finds a value also where it is a damaged text, whose bytes were read."""
    damaged = isinstance(column.type, String) and isinstance(value, bytes)
    return cast(column, LargeBinary) == value if damaged else column == value


def revisions(connection: Connection, clock: StoreClock) -> tuple[tuple[str, int], ...]:
    """Revisions of the tables with a head, which differ where there is a change, and the time."""
    before = steady()
    now = clock.expression(connection).label("now")
    rows = connection.execute(
        select(table_heads.c.name, table_heads.c.revision, now).order_by(table_heads.c.name)
    ).all()
    if rows:
        clock.saw(float(rows[0].now), before, steady())
    return tuple((row.name, row.revision) for row in rows)
