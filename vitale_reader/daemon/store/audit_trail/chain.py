"""Writing of a chain: lines are appended to the known one, or to one that says what was lost."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import asdict, replace
from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError

from vitale_reader.daemon.database.combined_writes import COUNTED, Write, write_together
from vitale_reader.daemon.database.database_errors import swallowed
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.audit_trail import heads, retention
from vitale_reader.daemon.store.audit_trail.entries import LOST, RESUMED, AuditEntry, link, number_of
from vitale_reader.daemon.store.audit_trail.heads import ChainHead
from vitale_reader.daemon.store.audit_trail.taken_lines import whole_lines
from vitale_reader.daemon.store.audit_trail.verification import Verifier
from vitale_reader.daemon.store.audit_trail.walk import Broken
from vitale_reader.daemon.store.local_anchor import Anchor, Remembered
from vitale_reader.daemon.store.tables import audit, audit_heads

__all__ = ["Chain", "End"]

logger = logging.getLogger(__name__)

#: How often the head is looked at again, where somebody else has moved it.
BELIEVED = 3

# Statements are constants: to build one anew costs more than to run it.
_APPEND = insert(audit)
_TAKE = (
    select(audit)
    .where(
        (audit.c.station == bindparam("of_station"))
        | audit.c.station.is_(None)
        | audit.c.station.not_in(select(audit_heads.c.station))
    )
    .order_by(audit.c.number)
    .limit(bindparam("most"))
)

#: Under this name a connection knows in which transaction the head was read first: what is read then is committed.
_SEEN_IN = "vitale-reader head"


class End(NamedTuple):
    """The end of a chain, and the memory of the store that it is in."""

    head: ChainHead
    memory: Remembered | None


class Chain:
    """The chains of one store, written for one station; every method works within a transaction.

    Args:
        vault: the keys of the store.
        station: whose chain is written.
        remembered: what the station knows of the store; None for a store of which it knows nothing.
        dialect: that of the store; what is in the station's spool is a chain of its own.
        spool: what the station knows of its spool.
        told: called after each piece of what is brought forward.
    """

    def __init__(
        self,
        vault: Vault,
        station: str,
        *,
        remembered: Remembered | None = None,
        dialect: str = "sqlite",
        spool: Remembered | None = None,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self.vault = vault
        self._believed: ChainHead | None = None
        #: Taken by whoever uses ``append_with``: of two that believe the same head, one would have to look again.
        self.turn = asyncio.Lock()
        self.station = station
        self.verifier = Verifier(vault, station)
        self._remembered = remembered
        self._dialect = dialect
        self._spool = spool
        self._told = told

    def begin(self, connection: Connection, *, at: float) -> None:
        """Begins the chain where there is none, or looks whether it is the one that the station knows.

        What version 0.1 wrote becomes its beginning.

        Args:
            connection: the transaction.
            at: now, epoch seconds.
        """
        row = heads.row_of(connection, self.station)
        memory = self._memory(connection)
        known = None if memory is None else memory.anchor
        last = heads.last_number(connection, self.station)
        if row is None and known is None and last is None:
            from vitale_reader.daemon.store.audit_trail.relinking import adopt  # noqa: PLC0415  once in its life

            head = heads.first_head(self.vault, self.station, 1)
            heads.put(connection, self.vault, head)
            adopt(connection, self.vault, head, self._told)
            if memory is not None:
                memory.saw_end(head.last, head.mac)
            return
        self._held_head(connection, at=at, whole=True)

    def append(self, connection: Connection, entry: AuditEntry, *more: AuditEntry) -> End:
        """Writes rows; of several at once, the head lets one pass after the other.

        Returns:
            The end of the chain, for ``written``.
        """
        head = self._append(connection, self._held_head(connection, at=entry.at), entry, *more)
        return End(head, self._memory(connection))

    def written(self, end: End) -> None:
        """Remembers what ``append`` gave, once its transaction is done."""
        if end.memory is not None:
            end.memory.saw_end(end.head.last, end.head.mac)

    def append_with(self, connection: Connection, entry: AuditEntry, writes: Sequence[Write]) -> bool:
        """Writes one row and what goes with it in one statement, or nothing.

        Args:
            connection: of PostgreSQL, where each statement is a transaction of its own.
            entry: the row.
            writes: what goes with it.

        Returns:
            Whether it was written. Otherwise the head is not what this station knows, or moved all the time. It has to
            be locked and looked into then.
        """
        for _ in range(BELIEVED):
            head, self._believed = self._believed or self._trusted(connection), None  # until there is an answer
            if head is None:
                return False
            (row,), moved = self._links(head, (entry,))
            after = (audit_heads, moved.sealed(self.vault))
            try:
                written = write_together(connection, (audit, row), head.seal(self.vault), after, writes)
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
        breaks = self.verifier.walk(connection, head).breaks
        if breaks.first is None:
            return None
        entry = AuditEntry(at=at, action=RESUMED, outcome="ok", client_id=client_id, jti=breaks.name, reason=reason)
        self._append(connection, head, entry)
        return breaks.first

    def take(self, connection: Connection, most: int, *, at: float) -> tuple[list[tuple[int, AuditEntry]], int]:
        """Takes the first rows of this station's chain, with their numbers, to be moved to another store.

        Rows and heads that were changed or damaged are forgotten. The log and the trail both say so.

        Args:
            connection: the transaction.
            most: rows that are looked at.
            at: now, epoch seconds.

        Returns:
            The rows, and how many others were forgotten.
        """
        forged = heads.forget_forged(connection, self.vault)
        row = heads.locked_row(connection, self.station)
        head = None if row is None else heads.head_of(row)
        rows = connection.execute(_TAKE, {"of_station": self.station, "most": most}).mappings().all()
        whole, damaged = whole_lines(self.vault, self.station, head, rows)
        if forged or damaged or (rows and head is None):
            connection.execute(delete(audit).where(audit.c.id.in_(damaged)))
            memory = self._memory(connection)
            self._lost(connection, head, None if memory is None else memory.anchor, at)
        return whole, forged + len(damaged)

    def drop(self, connection: Connection, last: int) -> None:
        """Forgets the rows up to a number, which are in another store now."""
        row = heads.locked_row(connection, self.station)
        mac = self.verifier.mac(connection, last)
        if row is None or mac is None or not heads.genuine(self.vault, row):
            return  # since they were taken: the next time it is seen
        if last < row["first"]:  # they stood before what was lost
            retention.forget(connection, self.station, last)
        else:
            retention.drop(connection, self.vault, heads.head_of(row), last=last, mac=mac)

    def anchor(self, connection: Connection) -> Anchor | None:
        """The end of this station's chain; None where its head was written by somebody else."""
        row = heads.row_of(connection, self.station)
        if row is None or not heads.genuine(self.vault, row):
            return None
        head = heads.head_of(row)
        return Anchor(number=head.last, mac=head.mac.hex())

    # ── inside ──

    def _memory(self, connection: Connection) -> Remembered | None:
        return self._remembered if connection.dialect.name == self._dialect else self._spool

    def _held_head(self, connection: Connection, *, at: float, whole: bool = False) -> ChainHead:
        """The head, locked; one that goes on after it where it is not the known chain's.

        Args:
            connection: the transaction.
            at: now, epoch seconds.
            whole: whether to look into the chain as well.
        """
        row = heads.locked_row(connection, self.station)
        # What was written in this transaction may be taken back yet.
        new = connection.info.get(_SEEN_IN) is not connection.get_transaction()
        connection.info[_SEEN_IN] = connection.get_transaction()
        memory = self._memory(connection) if new else None
        known = None if memory is None else memory.anchor
        head = None if row is None else heads.head_of(row)
        if head is None and known is None:
            return self._begun(connection, at)
        if head is None or not heads.genuine(self.vault, row):
            return self._lost(connection, None, known, at)
        if not self._ends(connection, head, row):
            return self._lost(connection, head, known, at)
        if known is not None and not self._continues(connection, head, known, whole=whole):
            return self._lost(connection, head, known, at)
        if memory is not None:
            if whole and known is None and memory.is_kept and head.last >= head.first:
                return self._lost(connection, head, None, at)  # that it was not put back is what was known
            memory.saw_end(head.last, head.mac)
        return head

    def _begun(self, connection: Connection, at: float) -> ChainHead:
        if heads.last_number(connection, self.station) is not None:
            return self._lost(connection, None, None, at)
        head = heads.first_head(self.vault, self.station, 1)
        heads.put(connection, self.vault, head)
        return head

    def _ends(self, connection: Connection, head: ChainHead, row: RowMapping | None = None) -> bool:
        """True if the chain ends as its head says: the last row is there, and none is behind it."""
        if row is not None and number_of(row["highest"]) > head.last:
            return False
        if head.last < head.first:
            return head.mac == head.before
        stands = row is not None and row["end_mac"] == head.mac
        return stands or self.verifier.mac(connection, head.last) == head.mac

    def _continues(self, connection: Connection, head: ChainHead, known: Anchor, *, whole: bool) -> bool:
        """True if a chain still passes through the known place, or says that it was lost after it."""
        if head.last < known.number:
            return False
        if head.last == known.number:
            return head.mac.hex() == known.mac
        if not whole or known.number < head.first - 1:
            return True
        mac = head.before if known.number < head.first else self.verifier.mac(connection, known.number)
        if mac is not None and mac.hex() == known.mac:
            return True
        return self.verifier.last_lost(connection) > known.number

    def _lost(self, connection: Connection, head: ChainHead | None, known: Anchor | None, at: float) -> ChainHead:
        """Goes on above all that is known, and says so in the trail and in the log."""
        last = number_of(heads.last_number(connection, self.station))
        number = max(last, head.last if head else 0, known.number if known else 0)
        what = "audit trail" if connection.dialect.name == self._dialect else "spool of this station, with its trail,"
        logger.error("the %s before line %d was put back, cut or lost: see `audit verify`", what, number + 1)
        if head is None:
            connection.execute(delete(audit_heads).where(audit_heads.c.station == self.station))
            head = heads.first_head(self.vault, self.station, number + 1)
            heads.put(connection, self.vault, head)
        else:
            head = replace(head, last=number)
        return self._append(connection, head, AuditEntry(at=at, action=LOST, outcome="store_unavailable"))

    def _append(self, connection: Connection, head: ChainHead, *entries: AuditEntry) -> ChainHead:
        rows, moved = self._links(head, entries)
        written = connection.execute(_APPEND, rows, execution_options=COUNTED)
        if 0 <= written.rowcount < len(rows):
            raise swallowed(audit.name)
        return heads.move(connection, self.vault, moved)

    def _links(self, head: ChainHead, entries: Sequence[AuditEntry]) -> tuple[list[dict[str, Any]], ChainHead]:
        """Rows that follow on a head, and the head after them."""
        rows: list[dict[str, Any]] = []
        mac = head.mac
        for number, entry in enumerate(entries, head.last + 1):
            row = {"station": self.station, "number": number} | asdict(entry)
            mac = link(self.vault, mac, row)
            rows.append(row | {"mac": mac})
        return rows, replace(head, last=head.last + len(rows), mac=mac)

    def _trusted(self, connection: Connection) -> ChainHead | None:
        """The head, not locked, if it is genuine and that of the chain that the station knows."""
        row = heads.row_of(connection, self.station)
        if row is None or not heads.genuine(self.vault, row):
            return None
        head, memory = heads.head_of(row), self._memory(connection)
        known = None if memory is None else memory.anchor
        whole = known is None or self._continues(connection, head, known, whole=False)
        return head if whole and self._ends(connection, head) else None


def _stands_in_the_way(error: IntegrityError) -> bool:
    """True if somebody else put a row where the next one of the chain would stand."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None) == "audit_chain"
