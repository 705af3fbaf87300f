"""The listener of the dashboard: made when its owner asks for it, gone ten minutes after the last page.

It is a gateway of its own, in a process of its own, on a port that any program may have had before. So its name is
made anew with each listener, and nobody can guess it. What another program left in a browser under the same port is
kept there for another site.

A browser is let in by a file that only this user can read. It posts the ticket; a link would show it in the list of
processes, and in the history.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from vitale_drivers.base import Report, Started
from vitale_drivers.host.handover import hand_over
from vitale_drivers.host.programs import own_program
from vitale_protocol.errors import (
    ConfigurationInvalid,
    DashboardUnavailable,
    NotAuthenticated,
    ShuttingDown,
    ToolMissing,
)
from vitale_protocol.methods import DashboardOpened
from vitale_protocol.problems import Problem
from vitale_protocol.web.admission import Admitted, Asked, write
from vitale_reader.atomic_files import remove, write_atomically
from vitale_reader.daemon.dashboard.entrance import At, Entrance
from vitale_reader.daemon.dashboard.passes import INVITATION_SECONDS, Invitation, Passes
from vitale_reader.daemon.dispatcher import Service
from vitale_reader.daemon.fairness.connection_turns import Turns
from vitale_reader.daemon.fairness.rate_limits import Places
from vitale_reader.daemon.transports.channels import ChannelConnection, channel_limits, channel_room
from vitale_reader.daemon.transports.gateway import Gateway
from vitale_reader.daemon.transports.peers import UNIX_SOCKETS
from vitale_reader.daemon.transports.stream import Room, StreamLimits
from vitale_reader.daemon.workers.heartbeat import Beat
from vitale_reader.daemon.workers.supervisor import Supervisor
from vitale_reader.home import Home

__all__ = ["DASHBOARD", "Dashboard"]

logger = logging.getLogger(__name__)

DASHBOARD = own_program("vitale_reader.web.dashboard.process", "dashboard-gateway")

#: Seconds for which it listens while no page is open.
UNUSED: Final = 600.0

#: Seconds for its process to begin.
BEGINNING: Final = 30.0

#: A page that does what a link must not: nothing of it is shown for longer than a browser takes.
TICKET_PAGE: Final = """<!doctype html>
<html lang="fr">
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>vitale-reader</title>
<form id="enter" method="post" action="{url}enter">
<input type="hidden" name="ticket" value="{ticket}">
<button>Ouvrir le tableau de bord · Open the dashboard</button>
</form>
<script>document.getElementById("enter").submit()</script>
</html>
"""


class DashboardChannel(ChannelConnection):
    """A channel of the dashboard's page."""

    def __init__(
        self,
        service: Service,
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
        service: Service,
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


class Dashboard:
    """The dashboard's listener, while there is one.

    Args:
        home: where the ticket is put.
        service: answers the page.
        limits: of other connections.
        turns: of all transports.
        entrance: that lets people in.
        supervisor: of processes.
    """

    def __init__(
        self,
        home: Home,
        service: Service,
        limits: StreamLimits,
        turns: Turns,
        entrance: Entrance,
        supervisor: Supervisor,
    ) -> None:
        self._home = home
        self._service = service
        # A bundle for support is longer than what waits for a page of the web.
        self._limits = msgspec.structs.replace(channel_limits(limits), send_buffer_bytes=limits.send_buffer_bytes)
        self._room = channel_room(turns)
        self._entrance = entrance
        self._supervisor = supervisor
        self._gateway: DashboardGateway | None = None
        self._file: Path | None = None
        self._turn = asyncio.Lock()
        self._is_closed = False
        self._forgetting: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        for left in home.run.glob("dashboard-*.html"):  # of a daemon that was killed
            left.unlink(missing_ok=True)

    async def invite(self, at: At) -> DashboardOpened:
        """Listens, if nobody does yet, and makes an invitation.

        Raises:
            DashboardUnavailable: no browser would reach it.
            ShuttingDown: the daemon stops.
        """
        if not UNIX_SOCKETS:
            raise DashboardUnavailable("no Unix sockets here", variant="platform")
        async with self._turn:
            gateway = await self._listening(at)
            self._forget()
            made = self._entrance.passes.invite()
            return self._written(gateway, made)

    def close(self) -> None:
        """Listens no more, for good; its process ends with the others, its pages with their sessions."""
        self._is_closed = True
        gateway, self._gateway = self._gateway, None
        self._forget()
        self._count(0)
        self._entrance.passes.end()
        if gateway is not None:
            gateway.close()

    async def _listening(self, at: At) -> DashboardGateway:
        gateway = self._gateway
        if gateway is not None and (gateway.name == "127.0.0.1") != (at == "address"):
            await self._end()
            gateway = None
        self._require_open()
        if gateway is None:
            name = "127.0.0.1" if at == "address" else f"desk-{secrets.token_hex(16)}.localhost"
            gateway = self._gateway = self._made(name)
            try:
                gateway.listen()
            except ConfigurationInvalid as error:
                self._gateway = None
                raise DashboardUnavailable(error.detail) from error
            self._supervisor.add(gateway.worker)
        await self._began(gateway)
        self._count(gateway.pages)
        return gateway

    def _made(self, name: str) -> DashboardGateway:
        return DashboardGateway(
            self._service,
            self._limits,
            self._room,
            name=name,
            passes=self._entrance.passes,
            on_entry=self._forget,
            on_pages=self._count,
            beat=self._supervisor.beat,
            hidden=self._supervisor.hidden,
        )

    async def _began(self, gateway: DashboardGateway) -> None:
        try:
            async with asyncio.timeout(BEGINNING):
                problem = await asyncio.shield(gateway.began)
        except TimeoutError:
            problem = Problem("", detail="its process does not begin")
        self._require_open()
        if problem is not None:
            await self._end()
            if problem.reason == ToolMissing.reason:
                raise DashboardUnavailable(problem.detail, variant="web")
            raise DashboardUnavailable(problem.detail)

    def _require_open(self) -> None:
        if self._is_closed:
            raise ShuttingDown("the daemon stops")

    def _written(self, gateway: DashboardGateway, made: Invitation) -> DashboardOpened:
        """Puts the ticket where only this user reads it, for as long as it is good."""
        file = self._home.run / f"dashboard-{secrets.token_hex(4)}.html"
        page = TICKET_PAGE.format(url=gateway.url, ticket=made.ticket)
        write_atomically(file, page.encode(), durable=False)
        self._file = file
        self._forgetting = asyncio.get_running_loop().call_later(INVITATION_SECONDS, self._forget)
        return DashboardOpened(
            url=gateway.url,
            file=str(file),
            code=f"{made.code[:4]}-{made.code[4:]}",
            expires=time.time() + INVITATION_SECONDS,
        )

    def _forget(self) -> None:
        """The invitation is over; its file goes."""
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
        self._entrance.passes.withdraw()
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):  # gone already
                remove(file)

    def _count(self, pages: int) -> None:
        """So many pages are open; after the last it listens for a while."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if not pages and self._gateway is not None:
            self._closing = asyncio.get_running_loop().call_later(UNUSED, self._end_later)

    def _end_later(self) -> None:
        self._closing = None
        task = asyncio.get_running_loop().create_task(self._end_unused())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_unused(self) -> None:
        async with self._turn:
            # Somebody may have been invited meanwhile, or have come.
            if self._closing is None and self._gateway is not None and not self._gateway.pages:
                self._forget()
                await self._end()

    async def _end(self) -> None:
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            self._entrance.passes.end()
            gateway.close()
            await self._supervisor.end(gateway.worker)
