"""Changes of the store by other processes: other stations of the site, and the command line beside the daemon."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.clients.registry import ClientRegistry
from vitale_reader.daemon.issuing.opposition import Opposition
from vitale_reader.daemon.observation.incidents import incident
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.daemon.store.sealed_table import revisions
from vitale_reader.daemon.store.store import Database

if TYPE_CHECKING:
    from vitale_reader.daemon.site.stations import Stations

__all__ = ["LOOK", "ExternalChanges"]

logger = logging.getLogger(__name__)

#: Seconds between two looks.
LOOK = 2.0

#: Likewise where others call when they have written, or where only the command line writes: each look wakes a machine
#: that is at rest.
SELDOM = 10.0

#: Seconds after which the rows themselves are looked at, though nobody of the store says that they are new.
CHECK = 60.0


class ExternalChanges:
    """Looks from time to time.

    Args:
        store: where it is written.
        client_registry: hears of clients.
        opposition: hears of opposition lists.
        stations: hears of other stations; None where there are none.
        clock: the time of the store, compared with that of the desk at each look.
        revoked: told of each client that was revoked elsewhere.
        called: whether others call when they have written, or hardly anybody writes.
        due: set by whoever hears such a call.
        file: the file of the store, or of the station's spool.
        remembered: what the station knows of the store, written down at each look.
    """

    def __init__(
        self,
        store: Database,
        client_registry: ClientRegistry,
        opposition: Opposition,
        stations: "Stations | None",
        *,
        clock: StoreClock,
        revoked: Callable[[str], None],
        called: Callable[[], bool],
        due: asyncio.Event,
        file: Path | None = None,
        remembered: Remembered | None = None,
    ) -> None:
        self._store = store
        self._client_registry = client_registry
        self._opposition = opposition
        self._stations = stations
        self._clock = clock
        self._revoked = revoked
        self._called = called
        self._seen: tuple[tuple[str, int], ...] | None = None
        self._checked = -CHECK
        self._away = False
        self._due = due
        self._file = file
        self._remembered = remembered
        self._identity = _identity(file)

    async def look(self) -> None:
        """Looks once.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        self._clock.look()
        self._look_at_file()
        if self._stations is not None:
            await self._stations.tell()
        if self._remembered is not None:
            await asyncio.to_thread(self._remembered.write, durable=False)
        seen = await self._store.run(lambda connection: revisions(connection, self._clock), needs="site")
        now = asyncio.get_running_loop().time()
        if seen == self._seen and now < self._checked + CHECK:
            return
        self._checked = now
        # Those who may not come in any more first: a list that cannot be read must not keep them in.
        for client_id in await self._client_registry.refresh():
            self._revoked(client_id)
        if self._stations is not None:
            await self._stations.refresh()
        await self._opposition.refresh()
        self._seen = seen

    def _look_at_file(self) -> None:
        identity = _identity(self._file)
        if identity != self._identity:
            self._identity = identity
            logger.error(
                "%s was removed or replaced while the daemon runs: what it keeps now is in no file, "
                "and lost at its end; restart it",
                self._file,
            )

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
        except Exception as error:  # noqa: BLE001  an edge: whatever stands in the store, the next look is taken
            incident(error)
        else:
            self._away = False


def _identity(file: Path | None) -> tuple[int, int] | None:
    """Identity of a file, unlike that of another of its name; None where none can be seen."""
    try:
        found = None if file is None else file.stat()
    except OSError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)
