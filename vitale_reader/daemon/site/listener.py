"""Hears what the other desks of a site say: looks at the rows at each beat, and at once when a notification comes.

Notifications come on a connection of their own. Where there is none (the database is away, or the event loop cannot
wait for its socket, as on Windows), the beat alone is heard.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.issuing.delivery import incident
from vitale_reader.daemon.store.notify import CHANNEL

if TYPE_CHECKING:
    from psycopg import AsyncConnection

__all__ = ["BEAT", "SiteListener"]

logger = logging.getLogger(__name__)

#: Seconds between two looks, at each of which a desk says that it is there.
BEAT = 2.5

#: Seconds until the connection is made anew.
RECONNECT = 1.0

#: Seconds to reach the server.
CONNECT = 2


class SiteListener:
    """Has the rows looked at.

    Args:
        url: of the database.
        look: looks at them, with whether it is time for a beat.
        away: called when they cannot be looked at.
        concerned: whether a notification, by its word and its id, is a reason to look.

    Attributes:
        listens: whether notifications would be heard now.
    """

    def __init__(
        self,
        url: str,
        *,
        look: Callable[[bool], Awaitable[None]],
        away: Callable[[], None],
        concerned: Callable[[str, str], bool],
    ) -> None:
        self._url = url
        self._look = look
        self._is_away = away
        self._concerned = concerned
        self._due = asyncio.Event()
        self._away = False
        self.listens = False

    def wake(self) -> None:
        """There is something to look at."""
        self._due.set()

    async def look(self, *, beat: bool) -> None:
        """Looks once; that nothing can be seen is logged when it begins."""
        self._due.clear()
        try:
            await self._look(beat)
        except StoreUnavailable as error:
            if not self._away:
                logger.error("the other desks of the site cannot be seen: %s", error)
            self._away = True
            self._is_away()
        except Exception as error:  # noqa: BLE001  an edge: whatever stands in a row, the next look is taken
            incident(error)
        else:
            self._away = False

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        loop = asyncio.get_running_loop()
        next_beat = loop.time() + BEAT
        while True:
            try:
                async with asyncio.timeout_at(next_beat):
                    await self._due.wait()
            except TimeoutError:
                pass
            beat = loop.time() >= next_beat
            if beat:
                next_beat = loop.time() + BEAT
            elif self._away:
                self._due.clear()
                continue
            await self.look(beat=beat)

    async def listen(self) -> None:
        """Listens to the notifications until it is cancelled."""
        if not isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop):
            return  # Windows: psycopg refuses its loop; every beat looks all the same
        import psycopg  # noqa: PLC0415  an extra, and there as the store is open

        while True:
            try:
                async with await self._connected(psycopg) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self.listens = True
                    self.wake()  # for what was said before
                    self._hear("news:")
                    await self._follow(connection)
            except (psycopg.Error, OSError) as error:
                logger.debug("no notifications: %s", type(error).__name__)
            finally:
                self.listens = False
            await asyncio.sleep(RECONNECT)

    async def _follow(self, connection: "AsyncConnection[Any]") -> None:
        """Takes what comes, as it comes: psycopg's own waiting wakes ten times a second."""
        loop, readable, socket = asyncio.get_running_loop(), asyncio.Event(), connection.fileno()
        while True:
            async for notification in connection.notifies(timeout=0):
                self._hear(notification.payload)
            loop.add_reader(socket, readable.set)  # each time: psycopg takes away whatever reader there is
            try:
                await readable.wait()
            finally:
                loop.remove_reader(socket)
            readable.clear()

    def _hear(self, payload: str) -> None:
        word, _, name = payload.partition(":")
        if self._concerned(word, name):
            self.wake()

    async def _connected(self, psycopg: ModuleType) -> "AsyncConnection[Any]":
        connecting: asyncio.Task[AsyncConnection[Any]] = asyncio.create_task(
            psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=CONNECT, application_name="vitale-reader listens"
            )
        )
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            # Not left half open: the server would wait for its password for a minute, and others for the server.
            with contextlib.suppress(psycopg.Error, OSError):
                await (await connecting).close()
            raise
