"""A line between a desk and its database that has moods: slow, thin, silent, half open, or dead.

It listens on a port of the loopback and passes bytes on to a Unix socket, on a loop of its own, so that neither a
blocked test nor a blocked daemon changes how it behaves. Whatever it swallows has been acknowledged by TCP: no
keepalive and no state of a socket tells that nothing comes through.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import make_url

from tests.posix import open_unix_connection

T = TypeVar("T")

CHUNK = 16_384


class _Connection:
    """One connection through the line."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = (client, server)
        self.swallows: set[str] = set()
        self.asked = False


class Proxy:
    """The line; every mood is changed from the test's own thread and holds from then on.

    Args:
        socket: the Unix socket of the server.

    Attributes:
        delay: seconds that a round trip takes.
        rate: bytes that pass in a second, each way; None for as many as come.
        trips: how often the server was asked something and answered: the round trips so far.
        port: where it listens.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._swallows: set[str] = set()
        self._refuses = False
        self.delay = 0.0
        self.rate: float | None = None
        self.trips = 0
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, url: str) -> str:
        """The URL of a database of the server, through this line."""
        place = make_url(url).set(host="127.0.0.1", port=self.port, query={})
        return place.render_as_string(hide_password=False)

    # ── moods ──

    def swallow(self, *directions: str, new: bool = True) -> None:
        """Swallows what is sent ``up`` to the server, ``down`` from it, or both; ``new`` connections as well or not."""

        async def change() -> None:
            self._swallows = set(directions) if new else set()
            for connection in self._connections:
                connection.swallows = set(directions)

        self._run(change())

    def heal(self) -> None:
        """Lets everything through that comes from now on; what was swallowed is lost."""

        async def change() -> None:
            self._swallows, self._refuses = set(), False
            for connection in self._connections:
                connection.swallows = set()

        self._run(change())

    def refuse(self) -> None:
        """Cuts every connection, and takes no new one."""

        async def change() -> None:
            self._refuses = True
            self._cut()

        self._run(change())

    def cut(self) -> None:
        """Cuts every connection; new ones are taken."""

        async def change() -> None:
            self._cut()

        self._run(change())

    # ── inside, on its loop ──

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _cut(self) -> None:
        for connection in list(self._connections):
            for end in connection.ends:
                end.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        self._refuses = True  # for whoever is being let in just now
        self._cut()
        for task in self._tasks:
            task.cancel()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        await asyncio.sleep(0)  # the turn in which what was cut is closed

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._refuses:
            writer.transport.abort()
            return
        self._tasks.add(task)
        try:
            up_reader, up_writer = await open_unix_connection(str(self._socket))
            connection = _Connection(writer, up_writer)
            connection.swallows = set(self._swallows)
            self._connections.add(connection)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(connection, "up", reader, up_writer))
                    both.create_task(self._pass(connection, "down", up_reader, writer))
            finally:
                self._connections.discard(connection)
                up_writer.transport.abort()
        except* (OSError, asyncio.CancelledError):
            pass  # an end of the line is gone, and with it the connection
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _pass(
        self, connection: _Connection, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Passes on one direction; what is on its way is in a queue, so that a delay costs no throughput."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.create_task(self._send(connection, direction, queue, writer))
        try:
            while data := await reader.read(CHUNK):
                self._count(connection, direction)
                if direction not in connection.swallows:
                    queue.put_nowait((self._loop.time() + self.delay / 2, data))
            queue.put_nowait((self._loop.time() + self.delay / 2, b""))
            await sending
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending

    async def _send(
        self,
        connection: _Connection,
        direction: str,
        queue: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
    ) -> None:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(due - self._loop.time(), 0))
            if self.rate is not None:
                await asyncio.sleep(len(data) / self.rate)
            if direction in connection.swallows:
                continue
            if not data:
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()

    def _count(self, connection: _Connection, direction: str) -> None:
        if direction == "up":
            connection.asked = True
        elif connection.asked:
            connection.asked = False
            self.trips += 1
