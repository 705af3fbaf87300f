"""The exporter within its process: listens on what it was given, asks the core, answers scrapes."""

import asyncio
import logging
import socket
import struct
from importlib.metadata import version
from typing import Final

from vitale_drivers.base import Started
from vitale_drivers.host.attendance import obeying
from vitale_drivers.host.worker_process import Pipe
from vitale_protocol.errors import ParseError
from vitale_protocol.metrics.families import MOST_BYTES, read_families
from vitale_reader.metrics.exposition import exposition
from vitale_reader.metrics.scrape import Scrape, Showing
from vitale_reader.web.inherited import Inherited, hosts_of

__all__ = ["MOST_CONNECTIONS", "InheritedBearer", "serve"]

logger = logging.getLogger(__name__)

#: Connections at a time; a scraper needs one.
MOST_CONNECTIONS: Final = 32

#: Connections that wait to be accepted.
BACKLOG: Final = 16

#: Seconds for those who were told nothing yet, when the end comes.
FAREWELL: Final = 1.0

#: Seconds for the core to answer. A database that says nothing takes it four; Prometheus waits for ten.
PATIENCE: Final = 8.0


class InheritedBearer(Inherited, frozen=True, kw_only=True):
    """Descriptors, and the digest of the bearer.

    Attributes:
        bearer: SHA-256 of it, in hexadecimal.
    """

    bearer: str


class FiguresLine:
    """The line to the core; those who ask at the same time get the same answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._asking: asyncio.Task[bytes] | None = None

    async def exposition(self) -> bytes | None:
        """All the figures as text; None where the core does not answer in time."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        try:
            async with asyncio.timeout(PATIENCE):
                # A scraper that gives up takes nothing from the others, nor half an answer from the line.
                return await asyncio.shield(self._asking)
        except (TimeoutError, OSError, EOFError, ParseError) as error:
            logger.warning("the daemon does not tell its figures: %s", type(error).__name__)
            return None

    async def _ask(self) -> bytes:
        self._writer.write(b"?")
        (length,) = struct.unpack(">I", await self._reader.readexactly(4))
        if length > MOST_BYTES:
            raise ParseError(f"{length} bytes of figures")
        return exposition(read_families(await self._reader.readexactly(length)))


async def serve(pipe: Pipe, given: InheritedBearer) -> None:
    """Serves until the supervisor says so, or is gone.

    Args:
        pipe: to the supervisor.
        given: what it left.

    Raises:
        StreamError: the supervisor says something else.
    """
    listeners = given.listeners()
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=given.line), limit=MOST_BYTES)
    port = int(listeners[0].getsockname()[1])
    scrapes: set[Scrape] = set()
    showing = Showing(
        hosts=hosts_of(port),
        digest=bytes.fromhex(given.bearer),
        exposition=FiguresLine(reader, writer).exposition,
        places=MOST_CONNECTIONS,
        inside=scrapes,
    )
    with obeying(pipe) as ended:
        servers = [await _listen(listener, showing) for listener in listeners]
        pipe.send(Started(driver="exporter", media=(), version=f"prometheus-client {version('prometheus-client')}"))
        try:
            await ended
        finally:
            for server in servers:
                server.close()
            writer.close()  # whoever waits for figures is told that there are none
            if answers := [scrape.answer for scrape in scrapes if scrape.answer is not None]:
                await asyncio.wait(answers, timeout=FAREWELL)
            for scrape in tuple(scrapes):
                scrape.abort()


async def _listen(listener: socket.socket, showing: Showing) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(lambda: Scrape(showing), sock=listener, backlog=BACKLOG)
