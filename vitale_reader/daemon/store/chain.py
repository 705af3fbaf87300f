"""The chain of the audit trail: each row of a station bears a keyed hash over itself and over the row before.

- ``audit_heads`` says, sealed, where the chain of each station begins and ends, so that rows cannot be taken off either
  end. Retention moves the beginning; what is left stays verifiable.
- Whoever writes to the database but has no key can remove the trail, not change it unseen. Whoever puts back an older
  database is seen by the anchor, the end of the chain as the station's own folder knows it (see ``audit``).
- A station whose head is gone begins again, and says so in a row ``RESUMED`` for as long as that is kept.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import asdict, replace
from sqlalchemy import Column, Connection, RowMapping, Select, bindparam, delete, func, insert, select, update

from vitale_reader.daemon.keystore.vault import Vault
from vitale_reader.daemon.store.tables import audit, audit_heads

__all__ = ["RESUMED", "Anchor", "Broken", "Chain", "Entry", "Verified"]

#: The action of a row that follows on the loss of what came before.
RESUMED = "audit.resumed"

COLUMNS = ("station", "number", "at", "client_id", "action", "outcome", "medium", "reader", "jti")

#: Rows that are held in memory at a time.
PIECE = 2_000

# Statements are constants: to build one anew costs more than to run it.
_OF_STATION = audit.c.station == bindparam("of_station")
_FIND_HEAD = select(audit_heads).where(audit_heads.c.station == bindparam("of_station"))
_LOCK_HEAD = _FIND_HEAD.with_for_update()
_MOVE_HEAD = update(audit_heads).where(audit_heads.c.station == bindparam("of_station"))
_APPEND = insert(audit)
_TAKE = select(audit).where(_OF_STATION).order_by(audit.c.number).limit(bindparam("most"))
_LINK = select(audit.c.mac).where(_OF_STATION, audit.c.number == bindparam("at_number"))
_DROP = delete(audit).where(_OF_STATION, audit.c.number <= bindparam("up_to"))
_FIRST_KEPT = select(func.min(audit.c.number)).where(_OF_STATION, audit.c.at >= bindparam("since"))


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line: ``action`` is a method of the wire, ``outcome`` ``ok`` or a catalogue reason; ``at`` epoch seconds."""

    at: float
    action: str
    outcome: str
    client_id: str | None = None
    medium: str | None = None
    reader: str | None = None
    jti: str | None = None


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the chain that was its end once: the number of a row and its hash, hex."""

    number: int
    mac: str


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """The first row of a chain that does not hold.

    Attributes:
        number: the number of the row; for ``unchained`` its id.
        why: ``changed``, ``missing`` (removed, or never there), ``unchained`` (nobody of this store wrote it),
            ``head`` (where the chain begins and ends was changed), ``resumed`` (the trail before it was lost).
    """

    number: int
    why: Literal["changed", "missing", "unchained", "head", "resumed"]


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of the chain of one station, of so many rows."""

    station: str
    rows: int
    broken: Broken | None = None


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``audit_heads``: the first row that is kept and the hash before it, the last row and its hash."""

    station: str
    first: int
    before: bytes
    last: int
    mac: bytes

    def sealed(self, vault: Vault) -> dict[str, Any]:
        """The row with its seal."""
        return asdict(self) | {"seal": self.seal(vault)}

    def seal(self, vault: Vault) -> bytes:
        """A keyed hash over the rest."""
        return vault.link(b"head", msgspec.json.encode([self.station, self.first, self.before, self.last, self.mac]))


class Chain:
    """The chains of one store, written for one station; every method works within a transaction."""

    def __init__(self, vault: Vault, station: str) -> None:
        self._vault = vault
        self.station = station

    def begin(self, connection: Connection, *, anchored: bool, at: float) -> None:
        """Begins the chain where there is none; what version 0.1 wrote becomes its beginning.

        Args:
            connection: the transaction.
            anchored: whether there should be one.
            at: now, epoch seconds.
        """
        if self._head(connection) is not None:
            return
        last = connection.execute(select(func.max(audit.c.number)).where(audit.c.station == self.station)).scalar()
        head = self._first_head((last or 0) + 1)
        connection.execute(insert(audit_heads), head.sealed(self._vault))
        if last is not None or anchored:
            self.append(connection, Entry(at=at, action=RESUMED, outcome="store_unavailable"))
        else:
            self._adopt(connection, head)

    def append(self, connection: Connection, entry: Entry) -> None:
        """Writes one row; of several at once, the head lets one pass after the other."""
        head = self._head(connection, for_update=True)
        if head is None:
            self.begin(connection, anchored=False, at=entry.at)
            head = self._head(connection, for_update=True) or self._first_head(1)
        row = {"station": self.station, "number": head.last + 1} | asdict(entry)
        mac = self._link(head.mac, row)
        connection.execute(_APPEND, row | {"mac": mac})
        self._move(connection, head, last=head.last + 1, mac=mac)

    def purge(self, connection: Connection, before: float) -> int:
        """Forgets, of each station, the rows older than ``before`` up to the first that is not; how many there were."""
        stations = select(audit_heads.c.station).order_by(audit_heads.c.station)
        return sum(self._purge(connection, station, before) for station in connection.execute(stations).scalars().all())

    def take(self, connection: Connection, most: int) -> list[tuple[int, Entry]]:
        """The first rows of this station's chain, with their numbers, to be moved to another store."""
        rows = connection.execute(_TAKE, {"of_station": self.station, "most": most}).mappings().all()
        return [(row["number"], Entry(**{name: row[name] for name in Entry.__struct_fields__})) for row in rows]

    def drop(self, connection: Connection, last: int) -> None:
        """Forgets the rows up to a number, which are in another store now."""
        head = self._head(connection, for_update=True)
        link = connection.execute(_LINK, {"of_station": self.station, "at_number": last}).scalar()
        if head is not None and link is not None:
            connection.execute(_DROP, {"of_station": self.station, "up_to": last})
            self._move(connection, head, first=last + 1, before=link)

    def anchor(self, connection: Connection) -> Anchor | None:
        """The end of this station's chain."""
        head = self._head(connection)
        return None if head is None else Anchor(number=head.last, mac=head.mac.hex())

    def verify(self, connection: Connection, anchor: Anchor | None = None) -> list[Verified]:
        """Looks at every row of every chain.

        Args:
            connection: the transaction; it sees one state of the store.
            anchor: what the station knows of its own chain.
        """
        heads = connection.execute(select(audit_heads).order_by(audit_heads.c.station)).mappings().all()
        found = [self._verify(connection, row, anchor if row["station"] == self.station else None) for row in heads]
        if anchor is not None and self.station not in {one.station for one in found}:
            found.append(Verified(station=self.station, rows=0, broken=Broken(number=anchor.number, why="missing")))
        known = select(audit_heads.c.station)
        stray = select(func.count(), func.min(audit.c.id)).where(
            audit.c.station.is_(None) | audit.c.number.is_(None) | audit.c.station.not_in(known)
        )
        count, first = connection.execute(stray).one()
        if count:
            found.append(Verified(station="", rows=count, broken=Broken(number=first, why="unchained")))
        return found

    def rows(self, connection: Connection, station: str | None = None) -> Iterator[RowMapping]:
        """Every row, or those of a station, in the order in which they were written."""
        query = select(audit) if station is None else select(audit).where(audit.c.station == station)
        yield from _pieces(connection, query, audit.c.id)

    # ── inside ──

    def _verify(self, connection: Connection, row: RowMapping, anchor: Anchor | None) -> Verified:
        head = _head_of(row)
        count = 0

        def broken(number: int, why: Literal["changed", "missing", "head", "resumed"]) -> Verified:
            return Verified(station=head.station, rows=count, broken=Broken(number=number, why=why))

        if head.seal(self._vault) != row["seal"]:
            return broken(head.first, "head")
        mac, number = head.before, head.first - 1
        of_station = select(audit).where(audit.c.station == head.station, audit.c.number.is_not(None))
        for kept in _pieces(connection, of_station, audit.c.number):
            number += 1
            if not isinstance(kept["number"], int):  # SQLite keeps whatever somebody puts there
                return broken(number, "changed")
            if kept["number"] != number:
                return broken(number, "missing") if kept["number"] > number else broken(kept["number"], "changed")
            mac = self._link(mac, kept)
            if mac != kept["mac"]:
                return broken(number, "changed")
            if kept["action"] == RESUMED:
                return broken(number, "resumed")
            if anchor is not None and number == anchor.number and mac.hex() != anchor.mac:
                return broken(number, "changed")
            count += 1
        if number != head.last or mac != head.mac:
            return broken(number + 1, "missing")
        if anchor is not None and anchor.number > number:
            return broken(number + 1, "missing")
        return Verified(station=head.station, rows=count)

    def _purge(self, connection: Connection, station: str, before: float) -> int:
        head = self._head(connection, station, for_update=True)
        if head is None:
            return 0
        keep = connection.execute(_FIRST_KEPT, {"of_station": station, "since": before}).scalar()
        first = head.last + 1 if keep is None else keep
        if not isinstance(first, int) or first <= head.first:
            return 0
        link = connection.execute(_LINK, {"of_station": station, "at_number": first - 1}).scalar()
        if link is None:
            return 0  # somebody was here: what is left is evidence
        count = connection.execute(_DROP, {"of_station": station, "up_to": first - 1}).rowcount
        self._move(connection, head, first=first, before=link)
        return count

    def _adopt(self, connection: Connection, head: Head) -> None:
        old = select(audit).where(audit.c.station.is_(None)).order_by(audit.c.id)
        mac, number = head.mac, head.last
        for row in connection.execute(old).mappings().all():
            number += 1
            mine = dict(row) | {"station": self.station, "number": number}
            mac = self._link(mac, mine)
            values = {"station": self.station, "number": number, "mac": mac}
            connection.execute(update(audit).where(audit.c.id == row["id"]).values(**values))
        self._move(connection, head, last=number, mac=mac)

    def _first_head(self, number: int) -> Head:
        start = self._vault.link(b"start", self.station.encode())
        return Head(station=self.station, first=number, before=start, last=number - 1, mac=start)

    def _head(self, connection: Connection, station: str | None = None, *, for_update: bool = False) -> Head | None:
        query = _LOCK_HEAD if for_update else _FIND_HEAD
        row = connection.execute(query, {"of_station": station or self.station}).mappings().first()
        return None if row is None else _head_of(row)

    def _move(self, connection: Connection, head: Head, **changes: Any) -> None:
        moved = replace(head, **changes)
        connection.execute(_MOVE_HEAD, {"of_station": head.station} | moved.sealed(self._vault))

    def _link(self, before: bytes, row: Mapping[Any, Any]) -> bytes:
        return self._vault.link(before, msgspec.json.encode([row[name] for name in COLUMNS]))


def _pieces(connection: Connection, query: Select[Any], key: Column[int]) -> Iterator[RowMapping]:
    piece = connection.execute(query.order_by(key).limit(PIECE)).mappings().all()
    while piece:
        yield from piece
        piece = connection.execute(query.where(key > piece[-1][key]).order_by(key).limit(PIECE)).mappings().all()


def _head_of(row: RowMapping) -> Head:
    return Head(**{name: row[name] for name in Head.__struct_fields__})
