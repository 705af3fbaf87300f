"""What other processes wrote into the store: other stations of the site, and the command line beside the daemon."""

import asyncio
import logging
from collections.abc import Callable

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.access import Access
from vitale_reader.daemon.opposition import Opposition
from vitale_reader.daemon.stations import Stations

__all__ = ["LOOK", "News"]

logger = logging.getLogger(__name__)

#: Seconds between two looks: a query or two that find nothing.
LOOK = 2.0


class News:
    """Looks from time to time.

    Args:
        access: hears of clients.
        opposition: hears of opposition lists.
        stations: hears of other stations; None where there are none.
        revoked: told of each client that was revoked elsewhere.
    """

    def __init__(
        self, access: Access, opposition: Opposition, stations: Stations | None, *, revoked: Callable[[str], None]
    ) -> None:
        self._access = access
        self._opposition = opposition
        self._stations = stations
        self._revoked = revoked
        self._away = False

    async def look(self) -> None:
        """Looks once.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        await self._opposition.refresh()
        if self._stations is not None:
            for client_id in await self._access.refresh():
                self._revoked(client_id)
            await self._stations.refresh()

    async def watch(self) -> None:
        """Looks until it is cancelled; that the store does not answer is said once."""
        while True:
            await self.try_to_look()
            await asyncio.sleep(LOOK)

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
