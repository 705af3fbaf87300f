"""Verification of the chains of a store: every row, one place, and whether a loss was resumed."""

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, func, select

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail.entries import LOST, PIECE, RESUMED, link, number_of
from vitale_reader.daemon.store.audit_trail.heads import ChainHead, genuine, head_of, row_of
from vitale_reader.daemon.store.audit_trail.walk import Broken, Walk, pieces
from vitale_reader.daemon.store.local_anchor import Anchor
from vitale_reader.daemon.store.tables import audit, audit_heads

__all__ = ["Verified", "Verifier"]

# Statements are constants: to build one anew costs more than to run it.
_OF_STATION = audit.c.station == bindparam("of_station")
_LINK = select(audit.c.mac).where(_OF_STATION, audit.c.number == bindparam("at_number"))
_LAST_LOST = select(func.max(audit.c.number)).where(
    _OF_STATION, audit.c.action == LOST, audit.c.outcome == "store_unavailable"
)
_RESUMED_AFTER = (
    select(audit)
    .where(_OF_STATION, audit.c.action == RESUMED, audit.c.outcome == "ok", audit.c.number > bindparam("after"))
    .limit(PIECE)
)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Result of verifying the chain of one station, of so many rows.

    Attributes:
        station: its UUID.
        rows: how many there are.
        broken: the first that does not hold; None where an administrator let the trail go on after it.
        resumed: how often one did.
    """

    station: str
    rows: int
    broken: Broken | None = None
    resumed: int = 0


class Verifier:
    """Looks at the chains of a store, for one station; every method works within a transaction.

    Args:
        vault: the keys of the store.
        station: whose chain is looked into.
    """

    def __init__(self, vault: Vault, station: str) -> None:
        self._vault = vault
        self._station = station

    def verify(self, connection: Connection, anchor: Anchor | None = None) -> list[Verified]:
        """Looks at every row of every chain.

        Args:
            connection: the transaction; it sees one state of the store.
            anchor: what the station knows of its own chain.
        """
        heads = connection.execute(select(audit_heads).order_by(audit_heads.c.station)).mappings().all()
        found = [self._verify(connection, row, anchor if row["station"] == self._station else None) for row in heads]
        if anchor is not None and self._station not in {one.station for one in found}:
            found.append(Verified(station=self._station, rows=0, broken=Broken(number=anchor.number, why="missing")))
        known = select(audit_heads.c.station)
        stray = select(func.count(), func.min(audit.c.id)).where(
            audit.c.station.is_(None) | audit.c.number.is_(None) | audit.c.station.not_in(known)
        )
        count, first = connection.execute(stray).one()
        if count:
            found.append(Verified(station="", rows=count, broken=Broken(number=first, why="unchained")))
        return found

    def passes(self, connection: Connection, place: Anchor) -> bool:
        """True if the chain passes through a place that was its end once.

        So it does where retention has forgotten the place. It also does where an administrator has let the trail go on
        after it.
        """
        head = self._head(connection)
        if head is None or place.number < head.first - 1:
            return head is not None
        mac = head.before if place.number < head.first else self.mac(connection, place.number)
        if mac is not None and mac.hex() == place.mac:
            return True
        return self._is_resumed(connection, head, place.number)

    def unresolved(self, connection: Connection) -> int | None:
        """The number of the last row ``LOST`` that no administrator knows of."""
        lost, head = self.last_lost(connection), self._head(connection)
        if not lost or head is None:
            return lost or None
        return None if self._is_resumed(connection, head, lost) else lost

    def last_lost(self, connection: Connection) -> int:
        """The number of the last row ``LOST``; 0 where there is none."""
        return number_of(connection.execute(_LAST_LOST, {"of_station": self._station}).scalar())

    def mac(self, connection: Connection, number: int) -> bytes | None:
        """The hash of a row as it stands there; None where it is missing."""
        mac: object = connection.execute(_LINK, {"of_station": self._station, "at_number": number}).scalar()
        return mac if isinstance(mac, bytes) else None

    def walk(self, connection: Connection, head: ChainHead, anchor: Anchor | None = None) -> Walk:
        """Goes along a chain to its end."""
        walk = Walk(self._vault, head.before, head.first - 1)
        of_station = select(audit).where(audit.c.station == head.station, audit.c.number.is_not(None))
        for kept in pieces(connection, of_station, audit.c.number):
            walk.step(kept)
            if anchor is not None and walk.number == anchor.number and walk.mac.hex() != anchor.mac:
                walk.breaks.add(walk.number, "changed")
        if walk.number != head.last or walk.mac != head.mac or (anchor is not None and anchor.number > walk.number):
            walk.breaks.add(walk.number + 1, "missing")
        return walk

    def _verify(self, connection: Connection, row: RowMapping, anchor: Anchor | None) -> Verified:
        head = head_of(row)
        if not genuine(self._vault, row):
            return Verified(station=str(head.station), rows=0, broken=Broken(number=number_of(head.first), why="head"))
        walk = self.walk(connection, head, anchor)
        return Verified(station=head.station, rows=walk.count, broken=walk.breaks.first, resumed=walk.resumed)

    def _head(self, connection: Connection) -> ChainHead | None:
        row = row_of(connection, self._station)
        return None if row is None else head_of(row)

    def _is_resumed(self, connection: Connection, head: ChainHead, after: int) -> bool:
        """True if an administrator has let the trail go on after a row."""
        resumed = connection.execute(_RESUMED_AFTER, {"of_station": self._station, "after": after}).mappings()
        return any(self._follows(connection, head, row) for row in resumed.all())

    def _follows(self, connection: Connection, head: ChainHead, row: RowMapping) -> bool:
        """True if a row is linked with the row before it, as nobody without the key can do."""
        number = number_of(row["number"])
        before = head.before if number == head.first else self.mac(connection, number - 1)
        return before is not None and link(self._vault, before, row) == row["mac"]
