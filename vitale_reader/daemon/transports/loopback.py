"""A port on both loopback addresses of this machine, or on neither; a process of the daemon inherits it.

A program that holds one of the two would be dialled by pages that try that one first. The port is the daemon's: while
the process is started again no other program can take it.
"""

import errno
import socket

from vitale_protocol.errors import ShuttingDown
from vitale_reader.daemon.transports.port_holder import cannot_listen

__all__ = ["InheritedPort", "LoopbackPort", "loopback_port"]

#: Connections that wait to be accepted, while a gateway is started again.
BACKLOG = 128

#: A machine without IPv6: nobody holds that address there.
WITHOUT_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

#: Ports that are tried where any will do; one that is free on one address may be taken on the other.
TRIES = 20


class LoopbackPort:
    """Sockets that listen on a port.

    Attributes:
        port: the number.
        sockets: by the names of their families.
    """

    def __init__(self, sockets: dict[str, socket.socket]) -> None:
        self.sockets = sockets
        self.port = int(sockets["ipv4"].getsockname()[1])

    def close(self) -> None:
        """Listens no more; connections that were accepted live on."""
        for each in self.sockets.values():
            each.close()


class InheritedPort:
    """A port that one process after the other inherits, from when it is first wanted until the daemon ends.

    Args:
        port: 0 for any.
        setting: that names it.
        in_use: the variant of the error where another program has it.
    """

    def __init__(self, port: int, *, setting: str, in_use: str) -> None:
        self._wanted = port
        self._setting = setting
        self._in_use = in_use
        self._port: LoopbackPort | None = None
        self._is_closed = False

    @property
    def number(self) -> int | None:
        """The port that is listened on; None while there is none."""
        return None if self._port is None else self._port.port

    @property
    def descriptors(self) -> dict[str, int]:
        """Those of the sockets that listen, by the names of their families."""
        return {} if self._port is None else {name: each.fileno() for name, each in self._port.sockets.items()}

    def listen(self) -> int:
        """Listens, once; gives the port.

        Raises:
            ConfigurationInvalid: it cannot be listened on, on both addresses; ``data.holder`` says who does.
            ShuttingDown: nothing is listened on any more.
        """
        if self._is_closed:
            raise ShuttingDown("the daemon stops")
        if self._port is None:
            try:
                self._port = loopback_port(self._wanted)
            except OSError as error:
                where = f"127.0.0.1 and ::1, port {self._wanted}"
                raise cannot_listen(where, self._wanted, error, setting=self._setting, in_use=self._in_use) from error
        return self._port.port

    def close(self) -> None:
        """Listens no more, for good; connections that were accepted live on."""
        self._is_closed = True
        if self._port is not None:
            self._port.close()
            self._port = None


def loopback_port(port: int) -> LoopbackPort:
    """Listens on both addresses.

    Args:
        port: 0 for any that is free on both.

    Raises:
        OSError: one of them cannot be listened on.
    """
    for left in reversed(range(TRIES)):
        ipv4 = _listening(socket.AF_INET, "127.0.0.1", port)
        try:
            ipv6 = _listening(socket.AF_INET6, "::1", ipv4.getsockname()[1])
        except OSError as error:
            if error.errno in WITHOUT_IPV6:
                return LoopbackPort({"ipv4": ipv4})
            ipv4.close()
            if port or not left:
                raise
        else:
            return LoopbackPort({"ipv4": ipv4, "ipv6": ipv6})
    raise AssertionError("the last try returns or raises")


def _listening(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
