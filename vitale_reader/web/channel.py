"""The gateway's end of one page's channel: frames to the core and from it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from vitale_protocol.session.framing import NetworkFraming
from vitale_protocol.web.channels import FRAME_BYTES, Preamble, close_code, write_frame

__all__ = ["ChannelEnd", "Receiver"]


class Receiver(Protocol):
    """The page that the frames of the core are for."""

    def tell(self, frame: bytes) -> None:
        """A frame came for the page."""

    def end(self, code: int) -> None:
        """The channel has ended, with a code that says why."""

    def hold(self) -> None:
        """The core is slow to read."""

    def go_on(self) -> None:
        """The core reads again."""


class ChannelEnd(asyncio.Protocol):
    """The gateway's end of a channel.

    Args:
        preamble: the first frame.
        receiver: of all that comes.
        lost: close code for a channel that ends without one.
    """

    def __init__(self, preamble: Preamble, receiver: Receiver, *, lost: int) -> None:
        self._preamble = preamble
        self._receiver = receiver
        self._lost = lost
        self._framing = NetworkFraming(FRAME_BYTES)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The channel is there: says who has opened it."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self.send(write_frame(self._preamble))

    def data_received(self, data: bytes) -> None:
        """Frames for the page; one of them may say why the channel ends."""
        for frame in self._framing.receive(data):
            if code := close_code(frame):
                self._lost = code
                self.close()
                return
            self._receiver.tell(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone."""
        self._receiver.end(self._lost)

    def pause_writing(self) -> None:
        """The core is slow to read."""
        self._receiver.hold()

    def resume_writing(self) -> None:
        """The core reads again."""
        self._receiver.go_on()

    # ── for the page ──

    @property
    def is_open(self) -> bool:
        """True while frames go both ways."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, frame: bytes) -> None:
        """Sends a frame to the core."""
        self._act(lambda transport: transport.write(self._framing.encode(frame)))

    def hold(self) -> None:
        """Reads nothing more until the page has read what is there."""
        self._act(lambda transport: transport.pause_reading())

    def go_on(self) -> None:
        """Reads again what comes for the page."""
        self._act(lambda transport: transport.resume_reading())

    def close(self) -> None:
        """Ends the channel; its receiver hears of it."""
        self._act(lambda transport: transport.close())

    def _act(self, act: Callable[[asyncio.Transport], None]) -> None:
        if self._transport is not None and self.is_open:
            act(self._transport)
