"""Retention: takes away the oldest rows of a chain, as far as they verify; the rest is evidence."""

from sqlalchemy import Connection, bindparam, delete, select

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail.heads import ChainHead, genuine, head_of, locked_row, move, row_of
from vitale_reader.daemon.store.audit_trail.walk import Walk, pieces
from vitale_reader.daemon.store.tables import audit, audit_heads

__all__ = ["drop", "forget", "purge"]

#: Rows that are forgotten in one transaction.
MOST_FORGOTTEN = 1_000

_DROP = delete(audit).where(audit.c.station == bindparam("of_station"), audit.c.number <= bindparam("up_to"))


def purge(connection: Connection, vault: Vault, before: float) -> int:
    """Forgets a station's rows older than ``before``, up to the first that is not; gives their number.

    Not more than a piece of them: there is nothing to forget, of any station, when there was none. Rows that do not
    verify stay.
    """
    stations = select(audit_heads.c.station).order_by(audit_heads.c.station)
    counts = (_purge(connection, vault, each, before) for each in connection.execute(stations).scalars().all())
    return next((count for count in counts if count), 0)


def drop(connection: Connection, vault: Vault, head: ChainHead, *, last: int, mac: bytes) -> int:
    """Forgets the rows of a chain up to a number; how many there were.

    Args:
        connection: the transaction.
        vault: the keys of the store.
        head: of the chain, locked.
        last: that number.
        mac: the hash of its row.
    """
    count = forget(connection, head.station, last)
    move(connection, vault, head, first=last + 1, before=mac)
    return count


def forget(connection: Connection, station: str, last: int) -> int:
    """Forgets the rows of a station up to a number, and leaves its head; how many there were."""
    return connection.execute(_DROP, {"of_station": station, "up_to": last}).rowcount


def _purge(connection: Connection, vault: Vault, station: str, before: float) -> int:
    """Forgets a piece of a station's rows; its head is locked for no longer than that takes."""
    row = row_of(connection, station)
    if row is None or not genuine(vault, row):
        return 0
    seen = head_of(row)
    mac, last = _whole_before(connection, vault, seen, before)
    if last < seen.first:
        return 0
    row = locked_row(connection, station)
    if row is None or not genuine(vault, row):
        return 0
    head = head_of(row)
    if (head.first, head.before) != (seen.first, seen.before):
        return 0  # another desk forgets them
    return drop(connection, vault, head, last=last, mac=mac)


def _whole_before(connection: Connection, vault: Vault, head: ChainHead, before: float) -> tuple[bytes, int]:
    """Hash and number of the last of the first rows that verify, are older, and fit a piece.

    What is behind a break is evidence, until an administrator has let the trail go on.
    """
    walk = Walk(vault, head.before, head.first - 1)
    whole = walk.mac, walk.number
    of_station = select(audit).where(audit.c.station == head.station, audit.c.number.between(0, head.last))
    for kept in pieces(connection, of_station, audit.c.number, MOST_FORGOTTEN):
        if not isinstance(kept["at"], float | int) or kept["at"] >= before:
            break
        walk.step(kept)
        if walk.breaks.first is None:
            whole = walk.mac, walk.number
            if walk.count >= MOST_FORGOTTEN:
                break
    return whole
