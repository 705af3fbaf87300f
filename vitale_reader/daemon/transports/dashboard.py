"""The listener of the dashboard: made when its owner asks for it, gone ten minutes after the last page.

It is a gateway of its own, in a process of its own. Any program may have had its port before. So its name is made anew
with each listener, and nobody can guess it. What another program left in a browser under the same port is kept there
for another site.

A browser is let in by a file that only this user can read. It posts the ticket; a link would show it in the list of
processes, and in the history.
"""

import asyncio
import contextlib
import secrets
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from vitale_protocol.errors import (
    ConfigurationInvalid,
    DashboardUnavailable,
    ShuttingDown,
    ToolMissing,
)
from vitale_protocol.methods import DashboardOpened
from vitale_protocol.problems import Problem
from vitale_reader.atomic_files import remove, write_atomically
from vitale_reader.daemon.dashboard.entrance import At, Entrance
from vitale_reader.daemon.dashboard.passes import INVITATION_SECONDS, Invitation
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.fairness.connection_turns import Turns
from vitale_reader.daemon.observation.incidents import BackgroundTasks
from vitale_reader.daemon.transports.peers import UNIX_SOCKETS
from vitale_reader.daemon.transports.stream import Room, StreamLimits
from vitale_reader.daemon.workers.supervisor import Supervisor
from vitale_reader.home import Home

if TYPE_CHECKING:
    from vitale_reader.daemon.transports.dashboard_gateway import DashboardGateway

__all__ = ["Dashboard"]

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
        service: Dispatcher,
        limits: StreamLimits,
        turns: Turns,
        entrance: Entrance,
        supervisor: Supervisor,
    ) -> None:
        self._home = home
        self._service = service
        self._limits = limits
        self._turns = turns
        self._entrance = entrance
        self._supervisor = supervisor
        self._gateway: DashboardGateway | None = None
        self._file: Path | None = None
        self._turn = asyncio.Lock()
        self._is_closed = False
        self._forgetting: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._tasks = BackgroundTasks()
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

    async def _listening(self, at: At) -> "DashboardGateway":
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

    @cached_property
    def _room(self) -> Room:
        from vitale_reader.daemon.transports.channels import channel_room  # noqa: PLC0415  see below

        return channel_room(self._turns)

    def _made(self, name: str) -> "DashboardGateway":
        # Loaded where somebody asks for a dashboard.
        from vitale_reader.daemon.transports.channels import channel_limits  # noqa: PLC0415
        from vitale_reader.daemon.transports.dashboard_gateway import DashboardGateway  # noqa: PLC0415

        # A bundle for support is longer than what waits for a page of the web.
        limits = msgspec.structs.replace(channel_limits(self._limits), send_buffer_bytes=self._limits.send_buffer_bytes)
        return DashboardGateway(
            self._service,
            limits,
            self._room,
            name=name,
            passes=self._entrance.passes,
            on_entry=self._forget,
            on_pages=self._count,
            beat=self._supervisor.beat,
            hidden=self._supervisor.hidden,
        )

    async def _began(self, gateway: "DashboardGateway") -> None:
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

    def _written(self, gateway: "DashboardGateway", made: Invitation) -> DashboardOpened:
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
        self._tasks.spawn(self._end_unused())

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
