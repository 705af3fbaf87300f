"""The Unix socket: for programs of this machine, told apart by the kernel's word (peer credentials)."""

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Collection
from pathlib import Path

from vitale_reader.daemon.access import Peer
from vitale_reader.daemon.service import Service
from vitale_reader.daemon.transports.stream import StreamConnection, StreamLimits, TooMany

__all__ = ["listen", "peer_uid"]

# Linux: struct ucred {pid_t, uid_t, gid_t}, socket(7).
# macOS: struct xucred {version, uid, ngroups, groups[16]}, unix(4).
UCRED = struct.Struct("3i")
XUCRED = struct.Struct("2IH2x16I")
LOCAL_PEERCRED = 1


async def listen(
    file: Path, service: Service, limits: StreamLimits, *, other_users: Collection[int] = ()
) -> asyncio.AbstractServer:
    """Listens on a socket file.

    Args:
        file: the socket; a file that a dead daemon left behind is replaced (its lock was taken before).
        service: answers.
        limits: of each connection.
        other_users: user ids that may connect besides the daemon's own.

    Raises:
        OSError: the socket cannot be made.
    """
    room = TooMany(limits.connections)
    allowed = {os.getuid(), *other_users}

    def identify(transport: asyncio.Transport) -> Peer | None:
        uid = peer_uid(transport.get_extra_info("socket"))
        return Peer(transport="unix", own_user=uid == os.getuid()) if uid in allowed else None

    umask = os.umask(0o177 if not other_users else 0o111)
    try:
        # asyncio removes a socket file that a dead daemon left behind; this one holds the home's lock.
        return await asyncio.get_running_loop().create_unix_server(
            lambda: StreamConnection(service, limits, room, identify), file
        )
    finally:
        os.umask(umask)


def peer_uid(connection: socket.socket) -> int:
    """The user id of the process at the other end.

    Raises:
        OSError: the kernel does not say.
    """
    if sys.platform == "darwin":
        return int(XUCRED.unpack(connection.getsockopt(0, LOCAL_PEERCRED, XUCRED.size))[1])
    return int(UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size))[1])
