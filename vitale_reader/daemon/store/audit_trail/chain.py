"""The chain of the audit trail: each row of a station bears a keyed hash over itself and over the row before.

- ``audit_heads`` says, sealed, where the chain of each station begins and ends, so that rows cannot be taken off either
  end. Retention moves the beginning; what is left stays verifiable.
- Whoever writes to the database but has no key can remove the trail, not change it unseen. Whoever puts back an older
  database is seen by the anchor, the end of the chain as the station's own folder knows it (see ``audit``).
- A station whose trail was put back, cut or lost goes on above the highest number that it knows, with a row ``LOST``.
  The gap and the row are reported from then on, until an administrator writes a row ``RESUMED`` with a reason. That
  counts for the breaks of that time, and for no others.
- What goes on is linked with a row that is there, so that the reason of an administrator verifies.
- Retention takes away what verifies, and nothing else: the rest is evidence.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec.structs import asdict, replace
from sqlalchemy import Column, Connection, RowMapping, Select, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from vitale_reader.daemon.database.combined_writes import Write, write_together
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store import row_seals
from vitale_reader.daemon.store.local_anchor import Anchor, Remembered
from vitale_reader.daemon.store.tables import audit, audit_heads

__all__ = ["LOST", "RESUMED", "Anchor", "Broken", "Chain", "Entry", "Verified"]

logger = logging.getLogger(__name__)

#: The action of a row that follows on the loss of what came before, and of one that lets such a trail go on.
LOST, RESUMED = "audit.lost", "audit.resumed"

COLUMNS = ("station", "number", "at", "client_id", "action", "outcome", "medium", "reader", "jti")

#: Rows that are held in memory at a time, and rows that are forgotten in one transaction.
PIECE, MOST_FORGOTTEN = 2_000, 1_000

#: How often the head is looked at again, where somebody else has moved it.
BELIEVED = 3

#: A row that somebody else put above it is no reason to run out of numbers, of which PostgreSQL has 2³¹.
HIGHEST = 2_000_000_000

# Statements are constants: to build one anew costs more than to run it.
_OF_STATION = audit.c.station == bindparam("of_station")
_FIND_HEAD = select(audit_heads).where(audit_heads.c.station == bindparam("of_station"))
_LAST_NUMBER = select(func.max(audit.c.number)).where(_OF_STATION, audit.c.number <= HIGHEST)
_END_MAC = select(audit.c.mac).where(audit.c.station == audit_heads.c.station, audit.c.number == audit_heads.c.last)
# Where the head was waited for, its row is younger than what the rest of the statement sees.
_LOCK_HEAD = _FIND_HEAD.add_columns(
    _LAST_NUMBER.scalar_subquery().label("highest"), _END_MAC.scalar_subquery().label("end_mac")
).with_for_update(of=audit_heads)
_MOVE_HEAD = update(audit_heads).where(audit_heads.c.station == bindparam("of_station"))
_APPEND = insert(audit)
_TAKE = select(audit).where(_OF_STATION).order_by(audit.c.number).limit(bindparam("most"))
_LAST_LOST = select(func.max(audit.c.number)).where(
    _OF_STATION, audit.c.action == LOST, audit.c.outcome == "store_unavailable"
)
_RESUMED_AFTER = select(audit).where(
    _OF_STATION, audit.c.action == RESUMED, audit.c.outcome == "ok", audit.c.number > bindparam("after")
)
_LINK = select(audit.c.mac).where(_OF_STATION, audit.c.number == bindparam("at_number"))
_RELINK = (
    update(audit).where(audit.c.id == bindparam("of_id")).values(jti=bindparam("new_jti"), mac=bindparam("new_mac"))
)
_DROP = delete(audit).where(_OF_STATION, audit.c.number <= bindparam("up_to"))


#: Under this name a connection knows in which transaction the head was read first: what is read then is committed.
_SEEN_IN = "vitale-reader head"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line: ``action`` is a method of the wire, ``outcome`` ``ok`` or a catalogue reason; ``at`` epoch seconds."""

    at: float
    action: str
    outcome: str
    client_id: str | None = None
    medium: str | None = None
    reader: str | None = None
    jti: str | None = None
    reason: str | None = None


