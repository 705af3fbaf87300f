"""Reseals what a store keeps: from the keys of one site key to those of another, in one transaction.

- Only what bears a seal of the former key is taken over. A store that is not whole is not resealed: nobody could tell
  afterwards what was changed before.
- What is known by a keyed digest alone cannot be found again under another key. Used strings and opposition lists are
  removed, and this is told.
- The chains of the audit trail are linked anew. What an administrator let go on before is let go on still.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection, Table, delete, func, insert, select

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.audit_trail.relinking import relink
from vitale_reader.daemon.store.audit_trail.verification import Verifier
from vitale_reader.daemon.store.inspection import inspect
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.sealed_table import HEADED, SealedTable
from vitale_reader.daemon.store.tables import (
    audit_heads,
    clients,
    contexts,
    opposition_lists,
    opposition_parts,
    outbox,
    seen,
    site,
    site_desks,
    site_requests,
    site_steps,
    stations,
    table_heads,
)

__all__ = ["Resealed", "require_whole", "reseal"]

Row = Mapping[Any, Any]

#: Rows that are held in memory at a time.
PIECE = 500

#: The row by which the desks of a site see whether they hold the same key, and what it is a digest of.
KEY_NAME, KEY_OF = "key", b"key"


class Resealed(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of what went from one key to another, and of what could not.

    Attributes:
        clients: paired clients, revoked ones too.
        tokens: tokens of the outbox.
        contexts: apCV contexts.
        lines: lines of the audit trail, of all stations.
        used: used strings that are forgotten.
        lists: names of the opposition lists that have to be imported anew.
    """

    clients: int = 0
    tokens: int = 0
    contexts: int = 0
    lines: int = 0
    used: int = 0
    lists: tuple[str, ...] = ()


def require_whole(connection: Connection, vault: Vault, remembered: Remembered, station: str) -> None:
    """Refuses a store in which something was changed.

    Raises:
        StoreUnavailable: `vitale-reader audit verify` says what.
    """
    faults = inspect(connection, vault, remembered)
    broken = any(one.broken for one in Verifier(vault, station).verify(connection, remembered.anchor))
    if faults or broken:
        table = faults[0].table if faults else "audit"
        told = "the store was changed by somebody else: see `vitale-reader audit verify`"
        raise StoreUnavailable(told, variant="tampered", data={"table": table})


def reseal(connection: Connection, former: Vault, vault: Vault, remembered: Remembered) -> Resealed:
    """Takes a store from the keys of ``former`` to those of ``vault``, within the caller's transaction."""
    lists = connection.execute(select(opposition_lists.c.name).order_by(opposition_lists.c.name)).scalars().all()
    used = connection.execute(select(func.count()).select_from(seen)).scalar_one()
    for table in (seen, opposition_parts, opposition_lists, site_steps, site_requests, site_desks):
        connection.execute(delete(table))
    moved = _Moving(connection, former, vault)
    moved.rows(site, lambda row: _site_row(row, vault))
    found = moved.rows(clients, dict)
    moved.rows(stations, lambda row: moved.opened(row, lambda row: f"station:{row['station']}"))
    tokens = moved.rows(outbox, lambda row: moved.opened(row, lambda row: str(row["jti"])))
    held = moved.rows(contexts, moved.context)
    for table in HEADED:
        if connection.execute(select(table_heads.c.name).where(table_heads.c.name == table.name)).first():
            SealedTable(table, vault, remembered).accept(connection)
    heads = connection.execute(select(audit_heads.c.station).order_by(audit_heads.c.station)).scalars().all()
    lines = sum(relink(connection, vault, each, former) for each in heads)
    return Resealed(clients=found, tokens=tokens, contexts=held, lines=lines, used=used, lists=tuple(lists))


def _site_row(row: Row, vault: Vault) -> dict[str, Any]:
    if row["name"] == KEY_NAME:
        return {**row, "value": vault.digest("site", KEY_OF)}
    return dict(row)


class _Moving:
    """The rows of one store, on their way."""

    def __init__(self, connection: Connection, former: Vault, vault: Vault) -> None:
        self._connection = connection
        self._former = former
        self._vault = vault

    def rows(self, table: Table, change: Callable[[Row], dict[str, Any] | None]) -> int:
        """Reseals the rows of a table that bear the former seal; how many there were."""
        (key,) = table.primary_key.columns
        count = 0
        # All keys first: a context gets another one.
        keys = self._connection.execute(select(key).order_by(key)).scalars().all()
        for at in range(0, len(keys), PIECE):
            piece = self._connection.execute(select(table).where(key.in_(keys[at : at + PIECE]))).mappings().all()
            # In a spool there are notes without a seal, which stay as they are.
            held = [row for row in piece if row_seals.holds(self._former, table, row)]
            new = [row_seals.sealed(self._vault, table, row) for row in map(change, held) if row is not None]
            self._connection.execute(delete(table).where(key.in_([row[key.name] for row in held])))
            if new:
                self._connection.execute(insert(table), new)
            count += len(new)
        return count

    def opened(self, row: Row, bound_to: Callable[[Row], str]) -> dict[str, Any] | None:
        """A row whose content is sealed, sealed anew."""
        with contextlib.suppress(InvalidTag):
            plain = self._former.unseal(row["sealed"], bound_to(row))
            return {**row, "sealed": self._vault.seal(plain, bound_to(row))}
        return None

    def context(self, row: Row) -> dict[str, Any] | None:
        """A context, under the digest of its name that the new key gives."""
        with contextlib.suppress(InvalidTag):
            plain = self._former.unseal(row["sealed"], f"context:{row['digest']}")
            name: dict[str, str] = msgspec.json.decode(plain, type=dict[str, Any])
            digest = self._vault.digest("context", name["identifiant"].encode())
            return {**row, "digest": digest, "sealed": self._vault.seal(plain, f"context:{digest}")}
        return None
