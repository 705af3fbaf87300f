"""The native host: a program that a browser starts for one page, to carry frames to the daemon.

What the extension says first is the site of the page, as the browser names it. The host opens a channel for it. The
daemon says ``{"open": true}`` once it has taken it. From then on frames are carried both ways. The last one is
``{"close": code}``, as on any channel. Where the daemon is away, stops or says nothing, it is the only one. The host
has no right of its own, reads no setting, and keeps nothing.
"""

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from vitale_protocol.errors import LimitExceeded, ParseError
from vitale_protocol.session.framing import LengthFraming, NativeFraming, NetworkFraming
from vitale_protocol.web.channels import (
    CLOSE_PROTOCOL,
    FRAME_BYTES,
    OPENED,
    Preamble,
    close_code,
    closing,
    read_frame,
    rewrite,
    write_frame,
)
from vitale_protocol.web.extensions import caller
from vitale_reader.home import Home
from vitale_reader.web.native.dialling import DaemonLine, dial, own_uid

__all__ = ["Streams", "carry", "main"]

#: Bytes that are read at once.
PIECE: Final = 65_536

#: Seconds for the daemon to take a channel; milliseconds, unless it hangs.
PATIENCE: Final = 10.0

# Close codes of the registry of RFC 6455, section 11.7.
MESSAGE_TOO_BIG: Final = 1009
TRY_AGAIN_LATER: Final = 1013


class NativeOpening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first message of an extension: the web origin of the page that it speaks for."""

    site: str


class Streams:
    """Standard streams of a native host: messages of a browser, and to it.

    Args:
        source: the descriptor that the browser writes to.
        sink: the one that it reads.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._framing = NativeFraming(FRAME_BYTES)

    def messages(self) -> Iterator[bytes]:
        """The messages of the browser, until it is gone.

        Raises:
            LimitExceeded: one is longer than may be.
        """
        yield from _frames(self._framing, lambda: os.read(self._source, PIECE))

    def tell(self, message: bytes) -> None:
        """Sends the browser a message.

        Raises:
            OSError: it is gone.
        """
        data = memoryview(self._framing.encode(message))
        while data:
            data = data[os.write(self._sink, data) :]


def main(arguments: Sequence[str]) -> None:
    """Carries one page, until either end is gone.

    Args:
        arguments: as the browser gives them.

    Raises:
        LocalMisuse: no browser starts a native host like this.
    """
    carry(caller(arguments), lambda: dial(Home.locate()), Streams(0, 1))


def carry(extension: str, call: Callable[[], DaemonLine], browser: Streams) -> None:
    """Carries the page that the browser speaks of first.

    Args:
        extension: that the browser named.
        call: makes a connection to the daemon.
        browser: at the other end of the standard streams.
    """
    messages = browser.messages()
    with contextlib.suppress(OSError):  # the browser is gone
        try:
            site = _site(next(messages))
        except StopIteration:
            return
        except (ParseError, LimitExceeded):
            browser.tell(closing(CLOSE_PROTOCOL))
            return
        try:
            channel = call()
        except OSError:
            browser.tell(closing(TRY_AGAIN_LATER))
            return
        with channel:
            preamble = Preamble(via="stdio", site=site, peer_uid=own_uid(), host=extension, opened=time.time())
            channel.sendall(NetworkFraming(FRAME_BYTES).encode(write_frame(preamble)))
            _carry_both_ways(channel, messages, browser)


def _site(message: bytes) -> str:
    try:
        return msgspec.convert(read_frame(rewrite(message)), NativeOpening).site
    except msgspec.ValidationError as error:
        raise ParseError("not the site of a page") from error


def _carry_both_ways(channel: DaemonLine, messages: Iterator[bytes], browser: Streams) -> None:
    """Carries frames until either end is gone; each way waits for nobody but its own reader."""
    upwards = _Upwards(channel, messages)
    frames = _frames(NetworkFraming(FRAME_BYTES), lambda: channel.recv(PIECE))
    with contextlib.suppress(ConnectionError, TimeoutError, LimitExceeded):
        channel.settimeout(PATIENCE)
        first = next(frames, b"")
        channel.settimeout(None)
        if first == OPENED:
            upwards.start()
        for frame in itertools.chain((first,) if first else (), frames):
            browser.tell(frame)
            if close_code(frame):
                return
    browser.tell(closing(upwards.code))


class _Upwards(threading.Thread):
    """The way from the browser to the daemon.

    Attributes:
        code: why the channel ended, where it was not the daemon that said so.
    """

    def __init__(self, channel: DaemonLine, messages: Iterator[bytes]) -> None:
        super().__init__(name="upwards", daemon=True)
        self.code = TRY_AGAIN_LATER
        self._channel = channel
        self._messages = messages

    def run(self) -> None:
        framing, how = NetworkFraming(FRAME_BYTES), socket.SHUT_RDWR
        try:
            for message in self._messages:
                self._channel.sendall(framing.encode(rewrite(message)))
            how = socket.SHUT_WR  # the browser has closed its port: what it asked before is answered
        except ParseError:
            self.code = CLOSE_PROTOCOL
        except LimitExceeded:
            self.code = MESSAGE_TOO_BIG
        except OSError:
            return  # the daemon is gone, and the other way tells of it
        with contextlib.suppress(OSError):
            self._channel.shutdown(how)


def _frames(framing: LengthFraming, read: Callable[[], bytes]) -> Iterator[bytes]:
    while data := read():
        yield from framing.receive(data)
        if framing.exceeded:
            raise LimitExceeded("a message is longer than the limit", variant="message_bytes")