Why = Literal["changed", "missing", "unchained", "head", "lost", "resumed"]


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """The first row of a chain that does not hold.

    Attributes:
        number: the number of the row; for ``unchained`` its id.
        why: ``changed``, ``missing`` (removed, or never there), ``unchained`` (not written by this store), ``head``
            (the begin or the end of the chain was changed), or ``lost``. The last means that the daemon found the trail
            before it put back, cut or lost; it is ``resumed`` where version 0.1 found it.
    """

    number: int
    why: Why


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


class Breaks:
    """The breaks of a walk along a chain: the first, and a keyed hash over all of them."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.clear()

    def clear(self) -> None:
        """There are none, or an administrator knows of them."""
        self.first: Broken | None = None
        self.digest = b"breaks"

    def add(self, number: int, why: Why) -> None:
        """There is one more."""
        broken = Broken(number=number, why=why)
        self.first = self.first or broken
        self.digest = self._vault.link(self.digest, msgspec.json.encode(broken))

    @property
    def name(self) -> str:
        """The hash as a row bears it."""
        return self.digest.hex()[:32]


class Chain:
    """The chains of one store, written for one station; every method works within a transaction.

    Args:
        vault: the keys of the store.
        station: whose chain is written.
        remembered: what the station knows of the store; None for a store of which it knows nothing.
        dialect: that of the store: what is done in the station's spool is no matter of the memory.
    """

    def __init__(
        self, vault: Vault, station: str, *, remembered: Remembered | None = None, dialect: str = "sqlite"
    ) -> None:
        self._vault = vault
        self._believed: Head | None = None
        #: Taken by whoever uses ``append_with``: of two that believe the same head, one would have to look again.
        self.turn = asyncio.Lock()
        self.station = station
        self._remembered = remembered
        self._dialect = dialect

    def begin(self, connection: Connection, *, at: float) -> None:
        """Begins the chain where there is none, or looks whether it is the one that the station knows.

        What version 0.1 wrote becomes its beginning.

        Args:
            connection: the transaction.
            at: now, epoch seconds.
        """
        row = connection.execute(_FIND_HEAD, {"of_station": self.station}).mappings().first()
        known = self._known(connection)
        last = connection.execute(_LAST_NUMBER, {"of_station": self.station}).scalar()
        if row is None and known is None and last is None:
            head = self._first_head(1)
            connection.execute(insert(audit_heads), head.sealed(self._vault))
            self._adopt(connection, head)
            return
        self._held_head(connection, at=at, whole=True)

    def append(self, connection: Connection, entry: Entry, *more: Entry) -> Anchor | None:
        """Writes rows; of several at once, the head lets one pass after the other.

        Returns:
            The end of the chain, for ``written``; None in the station's spool.
        """
        head = self._append(connection, self._held_head(connection, at=entry.at), entry, *more)
        return Anchor(number=head.last, mac=head.mac.hex()) if connection.dialect.name == self._dialect else None

    def written(self, end: Anchor | None) -> None:
        """Remembers what ``append`` gave, once its transaction is done."""
        if end is not None and self._remembered is not None:
            self._remembered.saw_end(end.number, bytes.fromhex(end.mac))

    def append_with(self, connection: Connection, entry: Entry, writes: Sequence[Write]) -> bool:
        """Writes one row and what goes with it in one statement, or nothing.

        Args:
            connection: of PostgreSQL, where each statement is a transaction of its own.
            entry: the row.
            writes: what goes with it.

        Returns:
            Whether it was written; else the head is not what this station knows, or moved all the time, and has to be
            locked and looked into.
        """
        for _ in range(BELIEVED):
            head, self._believed = self._believed or self._trusted(connection), None  # until there is an answer
            if head is None:
                return False
            (row,), moved = self._links(head, (entry,))
            after = (audit_heads, moved.sealed(self._vault))
            try:
                written = write_together(connection, (audit, row), head.seal(self._vault), after, writes)
            except IntegrityError as error:
                if _stands_in_the_way(error):
                    return False
                raise
            if written:
                self._believed = moved
                if self._remembered is not None:
                    self._remembered.saw_end(moved.last, moved.mac)
                return True
        return False

    def resume(self, connection: Connection, *, at: float, reason: str, client_id: str) -> Broken | None:
        """Lets a broken trail go on, as an administrator told; gives the first break, None where it was whole.

        Args:
            connection: the transaction.
            at: now, epoch seconds.
            reason: why, in the administrator's words.
            client_id: who it was.
        """
        head = self._held_head(connection, at=at, whole=True)
        breaks, _, _ = self._walk(connection, head)
        if breaks.first is None:
            return None
        entry = Entry(at=at, action=RESUMED, outcome="ok", client_id=client_id, jti=breaks.name, reason=reason)
        self._append(connection, head, entry)
        return breaks.first

    def relink(self, connection: Connection, former: Vault) -> int:
        """Links the chain anew, which was written with other keys; how many rows there were.

        It has to be whole. The breaks that an administrator knows of stay known.

        Args:
            connection: the transaction.
            former: those other keys.
        """
        row = connection.execute(_LOCK_HEAD, {"of_station": self.station}).mappings().first()
        if row is None or not _genuine(former, row):
            return 0
        head = _head_of(row)
        breaks, walk = Breaks(self._vault), _Walk(self._first_head(1).before, head.first - 1)
        before, count = walk.mac, 0
        for piece in _many(connection, select(audit).where(_OF_STATION), {"of_station": self.station}):
            changes: list[dict[str, Any]] = []
            for kept in piece:
                if kept["number"] > walk.number + 1:
                    breaks.add(walk.number + 1, "missing")
                    walk.number = kept["number"] - 1
                jti = breaks.name if kept["action"] == RESUMED and kept["reason"] is not None else kept["jti"]
                mac = self._link(walk.mac, {**kept, "jti": jti})
                self._step(walk, {**kept, "jti": jti, "mac": mac}, breaks)
                changes.append({"of_id": kept["id"], "new_jti": jti, "new_mac": mac})
            connection.execute(_RELINK, changes)
            count += len(changes)
        self._move(connection, head, before=before, last=walk.number, mac=walk.mac)
        return count

    def unresolved(self, connection: Connection) -> int | None:
        """The number of the last row ``LOST`` that no administrator knows of."""
        lost, head = self._last_lost(connection), self._head(connection)
        after = {"of_station": self.station, "after": lost}
        if not lost or head is None:
            return lost or None
        resumed = connection.execute(_RESUMED_AFTER.limit(PIECE), after).mappings()
        return None if any(self._follows(connection, head, row) for row in resumed.all()) else lost

    def purge(self, connection: Connection, before: float) -> int:
        """Forgets, of a station, the rows older than ``before`` up to the first that is not; how many there were.

        Not more than a piece of them: there is nothing to forget, of any station, when there was none. Rows that do not
        verify stay.
        """
        stations = select(audit_heads.c.station).order_by(audit_heads.c.station)
        counts = (self._purge(connection, each, before) for each in connection.execute(stations).scalars().all())
        return next((count for count in counts if count), 0)

    def take(self, connection: Connection, most: int) -> list[tuple[int, Entry]]:
        """The first rows of this station's chain, with their numbers, to be moved to another store."""
        rows = connection.execute(_TAKE, {"of_station": self.station, "most": most}).mappings().all()
        return [(row["number"], Entry(**{name: row[name] for name in Entry.__struct_fields__})) for row in rows]

    def drop(self, connection: Connection, last: int) -> None:
        """Forgets the rows up to a number, which are in another store now."""
        head = self._head(connection, for_update=True)
        link = self._mac(connection, last)
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

    def passes(self, connection: Connection, place: Anchor) -> bool:
        """True if the chain passes through a place that was its end once.

        So it does where retention has forgotten the place, or an administrator has let the trail go on after it.
        """
        head = self._head(connection)
        if head is None or place.number < head.first - 1:
            return head is not None
        mac = head.before if place.number < head.first else self._mac(connection, place.number)
        if mac is not None and mac.hex() == place.mac:
            return True
        after = {"of_station": self.station, "after": place.number}
        resumed = connection.execute(_RESUMED_AFTER.limit(PIECE), after).mappings()
        return any(self._follows(connection, head, row) for row in resumed.all())

    def sealed(self, table: Table, row: row_seals.Row) -> dict[str, Any]:
        """A row of another table of the store with its seal."""
        return row_seals.sealed(self._vault, table, row)

    def holds(self, table: Table, row: row_seals.Row) -> bool:
        """True if a row of another table of the store bears its seal."""
        return row_seals.holds(self._vault, table, row)

    def rows(self, connection: Connection, station: str | None = None) -> Iterator[RowMapping]:
        """Every row, or those of a station, in the order in which they were written."""
        query = select(audit) if station is None else select(audit).where(audit.c.station == station)
        yield from _pieces(connection, query, audit.c.id)

    # ── inside ──

    def _last_lost(self, connection: Connection) -> int:
        return _number(connection.execute(_LAST_LOST, {"of_station": self.station}).scalar())

    def _mac(self, connection: Connection, number: int) -> bytes | None:
        """The hash of a row as it stands there; None where it is missing."""
        mac: object = connection.execute(_LINK, {"of_station": self.station, "at_number": number}).scalar()
        return mac if isinstance(mac, bytes) else None

    def _follows(self, connection: Connection, head: Head, row: RowMapping) -> bool:
        """True if a row is linked with the row before it, as nobody without the key can do."""
        number = _number(row["number"])
        before = head.before if number == head.first else self._mac(connection, number - 1)
        return before is not None and self._link(before, row) == row["mac"]

    def _known(self, connection: Connection) -> Anchor | None:
        there = self._remembered is not None and connection.dialect.name == self._dialect
        return self._remembered.anchor if self._remembered is not None and there else None

    def _held_head(self, connection: Connection, *, at: float, whole: bool = False) -> Head:
        """The head, locked; where it is not that of the chain that the station knows, one that goes on after it.

        Args:
            connection: the transaction.
            at: now, epoch seconds.
            whole: whether to look into the chain as well.
        """
        row = connection.execute(_LOCK_HEAD, {"of_station": self.station}).mappings().first()
        # What was written in this transaction may be taken back yet.
        new = connection.info.get(_SEEN_IN) is not connection.get_transaction()
        connection.info[_SEEN_IN] = connection.get_transaction()
        known = self._known(connection) if new else None
        head = None if row is None else _head_of(row)
        if head is None and known is None:
            return self._begun(connection, at)
        if head is None or not _genuine(self._vault, row):
            return self._lost(connection, None, known, at)
        if not self._ends(connection, head, row):
            return self._lost(connection, head, known, at)
        if known is not None and not self._continues(connection, head, known, whole=whole):
            return self._lost(connection, head, known, at)
        if new and self._remembered is not None and connection.dialect.name == self._dialect:
            self._remembered.saw_end(head.last, head.mac)
        return head

    def _begun(self, connection: Connection, at: float) -> Head:
        last = connection.execute(_LAST_NUMBER, {"of_station": self.station}).scalar()
        if last is not None:
            return self._lost(connection, None, None, at)
        head = self._first_head(1)
        connection.execute(insert(audit_heads), head.sealed(self._vault))
        return head

    def _ends(self, connection: Connection, head: Head, row: RowMapping | None = None) -> bool:
        """True if the last row is there as the head has it, to be linked with the next, and none is behind it."""
        if row is not None and _number(row["highest"]) > head.last:
            return False
        if head.last < head.first:
            return head.mac == head.before
        return (row is not None and row["end_mac"] == head.mac) or self._mac(connection, head.last) == head.mac

    def _continues(self, connection: Connection, head: Head, known: Anchor, *, whole: bool) -> bool:
        """True if a chain still passes through the place that the station knows, or says that it was lost after it."""
        if head.last < known.number:
            return False
        if head.last == known.number:
            return head.mac.hex() == known.mac
        if not whole or known.number < head.first - 1:
            return True
        link = head.before if known.number < head.first else self._mac(connection, known.number)
        if link is not None and link.hex() == known.mac:
            return True
        return self._last_lost(connection) > known.number

    def _lost(self, connection: Connection, head: Head | None, known: Anchor | None, at: float) -> Head:
        """Goes on above all that is known, and says so in the trail and in the log."""
        last = connection.execute(_LAST_NUMBER, {"of_station": self.station}).scalar()
        number = max(last if isinstance(last, int) else 0, head.last if head else 0, known.number if known else 0)
        logger.error("the audit trail before line %d was put back, cut or lost: see `audit verify`", number + 1)
        if head is None:
            connection.execute(delete(audit_heads).where(audit_heads.c.station == self.station))
            head = self._first_head(number + 1)
            connection.execute(insert(audit_heads), head.sealed(self._vault))
        else:
            head = replace(head, last=number)
        return self._append(connection, head, Entry(at=at, action=LOST, outcome="store_unavailable"))

    def _append(self, connection: Connection, head: Head, *entries: Entry) -> Head:
        rows, moved = self._links(head, entries)
        connection.execute(_APPEND, rows)
        connection.execute(_MOVE_HEAD, {"of_station": head.station} | moved.sealed(self._vault))
        return moved

    def _links(self, head: Head, entries: Sequence[Entry]) -> tuple[list[dict[str, Any]], Head]:
        """Rows that follow on a head, and the head after them."""
        rows: list[dict[str, Any]] = []
        mac = head.mac
        for number, entry in enumerate(entries, head.last + 1):
            row = {"station": self.station, "number": number} | asdict(entry)
            mac = self._link(mac, row)
            rows.append(row | {"mac": mac})
        return rows, replace(head, last=head.last + len(rows), mac=mac)

    def _trusted(self, connection: Connection) -> Head | None:
        """The head, not locked, if it is genuine and that of the chain that the station knows."""
        row = connection.execute(_FIND_HEAD, {"of_station": self.station}).mappings().first()
        if row is None or not _genuine(self._vault, row):
            return None
        head, known = _head_of(row), self._known(connection)
        whole = known is None or self._continues(connection, head, known, whole=False)
        return head if whole and self._ends(connection, head) else None

    def _verify(self, connection: Connection, row: RowMapping, anchor: Anchor | None) -> Verified:
        head = _head_of(row)
        if not _genuine(self._vault, row):
            return Verified(station=str(head.station), rows=0, broken=Broken(number=_number(head.first), why="head"))
        breaks, count, resumed = self._walk(connection, head, anchor)
        return Verified(station=head.station, rows=count, broken=breaks.first, resumed=resumed)

    def _walk(self, connection: Connection, head: Head, anchor: Anchor | None = None) -> tuple[Breaks, int, int]:
        """The breaks of a chain of which no administrator knows, its rows, and how often one let it go on."""
        breaks = Breaks(self._vault)
        walk = _Walk(head.before, head.first - 1)
        of_station = select(audit).where(audit.c.station == head.station, audit.c.number.is_not(None))
        for kept in _pieces(connection, of_station, audit.c.number):
            self._step(walk, kept, breaks)
            if anchor is not None and walk.number == anchor.number and walk.mac.hex() != anchor.mac:
                breaks.add(walk.number, "changed")
        if walk.number != head.last or walk.mac != head.mac or (anchor is not None and anchor.number > walk.number):
            breaks.add(walk.number + 1, "missing")
        return breaks, walk.count, walk.resumed

    def _step(self, walk: "_Walk", kept: Mapping[Any, Any], breaks: Breaks) -> None:
        """One row further; after one that does not hold, the walk goes on from what the row says of itself."""
        if not isinstance(kept["number"], int) or kept["number"] <= walk.number:  # SQLite keeps whatever is put there
            breaks.add(_number(kept["number"]), "changed")
            return
        if kept["number"] > walk.number + 1:
            breaks.add(walk.number + 1, "missing")
        walk.number = kept["number"]
        mac = self._link(walk.mac, kept)
        if mac != kept["mac"]:
            breaks.add(walk.number, "changed")
            walk.mac = kept["mac"] if isinstance(kept["mac"], bytes) else b""
            return
        walk.mac = mac
        walk.count += 1
        if kept["action"] == RESUMED and kept["reason"] is not None and kept["jti"] == breaks.name:
            walk.resumed += 1
            breaks.clear()
        elif kept["action"] in (LOST, RESUMED) and kept["outcome"] != "ok":
            breaks.add(walk.number, "lost" if kept["action"] == LOST else "resumed")

    def _purge(self, connection: Connection, station: str, before: float) -> int:
        """A piece of the rows of a station; its head is locked for no longer than it takes to forget them."""
        row = connection.execute(_FIND_HEAD, {"of_station": station}).mappings().first()
        if row is None or not _genuine(self._vault, row):
            return 0
        seen = _head_of(row)
        mac, last = self._whole_before(connection, seen, before)
        if last < seen.first:
            return 0
        row = connection.execute(_LOCK_HEAD, {"of_station": station}).mappings().first()
        if row is None or not _genuine(self._vault, row):
            return 0
        head = _head_of(row)
        if (head.first, head.before) != (seen.first, seen.before):
            return 0  # another desk forgets them
        count = connection.execute(_DROP, {"of_station": station, "up_to": last}).rowcount
        self._move(connection, head, first=last + 1, before=mac)
        return count

    def _whole_before(self, connection: Connection, head: Head, before: float) -> tuple[bytes, int]:
        """The last of the first rows that verify, are older, and are a piece at most: its hash and its number.

        What is behind a break is evidence, until an administrator has let the trail go on.
        """
        breaks, walk = Breaks(self._vault), _Walk(head.before, head.first - 1)
        whole = walk.mac, walk.number
        of_station = select(audit).where(audit.c.station == head.station, audit.c.number.between(0, head.last))
        for kept in _pieces(connection, of_station, audit.c.number, MOST_FORGOTTEN):
            if not isinstance(kept["at"], float | int) or kept["at"] >= before:
                break
            self._step(walk, kept, breaks)
            if breaks.first is None:
                whole = walk.mac, walk.number
                if walk.count >= MOST_FORGOTTEN:
                    break
        return whole

    def _adopt(self, connection: Connection, head: Head) -> None:
        statement = (
            update(audit)
            .where(audit.c.id == bindparam("of_id"))
            .values(station=self.station, number=bindparam("new_number"), mac=bindparam("new_mac"))
        )
        mac, number = head.mac, head.last
        of_before = select(audit).where(audit.c.station.is_(None)).order_by(audit.c.id).limit(PIECE)
        while rows := connection.execute(of_before).mappings().all():
            changes: list[dict[str, Any]] = []
            for row in rows:
                number += 1
                mac = self._link(mac, dict(row) | {"station": self.station, "number": number})
                changes.append({"of_id": row["id"], "new_number": number, "new_mac": mac})
            connection.execute(statement, changes)
            logger.info("%d lines of the audit trail were brought forward", number)
        self._move(connection, head, last=number, mac=mac)

    def _first_head(self, number: int) -> Head:
        start = self._vault.link(b"start", self.station.encode())
        return Head(station=self.station, first=number, before=start, last=number - 1, mac=start)

    def _head(self, connection: Connection, station: str | None = None, *, for_update: bool = False) -> Head | None:
        query = _LOCK_HEAD if for_update else _FIND_HEAD
        row = connection.execute(query, {"of_station": station or self.station}).mappings().first()
        return None if row is None else _head_of(row)

    def _move(self, connection: Connection, head: Head, **changes: Any) -> Head:
        moved = replace(head, **changes)
        connection.execute(_MOVE_HEAD, {"of_station": head.station} | moved.sealed(self._vault))
        return moved

    def _link(self, before: bytes, row: Mapping[Any, Any]) -> bytes:
        members = [row[name] for name in COLUMNS]
        # Rows of versions before bear none, and are linked as they were.
        if row["reason"] is not None:
            members.append(row["reason"])
        return self._vault.link(before, msgspec.json.encode(members))


