"""TLS 1.3 with a client certificate made at pairing; the client pins the daemon's certificate."""

import asyncio
import hashlib
import ipaddress
import ssl

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.access import Peer
from vitale_reader.daemon.service import Service
from vitale_reader.daemon.transports.stream import StreamConnection, StreamLimits, TooMany

__all__ = ["listen", "require_loopback"]


async def listen(
    host: str, port: int, context: ssl.SSLContext, service: Service, limits: StreamLimits
) -> asyncio.Server:
    """Listens on an address.

    Raises:
        OSError: the address cannot be used.
    """
    room = TooMany(limits.connections)
    return await asyncio.get_running_loop().create_server(
        lambda: StreamConnection(service, limits, room, _identify),
        host,
        port,
        ssl=context,
        ssl_handshake_timeout=limits.open_seconds,
        ssl_shutdown_timeout=1.0,
    )


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


def _identify(transport: asyncio.Transport) -> Peer | None:
    connection = transport.get_extra_info("ssl_object")
    certificate = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLObject) else None
    if certificate is None:
        return None
    return Peer(transport="tls", certificate_sha256=hashlib.sha256(certificate).hexdigest())
