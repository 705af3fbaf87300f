"""TLS 1.3 with a client certificate made at pairing; the client pins the daemon's certificate.

A connection is counted when it is accepted, before its handshake, and the handshake has little time. A client without a
handshake fills the places of this transport for a moment. It never fills those of the others.
"""

import asyncio
import contextlib
import hashlib
import hmac
import ipaddress
import logging
import ssl
from collections.abc import Callable

import msgspec

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.fairness.token_buckets import Places
from vitale_reader.daemon.observation.incidents import BackgroundTasks
from vitale_reader.daemon.transports.owner import of_this_machine
from vitale_reader.daemon.transports.stream import Room, StreamConnection, StreamLimits
from vitale_reader.daemon.transports.tcp import TcpListener

__all__ = ["Hosts", "listener", "require_loopback"]

logger = logging.getLogger(__name__)

#: Seconds for a handshake, which takes milliseconds, and for the parting words of TLS.
HANDSHAKE = 3.0
SHUTDOWN = 1.0


def listener(
    host: str,
    port: int,
    context: ssl.SSLContext,
    service: Dispatcher,
    limits: StreamLimits,
    room: Room,
    *,
    owner: str | None = None,
    hosts: "Hosts | None" = None,
) -> TcpListener:
    """The listener for an address; ``open`` begins it.

    Args:
        host: of this machine.
        port: 0 for any that is free.
        context: with the daemon's certificate.
        service: answers.
        limits: of each connection.
        room: for all of them.
        owner: digest of the certificate of the daemon's own user, where that is how they come.
        hosts: native hosts of browsers, where that is how they come.
    """
    doors = Doors(service, limits, context, room, owner=owner, hosts=hosts)
    return TcpListener(host, port, lambda: Doorstep(doors))


def require_loopback(host: str, *, lan: bool) -> None:
    """Other machines only by explicit configuration.

    Raises:
        ConfigurationInvalid: the address reaches other machines and ``lan`` is not set.
    """
    if lan or host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigurationInvalid(
            f"{host} is not a loopback address, and tls.lan is not set", data={"path": "tls.host"}
        )


class Hosts(msgspec.Struct, frozen=True):
    """Native hosts of browsers, which come by a certificate of their own and have no right but a channel.

    Attributes:
        digest: of that certificate.
        channel: makes the protocol of one.
    """

    digest: str
    channel: Callable[[], asyncio.Protocol]


class Doors:
    """Lets accepted connections through their handshake, and no more of them at a time than there is room for."""

    def __init__(
        self,
        service: Dispatcher,
        limits: StreamLimits,
        context: ssl.SSLContext,
        room: Room,
        *,
        owner: str | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        self._service = service
        self._limits = limits
        self._context = context
        self._knocking = Places(limits.connections)
        self._inside = room
        self._owner = owner
        self._hosts = hosts
        self._tasks = BackgroundTasks()

    def knock(self, transport: asyncio.Transport) -> None:
        """A connection was accepted."""
        if not self._knocking.enter():
            transport.abort()
            return
        self._tasks.spawn(self._let_in(transport))

    async def _let_in(self, transport: asyncio.Transport) -> None:
        connection = StreamConnection(self._service, self._limits, self._inside, self._identify)
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                connection,
                self._context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE,
                ssl_shutdown_timeout=SHUTDOWN,
            )
        except (OSError, ssl.SSLError) as error:  # strangers, port scanners, certificates of other stations
            logger.debug("no TLS with a client: %s", type(error).__name__)
            transport.abort()
        except asyncio.CancelledError:  # the daemon stops
            transport.abort()
            raise
        else:
            if secured is not None:
                self._seat(secured, connection)
        finally:
            self._knocking.leave()

    def _seat(self, transport: asyncio.Transport, connection: StreamConnection) -> None:
        """Gives a client its conversation, and a native host a channel instead."""
        if self._hosts is None or not _is(self._hosts.digest, _digest(transport)):
            connection.connection_made(transport)
        elif self._is_of_this_machine(transport):
            channel = self._hosts.channel()
            transport.set_protocol(channel)
            channel.connection_made(transport)
            if connection.early:
                channel.data_received(connection.early)
        else:
            transport.abort()

    def _identify(self, transport: asyncio.Transport) -> Peer | None:
        digest = _digest(transport)
        if digest is None:
            return None
        if not _is(self._owner, digest):
            return Peer(transport="tls", certificate_sha256=digest)
        if not self._is_of_this_machine(transport):
            return None
        return Peer(transport="tls", own_user=True, certificate_sha256=digest)

    def _is_of_this_machine(self, transport: asyncio.Transport) -> bool:
        if of_this_machine(transport.get_extra_info("peername"), transport.get_extra_info("sockname")):
            return True
        logger.warning("a certificate of this machine came from another one: refused")
        return False


def _digest(transport: asyncio.Transport) -> str | None:
    """The digest of the certificate that the client showed."""
    connection = transport.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLObject) else None
    return None if certificate is None else hashlib.sha256(certificate).hexdigest()


def _is(expected: str | None, digest: str | None) -> bool:
    return expected is not None and digest is not None and hmac.compare_digest(digest, expected)


class Doorstep(asyncio.Protocol):
    """An accepted connection until its handshake begins, which is at once."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody knocks; nothing is read before TLS does."""
        if isinstance(transport, asyncio.Transport):
            with contextlib.suppress(RuntimeError):  # not every transport can wait before it has begun
                transport.pause_reading()
            self._doors.knock(transport)
