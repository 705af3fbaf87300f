"""The core's side of the exporter: its port, its bearer, and its line for requesting figures.

The exporter inherits its sockets and its line, and knows only the digest of the bearer. Whoever takes it over can ask
for figures, which identify nobody.
"""

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vitale_drivers.base import Stop
from vitale_drivers.host.handover import channel_pair
from vitale_drivers.host.programs import own_program
from vitale_protocol.metrics.families import Families, write_families
from vitale_reader.daemon.metrics.bearer import bearer_digest
from vitale_reader.daemon.observation.incidents import incident
from vitale_reader.daemon.transports.loopback import InheritedPort
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.worker import Worker

__all__ = ["EXPORTER", "MetricsExporter"]

logger = logging.getLogger(__name__)

EXPORTER = own_program("vitale_reader.metrics.exporter", "exporter")

#: Seconds for which figures are told again, however often they are asked for.
FRESH = 0.5


class MetricsExporter:
    """The exporter of a station, across the processes that run it one after the other.

    Attributes:
        worker: its process.
    """

    def __init__(
        self,
        figures: Callable[[], Awaitable[Families]],
        *,
        port: int,
        bearer: Path,
        beat: Beat,
        hidden: tuple[str, ...] = (),
        command: tuple[str, ...] = EXPORTER,
    ) -> None:
        """Stores.

        Args:
            figures: gives all of them.
            port: on both loopback addresses; 0 for any.
            bearer: the file.
            beat: how the process is asked whether it lives.
            hidden: files and folders of the daemon.
            command: of the process.
        """
        self.worker = Worker(
            "exporter",
            {},
            lambda _name, _report: None,
            lambda _name, _problem: self._end_line(),
            beat=beat,
            command=command,
            hidden=hidden,
            inherit=self._inherit,
            title="the exporter of metrics",
        )
        self._figures = figures
        self._port = InheritedPort(port, setting="metrics.port", in_use="metrics_port_in_use")
        self._bearer = bearer
        self._line: asyncio.Task[None] | None = None
        self._last: tuple[float, bytes] = (0.0, b"")

    @property
    def port(self) -> int | None:
        """The port that is listened on; None while there is none."""
        return self._port.number

    def close(self) -> None:
        """Listens no more, and is not begun again."""
        self._port.close()

    def listen(self) -> int:
        """Listens on the port, once; its number.

        Raises:
            ConfigurationInvalid: it cannot be listened on, on both addresses; ``data.holder`` says who does.
            ShuttingDown: nothing is listened on any more.
        """
        known, port = self._port.number, self._port.listen()
        if known is None:
            logger.info("metrics on 127.0.0.1:%d, for whoever has the bearer in %s", port, self._bearer)
        return port

    @contextmanager
    def _inherit(self) -> Generator[Mapping[str, int]]:
        """Makes all that a process of the exporter is left: sockets that listen, and a line of its own."""
        self.worker.options = {"bearer": bearer_digest(self._bearer).hex()}
        self.listen()
        self._end_line()
        ours, theirs = channel_pair()
        self._line = asyncio.get_running_loop().create_task(self._answer(ours), name="line of the exporter")
        self._line.add_done_callback(self._line_ended)
        with theirs:
            yield {"line": theirs.fileno(), **self._port.descriptors}

    def _end_line(self) -> None:
        if self._line is not None:
            self._line.cancel()
            self._line = None

    def _line_ended(self, line: "asyncio.Task[None]") -> None:
        """Logs a fault of ours; the exporter is started again, with another line."""
        if not line.cancelled() and isinstance(error := line.exception(), Exception):
            incident(error)
            self.worker.send(Stop())

    async def _answer(self, line: socket.socket) -> None:
        """Answers each byte on the line with all the figures behind their length, to the end of the line."""
        reader, writer = await asyncio.open_connection(sock=line)
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while await reader.read(1):
                told = await self._told()
                writer.write(struct.pack(">I", len(told)) + told)
                await writer.drain()

    async def _told(self) -> bytes:
        at, told = self._last
        if not told or time.monotonic() - at > FRESH:
            told = write_families(await self._figures())
            self._last = (time.monotonic(), told)
        return told
