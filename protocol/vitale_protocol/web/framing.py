"""Framing of a channel at the core: frames become messages, plain before the session is open, sealed after.

It is the framing that ``Session`` is made with. The first frame is the preamble and no message.
"""

from collections.abc import Iterator

from vitale_protocol.errors import LimitExceeded, ParseError
from vitale_protocol.methods import StationMode
from vitale_protocol.session.framing import NetworkFraming
from vitale_protocol.web.channels import FRAME_BYTES, Preamble, read_frame, read_preamble
from vitale_protocol.web.sealed_frames import SEALED_BYTES, Opener, Sealer, SessionKeys

__all__ = ["ChannelFraming"]


class ChannelFraming:
    """The core's end of a channel.

    Attributes:
        limit: the longest message, in bytes, such that it fits into a frame once sealed.
        exceeded: a frame was longer than may be.
        preamble: who opened the channel, once the first frame came.
        broken: the reason why nothing is read any more, in English, for the log; empty while all is well.
    """

    def __init__(self, mode: StationMode) -> None:
        self.limit = SEALED_BYTES
        self.exceeded = False
        self.preamble: Preamble | None = None
        self.broken = ""
        self._mode: StationMode = mode
        self._frames = NetworkFraming(FRAME_BYTES)
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None

    @property
    def held(self) -> int:
        """Number of bytes kept of an incomplete frame."""
        return self._frames.held

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The messages that ``data`` completes; each is dealt with before the next is opened."""
        if self.broken:
            return
        frames = self._frames.receive(data)
        self.exceeded = self._frames.exceeded
        for frame in frames:
            try:
                message = self._read(frame)
            except ParseError as error:
                self.broken = error.detail
                return
            if message is not None:
                yield message

    def seal(self, keys: SessionKeys) -> None:
        """Seals all that is sent and read from now on.

        Raises:
            RuntimeError: no preamble came yet, or all is sealed already.
        """
        if self.preamble is None or self._sealer is not None:
            raise RuntimeError("not now")
        self._sealer = Sealer(keys.s2c, self.preamble.via)
        self._opener = Opener(keys.c2s, self.preamble.via)

    def encode(self, message: bytes) -> bytes:
        """The frame of a message.

        Raises:
            LimitExceeded: the message is longer than a sealed frame holds.
        """
        if len(message) > self.limit:
            raise LimitExceeded(
                "the message is longer than the limit", variant="message_bytes", data={"limit": "message_bytes"}
            )
        return self._frames.encode(message if self._sealer is None else self._sealer.seal(message))

    def _read(self, frame: bytes) -> bytes | None:
        if self.preamble is None:
            self.preamble = read_preamble(frame, self._mode)
            return None
        if self._opener is not None:
            return self._opener.open(frame)
        read_frame(frame)
        return frame
