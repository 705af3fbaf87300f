"""The port of a process of the daemon, and its line to the core. It inherits both and opens neither."""

import socket

import msgspec

__all__ = ["Inherited", "hosts_of"]


class Inherited(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Descriptors that the daemon leaves to a process that listens.

    Attributes:
        line: to the core.
        ipv4: the socket that listens on 127.0.0.1.
        ipv6: likewise on ::1; none where the machine has no such address.
    """

    line: int
    ipv4: int
    ipv6: int | None = None

    def listeners(self) -> tuple[socket.socket, ...]:
        """Takes over the sockets that listen, all on one port."""
        return tuple(socket.socket(fileno=each) for each in (self.ipv4, self.ipv6) if each is not None)


def hosts_of(port: int) -> frozenset[bytes]:
    """The values of Host by which a port of this machine is dialled."""
    return frozenset(f"{name}:{port}".encode() for name in ("127.0.0.1", "[::1]", "localhost"))
