"""The Unix socket: for programs of this machine, told apart by the kernel's word (peer credentials)."""

import asyncio
import os
from collections.abc import Collection
from pathlib import Path

from vitale_reader.daemon.access import Peer
from vitale_reader.daemon.service import Service
from vitale_reader.daemon.transports.peers import own_uid, peer_uid
from vitale_reader.daemon.transports.stream import StreamConnection, StreamLimits, TooMany

__all__ = ["listen"]


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
    own = own_uid()
    allowed = {own, *other_users}

    def identify(transport: asyncio.Transport) -> Peer | None:
        uid = peer_uid(transport.get_extra_info("socket"))
        return Peer(transport="unix", own_user=uid == own) if uid in allowed else None

    umask = os.umask(0o177 if not other_users else 0o111)
    try:
        # asyncio removes a socket file that a dead daemon left behind; this one holds the home's lock.
        return await asyncio.get_running_loop().create_unix_server(
            lambda: StreamConnection(service, limits, room, identify), file
        )
    finally:
        os.umask(umask)
