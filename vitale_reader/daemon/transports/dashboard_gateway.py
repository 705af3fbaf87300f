"""The gateway of the dashboard's page: who is let in by which secret, and how many pages are open."""

import asyncio
import logging
import socket
from collections.abc import Callable

from vitale_drivers.base import Report, Started
from vitale_drivers.host.handover import hand_over
from vitale_drivers.host.programs import own_program
from vitale_protocol.errors import NotAuthenticated, ShuttingDown
from vitale_protocol.problems import Problem
from vitale_protocol.web.admission import Admitted, Asked, write
from vitale_reader.daemon.dashboard.passes import Passes
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.fairness.token_buckets import Places
from vitale_reader.daemon.transports.channels import ChannelConnection
from vitale_reader.daemon.transports.gateway import Gateway
from vitale_reader.daemon.transports.stream import Room, StreamLimits
from vitale_reader.daemon.workers.heartbeat import Beat

__all__ = ["DASHBOARD", "DashboardGateway"]

logger = logging.getLogger(__name__)

DASHBOARD = own_program("vitale_reader.web.dashboard.process", "dashboard-gateway")


class DashboardChannel(ChannelConnection):
    """A channel of the dashboard's page."""

    def __init__(
        self,
        service: Dispatcher,
        limits: StreamLimits,
        room: Room,
        *,
        site: str,
        nameless: Places,
        on_end: Callable[[], None],
    ) -> None:
        # Its one site is http under a local name, whatever the mode of the station.
        super().__init__(service, limits, room, via="dashboard", mode="simulated", nameless=nameless, only=site)
        self._on_end = on_end

    def connection_lost(self, exc: Exception | None) -> None:
        """The page is gone."""
        super().connection_lost(exc)
        self._on_end()


class DashboardGateway(Gateway):
    """The gateway of the dashboard's page.

    Attributes:
        began: settled when its process serves, with the problem where it does not.
        pages: that are open.
    """

    def __init__(
        self,
        service: Dispatcher,
        limits: StreamLimits,
        room: Room,
        *,
        name: str,
        passes: Passes,
        on_entry: Callable[[], None],
        on_pages: Callable[[int], None],
        beat: Beat,
        hidden: tuple[str, ...],
    ) -> None:
        """Stores.

        Args:
            service: answers the page.
            limits: of a channel.
            room: of all channels.
            name: that browsers dial.
            passes: that count.
            on_entry: told when somebody is let in.
            on_pages: told how many pages are open.
            beat: how the process is asked whether it lives.
            hidden: files and folders of the daemon.
        """
        self.began: asyncio.Future[Problem | None] = asyncio.get_running_loop().create_future()
        self.name = name
        self._passes = passes
        self._on_entry = on_entry
        self._on_pages = on_pages
        self.pages = 0
        self._site = ""
        super().__init__(
            service,
            limits,
            room,
            port=0,
            # Its one site is http under a local name, whatever the mode of the station.
            mode="simulated",
            may_come=lambda site: site == self.site,
            beat=beat,
            hidden=hidden,
            command=DASHBOARD,
            name="dashboard",
            title="the dashboard",
            options={"name": name},
        )

    def listen(self) -> int:
        """Listens on the port, once; its number.

        Raises:
            ConfigurationInvalid, ShuttingDown: as any gateway.
        """
        port = super().listen()
        self._site = f"http://{self.name}:{port}"
        return port

    @property
    def url(self) -> str:
        """The address that a browser dials."""
        return f"{self._site}/"

    @property
    def site(self) -> str:
        """The web origin of its page, also while it closes: browsers ask until its process has ended."""
        return self._site

    def _reported(self, name: str, report: Report) -> None:
        if isinstance(report, Started):
            self._settle(None)

    def _ended(self, name: str, problem: Problem | None) -> None:
        super()._ended(name, problem)
        self._settle(problem or Problem(""))

    def close(self) -> None:
        """Listens no more; whoever waits for it to begin waits no longer."""
        super().close()
        self._settle(Problem(ShuttingDown.reason))

    def _settle(self, problem: Problem | None) -> None:
        if not self.began.done():
            self.began.set_result(problem)

    def _answer(self, line: socket.socket, question: Asked) -> None:
        if not question.secret:
            super()._answer(line, question)
            return
        try:
            bearer = self._passes.enter(question.secret) if question.site == self.site else ""
        except NotAuthenticated as error:
            logger.info("nobody is let into the dashboard: %s", error.detail)
            bearer = ""
        hand_over(line, write(Admitted(number=question.number, yes=bool(bearer), bearer=bearer)))
        if bearer:
            self._on_entry()

    def _channel(self) -> ChannelConnection:
        self.pages += 1
        self._on_pages(self.pages)
        return DashboardChannel(
            self._service, self._limits, self._room, site=self.site, nameless=self._nameless, on_end=self._left
        )

    def _left(self) -> None:
        self.pages -= 1
        self._on_pages(self.pages)
