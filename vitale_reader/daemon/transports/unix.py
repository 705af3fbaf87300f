"""The Unix socket: for programs of this machine, told apart by the kernel's word (peer credentials)."""

import asyncio
import os
from collections.abc import Collection
from pathlib import Path

from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.process_ancestry import Kinship
from vitale_reader.daemon.transports.peers import own_uid, peer
from vitale_reader.daemon.transports.stream import Room, StreamConnection, StreamLimits

__all__ = ["listen"]


async def listen(
    file: Path,
    service: Dispatcher,
    limits: StreamLimits,
    room: Room,
    *,
    kinship: Kinship,
    other_users: Collection[int] = (),
) -> asyncio.AbstractServer:
    """Listens on a socket file.

    Args:
        file: the socket; a file that a dead daemon left behind is replaced (its lock was taken before).
        service: answers.
        limits: of each connection.
        room: for all of them.
        kinship: tells the processes that the daemon started itself.
        other_users: user ids that may connect besides the daemon's own.

    Raises:
        OSError: the socket cannot be made.
    """
    own = own_uid()
    allowed = {own, *other_users}

    def identify(transport: asyncio.Transport) -> Peer | None:
        found = peer(transport.get_extra_info("socket"))
        if found is None or found[0] not in allowed:
            return None
        uid, pid = found
        return Peer(transport="unix", own_user=uid == own, uid=uid, pid=pid, started_here=kinship.started_here(pid))

    umask = os.umask(0o177 if not other_users else 0o111)
    try:
        # asyncio removes a socket file that a dead daemon left behind; this one holds the home's lock.
        return await asyncio.get_running_loop().create_unix_server(
            lambda: StreamConnection(service, limits, room, identify), file
        )
    finally:
        os.umask(umask)
