"""The transports that a station has, by its settings: which listen, and how much they take."""

import contextlib
import errno
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.session.session import SessionLimits
from vitale_reader.daemon.config import Config
from vitale_reader.daemon.dashboard.entrance import Entrance
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.fairness.connection_turns import Turns
from vitale_reader.daemon.fairness.processor_shares import Shares
from vitale_reader.daemon.keystore.certificates import Certificates
from vitale_reader.daemon.process import adopts, file_limit
from vitale_reader.daemon.process_ancestry import Kinship
from vitale_reader.daemon.transports import tls, unix
from vitale_reader.daemon.transports.dashboard import Dashboard
from vitale_reader.daemon.transports.owner import HOSTS, OWNER, pairing_of_the_day
from vitale_reader.daemon.transports.peers import LONGEST_PATH, UNIX_SOCKETS, uids
from vitale_reader.daemon.transports.stream import StreamLimits, room
from vitale_reader.daemon.workers.supervisor import Supervisor
from vitale_reader.home import Endpoints, Home, TlsEndpoint, WebEndpoint
from vitale_reader.version import VERSION

if TYPE_CHECKING:
    from vitale_reader.daemon.transports.gateway import Gateway

__all__ = ["Listening", "check", "listen", "stream_limits"]

logger = logging.getLogger(__name__)


class Listening(msgspec.Struct, frozen=True):
    """The transports, listening.

    Attributes:
        endpoints: their addresses.
        gateway: of web pages, where they may come; it may find its port later.
    """

    endpoints: Endpoints
    gateway: "Gateway | None"


def stream_limits(config: Config) -> StreamLimits:
    """Limits of each transport."""
    return StreamLimits(
        # PendingRequest requests, and room for the calls that are answered at once beside them.
        session=SessionLimits(requests=config.limits.requests + 32),
        connections=file_limit() // 4,
        open_seconds=config.limits.open_seconds,
        send_buffer_bytes=config.limits.send_buffer_bytes,
    )


async def listen(
    stack: contextlib.AsyncExitStack,
    home: Home,
    config: Config,
    certificates: Certificates,
    service: Dispatcher,
    supervisor: Supervisor,
    *,
    page_may_come: Callable[[str], bool],
    entrance: Entrance,
    shares: Shares,
) -> Listening:
    """Opens the transports that are configured, until the stack is closed; gives their addresses.

    Args:
        stack: closes them.
        home: where the socket is.
        config: which they are.
        certificates: of the TLS transport.
        service: answers.
        supervisor: of the drivers, whose processes are no clients; the gateway's is added to them.
        page_may_come: whether a page of a site is let in now.
        entrance: of the dashboard, which listens once somebody asks for it.
        shares: of the processor's time, from which the turns of connections are taken.

    Raises:
        ConfigurationInvalid: an address cannot be listened on, or a user who may connect does not exist.
    """
    check(home, config)
    limits, turns = stream_limits(config), Turns(shares)
    kinship = Kinship(lambda: supervisor.processes, adopts=adopts())
    unix_file, tls_endpoint, owner_file, hosts_file, gateway = None, None, None, None, None
    if config.unix.enabled and UNIX_SOCKETS:
        users = uids(config.unix.users)
        server = await unix.listen(
            home.socket,
            service,
            limits,
            room(limits, turns, each=limits.connections // (1 + len(users))),
            kinship=kinship,
            other_users=users,
        )
        stack.callback(server.close)
        unix_file = str(home.socket)
    pages = None
    if config.web.enabled:
        from vitale_reader.daemon.transports.pages import Pages  # noqa: PLC0415  where pages may come

        pages = Pages(service, limits, turns, config)
    if pages is not None and unix_file is not None:
        stack.callback((await pages.listen(home.host_socket, kinship)).close)
    if pages is not None and UNIX_SOCKETS:
        gateway = pages.gateway(page_may_come, supervisor)
        stack.callback(gateway.close)
    dashboard = Dashboard(home, service, limits, turns, entrance, supervisor)
    stack.callback(dashboard.close)
    entrance.listens_by(dashboard.invite)
    if config.tls.enabled:
        owner, of_hosts = None, None
        if unix_file is None:
            owner_file, owner = stack.enter_context(pairing_of_the_day(home, certificates, OWNER))
        if unix_file is None and pages is not None:
            hosts_file, digest = stack.enter_context(pairing_of_the_day(home, certificates, HOSTS))
            of_hosts = pages.hosts(digest)
        places = room(limits, turns, each=config.limits.sessions + limits.unopened)
        context = certificates.server_context()
        listener = tls.listener(
            config.tls.host, config.tls.port, context, service, limits, places, owner=owner, hosts=of_hosts
        )
        try:
            host, port = await listener.open()
        except OSError as error:
            from vitale_reader.daemon.transports.port_holder import cannot_listen  # noqa: PLC0415

            host, port = config.tls.host, config.tls.port
            if error.errno == errno.EADDRNOTAVAIL:
                told = f"{host} is no address of this machine"
                raise ConfigurationInvalid(told, variant="address_not_here", data={"path": "tls.host"}) from error
            raise cannot_listen(f"{host}:{port}", port, error, setting="tls.port", in_use="port_in_use") from error
        stack.callback(listener.close)
        tls_endpoint = TlsEndpoint(host=host, port=port, sha256=certificates.daemon_sha256)
    web = None if gateway is None else _opened(gateway, supervisor)
    endpoints = Endpoints(
        pid=os.getpid(),
        version=VERSION,
        unix=unix_file,
        tls=tls_endpoint,
        owner=owner_file,
        hosts=hosts_file,
        web=web,
    )
    return Listening(endpoints, gateway)


def _opened(gateway: "Gateway", supervisor: Supervisor) -> WebEndpoint | None:
    """Has the gateway begin; its address, or None while another program has it: others are served all the same."""
    port = None
    try:
        port = gateway.listen()
    except ConfigurationInvalid as error:
        logger.error("no page reaches this desk: %s", error.detail)
    supervisor.add(gateway.worker)
    return None if port is None else WebEndpoint(port=port)


def check(home: Home, config: Config) -> None:
    """Looks at the transports without listening.

    Raises:
        ConfigurationInvalid: the path of the socket is too long, a user does not exist, or nothing would listen. Or an
            address reaches other machines, and ``lan`` is not set.
    """
    if config.unix.enabled and UNIX_SOCKETS:
        uids(config.unix.users)
        _require_short(home)
    if config.tls.enabled:
        tls.require_loopback(config.tls.host, lan=config.tls.lan)
    elif not (config.unix.enabled and UNIX_SOCKETS):
        raise ConfigurationInvalid("neither a Unix socket nor TLS would listen", data={"path": "tls.enabled"})


def _require_short(home: Home) -> None:
    length = len(os.fsencode(home.socket))
    if length > LONGEST_PATH:
        detail = f"{home.socket} has {length} bytes, and the system takes {LONGEST_PATH}"
        raise ConfigurationInvalid(detail, variant="socket_path", data={"path": "unix", "socket": str(home.socket)})
