"""Writes that go together: what a statement that met nothing means, and whose error is told."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from sqlalchemy import Connection, bindparam, create_engine, func, select, update
from sqlalchemy.exc import DBAPIError

from vitale_protocol.errors import Replayed
from vitale_reader.daemon.database.combined_writes import Write, inserted, write_one_by_one, write_together
from vitale_reader.daemon.store.tables import audit, audit_heads, metadata, seen

ROW = {"digest": "d", "state": "reserved", "expires_at": 1.5, "claim": "c", "seal": None}
DIVISION_BY_ZERO = "22012"


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as opened:
        metadata.create_all(opened)
        yield opened
    engine.dispose()


def settled(digest: str, *, must: bool = True) -> Write:
    statement = update(seen).where(seen.c.digest == bindparam("of_digest")).values(state="used")
    return Write(statement, {"of_digest": digest}, Replayed if must else None)


def test_one_by_one_each_meets_its_row_or_raises_its_error(connection: Connection) -> None:
    write_one_by_one(connection, [inserted(seen, ROW), settled("d"), settled("x", must=False)])
    assert "used" == connection.execute(select(seen.c.state)).scalar()
    with pytest.raises(Replayed):
        write_one_by_one(connection, [settled("x")])
    assert 1 == connection.execute(select(func.count()).select_from(seen)).scalar()


class Refusing:
    """A server that refuses a statement."""

    def __init__(self, sqlstate: str) -> None:
        self._sqlstate = sqlstate

    def execute(self, *_: object) -> None:
        origin = Exception("refused")
        origin.sqlstate = self._sqlstate  # type: ignore[attr-defined]  # as the driver's errors have it
        raise DBAPIError("WITH …", None, origin)


@pytest.mark.parametrize(
    ("sqlstate", "must", "expected"),
    [(DIVISION_BY_ZERO, True, Replayed), (DIVISION_BY_ZERO, False, DBAPIError), ("23505", True, DBAPIError)],
)
def test_together_a_statement_that_met_nothing_raises_its_error_and_others_stay_what_they_are(
    sqlstate: str, must: bool, expected: type[Exception]
) -> None:
    row: dict[str, Any] = {"station": "s", "number": 1, "at": 0.0, "action": "a", "outcome": "ok", "mac": b""}
    head = {"station": "s", "first": 1, "before": b"", "last": 1, "mac": b"", "seal": b""}
    with pytest.raises(expected):
        write_together(
            cast("Any", Refusing(sqlstate)), (audit, row), b"", (audit_heads, head), [settled("d", must=must)]
        )
