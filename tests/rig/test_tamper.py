"""The hand in the database takes back what it did, and nothing that a desk wrote meanwhile."""

# What it does by chance is done here on purpose.
# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.rig.ledger import Ledger
from tests.rig.tamper import Row, Tamperer
from vitale_reader.daemon.store.store import Store

HEAD: Row = {"name": "stations", "revision": 5, "rows": b"five", "seal": b"five"}
OTHER: Row = {"name": "clients", "revision": 6, "rows": b"six", "seal": b"six"}


@pytest.fixture
def line(site_database: str) -> Iterator["psycopg.Connection[Any]"]:
    async def made() -> None:
        store = Store(site_database)
        await store.open()
        await store.close()

    asyncio.run(made())
    with psycopg.connect(site_database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def tamperer(site_database: str, line: "psycopg.Connection[Any]") -> Tamperer:
    def comes_in(*_: object) -> None:
        pass

    made = Tamperer(site_database, Ledger(), 1, comes_in)
    made._learn(line)
    made._stopped.set()  # it holds nothing for long
    return made


def write(line: "psycopg.Connection[Any]", *rows: Row) -> None:
    line.execute("DELETE FROM table_heads")
    for row in rows:
        line.execute("INSERT INTO table_heads VALUES (%(name)s, %(revision)s, %(rows)s, %(seal)s)", row)


def found(line: "psycopg.Connection[Any]") -> list[Row]:
    return Tamperer._named(line.execute("SELECT * FROM table_heads ORDER BY name DESC"))


def test_what_it_altered_is_as_it_was(line: "psycopg.Connection[Any]", tamperer: Tamperer) -> None:
    write(line, HEAD, OTHER)
    for changes in (
        [(HEAD, "revision", 6)],
        [(HEAD, "seal", b"x")],
        [(HEAD, "revision", 6), (OTHER, "revision", 5)],
    ):
        tamperer._hold(line, "table_heads", changes)
        assert [HEAD, OTHER] == found(line)


@pytest.mark.parametrize("column", ["revision", "rows", "seal"])
def test_what_a_desk_wrote_meanwhile_stays(line: "psycopg.Connection[Any]", tamperer: Tamperer, column: str) -> None:
    """The next revision is what a desk writes, and what the tamperer makes of it as well."""
    moved = HEAD | {"revision": 6, "rows": b"six", "seal": b"six"}
    write(line, moved)
    tamperer._hold(line, "table_heads", [(HEAD, column, moved[column])])
    assert [moved] == found(line)
