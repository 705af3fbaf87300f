"""The audit trail: who asked for what, when, with which outcome; never about whom.

Its rows are a chain (``chain``). Its end is noted in the station's own folder as well, from time to time
(``local_anchor``). That detects a database put back to an earlier state, at the start and at the next act.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.database.combined_writes import Write, write_one_by_one
from vitale_reader.daemon.database.expiry import in_pieces
from vitale_reader.daemon.store.audit_trail import retention
from vitale_reader.daemon.store.audit_trail.chain import Chain, End
from vitale_reader.daemon.store.audit_trail.entries import AuditEntry
from vitale_reader.daemon.store.audit_trail.lost_lines import LostLines
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Anchor, Remembered
from vitale_reader.daemon.store.store import Database

__all__ = ["Audit", "append"]

logger = logging.getLogger(__name__)

DAY = 86_400.0


class Audit:
    """The audit trail in the store.

    Args:
        store: the store.
        chain: what its rows are linked with.
        remembered: what the station knows of the store.
        days: for how long it is kept.
        clock: the time of the store.
        export: takes each end of the chain that is noted, to bring it off the machine.
    """

    def __init__(
        self,
        store: Database,
        chain: Chain,
        *,
        remembered: Remembered,
        days: int,
        clock: StoreClock,
        export: Callable[[Anchor], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._chain = chain
        self._remembered = remembered
        self._days = days
        self._clock = clock
        self._export = export
        self._lost = LostLines()

    async def open(self) -> None:
        """Begins the chain, or finds it.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        now = self._clock.now()
        await self._store.run(lambda connection: self._chain.begin(connection, at=now))
        await self._tell()
        with contextlib.suppress(StoreUnavailable):  # the database of a site may be away
            await self.drop_anchor()

    async def note(
        self,
        action: str,
        outcome: str,
        *,
        client_id: str | None = None,
        medium: str | None = None,
        reader: str | None = None,
    ) -> None:
        """Writes one line of something that has happened already; where it cannot be written, the log says so."""
        entry = AuditEntry(
            at=self._clock.now(), action=action, outcome=outcome, client_id=client_id, medium=medium, reader=reader
        )
        try:
            await append(self._store, self._chain, entry)
        except StoreUnavailable as error:
            self._lost.lose(action, outcome, error)
        else:
            self._lost.sum_up_when_due()

    async def purge(self) -> int:
        """Forgets the lines that are older than the retention, and drops the anchor; returns how many there were.

        Raises:
            StoreUnavailable: the store cannot be written.
        """

        def work(connection: Connection) -> int:
            return retention.purge(connection, self._chain.vault, self._clock.purging(connection) - self._days * DAY)

        count = await in_pieces("audit", lambda: self._store.run(work, needs="site"))
        await self.drop_anchor()
        await self._tell()
        return count

    async def close(self) -> None:
        """Drops the anchor a last time, as well as can be."""
        self._lost.sum_up()
        try:
            await self.drop_anchor()
        except StoreUnavailable as error:
            logger.error("where the audit trail ends could not be looked up: %s", error)

    async def drop_anchor(self) -> None:
        """Writes down where the chain ends now; a place before the one that is known is never written.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        anchor = await self._store.run(self._chain.anchor, needs="site")
        if anchor is not None:
            self._remembered.saw_end(anchor.number, bytes.fromhex(anchor.mac))
            self._export(anchor)
        self._clock.believed()
        await asyncio.to_thread(self._remembered.write)

    async def _tell(self) -> None:
        """Says again what nobody has answered for."""
        if (number := await self._store.run(self._chain.verifier.unresolved)) is not None:
            logger.error(
                "the audit trail before line %d was put back, cut or lost, and no administrator has said why: "
                "`vitale-reader audit verify`, then `vitale-reader audit resume`",
                number,
            )


async def append(
    store: Database,
    chain: Chain,
    entry: AuditEntry,
    writes: Sequence[Write] = (),
    also: Sequence[Callable[[Connection], object]] = (),
) -> None:
    """Writes one line and what goes with it, or nothing.

    On PostgreSQL this takes one round trip, unless ``also`` needs more.

    Args:
        store: the store.
        chain: of this station.
        entry: the line.
        writes: what goes with it.
        also: likewise, where it cannot be said as a statement.

    Raises:
        IntegrityError: a constraint of the tables refuses it.
        StoreUnavailable: the store does not take it.
    """

    def one_by_one(connection: Connection) -> End:
        write_one_by_one(connection, writes)
        for more in also:
            more(connection)
        return chain.append(connection, entry)

    def together(connection: Connection) -> tuple[bool, End | None]:
        if connection.dialect.name != "postgresql":
            return True, one_by_one(connection)
        return chain.append_with(connection, entry, writes), None

    if not also and not store.degraded:  # in the spool nobody waits for whoever still waits for the database
        async with chain.turn:
            done, end = await store.run(together, single=True)
            if end is not None:
                chain.written(end)
            if done:
                return
    chain.written(await store.run(one_by_one))
