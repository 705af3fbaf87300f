"""The audit trail: who asked for what, when, with which outcome; never about whom."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.store import Store
from vitale_reader.daemon.tables import audit

__all__ = ["Audit", "Entry", "write"]

logger = logging.getLogger(__name__)

DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: ``action`` is a method of the wire, ``outcome`` ``ok`` or a catalogue reason; ``at`` epoch seconds."""

    at: float
    action: str
    outcome: str
    client_id: str | None = None
    medium: str | None = None
    reader: str | None = None
    jti: str | None = None


def write(connection: Connection, entry: Entry) -> None:
    """Writes one line within a transaction that does something else as well."""
    connection.execute(insert(audit), asdict(entry))


class Audit:
    """The audit trail in the store."""

    def __init__(self, store: Store, *, days: int, clock: Callable[[], float]) -> None:
        self._store = store
        self._days = days
        self._clock = clock

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
        entry = Entry(
            at=self._clock(), action=action, outcome=outcome, client_id=client_id, medium=medium, reader=reader
        )
        try:
            await self._store.run(lambda connection: write(connection, entry))
        except StoreUnavailable as error:
            logger.error("a line of the audit trail is lost (%s, %s): %s", action, outcome, error)

    async def purge(self) -> int:
        """Forgets the lines that are older than the retention; returns how many there were.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        statement = delete(audit).where(audit.c.at < self._clock() - self._days * DAY)
        return await self._store.run(lambda connection: connection.execute(statement).rowcount)
