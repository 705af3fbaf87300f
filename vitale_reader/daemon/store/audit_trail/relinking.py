"""Links rows that are there already: those of another key of the site, and those of version 0.1."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select, update

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail.entries import PIECE, RESUMED, link, start
from vitale_reader.daemon.store.audit_trail.heads import ChainHead, genuine, head_of, locked_row, move
from vitale_reader.daemon.store.audit_trail.walk import Walk
from vitale_reader.daemon.store.tables import audit

__all__ = ["adopt", "relink"]

logger = logging.getLogger(__name__)

_RELINK = (
    update(audit).where(audit.c.id == bindparam("of_id")).values(jti=bindparam("new_jti"), mac=bindparam("new_mac"))
)
_NUMBER = (
    update(audit)
    .where(audit.c.id == bindparam("of_id"))
    .values(station=bindparam("new_station"), number=bindparam("new_number"), mac=bindparam("new_mac"))
)


def relink(connection: Connection, vault: Vault, station: str, former: Vault) -> int:
    """Links the chain of a station anew, which was written with other keys; how many rows there were.

    It has to be whole. The breaks that an administrator knows of stay known.

    Args:
        connection: the transaction.
        vault: the keys of the store.
        station: whose chain it is.
        former: those other keys.
    """
    row = locked_row(connection, station)
    if row is None or not genuine(former, row):
        return 0
    head = head_of(row)
    before, count = start(vault, station), 0
    walk = Walk(vault, before, head.first - 1)
    for piece in _pieces(connection, station):
        changes: list[dict[str, Any]] = []
        for kept in piece:
            if kept["number"] > walk.number + 1:
                walk.breaks.add(walk.number + 1, "missing")
                walk.number = kept["number"] - 1
            jti = walk.breaks.name if kept["action"] == RESUMED and kept["reason"] is not None else kept["jti"]
            mac = link(vault, walk.mac, {**kept, "jti": jti})
            walk.step({**kept, "jti": jti, "mac": mac})
            changes.append({"of_id": kept["id"], "new_jti": jti, "new_mac": mac})
        connection.execute(_RELINK, changes)
        count += len(changes)
    move(connection, vault, head, before=before, last=walk.number, mac=walk.mac)
    return count


def adopt(connection: Connection, vault: Vault, head: ChainHead, told: Callable[[], None]) -> None:
    """Makes the rows of version 0.1, which belong to no chain, the beginning of a new one.

    Args:
        connection: the transaction.
        vault: the keys of the store.
        head: of that chain, which has no row yet.
        told: called after each piece.
    """
    mac, number = head.mac, head.last
    of_before = select(audit).where(audit.c.station.is_(None)).order_by(audit.c.id).limit(PIECE)
    while rows := connection.execute(of_before).mappings().all():
        changes: list[dict[str, Any]] = []
        for row in rows:
            number += 1
            mac = link(vault, mac, dict(row) | {"station": head.station, "number": number})
            changes.append({"of_id": row["id"], "new_station": head.station, "new_number": number, "new_mac": mac})
        connection.execute(_NUMBER, changes)
        logger.info("%d lines of the audit trail were brought forward", number)
        told()
    move(connection, vault, head, last=number, mac=mac)


def _pieces(connection: Connection, station: str) -> Iterator[Sequence[RowMapping]]:
    """The rows of a chain, piece by piece, which may be changed meanwhile; not their numbers."""
    last = -1
    query = select(audit).where(audit.c.station == station).order_by(audit.c.number).limit(PIECE)
    while piece := connection.execute(query.where(audit.c.number > last)).mappings().all():
        yield piece
        last = piece[-1]["number"]
