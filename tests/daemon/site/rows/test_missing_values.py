"""Rows in which a value is missing, since somebody took the constraints away: the others are seen all the same."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import Column, Connection, text

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.remote_readers import DeskTold, Names
from vitale_reader.daemon.site.rows.messages import StepTold, Wanted
from vitale_reader.daemon.site.rows.site_rows import SiteRows
from vitale_reader.daemon.site.upkeep import site_state
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import site_desks, site_requests, site_steps

pytestmark = [pytest.mark.posix, pytest.mark.usefixtures("patient")]

VAULT = Vault.of_site(b"k" * 32)
HERE, THERE = "10000000-0000-4000-8000-000000000000", "20000000-0000-4000-8000-000000000000"
WANTED = Wanted(
    station=HERE,
    mode="simulated",
    client_id="c",
    nonce="n" * 22,
    scopes=("identity",),
    purpose=None,
    media=frozenset({"apcv-nfc"}),
    names=Names(readers=(), groups=()),
    timeout=600.0,
)

#: Which row of a table is damaged; the other one stays as it was written.
DAMAGED = {
    "site_desks": "incarnation = 'there'",
    "site_requests": "id = 'damaged'",
    "site_steps": "id = (SELECT min(id) FROM site_steps)",
}


def damage(connection: Connection, column: Column[Any]) -> None:
    table = column.table.description
    connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey CASCADE"))
    connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN {column.name} DROP NOT NULL"))
    connection.execute(text(f"UPDATE {table} SET {column.name} = NULL WHERE {DAMAGED[table]}"))  # noqa: S608  no input


@pytest.mark.parametrize("column", [*site_desks.columns, *site_requests.columns, *site_steps.columns], ids=str)
def test_a_value_that_is_missing_costs_its_row_alone(empty_database: str, column: Column[Any]) -> None:
    async def work() -> None:
        store = Store(empty_database)
        await store.open()
        try:
            here, there = (
                SiteRows(store, VAULT, station=station, incarnation=name)
                for station, name in ((HERE, "here"), (THERE, "there"))
            )
            for desk, name in ((here, "here"), (there, "there")):
                await desk.desks.tell(DeskTold(name=name, mode="simulated", groups=(), readers=()), 1)
            await there.requests.ask("damaged", WANTED, ())
            await here.requests.ask("whole", WANTED, ())
            steps = [StepTold(step="armed", reader=None, by="there", number=number) for number in (1, 2)]
            await there.requests.tell_steps(("whole", HERE, step) for step in steps)
            await store.run(lambda connection: damage(connection, column))

            row = await there.requests.look_at("whole")
            assert row is not None
            assert WANTED == await there.requests.wanted(row)
            await there.requests.look_at("damaged")
            _, seen = await here.look({"whole"}, beat=True)
            assert HERE in seen.desks
            assert "whole" in {request.id for request in seen.requests if request.left > 0}
            assert ("whole", steps[1]) in seen.steps
            state = await store.run(lambda connection: site_state(connection, VAULT, Remembered()))
            assert HERE in {desk.station for desk in state.desks}
            await there.desks.leave()
        finally:
            await store.close()

    asyncio.run(work())
