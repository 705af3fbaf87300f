"""A port on both loopback addresses of this machine, or on neither.

A program that holds one of the two would be dialled by pages that try that one first.
"""

import errno
import socket

__all__ = ["LoopbackPort", "loopback_port"]

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
