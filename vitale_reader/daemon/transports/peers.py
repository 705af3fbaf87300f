"""Users of this machine: the one at the other end of a Unix socket, by the kernel's peer credentials."""

import os
import socket
import struct
import sys
from collections.abc import Iterable
from typing import Final

from vitale_protocol.configuration.settings import refusal

__all__ = ["LONGEST_PATH", "UNIX_SOCKETS", "own_uid", "peer", "uids"]

# Linux: struct ucred {pid_t, uid_t, gid_t}, socket(7).
# macOS: struct xucred {version, uid, ngroups, groups[16]}, unix(4).
UCRED = struct.Struct("3i")
XUCRED = struct.Struct("2IH2x16I")
LOCAL_PEERCRED: Final = 1
LOCAL_PEERPID: Final = 2

UNIX_SOCKETS = sys.platform != "win32"
"""True if asyncio has Unix sockets here."""

LONGEST_PATH = 107 if sys.platform == "linux" else 103
"""Bytes of the path of a Unix socket, without the zero that ends it (sys/un.h of Linux, of macOS and the BSDs)."""


if sys.platform == "win32":

    def _peer_uid(connection: socket.socket) -> int:  # noqa: ARG001
        """The user id of the process at the other end.

        Raises:
            OSError: the kernel does not say.
        """
        raise OSError("this system has no Unix sockets")

    def _peer_pid(connection: socket.socket) -> int:  # noqa: ARG001
        """The process at the other end, as it was when it connected; 0 for one of another PID namespace.

        Raises:
            OSError: the kernel does not say.
        """
        raise OSError("this system has no Unix sockets")

elif sys.platform == "darwin":

    def _peer_uid(connection: socket.socket) -> int:
        """The user id of the process at the other end.

        Raises:
            OSError: the kernel does not say.
        """
        return int(XUCRED.unpack(connection.getsockopt(0, LOCAL_PEERCRED, XUCRED.size))[1])

    def _peer_pid(connection: socket.socket) -> int:
        """The process at the other end, as it was when it connected; 0 for one of another PID namespace.

        Raises:
            OSError: the kernel does not say.
        """
        return connection.getsockopt(0, LOCAL_PEERPID)

else:

    def _peer_uid(connection: socket.socket) -> int:
        """The user id of the process at the other end.

        Raises:
            OSError: the kernel does not say.
        """
        return int(UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))[1])

    def _peer_pid(connection: socket.socket) -> int:
        """The process at the other end, as it was when it connected; 0 for one of another PID namespace.

        Raises:
            OSError: the kernel does not say.
        """
        return int(UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))[0])


def peer(connection: socket.socket) -> tuple[int, int] | None:
    """The user id and the process at the other end, as it was when it connected.

    The process is 0 for one of another PID namespace.

    Returns:
        None where the kernel does not say, as macOS of one that has gone.
    """
    try:
        return _peer_uid(connection), _peer_pid(connection)
    except OSError:
        return None


if sys.platform == "win32":

    def own_uid() -> int:
        """The user id of this process.

        Raises:
            OSError: users have no such numbers here.
        """
        raise OSError("this system has no user ids")

    def uids(users: Iterable[str]) -> list[int]:  # noqa: ARG001
        """The user ids of users by name.

        Raises:
            ConfigurationInvalid: there is none of that name; ``data.path`` is the setting.
        """
        raise refusal("unix.users", "this system has no Unix sockets")

else:
    import pwd

    def own_uid() -> int:
        """The user id of this process."""
        return os.getuid()

    def uids(users: Iterable[str]) -> list[int]:
        """The user ids of users by name.

        Raises:
            ConfigurationInvalid: there is none of that name; ``data.path`` is the setting.
        """
        found: list[int] = []
        for user in users:
            try:
                found.append(pwd.getpwnam(user).pw_uid)
            except KeyError as error:
                raise refusal("unix.users", f"no user of this machine is called {user}") from error
        return found
