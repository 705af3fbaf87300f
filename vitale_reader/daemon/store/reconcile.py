"""Transfer of a station's spool to the database of its site, piece by piece, once that is back.

A piece is written at the site in one transaction, and forgotten in the spool in another one after it. After a crash in
between it is brought again, without duplicates. Tokens and marks are known by their keys, lines of the audit trail by
the number that the site has noted for this spool.

- A string that was used here and elsewhere while nobody could know is told: in the log, and in the audit trail.
- A token of a presentation that the site holds already takes its place: of that one nobody has heard (see ``spool``).
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update

from vitale_reader.daemon.store.chain import Chain, Entry
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.store.tables import audit_heads, contexts, outbox, seen, site

__all__ = ["Piece", "bring", "spool_name"]

logger = logging.getLogger(__name__)

#: Rows of a table in one transaction.
MOST = 200

Row = dict[str, Any]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Some of what is in the spool."""

    seen: list[Row] = msgspec.field(default_factory=list[Row])
    outbox: list[Row] = msgspec.field(default_factory=list[Row])
    contexts: list[Row] = msgspec.field(default_factory=list[Row])
    lines: list[tuple[int, Entry]] = msgspec.field(default_factory=list[tuple[int, Entry]])

    def __bool__(self) -> bool:
        return any((self.seen, self.outbox, self.contexts, self.lines))


async def bring(spool: Store, site_store: Store, chain: Chain, *, clock: Callable[[], float]) -> bool:
    """Brings one piece; whether there was one.

    Raises:
        StoreUnavailable: the site does not take it; it is in the spool still.
        IntegrityError: another station wrote the same at the same moment; the next time it is seen.
    """
    name = await spool.run(spool_name)
    piece = await spool.run(lambda connection: _take(connection, chain))
    if not piece:
        return False
    await site_store.run(lambda connection: _write(connection, chain, piece, name, clock()))
    await spool.run(lambda connection: _forget(connection, chain, piece))
    return True


def spool_name(connection: Connection) -> str:
    """Identity of this spool, unlike that of one begun anew at the same station."""
    found = connection.execute(select(site.c.value).where(site.c.name == "spool")).scalar()
    if found is None:
        found = secrets.token_hex(8)
        connection.execute(insert(site), {"name": "spool", "value": found})
    return str(found)


def _take(connection: Connection, chain: Chain) -> Piece:
    def rows(table: Table) -> list[Row]:
        return [dict(row) for row in connection.execute(select(table).limit(MOST)).mappings()]

    return Piece(seen=rows(seen), outbox=rows(outbox), contexts=rows(contexts), lines=chain.take(connection, MOST))


def _write(connection: Connection, chain: Chain, piece: Piece, name: str, now: float) -> None:
    _write_lines(connection, chain, piece.lines, f"spool:{name}")
    twice = sum(not _mark(connection, row) for row in piece.seen)
    for row in piece.outbox:
        of_presentation = (outbox.c.presentation == row["presentation"]) & (outbox.c.client_id == row["client_id"])
        connection.execute(delete(outbox).where(of_presentation))
        if row["exp"] > now:
            connection.execute(insert(outbox), row)
    for row in piece.contexts:
        connection.execute(delete(contexts).where(contexts.c.digest == row["digest"]))
        connection.execute(insert(contexts), row)
    if twice:
        logger.error("%d strings were used at this station and elsewhere while the database was away", twice)
        for _ in range(twice):
            chain.append(connection, Entry(at=now, action="site.reconcile", outcome="replayed"))


def _write_lines(connection: Connection, chain: Chain, lines: Sequence[tuple[int, Entry]], name: str) -> None:
    # The lock on the head makes two connections of this station wait for one another.
    connection.execute(select(audit_heads).where(audit_heads.c.station == chain.station).with_for_update())
    row = connection.execute(select(site).where(site.c.name == name)).mappings().first()
    # A number that somebody else wrote counts as none: rather is a line there twice than not at all.
    done = row["value"] if row is not None and chain.holds(site, row) else None
    new = [(number, entry) for number, entry in lines if number > int(done or 0)]
    for _, entry in new:
        chain.append(connection, entry)
    if not new:
        return
    connection.execute(delete(site).where(site.c.name == name))
    connection.execute(insert(site), chain.sealed(site, {"name": name, "value": str(new[-1][0])}))


def _mark(connection: Connection, row: Row) -> bool:
    """Marks a string as used; whether it was by this presentation that it was."""
    there = connection.execute(select(seen.c.claim).where(seen.c.digest == row["digest"])).first()
    if there is None:
        connection.execute(insert(seen), row)
    elif there.claim == row["claim"]:
        connection.execute(
            update(seen).where(seen.c.digest == row["digest"]).values(state=row["state"], seal=row["seal"])
        )
    return there is None or there.claim == row["claim"]


def _forget(connection: Connection, chain: Chain, piece: Piece) -> None:
    for table, rows in ((seen, piece.seen), (outbox, piece.outbox), (contexts, piece.contexts)):
        for row in rows:
            # As it was taken: what was changed meanwhile is brought again.
            unchanged = [table.c[name].is_not_distinct_from(value) for name, value in row.items()]
            connection.execute(delete(table).where(*unchanged))
    if piece.lines:
        chain.drop(connection, piece.lines[-1][0])
