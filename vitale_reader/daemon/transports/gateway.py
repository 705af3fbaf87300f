"""The core's side of the web gateway: its port, its line for asking, and the channels handed to it.

The gateway has no way to the core but these. Whoever takes it over can ask whether a site may come, and open channels
as a page.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from vitale_drivers.base import Options, Report, Stop
from vitale_drivers.host.handover import channel_pair, hand_over, line_pair, take_over
from vitale_drivers.host.programs import own_program
from vitale_protocol.errors import ParseError
from vitale_protocol.methods import StationMode
from vitale_protocol.problems import Problem
from vitale_protocol.web.admission import DATAGRAM_BYTES, Admitted, Asked, read_question, write
from vitale_protocol.web.sites import parse_site
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.observation.incidents import BackgroundTasks
from vitale_reader.daemon.transports.channels import ChannelConnection, nameless_places
from vitale_reader.daemon.transports.loopback import InheritedPort
from vitale_reader.daemon.transports.stream import Room, StreamLimits
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.worker import Worker

__all__ = ["GATEWAY", "Gateway"]

logger = logging.getLogger(__name__)

GATEWAY = own_program("vitale_reader.web.gateway", "gateway")

#: Questions that are read at once; others of the daemon have their turn between.
TURN = 16


class Gateway:
    """The gateway of a station, across the processes that run it one after the other.

    Attributes:
        worker: its process.
    """

    def __init__(
        self,
        service: Dispatcher,
        limits: StreamLimits,
        room: Room,
        *,
        port: int,
        mode: StationMode,
        may_come: Callable[[str], bool],
        beat: Beat,
        hidden: tuple[str, ...] = (),
        command: tuple[str, ...] = GATEWAY,
        name: str = "gateway",
        title: str = "the gateway for web pages",
        options: Options | None = None,
    ) -> None:
        """Stores.

        Args:
            service: answers the pages.
            limits: of a channel.
            room: of all channels.
            port: on both loopback addresses; 0 for any.
            mode: of the station.
            may_come: whether a page of a site is let in now.
            beat: how the process is asked whether it lives.
            hidden: files and folders of the daemon.
            command: of the process.
            name: of the process.
            title: of the process, in the log.
            options: that the process is told besides what it inherits.
        """
        self.worker = Worker(
            name,
            options or {},
            self._reported,
            self._ended,
            beat=beat,
            command=command,
            hidden=hidden,
            inherit=self._inherit,
            title=title,
        )
        self._service = service
        self._limits = limits
        self._room = room
        self._mode: StationMode = mode
        self._may_come = may_come
        self._found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._port = InheritedPort(port, setting="web.port", in_use="web_port_in_use")
        self._line: socket.socket | None = None
        self._opening = BackgroundTasks()
        self._nameless = nameless_places()

    async def port(self) -> int:
        """The port that is listened on, as soon as one is."""
        return await asyncio.shield(self._found)

    def close(self) -> None:
        """Listens no more; those who are in stay."""
        self._port.close()

    def listen(self) -> int:
        """Listens on the port, once; its number.

        Raises:
            ConfigurationInvalid: it cannot be listened on, on both addresses; ``data.holder`` says who does.
            ShuttingDown: nothing is listened on any more.
        """
        port = self._port.listen()
        if not self._found.done():
            self._found.set_result(port)
        return port

    @contextmanager
    def _inherit(self) -> Generator[Mapping[str, int]]:
        """Makes all that a process of the gateway inherits: the listening sockets, and a line of its own."""
        self.listen()
        self._end_line()
        ours, theirs = line_pair()
        self._line = ours
        asyncio.get_running_loop().add_reader(ours, self._read, ours)
        with theirs:
            yield {"line": theirs.fileno(), **self._port.descriptors}

    def _reported(self, name: str, report: Report) -> None:
        """The process says something of itself."""

    def _ended(self, _name: str, _problem: Problem | None) -> None:
        self._end_line()

    def _end_line(self) -> None:
        if self._line is not None:
            asyncio.get_running_loop().remove_reader(self._line)
            self._line.close()
            self._line = None

    def _read(self, line: socket.socket) -> None:
        for _ in range(TURN):
            if line is not self._line:
                return
            try:
                datagram, handed = take_over(line, DATAGRAM_BYTES)
                if handed is not None:  # nobody may leave sockets here
                    handed.close()
                question = read_question(datagram)
            except BlockingIOError:
                return
            except (OSError, ParseError) as error:
                logger.error("the gateway's line is broken: %s; it is started again", type(error).__name__)
                self._end_line()
                self.worker.send(Stop())
                return
            with contextlib.suppress(OSError):  # it does not read its answers, or too many files are open
                self._answer(line, question)

    def _answer(self, line: socket.socket, question: Asked) -> None:
        if not self._is_let_in(question.site):
            hand_over(line, write(Admitted(number=question.number, yes=False)))
            return
        ours, theirs = channel_pair()
        try:
            with theirs:
                hand_over(line, write(Admitted(number=question.number, yes=True)), theirs)
        except OSError:
            ours.close()
            raise
        self._opening.spawn(self._open(ours))

    def _is_let_in(self, site: str) -> bool:
        try:
            parse_site(site, self._mode)
        except ParseError:
            return False
        return self._may_come(site)

    async def _open(self, ours: socket.socket) -> None:
        await asyncio.get_running_loop().create_unix_connection(self._channel, sock=ours)

    def _channel(self) -> ChannelConnection:
        return ChannelConnection(
            self._service, self._limits, self._room, via="websocket", mode=self._mode, nameless=self._nameless
        )
