"""Somebody who can write to the database and has no key of it: alters rows at random, and puts them back.

What it puts back is what was there, and only where the whole row is as it left it. One that a desk wrote meanwhile
stays the desk's, also where a value of it is by chance that of the tamperer. Used strings are left alone: to remove
those is what such a writer can do (``trust.md``).
"""

import hashlib
import random
import secrets
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, LiteralString, Self

import psycopg
from psycopg import sql

from tests.rig.ledger import Ledger

__all__ = ["Tamperer"]

Row = dict[str, Any]

#: Tables whose rows it does not touch: see above, and Alembic's, which decides whether a desk starts at all.
SPARED = frozenset({"seen", "alembic_version"})
#: Seconds that a row stays altered.
HELD = (0.02, 1.0)


class Tamperer:
    """Works from a thread of its own, through a connection of its own.

    Args:
        url: the database.
        ledger: counts what was done.
        seed: of what it does.
        comes_in: tries to come in with a credential at every desk, as a client of this id; told of by ``try_doors``.
    """

    def __init__(self, url: str, ledger: Ledger, seed: int, comes_in: Callable[[str, str], None]) -> None:
        self._url = url
        self._ledger = ledger
        self._chance = random.Random(seed)
        self._comes_in = comes_in
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tamperer")
        self._keys: dict[str, list[str]] = {}
        self._columns: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(60)

    def _run(self) -> None:
        acts = (self._alter, self._alter, self._swap, self._remove, self._plant, self._unrevoke)
        while not self._stopped.wait(self._chance.uniform(0.05, 0.6)):
            # The database restarts, and rows that are in use are locked: then the act did not happen, or is undone
            # by a connection of its own.
            try:
                with psycopg.connect(self._url, autocommit=True, options="-c lock_timeout=2s") as line:
                    self._learn(line)
                    act = self._chance.choice(acts)
                    act(line)
                    self._ledger.note(f"tampered: {act.__name__.strip('_')}")
            except psycopg.Error:
                self._ledger.note("tampered: not done")

    def _learn(self, line: "psycopg.Connection[Any]") -> None:
        if self._keys:
            return
        found = line.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
        ).fetchall()
        columns: dict[str, dict[str, str]] = {}
        for table, column, kind in found:
            if table not in SPARED:
                columns.setdefault(table, {})[column] = kind
        for table, column in line.execute(
            "SELECT table_name, column_name FROM information_schema.key_column_usage JOIN"
            " information_schema.table_constraints USING (constraint_name, table_name)"
            " WHERE constraint_type = 'PRIMARY KEY' AND table_constraints.table_schema = 'public'"
        ).fetchall():
            if table not in SPARED:
                self._keys.setdefault(table, []).append(column)
        self._columns = columns

    # ── what it does ──

    def _alter(self, line: "psycopg.Connection[Any]") -> None:
        """Gives one value of one row another content."""
        table, rows = self._rows(line, 1)
        for row in rows:
            column = self._chance.choice(sorted(set(row) - set(self._keys[table])))
            self._hold(line, table, [(row, column, self._another(row[column], self._columns[table][column]))])

    def _swap(self, line: "psycopg.Connection[Any]") -> None:
        """Exchanges one value of two rows."""
        table, rows = self._rows(line, 2)
        if len(rows) == 2:
            column = self._chance.choice(sorted(set(rows[0]) - set(self._keys[table])))
            one, other = rows
            if one[column] != other[column]:
                self._hold(line, table, [(one, column, other[column]), (other, column, one[column])])

    def _remove(self, line: "psycopg.Connection[Any]") -> None:
        """Takes a row away, and puts it back as it was taken."""
        table, rows = self._rows(line, 1)
        for row in rows:
            self._touch(table, [row])
            statement = self._where("DELETE FROM {} WHERE ", table) + sql.SQL(" RETURNING *")
            taken = [row]  # where the answer is lost; a row that is there still refuses it
            try:
                taken = self._named(line.execute(statement, self._key(table, row)))
                self._stopped.wait(self._chance.uniform(*HELD))
            finally:
                for each in taken:
                    self._again(partial(self._insert, table=table, row=each))

    def _plant(self, line: "psycopg.Connection[Any]") -> None:
        """Adds a client of its own making, with the scopes of an administrator, and tries to come in."""
        credential, name = secrets.token_urlsafe(32), f"client-{secrets.token_hex(8)}"
        found = self._rows_of(line, "clients", 1)
        for row in found:
            planted = row | {"client_id": name, "scopes": "identity nir admin", "certificate_sha256": None}
            planted |= {"credential_sha256": hashlib.sha256(credential.encode()).hexdigest(), "revoked_at": None}
            try:
                self._insert(line, "clients", planted)
                self._stopped.wait(self._chance.uniform(*HELD))
                self._comes_in(name, credential)
            finally:
                self._again(lambda line: line.execute("DELETE FROM clients WHERE client_id = %s", (name,)))

    def _unrevoke(self, line: "psycopg.Connection[Any]") -> None:
        """Takes the mark of a revocation away for a while; whether it helps is tried at the doors all the time."""
        found = line.execute("SELECT * FROM clients WHERE revoked_at IS NOT NULL ORDER BY random() LIMIT 1")
        for row in self._named(found):
            self._hold(line, "clients", [(row, "revoked_at", None)])

    # ── how ──

    def _hold(self, line: "psycopg.Connection[Any]", table: str, changes: Sequence[tuple[Row, str, Any]]) -> None:
        """Makes changes together, and some time later takes back what nobody changed since."""
        self._touch(table, [row for row, _, _ in changes])

        def back(line: "psycopg.Connection[Any]") -> None:
            with line.transaction():
                for row, column, value in reversed(changes):  # of two values that must differ, one is free again
                    self._put(line, table, column, row | {column: value}, row)

        try:
            with line.transaction():
                for row, column, value in changes:
                    self._put(line, table, column, row, row | {column: value})
            self._stopped.wait(self._chance.uniform(*HELD))
        finally:
            self._again(back)  # also where the answer was lost

    def _touch(self, table: str, rows: Sequence[Row]) -> None:
        for row in rows:
            if table == "outbox":
                self._ledger.touch(str(row["jti"]))

    def _put(self, line: "psycopg.Connection[Any]", table: str, column: str, before: Row, after: Row) -> None:
        """Changes one value of a row, if the row is as it was before in all that it holds."""
        unchanged = sql.SQL(" AND ").join(
            sql.SQL("{} IS NOT DISTINCT FROM {}").format(sql.Identifier(name), sql.Placeholder(f"before_{name}"))
            for name in before
        )
        statement = sql.SQL("UPDATE {} SET {} = {} WHERE ").format(
            sql.Identifier(table), sql.Identifier(column), sql.Placeholder("after")
        )
        values = {"after": after[column]} | {f"before_{name}": value for name, value in before.items()}
        line.execute(statement + unchanged, values)

    def _again(self, back: Callable[["psycopg.Connection[Any]"], object]) -> None:
        """Takes something back, however often the database has to be asked."""
        pause = threading.Event()
        while True:
            try:
                with psycopg.connect(self._url, autocommit=True) as line:
                    back(line)
                return
            except psycopg.IntegrityError:
                self._ledger.note("tampered: a desk was faster")  # it wrote the row anew, or removed its parent
                return
            except psycopg.Error:
                pause.wait(0.2)

    def _rows(self, line: "psycopg.Connection[Any]", number: int) -> tuple[str, list[Row]]:
        table = self._chance.choice(sorted(self._keys))
        return table, self._rows_of(line, table, number)

    def _rows_of(self, line: "psycopg.Connection[Any]", table: str, number: int) -> list[Row]:
        query = sql.SQL("SELECT * FROM {} ORDER BY random() LIMIT {}").format(
            sql.Identifier(table), sql.Literal(number)
        )
        return self._named(line.execute(query))

    @staticmethod
    def _named(cursor: "psycopg.Cursor[Any]") -> list[Row]:
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _insert(self, line: "psycopg.Connection[Any]", table: str, row: Row) -> None:
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(map(sql.Placeholder, row)),
        )
        line.execute(statement, row)

    def _where(self, words: LiteralString, table: str) -> sql.Composed:
        return sql.SQL(words).format(sql.Identifier(table)) + self._matches(table)

    def _matches(self, table: str) -> sql.Composed:
        return sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(f"key_{name}"))
            for name in self._keys[table]
        )

    def _key(self, table: str, row: Row) -> Row:
        return {f"key_{name}": row[name] for name in self._keys[table]}

    def _another(self, value: Any, kind: str) -> object:
        if value is None:
            return {"bytea": b"\0", "boolean": True}.get(kind, "1" if kind.startswith("char") else 1)
        if isinstance(value, bool):
            return not value
        if isinstance(value, bytes):
            place = self._chance.randrange(len(value)) if value else 0
            return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :] if value else b"\0"
        if isinstance(value, str):
            return self._chance.choice(("", value[:-1], value[::-1], value[:-1] + "0"))
        return value + self._chance.choice((-1, 1, 1_000_000))
