"""The rows of the desks: each says once a beat that it is there, and what it has.

The others look at them.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.site.remote_readers import DeskStatus, DeskTold
from vitale_reader.daemon.site.rows.messages import DeskRow
from vitale_reader.daemon.site.rows.sealing import RowSeals
from vitale_reader.daemon.site.rows.statements import NOW, called, statement
from vitale_reader.daemon.store.clock import ahead_of
from vitale_reader.daemon.store.notifications import call, desk_channel
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import site_desks, site_requests

__all__ = ["LOST", "DeskRows"]

#: Seconds after its last beat from which a desk counts as gone: it may miss two.
LOST = 7.0

#: Seconds after its end from which anybody clears a request away, and beats between two clearings.
LEFT_BEHIND, CLEARING = 30.0, 10

#: Seconds for which the end of a desk waits for what that desk is just saying of itself.
LAST_WORDS = 0.5

_BEAT = statement("UPDATE site_desks SET beat_at = <now> WHERE incarnation = :incarnation RETURNING 1")


class DeskRows:
    """Reads and writes the rows of the desks, for one incarnation of a station."""

    def __init__(self, store: Database, seals: RowSeals, *, station: str, incarnation: str) -> None:
        self._store = store
        self._seals = seals
        self._station = station
        self._beats = 0
        self._started = 0.0
        self._rival = ""
        self._telling: asyncio.Task[DeskRow | None] | None = None
        self.incarnation = incarnation

    async def tell(self, told: DeskTold, version: int) -> DeskRow | None:
        """Says what this desk is and has; gives another daemon's row found under this station's id, if any.

        Such a row may be of a run that died, or of a living copy of this station. The announcement names that run
        (``rival``), so that a living copy learns of this one.

        Raises:
            StoreUnavailable: it cannot be said.
        """

        def work(connection: Connection) -> DeskRow | None:
            before = time.time()
            now = float(connection.execute(select(NOW)).scalar_one())
            offset = ahead_of(now, before, time.time())
            self._started = self._started or now
            found = self._take_place(connection)
            self._rival = found.incarnation if found is not None else self._rival
            status = msgspec.structs.replace(told.status or DeskStatus(), clock_offset=round(offset, 1))
            said = msgspec.structs.replace(told, started=self._started, rival=self._rival, status=status)
            sealed = self._seals.sealed(said, self._bound_to(self._station, self.incarnation, version))
            row = {"station": self._station, "incarnation": self.incarnation, "version": version, "sealed": sealed}
            connection.execute(insert(site_desks).values(**row, beat_at=NOW))
            call(connection, "desk", self._station)
            return found

        self._telling = asyncio.create_task(self._store.run(work, needs="site"))
        try:
            return await asyncio.shield(self._telling)
        except IntegrityError as error:
            raise StoreUnavailable("another daemon speaks as this station at this moment") from error

    def is_elder(self, other: DeskRow) -> bool:
        """True if another daemon with this station's id was there first, and knows of this one."""
        was_first = (other.told.started, other.incarnation) < (self._started, self.incarnation)
        return was_first and other.told.rival == self.incarnation

    async def leave(self) -> None:
        """Says that this desk is no more; what it is just saying of itself comes before that."""
        if self._telling is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await asyncio.gather(self._telling, return_exceptions=True)
        mine = site_desks.c.incarnation == self.incarnation

        def work(connection: Connection) -> None:
            connection.execute(delete(site_requests).where(site_requests.c.asked_by == self.incarnation))
            connection.execute(delete(site_desks).where(mine))
            call(connection, "desk", self._station)

        await self._store.run(work, needs="site")

    # ── within a transaction ──

    def beat(self, connection: Connection) -> bool:
        """Says that this desk is there, and clears away what others left behind; False where its row is gone."""
        self._beats += 1
        if self._beats % CLEARING == 0:
            connection.execute(delete(site_requests).where(site_requests.c.ends_at < NOW - LEFT_BEHIND))
        values = {"incarnation": self.incarnation, **called([(desk_channel(self._station), f"beat:{self._beats}")])}
        return bool(connection.execute(_BEAT, values).scalar_one())

    def look(self, connection: Connection, known: Mapping[str, DeskRow]) -> dict[str, DeskRow]:
        """The desks that are there, by their stations; of those that are known only what is new is read."""
        columns = (site_desks.c.station, site_desks.c.incarnation, site_desks.c.version)
        there = connection.execute(select(*columns).where(site_desks.c.beat_at.between(NOW - LOST, NOW + LOST))).all()
        desks = {
            station: known[station]
            for station, incarnation, version in there
            if station in known and (known[station].incarnation, known[station].version) == (incarnation, version)
        }
        news = [station for station, _, _ in there if station not in desks]
        if news:
            query = select(*columns, site_desks.c.sealed).where(site_desks.c.station.in_(news))
            for station, incarnation, version, sealed in connection.execute(query).all():
                told = self._seals.opened(sealed, self._bound_to(station, incarnation, version), DeskTold)
                if told is not None:
                    desks[station] = DeskRow(station, incarnation, version, told)
        return desks

    def _take_place(self, connection: Connection) -> DeskRow | None:
        """Removes the row of this station; gives it where another run of a daemon told it."""
        columns = (site_desks.c.incarnation, site_desks.c.version, site_desks.c.sealed)
        statement = delete(site_desks).where(site_desks.c.station == self._station).returning(*columns)
        row = connection.execute(statement).first()
        if row is None or row.incarnation == self.incarnation:
            return None
        told = self._seals.opened(row.sealed, self._bound_to(self._station, row.incarnation, row.version), DeskTold)
        return None if told is None else DeskRow(self._station, row.incarnation, row.version, told)

    @staticmethod
    def _bound_to(station: str, incarnation: str, version: int) -> str:
        return f"desk:{station}:{incarnation}:{version}"
