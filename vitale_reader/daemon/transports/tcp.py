"""A TCP port of the daemon's alone, and listened on for as long as it is wanted.

On Windows the event loop closes a listening socket when a connection is gone before it was accepted (Proactor). Then it
is listened on again.
"""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

from vitale_reader.daemon.observation.incidents import BackgroundTasks

__all__ = ["TcpListener"]

logger = logging.getLogger(__name__)

#: Seconds between two attempts to listen again.
AGAIN = 1.0

if sys.platform == "win32":

    def _claim(sock: socket.socket) -> None:
        """Lets nobody else listen there meanwhile; there, that is not so by itself."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)

else:

    def _claim(sock: socket.socket) -> None:
        """Takes a port on which connections of a daemon before linger."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


class TcpListener:
    """Sockets that listen on all addresses of a host.

    Args:
        host: name or address.
        port: 0 for any that is free.
        protocol: makes the protocol of each connection.
    """

    def __init__(self, host: str, port: int, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._host = host
        self._port = port
        self._protocol = protocol
        self._servers: list[asyncio.Server] = []
        self._addresses: list[tuple[socket.AddressFamily, Any]] = []
        self._attempts = BackgroundTasks()
        self._former: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None

    async def open(self) -> tuple[str, int]:
        """Listens; gives the first address.

        Raises:
            OSError: the address cannot be used.
        """
        loop = asyncio.get_running_loop()
        # As text it would be encoded by tables of Unicode, a megabyte, which a name of ASCII does not need.
        host = self._host.encode() if self._host.isascii() else self._host
        found = await loop.getaddrinfo(host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, *_, address in dict.fromkeys(found):
                sock = _bound(family, address)
                self._addresses.append((family, sock.getsockname()))
                self._servers.append(await loop.create_server(self._protocol, sock=sock))
        except OSError:
            self.close()
            raise
        self._former = loop.get_exception_handler()
        loop.set_exception_handler(self._hear)
        host, port = self._addresses[0][1][:2]
        return str(host), int(port)

    def close(self) -> None:
        """Listens no more; connections that were accepted live on."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            asyncio.get_running_loop().set_exception_handler(self._former)
        self._attempts.cancel()
        for server in self._servers:
            if not _is_deaf(server):
                server.close()
        self._servers.clear()

    def _hear(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Passes a fault of the loop on.

        A socket that failed is looked for once the loop has dealt with it.
        """
        if self._former is None:
            loop.default_exception_handler(context)
        else:
            self._former(loop, context)
        if "socket" in context:
            loop.call_soon(self._look)

    def _look(self) -> None:
        for index, server in enumerate(self._servers):
            if _is_deaf(server):
                self._attempts.spawn(self._listen_again(index))

    async def _listen_again(self, index: int) -> None:
        while _is_deaf(self._servers[index]):
            try:
                await self._listen(index)
            except OSError as error:
                address = self._addresses[index][1]
                logger.error("cannot listen on %s:%d again: %s", address[0], address[1], error.strerror)
                await asyncio.sleep(AGAIN)
            else:
                logger.warning("the port was closed by a connection that failed; listening on it again")

    async def _listen(self, index: int) -> None:
        sock = _bound(*self._addresses[index])
        try:
            # It is known before it serves: whoever closes the listener meanwhile closes it.
            server = await asyncio.get_running_loop().create_server(self._protocol, sock=sock, start_serving=False)
            self._servers[index] = server
            await server.start_serving()
        except BaseException:
            sock.close()
            raise


def _bound(family: socket.AddressFamily, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        _claim(sock)
        if family == socket.AF_INET6:
            # Else an address of IPv4 would be taken as well, which has a socket of its own.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _is_deaf(server: asyncio.Server) -> bool:
    return any(each.fileno() == -1 for each in server.sockets)
