"""A value of the spool that is damaged costs its row, and neither the start nor what waits with it."""

import asyncio
import contextlib
import itertools
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Table, insert, select

from tests.daemon.store.test_spool import NOW, PATIENCE, VAULT, Coordinator, opened
from tests.daemon.store.test_tamper import DAMAGED, EVERY
from vitale_reader.daemon.store import spool
from vitale_reader.daemon.store.audit_trail.entries import LOST, AuditEntry
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.row_seals import name_of, sealed
from vitale_reader.daemon.store.row_upgrade import bring_forward
from vitale_reader.daemon.store.spool_replay import ACKNOWLEDGED
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import audit, audit_heads, contexts, outbox, seen, site

#: What is brought from a spool.
BROUGHT = (seen, outbox, contexts, audit, audit_heads, site)

KINDS = {**DAMAGED, "long": "zeroblob(1100000)", "null": "NULL"}

#: Under another name, a note is none.
UNTOLD = {site.c.name}

Rows = Counter[tuple[object, ...]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "RETRY", 0.0)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A station that was stopped while the database was away, with three rows of each kind in its spool."""
    folder = tmp_path_factory.mktemp("full")

    async def main() -> None:
        async with opened(Coordinator(folder)) as desk:
            await bring_forward(desk.spool, VAULT, Remembered())
            desk.site.gone = True
            for number in range(3):
                await desk.guard.claim(f"digest-{number}")
                await desk.put(number)
                context = {"digest": f"d{number}", "client_id": "c", "notice_at": 1.0, "noticed": False}
                row = sealed(VAULT, contexts, context | {"ends_at": NOW, "sealed": b"s", "station": "s"})
                await desk.store.run(lambda connection, row=row: connection.execute(insert(contexts), row))  # type: ignore[misc]  # bound at once
                await desk.outbox.acknowledge("c", [f"elsewhere-{number}"])

    asyncio.run(main())
    return folder


def hurt(folder: Path, column: Column[object], value: str, row: int) -> bool:
    """Damages a value of one row; False where SQLite itself refuses it."""
    table = column.table.name
    with contextlib.closing(sqlite3.connect(folder / "desk.db")) as connection:
        rows = [found for (found,) in connection.execute(f"SELECT rowid FROM {table}")]  # noqa: S608  constants
        try:
            damage = f"UPDATE {table} SET {column.name} = {value} WHERE rowid = {rows[row % len(rows)]}"  # noqa: S608  likewise
            connection.execute(damage)
        except sqlite3.IntegrityError:
            return False
        connection.commit()
    return True


async def rows_of(store: Store, table: Table) -> Rows:
    columns = AuditEntry.__struct_fields__ if table is audit else table.c.keys()
    if table is site:  # at the site a note says when as well
        columns = ("name",)
    query = select(*(table.c[name] for name in columns))
    if table is site:
        query = query.where(site.c.name.startswith(ACKNOWLEDGED))
    found = await Store.run(store, lambda connection: connection.execute(query).all())
    return Counter(tuple(row) for row in found if table is not audit or row.action != LOST)


async def content(store: Store) -> dict[str, Rows]:
    return {name_of(table): await rows_of(store, table) for table in BROUGHT if table is not audit_heads}


async def of(folder: Path) -> dict[str, Rows]:
    store = Store(folder / "desk.db")
    await store.open()
    try:
        return await content(store)
    finally:
        await store.close()


async def brought(folder: Path) -> tuple[dict[str, Rows], dict[str, Rows]]:
    """What is at the site, and what is left in the spool, after a start and another outage."""
    desk = Coordinator(folder)
    async with asyncio.timeout(PATIENCE), opened(desk):
        assert not desk.store.degraded
        there = await content(desk.site)
        desk.site.gone = True
        await desk.put(9)
        await desk.back()
        after = await content(desk.site)
        assert [1, 1] == [(after[name] - there[name]).total() for name in ("outbox", "audit")], "what comes later"
        return there, await content(desk.spool)


def told(caplog: pytest.LogCaptureFixture, table: str) -> int:
    return sum(f"1 rows of {table} were changed or damaged in the spool" in message for message in caplog.messages)


def places() -> Iterator[tuple[Column[object], int]]:
    """Each column with the rows of which it is damaged: of the trail, the last one ends a chain."""
    for table in BROUGHT:
        for column in table.columns:
            yield from ((column, row) for row in ((1, -1) if table is audit else (1,)))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_value_of_the_spool_costs_its_row_alone(
    full: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, every: int
) -> None:
    wrong: list[str] = []
    expected = asyncio.run(of(full))
    first = -list(KINDS).index(kind) % every
    for number, (column, row) in itertools.islice(enumerate(places()), first, None, every):
        folder = tmp_path / str(number)
        shutil.copytree(full, folder)
        if not hurt(folder, column, KINDS[kind], row):
            continue
        caplog.clear()
        name = f"{column.table.name}.{column.name} of row {row}"
        try:
            there, left = asyncio.run(brought(folder))
        except Exception as error:  # noqa: BLE001  each column is looked at
            wrong.append(f"{name}: {error!r}")
            continue
        lost = {table: expected[table] - rows for table, rows in there.items() if rows != expected[table]}
        more = {table: rows - expected[table] for table, rows in there.items() if rows - expected[table]}
        count = sum(rows.total() for rows in lost.values())
        if more or count > 1 or set(lost) - {column.table.name}:
            wrong.append(f"{name}: lost {lost}, and came besides {more}")
        if column not in UNTOLD and column.table is not audit_heads and told(caplog, column.table.name) != count:
            wrong.append(f"{name}: told {told(caplog, column.table.name)} times")
        if any(left[table] for table in left):
            wrong.append(f"{name}: left {left}")
        shutil.rmtree(folder)
    assert wrong == []
