"""Channels of pages: frames from a gateway or a native host, which has no right of its own.

The first frame says who opened the channel. Before it is read nothing is answered. Whoever opened the channel without
proving a key is closed after the first refusal. A native host hears that its channel is taken. A frame
``{"close": code}``, the last of a channel, says why it ends.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import msgspec

from vitale_protocol.methods import StationMode
from vitale_protocol.session.session import Session
from vitale_protocol.web.channels import (
    CLOSE_PROTOCOL,
    CLOSE_REFUSED,
    CLOSE_REVOKED,
    Preamble,
    Via,
    close_frame,
    opened_frame,
)
from vitale_protocol.web.framing import ChannelFraming
from vitale_protocol.web.sealed_frames import SessionKeys
from vitale_reader.daemon.clients.callers import Peer
from vitale_reader.daemon.dispatcher import Dispatcher
from vitale_reader.daemon.fairness.connection_turns import Turns
from vitale_reader.daemon.fairness.token_buckets import Places, UnreadBytes
from vitale_reader.daemon.process_ancestry import Kinship
from vitale_reader.daemon.transports.peers import UNIX_SOCKETS, own_uid, peer
from vitale_reader.daemon.transports.stream import (
    FAREWELL,
    LITTLE_UNREAD,
    SHARES_UNREAD,
    Room,
    StreamConnection,
    StreamLimits,
)

__all__ = ["ChannelConnection", "channel_limits", "channel_room", "listen", "nameless_places"]

logger = logging.getLogger(__name__)

#: Channels at the same time; those that have opened no session, in all and of one site.
MOST_CHANNELS: Final = 64
MOST_UNOPENED: Final = 32
MOST_UNOPENED_OF_A_SITE: Final = 4

#: Channels of a gateway, or of all native hosts, that do not say yet for whom they are: a page is named at once.
MOST_NAMELESS: Final = 16

#: Bytes that may wait to be read by a page.
SEND_QUEUE: Final = 262_144

#: Bytes of a preamble with its length.
MOST_PREAMBLE: Final = 2_048
_LENGTH: Final = 4


def channel_limits(limits: StreamLimits) -> StreamLimits:
    """Limits of a channel, from those of other connections."""
    return msgspec.structs.replace(
        limits, send_buffer_bytes=SEND_QUEUE, connections=MOST_CHANNELS, unopened=MOST_UNOPENED_OF_A_SITE
    )


def channel_room(turns: Turns) -> Room:
    """The room of all channels."""
    return Room(
        places=Places(MOST_CHANNELS),
        unopened=Places(MOST_UNOPENED, each=MOST_UNOPENED_OF_A_SITE),
        turns=turns,
        unread=UnreadBytes(SHARES_UNREAD * SEND_QUEUE, least=LITTLE_UNREAD),
    )


def nameless_places() -> Places:
    """Places for a carrier's channels that do not say yet for whom they are.

    They count for no site.
    """
    return Places(MOST_NAMELESS)


class ChannelConnection(StreamConnection):
    """One channel, between a carrier and a conversation."""

    def __init__(
        self,
        service: Dispatcher,
        limits: StreamLimits,
        room: Room,
        *,
        via: Via,
        mode: StationMode,
        nameless: Places,
        extensions: Collection[str] = (),
        admits: Callable[[asyncio.Transport], bool] = lambda _transport: True,
        only: str = "",
    ) -> None:
        """Stores.

        Args:
            service: answers.
            limits: of a channel.
            room: of all channels.
            via: the one way that this carrier may name.
            mode: of the station.
            nameless: places of the carrier, as ``nameless_places`` makes them.
            extensions: of browsers, by one of which a native host was started.
            admits: whether the carrier at the other end may open a channel at all.
            only: the one site that the carrier may name, where there is but one.
        """
        super().__init__(service, limits, room, identify=lambda _transport: None)
        self._framing = ChannelFraming(mode)
        self.session = Session(role="server", framing=self._framing, limits=limits.session, page=True)
        self._via: Via = via
        self._nameless = nameless
        self._is_nameless = False
        self._extensions = extensions
        self._admits = admits
        self._only = only
        self._head = bytearray()
        self._close_code = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A carrier opened a channel; it says next for whom."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        if not self._admits(transport):
            transport.abort()
            return
        self._is_nameless = self._nameless.enter()
        if not self._is_nameless:
            logger.warning("a channel was refused: %d others of its carrier do not say for whom", MOST_NAMELESS)
            transport.abort()
            return
        self._deadline = asyncio.get_running_loop().call_later(self._limits.open_seconds, self._not_opened)

    def data_received(self, data: bytes) -> None:
        """Takes bytes from the carrier; the first frame before all others."""
        if self._conversation is not None:
            super().data_received(data)
            return
        if self._close_code or self._lost or self._transport is None or self._transport.is_closing():
            return
        self._head += data
        if len(self._head) < _LENGTH:
            return
        end = _LENGTH + int.from_bytes(self._head[:_LENGTH], "big")
        if end > MOST_PREAMBLE:
            self._transport.abort()
        elif len(self._head) >= end:
            rest = bytes(self._head[end:])
            has_begun = self._begin(bytes(self._head[:end]))
            self._head.clear()
            if rest and has_begun:
                super().data_received(rest)

    def _begin(self, first: bytes) -> bool:
        """Reads the preamble; whoever has no right to it, or no place, is gone without a word."""
        self._named()
        is_empty = not list(self._framing.receive(first))
        channel = self._framing.preamble
        if channel is None or not is_empty or not self._is_ours(channel):
            logger.info("a channel was refused: %s", self._framing.broken or "another way, user or extension")
        elif self._service.is_stopping:
            logger.info("a channel comes too late: the daemon stops")
        elif self._enter(Peer(transport=channel.via, uid=channel.peer_uid, channel=channel)):
            self._conversation = self._service.connected(self)
            if channel.via == "stdio" and self._transport is not None:  # its page waits for that
                self._transport.write(opened_frame())
            return True
        if self._transport is not None:
            self._transport.abort()
        return False

    def _named(self) -> None:
        if self._is_nameless:
            self._is_nameless = False
            self._nameless.leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """The carrier is gone, or has been sent away."""
        self._named()
        super().connection_lost(exc)

    def _is_ours(self, channel: Preamble) -> bool:
        is_known = channel.via != "stdio" or channel.host in self._extensions
        is_expected = channel.via == self._via and self._only in {"", channel.site}
        is_own = channel.peer_uid is None or (UNIX_SOCKETS and channel.peer_uid == own_uid())
        return is_expected and is_own and is_known

    def _next_piece(self) -> bytes:
        """All that is there: a frame is one call, and no line says where it ends."""
        piece = bytes(self._unread)
        self._unread.clear()
        return piece

    # ── service.Connection ──

    def seal(self, keys: SessionKeys) -> None:
        """Seals all that is said from now on."""
        self._framing.seal(keys)

    def flush(self) -> None:
        """Sends what the session has to send.

        The channel ends with a refusal, and with a frame that is not right.
        """
        super().flush()
        if self._close_code:
            return
        if self._framing.broken:
            logger.info("a channel is closed: %s", self._framing.broken)
            self._end(CLOSE_PROTOCOL)
        elif self.session.refused:
            self._end(CLOSE_REFUSED)

    def expel(self) -> None:
        """Ends the channel of a page that was revoked: it need not come back."""
        self._end(CLOSE_REVOKED)

    def _end(self, code: int) -> None:
        """Says why, and leaves the carrier to close: what is still under way is read, and forgotten.

        A socket that is closed with something unread in it resets the other end. That might not read the reason then.
        """
        self._close_code = code
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(close_frame(code))
            if transport.can_write_eof():  # TLS has no half of an end
                with contextlib.suppress(OSError):  # the carrier is gone already
                    transport.write_eof()
            asyncio.get_running_loop().call_later(FAREWELL, transport.abort)
        self.session.close()
        self._leave()

    def _not_opened(self) -> None:
        """A page that is being paired waits for a person; whoever does nothing else is closed."""
        conversation = self._conversation
        if conversation is not None and self._service.is_pairing(conversation):
            self._deadline = asyncio.get_running_loop().call_later(self._limits.open_seconds, self._not_opened)
        elif conversation is not None:
            super()._not_opened()
        elif self._transport is not None:
            self._transport.abort()


async def listen(
    file: Path,
    service: Dispatcher,
    limits: StreamLimits,
    room: Room,
    *,
    mode: StationMode,
    extensions: Collection[str],
    kinship: Kinship,
) -> asyncio.AbstractServer:
    """Listens for native hosts, on a socket for the daemon's own user alone.

    Args:
        file: the socket.
        service: answers.
        limits: of a channel.
        room: of all channels.
        mode: of the station.
        extensions: of browsers, that a native host may be started by.
        kinship: tells the processes that the daemon started itself, which carry no channel here.

    Raises:
        OSError: the socket cannot be made.
    """
    own, nameless = own_uid(), nameless_places()

    def made() -> ChannelConnection:
        return ChannelConnection(
            service, limits, room, via="stdio", mode=mode, nameless=nameless, extensions=extensions, admits=admits
        )

    def admits(transport: asyncio.Transport) -> bool:
        found = peer(transport.get_extra_info("socket"))
        return found is not None and found[0] == own and not kinship.started_here(found[1])

    umask = os.umask(0o177)
    try:
        return await asyncio.get_running_loop().create_unix_server(made, file)
    finally:
        os.umask(umask)
