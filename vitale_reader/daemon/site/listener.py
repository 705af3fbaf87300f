"""Hears the other desks of a site: reads the rows at each beat, and at once upon a notification.

Notifications come on a connection of their own. Where there is none, the beat alone is heard. The database may be away,
or the event loop unable to wait for its socket, as on Windows. That it works is known by what comes: with each beat a
desk calls itself. Where that was not heard by the next one, the connection is made anew.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.database.postgresql import severing
from vitale_reader.daemon.database.target import SETTINGS, Target
from vitale_reader.daemon.observation.incidents import attempt, incident
from vitale_reader.daemon.store.notifications import heard

if TYPE_CHECKING:
    from psycopg import AsyncConnection

__all__ = ["BEAT", "SiteListener"]

logger = logging.getLogger(__name__)

#: Seconds between two looks, at each of which a desk says that it is there.
BEAT = 2.5

#: Seconds until the connection is made anew.
RECONNECT = 1.0

#: Seconds in which the server has to answer.
ANSWER = 2.0

#: Beats that may be on their way to ourselves.
MISSED = 2


class SiteListener:
    """Has the rows looked at.

    Args:
        url: of the database.
        channels: those to listen to.
        look: looks at them, with whether it is time for a beat.
        away: called when they cannot be looked at.
        hear: takes what was called: a word, the name that it is about, and what is told besides.

    Attributes:
        listens: whether notifications would be heard now.
    """

    def __init__(
        self,
        url: str,
        channels: Sequence[str],
        *,
        look: Callable[[bool], Awaitable[None]],
        away: Callable[[], None],
        hear: Callable[[str, str, str], None],
    ) -> None:
        self._url = url
        self._channels = channels
        self._look = look
        self._is_away = away
        self._taken = hear
        self._readable = asyncio.Event()
        self._unheard = 0
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
            await attempt(self.look(beat=beat))
            if beat and not self._away:
                self._beaten()

    def _beaten(self) -> None:
        """A beat was called to this desk itself.

        It has to come before the next one, or the connection is not believed.
        """
        self._unheard += 1
        if self.listens and self._unheard > MISSED:
            self._readable.set()

    async def listen(self) -> None:
        """Listens to the notifications until it is cancelled."""
        if not isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop):
            return  # Windows: psycopg refuses its loop; every beat looks all the same
        import psycopg  # noqa: PLC0415  an extra, and there as the store is open

        target = Target.of(self._url)
        while True:
            try:
                async with await self._connected(target) as connection:
                    self._unheard = 0
                    self.listens = True
                    self.wake()  # for what was said before
                    self._hear("news:")
                    await self._follow(connection)
            except (psycopg.Error, OSError) as error:
                logger.debug("no notifications: %s", type(error).__name__)
            except Exception as error:  # noqa: BLE001  an edge: whatever is called, the connection is made anew
                incident(error)
            finally:
                self.listens = False
            await asyncio.sleep(RECONNECT)

    async def _follow(self, connection: "AsyncConnection[Any]") -> None:
        """Takes what comes, as it comes: psycopg's own waiting wakes ten times a second."""
        loop, socket = asyncio.get_running_loop(), connection.fileno()
        while True:
            self._readable.clear()
            async for notification in connection.notifies(timeout=0):
                self._hear(notification.payload)
            if self._unheard > MISSED:
                logger.warning("the connection for notifications hangs, and is made anew")
                return
            loop.add_reader(socket, self._readable.set)  # each time: psycopg takes away whatever reader there is
            try:
                await self._readable.wait()
            finally:
                loop.remove_reader(socket)

    def _hear(self, payload: str) -> None:
        word, name, told = heard(payload)
        if word == "beat":
            self._unheard = 0
        else:
            self._taken(word, name, told)

    async def _connected(self, target: Target) -> "AsyncConnection[Any]":
        connecting: asyncio.Task[AsyncConnection[Any]] = asyncio.create_task(target.listen("vitale-reader listens"))
        try:
            connection = await asyncio.shield(connecting)
        except asyncio.CancelledError:
            # Not left half open: the server would wait for its password for a minute, and others for the server.
            with contextlib.suppress(Exception):
                await (await connecting).close()
            raise
        sever = severing(connection)
        # From outside: psycopg waits on, also when it is cancelled, for a server that does not answer.
        limit = asyncio.get_running_loop().call_later(ANSWER, sever)
        listening = asyncio.create_task(_execute(connection, self._channels))
        try:
            # Not cancelled itself: psycopg would ask the server to give up, and wait for seconds for that to be heard.
            await asyncio.shield(listening)
        except BaseException:
            sever()
            with contextlib.suppress(Exception):
                await listening
            await connection.close()
            raise
        finally:
            limit.cancel()
        return connection


async def _execute(connection: "AsyncConnection[Any]", channels: Sequence[str]) -> None:
    listens = "; ".join(f'LISTEN "{channel}"' for channel in channels)
    await connection.execute(f"{SETTINGS} {listens}".encode())
