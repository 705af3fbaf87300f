"""A gateway within its process: listens on what it was given, counts connections, answers its supervisor."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Collection
from importlib.metadata import version
from typing import Final

from vitale_drivers.base import Started
from vitale_drivers.host.attendance import obeying
from vitale_drivers.host.worker_process import Pipe
from vitale_reader.web.channel import ChannelEnd
from vitale_reader.web.core_line import CoreLine
from vitale_reader.web.inherited import Inherited, hosts_of
from vitale_reader.web.page_connection import TRY_AGAIN_LATER, PageConnection, PageLimits

__all__ = ["MOST_CONNECTIONS", "PageServer", "page_server", "serve"]

logger = logging.getLogger(__name__)

#: Connections at a time, those that were let in and those that were not yet.
MOST_CONNECTIONS: Final = 256

#: Connections that wait to be accepted.
BACKLOG: Final = 128


#: Seconds between two questions to the core: whoever floods the port costs it little, and a page waits its turn behind
#: as many connections as there are places for little more than a second.
BETWEEN_QUESTIONS: Final = 0.005

#: Seconds between two channels of one site: whoever opens one, is sent away and comes again costs the core little. A
#: page that opens all of its sessions at once waits for some tenths.
BETWEEN_CHANNELS: Final = 0.05


class Pace:
    """Turns that are taken one after the other, with some time between.

    Args:
        seconds: between two turns.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._next = 0.0

    @property
    def is_awaited(self) -> bool:
        """True while somebody waits for a turn."""
        return self._turn.locked()

    @property
    def is_over(self) -> bool:
        """True once the next turn is nobody's, and can be taken at once."""
        return not self.is_awaited and self._next <= asyncio.get_running_loop().time()

    async def take(self) -> None:
        """Waits for a turn, and takes it."""
        now = asyncio.get_running_loop().time
        async with self._turn:
            await asyncio.sleep(max(0.0, self._next - now()))
            self._next = now() + self._seconds


class PageServer:
    """The server of the connections of pages.

    Attributes:
        hosts: the values of Host.
        limits: of each connection.
    """

    hosts: Collection[bytes]
    limits: PageLimits

    def __init__(self, line: CoreLine, hosts: Collection[bytes], limits: PageLimits) -> None:
        self.hosts = hosts
        self.limits = limits
        self._line = line
        self._questions = Pace(BETWEEN_QUESTIONS)
        self._sites: dict[str, Pace] = {}
        self._inside: set[PageConnection] = set()
        self._emptied = asyncio.Event()

    def connection(self) -> PageConnection:
        """Takes over a connection that has just been accepted."""
        return PageConnection(self)

    def enter(self, connection: PageConnection) -> bool:
        """Counts a connection; False if no place is left."""
        if len(self._inside) >= MOST_CONNECTIONS:
            return False
        self._inside.add(connection)
        return True

    def leave(self, connection: PageConnection) -> None:
        """The connection is gone."""
        self._inside.discard(connection)
        if not self._inside:
            self._emptied.set()

    async def channel(self, end: ChannelEnd, site: str) -> bool:
        """Opens a channel for a page; False if its site may not come."""
        await self._take_turn(site)
        handed = await self._line.ask(site)
        if handed is None:
            return False
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: end, sock=handed)
        except BaseException:
            handed.close()
            raise
        return True

    @property
    def is_taking_turns(self) -> bool:
        """True while a page waits until the core may be asked for it."""
        return self._questions.is_awaited

    async def _take_turn(self, site: str) -> None:
        """Waits for a turn of the site, known or not, and then for one among all sites."""
        for other in [name for name, pace in self._sites.items() if pace.is_over]:
            del self._sites[other]
        await self._sites.setdefault(site, Pace(BETWEEN_CHANNELS)).take()
        await self._questions.take()

    async def close(self, seconds: float) -> None:
        """Tells all pages to come again later, and waits for them to go."""
        if not self._inside:
            return
        self._emptied.clear()
        for connection in tuple(self._inside):
            connection.end(TRY_AGAIN_LATER)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._emptied.wait()
        for connection in tuple(self._inside):
            connection.abort()


def page_server(line: CoreLine, port: int) -> PageServer:
    """The server for pages of the web."""
    return PageServer(line, hosts_of(port), PageLimits())


async def serve(
    pipe: Pipe,
    given: Inherited,
    make_server: Callable[[CoreLine, int], PageServer] = page_server,
    *,
    driver: str = "gateway",
) -> None:
    """Serves until the supervisor says so, or is gone.

    Args:
        pipe: to the supervisor.
        given: what it left.
        make_server: makes the server, from the line to the core and the port.
        driver: the name of this process.

    Raises:
        StreamError: the supervisor says something else.
    """
    # It tells of each connection that ends.
    logging.getLogger("websockets").setLevel(logging.WARNING)
    listeners = given.listeners()
    server = make_server(CoreLine(socket.socket(fileno=given.line)), listeners[0].getsockname()[1])
    with obeying(pipe) as ended:
        listening = [await _listen(listener, server) for listener in listeners]
        pipe.send(Started(driver=driver, media=(), version=f"websockets {version('websockets')}"))
        try:
            await ended
        finally:
            for each in listening:
                each.close()
    await server.close(server.limits.farewell / 2)


async def _listen(listener: socket.socket, server: PageServer) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(server.connection, sock=listener, backlog=BACKLOG)
