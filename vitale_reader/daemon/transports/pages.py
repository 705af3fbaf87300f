"""The ways of web pages to a desk: the gateway, and the native hosts of browsers. Loaded where pages may come."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from vitale_protocol.methods import StationMode
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.fairness.connection_turns import Turns
from vitale_reader.daemon.process_ancestry import Kinship
from vitale_reader.daemon.transports import channels, tls
from vitale_reader.daemon.transports.gateway import Gateway
from vitale_reader.daemon.transports.stream import StreamLimits
from vitale_reader.daemon.workers.supervisor import Supervisor

__all__ = ["Pages"]


class Pages:
    """The ways of pages, which share one room and their settings.

    Args:
        service: answers.
        limits: of other connections.
        turns: of all transports.
        config: of the station.
    """

    def __init__(self, service: Dispatcher, limits: StreamLimits, turns: Turns, config: Config) -> None:
        self._service = service
        self._limits = channels.channel_limits(limits)
        self._room = channels.channel_room(turns)
        self._mode: StationMode = config.station.mode
        self._port = config.web.port
        self._extensions = frozenset(config.web.extension.ids)

    def gateway(self, may_come: Callable[[str], bool], supervisor: Supervisor) -> Gateway:
        """The gateway of pages; it does not listen yet."""
        return Gateway(
            self._service,
            self._limits,
            self._room,
            port=self._port,
            mode=self._mode,
            may_come=may_come,
            beat=supervisor.beat,
            hidden=supervisor.hidden,
        )

    async def listen(self, socket: Path, kinship: Kinship) -> asyncio.AbstractServer:
        """Listens for native hosts on a Unix socket."""
        return await channels.listen(
            socket,
            self._service,
            self._limits,
            self._room,
            mode=self._mode,
            extensions=self._extensions,
            kinship=kinship,
        )

    def hosts(self, digest: str) -> tls.Hosts:
        """Native hosts that come by TLS, with the certificate of this digest."""
        nameless = channels.nameless_places()

        def channel() -> channels.ChannelConnection:
            return channels.ChannelConnection(
                self._service,
                self._limits,
                self._room,
                via="stdio",
                mode=self._mode,
                nameless=nameless,
                extensions=self._extensions,
            )

        return tls.Hosts(digest, channel)
