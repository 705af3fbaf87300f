"""All rows of a site, looked at once a beat."""

from collections.abc import Collection

from sqlalchemy import Connection

from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.rows.desks import DeskRows
from vitale_reader.daemon.site.rows.messages import DeskRow, SeenRows
from vitale_reader.daemon.site.rows.requests import RequestRows
from vitale_reader.daemon.site.rows.sealing import RowSeals
from vitale_reader.daemon.store.store import Database

__all__ = ["SiteRows"]


class SiteRows:
    """The rows of a site, for one incarnation of a station.

    Attributes:
        incarnation: one run of a daemon.
        desks: the rows of the desks.
        requests: the rows of requests, and of how they get on.
    """

    def __init__(self, store: Database, vault: Vault, *, station: str, incarnation: str) -> None:
        self._store = store
        self._known: dict[str, DeskRow] = {}
        self.incarnation = incarnation
        seals = RowSeals(vault)
        self.desks = DeskRows(store, seals, station=station, incarnation=incarnation)
        self.requests = RequestRows(store, seals, incarnation=incarnation)

    async def look(self, asked: Collection[str], *, beat: bool) -> tuple[bool, SeenRows]:
        """Looks at all rows, and says that this desk is there if it is time for a ``beat``.

        Args:
            asked: the ids of the requests of this desk.
            beat: whether to say so, and to clear away what others left behind.

        Returns:
            Whether the row of this desk is there still, and what there is.
        """
        known = dict(self._known)

        def work(connection: Connection) -> tuple[bool, dict[str, DeskRow], SeenRows]:
            there = not beat or self.desks.beat(connection)
            desks = self.desks.look(connection, known)
            steps = self.requests.take_steps(connection, asked) if asked else ()
            return there, desks, SeenRows(desks=desks, requests=self.requests.look(connection), steps=steps)

        there, self._known, seen = await self._store.run(work, needs="site", single=True)
        return there, seen
