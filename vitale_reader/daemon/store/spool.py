"""A station whose site's database may be away.

What need not wait is kept in a SQLite file, and brought there later.

- The database is away while it does not answer. So it is while it answers that it takes nothing (read-only, full,
  locked, rights that are missing …). The log says why.
- While the database is away, every piece of work goes to the spool at once. None tries the database and waits.
- What guards against replay goes there only if the site says so (``[site] when_away``). While it does, a string could
  be used at two desks. Clients are neither paired nor revoked meanwhile.
- Work that the database did not answer may have been done there. It is done again in the spool, under the same keys.
- Since when it is away, and why, stands in the spool as well (``database.outage``).
- Once the database is back, the spool is emptied before anything else is written there. Work waits for a moment while
  the last piece of it is brought.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import IntegrityError

from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable, VitaleError
from vitale_reader.daemon.database.database_errors import explained
from vitale_reader.daemon.database.outage import OUTAGE, Outage
from vitale_reader.daemon.store.migrate import survey
from vitale_reader.daemon.store.store import Need, Store
from vitale_reader.daemon.store.tables import site

__all__ = ["SpooledStore"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two tries to reach the database.
RETRY = 1.0

#: Pieces of work that may be brought while others are written into the spool; then those wait.
ROUNDS = 50


class SpooledStore:
    """The database of a site with the spool of a station.

    Args:
        site: the database.
        spool: the file.
        join: what is to be done with the database before it is used, each time that it was away.
        bring: brings a piece of the spool to the database; gives its number of rows, 0 for none left.
        strict: whether strings are refused while the database is away.
        note: writes down, outside of the spool, where it ends; called in a thread.
    """

    shared = True

    def __init__(
        self,
        site: Store,
        spool: Store,
        *,
        join: Callable[[Store], Awaitable[None]],
        bring: Callable[[Store, Store], Awaitable[int]],
        strict: bool,
        note: Callable[[], None] = lambda: None,
    ) -> None:
        self._site = site
        self._spool = spool
        self._join = join
        self._bring = bring
        self._strict = strict
        self._note_end = note
        self._away = asyncio.Event()
        self._open = asyncio.Event()
        self._busy = 0
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.cause = StoreUnavailable("the database of the site was not reached yet")
        self.outage: Outage | None = None
        self._noted: Outage | None = None
        self._is_refused = False  # the outage could not be noted the last time
        self._open.set()
        self._idle.set()

    @property
    def degraded(self) -> bool:
        """True if the database is away, or the spool not emptied yet."""
        return self._away.is_set()

    async def open(self) -> None:
        """Opens both; where the database does not answer, the station starts on its spool.

        Raises:
            ConfigurationInvalid: the database is that of another site.
            StoreUnavailable: the spool cannot be opened, or a later version made the tables of the database.
        """
        await self._spool.open()
        self._away.set()
        await self._try_to_return(starting=True)
        await self._write_outage()
        self._task = asyncio.create_task(self._watch(), name="spool")

    async def close(self) -> None:
        """Closes both; what is in the spool stays there."""
        if self._task is not None:
            self._task.cancel()
        await asyncio.gather(self._site.close(), self._spool.close())
        await asyncio.to_thread(self._note_end)

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        needs: Need = "any",
        single: bool = False,
        in_spool: Callable[[Connection], T] | None = None,
    ) -> T:
        """Runs work as ``Database`` describes it."""
        await self._open.wait()
        if not self.degraded:
            away, failures = self._site.away, self._site.failures
            try:
                return await self._site.run(work, single=single)
            except StoreUnavailable as error:
                # Away at any moment since: the loop may have been busy for longer than it counts as that.
                if not (away or self._site.away or self._site.failures > failures):
                    raise
                self._leave(error)
        if needs == "site" or (needs == "guard" and self._strict):
            cause = self.cause
            raise StoreUnavailable(
                f"the database of the site is away: {cause.detail}", variant=cause.variant, data=cause.data
            )
        return await self._run_in_spool(in_spool or work)

    def hasten(self) -> None:
        """Hastens as ``Database`` describes it."""
        self._site.hasten()

    async def mirror(self, work: Callable[[Connection], object]) -> None:
        """Mirrors a write as ``Database`` describes it."""
        await self._spool.run(work)

    async def _run_in_spool(self, work: Callable[[Connection], T]) -> T:
        # Whoever waited long for the database may come here when the spool is just being emptied for good.
        await self._open.wait()
        self._leave(self.cause)
        self._busy += 1
        self._idle.clear()
        try:
            return await self._spool.run(work)
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    def _leave(self, cause: StoreUnavailable) -> None:
        if not self.degraded:
            self._away.set()
            self.cause = cause
            self.outage = Outage(since=time.time()).because(cause)
            logger.error("the database of the site is away; this station goes on with its spool: %s", explained(cause))

    def _note(self, cause: StoreUnavailable) -> None:
        """Says why the database is away, where that is another reason than before."""
        if (cause.variant, cause.detail) != (self.cause.variant, self.cause.detail):
            logger.error("the database of the site is away: %s", explained(cause))
        self.cause = cause
        self.outage = (self.outage or Outage(since=time.time())).because(cause)

    async def _write_outage(self) -> None:
        """Writes into the spool what is known of the outage; that it cannot be written hinders nothing."""
        if self.outage is None or self.outage == self._noted:
            return
        outage = self.outage
        try:
            await self._spool.run(lambda connection: _write(connection, outage))
        except StoreUnavailable as error:
            if not self._is_refused:  # it is tried again each second, and told once
                logger.error("why the database of the site is away could not be written into the spool: %s", error)
            self._is_refused = True
        else:
            self._noted, self._is_refused = outage, False

    async def _watch(self) -> None:
        while True:
            await self._away.wait()
            await self._write_outage()
            await asyncio.to_thread(self._note_end)
            await asyncio.sleep(RETRY)
            await self._try_to_return()

    async def _try_to_return(self, *, starting: bool = False) -> None:
        """Returns to the database, or tells why not; a database that is not this station's ends its start."""
        try:
            await self._return()
        except StoreUnavailable as error:
            if starting and error.variant == "store-newer":
                raise
            self._note(error)
        except (VitaleError, IntegrityError) as error:
            if starting and isinstance(error, ConfigurationInvalid):
                raise
            logger.error("the spool cannot be brought to the database of the site: %s", error)
        except Exception as error:  # an edge: what cannot be brought now must end neither a start nor all trying
            logger.error("the spool could not be brought to the site", exc_info=error)

    async def _return(self) -> None:
        if not self.degraded:
            return
        await self._site.open()
        await self._join(self._site)
        await self._site.run(survey)
        for _ in range(ROUNDS):
            if not await self._bring(self._spool, self._site):
                break
        self._open.clear()
        try:
            await self._idle.wait()
            while await self._bring(self._spool, self._site):
                pass
            self._away.clear()
        finally:
            self._open.set()
        logger.info("the database of the site is there, and the spool empty")
        if self.outage is not None:
            self.outage = msgspec.structs.replace(self.outage, until=time.time())
            await self._write_outage()


def _write(connection: Connection, outage: Outage) -> None:
    connection.execute(delete(site).where(site.c.name == OUTAGE))
    connection.execute(insert(site), {"name": OUTAGE, "value": msgspec.json.encode(outage).decode()})
