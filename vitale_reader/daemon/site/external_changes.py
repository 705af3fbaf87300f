"""What other processes wrote into the store: other stations of the site, and the command line beside the daemon."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from sqlalchemy import Connection, func, select

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.access import Access
from vitale_reader.daemon.issuing.opposition import Opposition
from vitale_reader.daemon.site.stations import Stations
from vitale_reader.daemon.store.store import Database
from vitale_reader.daemon.store.tables import clients, opposition_lists
from vitale_reader.daemon.store.tables import stations as stations_table

__all__ = ["LOOK", "ExternalChanges"]

logger = logging.getLogger(__name__)

#: Seconds between two looks.
LOOK = 2.0

#: Likewise where others call when they have written, or where only the command line writes: each look wakes a machine
#: that is at rest.
SELDOM = 10.0

Seen = tuple[tuple[tuple[object, ...], ...], ...]

# Statements are constants: to build one anew costs more than to run it.
_LISTS = select(opposition_lists.c.generation).order_by(opposition_lists.c.generation)
_CLIENTS = select(func.count(), func.max(clients.c.created_at), func.max(clients.c.revoked_at))
_STATIONS = select(stations_table.c.station, stations_table.c.sealed).order_by("station")


class ExternalChanges:
    """Looks from time to time.

    Args:
        store: where it is written.
        access: hears of clients.
        opposition: hears of opposition lists.
        stations: hears of other stations; None where there are none.
        revoked: told of each client that was revoked elsewhere.
        called: whether others call when they have written, or hardly anybody writes.
        due: set by whoever hears such a call.
    """

    def __init__(
        self,
        store: Database,
        access: Access,
        opposition: Opposition,
        stations: Stations | None,
        *,
        revoked: Callable[[str], None],
        called: Callable[[], bool],
        due: asyncio.Event,
    ) -> None:
        self._store = store
        self._access = access
        self._opposition = opposition
        self._stations = stations
        self._revoked = revoked
        self._called = called
        self._seen: Seen = ()
        self._away = False
        self._due = due

    async def look(self) -> None:
        """Looks once.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        if self._stations is not None:
            await self._stations.tell()
        seen = await self._store.run(self._glance, needs="site")
        if seen == self._seen:
            return
        await self._opposition.refresh()
        if self._stations is not None:
            for client_id in await self._access.refresh():
                self._revoked(client_id)
            await self._stations.refresh()
        self._seen = seen

    def _glance(self, connection: Connection) -> Seen:
        """What differs where there is news; one round to a database that has none."""
        queries = (_LISTS,) if self._stations is None else (_LISTS, _CLIENTS, _STATIONS)
        return tuple(tuple(map(tuple, connection.execute(query))) for query in queries)

    async def watch(self) -> None:
        """Looks until it is cancelled; that the store does not answer is said once."""
        while True:
            self._due.clear()
            await self.try_to_look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SELDOM if self._called() else LOOK):
                    await self._due.wait()

    async def try_to_look(self) -> None:
        """Looks once, or logs that it cannot be done."""
        try:
            await self.look()
        except StoreUnavailable as error:
            if not self._away:
                logger.error("nothing is heard from the store: %s", error)
            self._away = True
        else:
            self._away = False
