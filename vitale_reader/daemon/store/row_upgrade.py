"""Upgrade of the rows of an older store: once, each under a seal, in pieces of bounded memory.

It is done by a station that used the store before it had seals, and by no other. Rows without a seal that turn up later
are somebody else's.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.row_seals import name_of, sealed
from vitale_reader.daemon.store.sealed_table import HEADED, SealedTable
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import contexts, outbox, seen, site, table_heads

__all__ = ["bring_forward"]

logger = logging.getLogger(__name__)

#: Tables whose rows bear a seal and are in no head: they live for minutes, or say what cannot be put back.
SEALED = (outbox, contexts, seen, site)

#: Rows in one transaction.
PIECE = 1_000

#: The name under which ``table_heads`` says that it was done.
DONE = "brought forward"

Run = Callable[[Callable[[Connection], Any]], Awaitable[Any]]


async def bring_forward(
    store: Store, vault: Vault, remembered: Remembered, told: Callable[[], None] = lambda: None
) -> None:
    """Seals what is not sealed, where this has not been done yet; makes the heads of the tables.

    Args:
        store: where.
        vault: the keys of the seals.
        remembered: what the station knows of the store.
        told: called after each piece.

    Raises:
        StoreUnavailable: the store does not take it. What was done stays done, and the rest is done the next time.
    """
    if not remembered.knows(DONE) and not await store.run(_done):
        if remembered.knows_store or await store.run(lambda connection: connection.dialect.name) == "sqlite":
            for table in SEALED:
                await _seal(store, vault, table, told)
        if await store.run(_unsealed):
            logger.error("rows of a version before are in the store: start first a desk that used it then")
        else:
            await store.run(lambda connection: _finish(connection, vault))
    for table in HEADED:
        await store.run(SealedTable(table, vault, remembered).establish)
        remembered.saw_revision(name_of(table), 0)
    remembered.saw_revision(DONE, 0)


async def _seal(store: Store, vault: Vault, table: Table, told: Callable[[], None]) -> None:
    (key,) = table.primary_key.columns
    statement = update(table).where(key == bindparam("of_key")).values(seal=bindparam("new_seal"))
    last: Any = None
    count = 0

    def piece(connection: Connection) -> list[Any]:
        query = select(table).where(table.c.seal.is_(None)).order_by(key).limit(PIECE)
        rows = connection.execute(query if last is None else query.where(key > last)).mappings().all()
        seals = [{"of_key": row[key.name], "new_seal": sealed(vault, table, row)["seal"]} for row in rows]
        if seals:
            connection.execute(statement, seals)
        return [row[key.name] for row in rows]

    while keys := await store.run(piece):
        last = keys[-1]
        count += len(keys)
        logger.info("%d rows of %s were brought forward", count, table.name)
        told()


def _done(connection: Connection) -> bool:
    return connection.execute(select(table_heads.c.name).where(table_heads.c.name == DONE)).first() is not None


def _unsealed(connection: Connection) -> bool:
    return any(connection.execute(select(table).where(table.c.seal.is_(None)).limit(1)).first() for table in SEALED)


def _finish(connection: Connection, vault: Vault) -> None:
    if not _done(connection):
        connection.execute(insert(table_heads), sealed(vault, table_heads, {"name": DONE, "revision": 0, "rows": b""}))