class _Walk:
    """Position of a walk along a chain."""

    def __init__(self, mac: bytes, number: int) -> None:
        self.mac = mac
        self.number = number
        self.count = 0
        self.resumed = 0


def _genuine(vault: Vault, row: RowMapping | None) -> bool:
    """True if a head bears its seal; what SQLite took in spite of the types of its columns does not."""
    if row is None:
        return False
    head = _head_of(row)
    kinds = (str, int, bytes, int, bytes)
    if not all(isinstance(value, kind) for value, kind in zip(msgspec.structs.astuple(head), kinds, strict=True)):
        return False
    return bool(head.seal(vault) == row["seal"])


def _stands_in_the_way(error: IntegrityError) -> bool:
    """True if somebody else put a row where the next one of the chain would stand."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None) == "audit_chain"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _pieces(connection: Connection, query: Select[Any], key: Column[int], most: int = PIECE) -> Iterator[RowMapping]:
    piece = connection.execute(query.order_by(key).limit(most)).mappings().all()
    while piece:
        yield from piece
        piece = connection.execute(query.where(key > piece[-1][key]).order_by(key).limit(most)).mappings().all()


def _many(connection: Connection, query: Select[Any], values: Mapping[str, Any]) -> Iterator[Sequence[RowMapping]]:
    """The rows of a chain, piece by piece, which may be changed meanwhile; not their numbers."""
    last = -1
    while (
        piece := connection.execute(
            query.where(audit.c.number > last).order_by(audit.c.number).limit(PIECE), dict(values)
        )
        .mappings()
        .all()
    ):
        yield piece
        last = piece[-1]["number"]


def _head_of(row: RowMapping) -> Head:
    return Head(**{name: row[name] for name in Head.__struct_fields__})
