"""Inspects every sealed row of a store; has a restored store go on, as an administrator tells."""

import logging
from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection, select

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail.chain import Chain
from vitale_reader.daemon.store.audit_trail.walk import Broken
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.row_seals import holds, key_of, name_of
from vitale_reader.daemon.store.row_upgrade import SEALED
from vitale_reader.daemon.store.sealed_table import HEADED, SealedTable, TableFault
from vitale_reader.daemon.store.tables import audit_heads

__all__ = ["MOST_FAULTS", "Resumed", "inspect", "resume"]

logger = logging.getLogger(__name__)

#: Faults that are told of one table.
MOST_FAULTS = 100

PIECE = 1_000


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """Breaks that an administrator accepted: the first of each chain, and the tables whose rows were accepted."""

    chains: dict[str, Broken]
    tables: dict[str, int]


def inspect(connection: Connection, vault: Vault, remembered: Remembered) -> list[TableFault]:
    """The rows that are not as somebody with the keys of the store wrote them."""
    faults = [
        fault
        for table in HEADED
        for fault in SealedTable(table, vault, remembered).read(connection).faults[:MOST_FAULTS]
    ]
    return [*faults, *_unsealed(connection, vault)]


def resume(
    connection: Connection, vault: Vault, remembered: Remembered, *, chain: Chain, at: float, reason: str, by: str
) -> Resumed:
    """Lets every broken chain go on, and takes what bears its seal for the tables that were put back.

    Args:
        connection: the transaction.
        vault: the keys of the store.
        remembered: what the station knows of the store.
        chain: that of the station.
        at: now, epoch seconds.
        reason: why, in the administrator's words.
        by: who it was.
    """
    others = connection.execute(select(audit_heads.c.station).where(audit_heads.c.station != chain.station)).scalars()
    chains: dict[str, Broken] = {}
    for each in (chain, *(Chain(vault, station) for station in others.all())):
        if (broken := each.resume(connection, at=at, reason=reason, client_id=by)) is not None:
            chains[each.station] = broken
    tables: dict[str, int] = {}
    for table in HEADED:
        sealed_table = SealedTable(table, vault, remembered)
        if sealed_table.read(connection).faults:
            tables[name_of(table)] = sealed_table.accept(connection)
    return Resumed(chains=chains, tables=tables)


def _unsealed(connection: Connection, vault: Vault) -> Iterator[TableFault]:
    for table in SEALED:
        (key,) = table.primary_key.columns
        query, found = select(table).order_by(key).limit(PIECE), 0
        rows = connection.execute(query).mappings().all()
        while rows and found < MOST_FAULTS:
            for row in rows:
                if not holds(vault, table, row) and found < MOST_FAULTS:
                    found += 1
                    yield TableFault(table=name_of(table), key=key_of(table, row), why="changed")
            rows = connection.execute(query.where(key > rows[-1][key.name])).mappings().all()
