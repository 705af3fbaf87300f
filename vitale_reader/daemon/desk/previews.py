"""Pictures of what cameras see, handed on to the sessions that asked for them, and kept nowhere.

- A preview opens no camera: its driver gives pictures while it is armed, and only then.
- A session gets those of the reader that it named, at its own pace. The driver is told the quickest pace wanted.
- A picture for a session that has still to read what it was sent is dropped, never queued.
- A preview ends when it is stopped, with its session, and with its reader.
"""

from base64 import b64encode
from collections.abc import Callable
from typing import Protocol

import msgspec

from vitale_drivers.base import Preview
from vitale_drivers.base import PreviewPicture as Picture
from vitale_protocol.events import PreviewFrame, Reader

__all__ = ["Previews", "Viewer"]

#: Seconds. Pictures come neither in step with the clock nor with each other: one that is a little early is in time.
EARLY = 0.02

#: Seconds for which a driver is told to go on; it is told anew each time that it is armed.
LONGEST = 86_400.0

#: Bytes of a picture. At 640 pixels across it has some 60 000; in base64 this is well below what a message may have.
MOST_BYTES = 524_288


class Viewer(Protocol):
    """A session, as a preview sees it.

    Attributes:
        number: unique among the sessions of this process.
    """

    number: int

    @property
    def has_read_all(self) -> bool:
        """True if no message waits still to be sent to it."""
        ...

    def preview_frame(self, event: PreviewFrame) -> None:
        """Sends a picture to the client."""


class Want(msgspec.Struct):
    """Order for pictures: its client, its interval in seconds, and the next one due, of the loop's clock."""

    viewer: Viewer
    every: float
    due: float = 0.0


class Previews:
    """Orders for pictures, by reader.

    Args:
        send: tells a driver something.
    """

    def __init__(self, send: Callable[[str, Preview], None]) -> None:
        self._send = send
        self._readers: dict[str, Reader] = {}
        self._wants: dict[str, dict[int, Want]] = {}

    def start(self, viewer: Viewer, reader: Reader, every: float, now: float) -> None:
        """A session wants pictures of a reader, ``every`` so many seconds; at another pace, if it has them already."""
        self._readers[reader.id] = reader
        self._wants.setdefault(reader.id, {})[viewer.number] = Want(viewer, every)
        self._order(reader.id, now)

    def stop(self, viewer: Viewer, reader: str, now: float) -> None:
        """A session has seen enough of a reader; nothing if it saw nothing."""
        if self._wants.get(reader, {}).pop(viewer.number, None) is not None:
            self._order(reader, now)

    def leave(self, viewer: Viewer, now: float) -> None:
        """Ends the orders of a session that ended."""
        for reader in list(self._wants):
            self.stop(viewer, reader, now)

    def removed(self, reader: str) -> None:
        """A reader went; nothing is to be told to a driver that has it no more."""
        self._wants.pop(reader, None)
        self._readers.pop(reader, None)

    def armed(self, driver: str, now: float) -> None:
        """A driver was armed: it gives pictures from now on, where it is told to."""
        for reader in [reader.id for reader in self._readers.values() if reader.driver == driver]:
            self._order(reader, now)

    def hand_on(self, picture: Picture, now: float) -> None:
        """A picture came: for whoever it is due, and who has read the one before."""
        due = [want for want in self._wants.get(picture.reader, {}).values() if now >= want.due - EARLY]
        if not due or len(picture.jpeg) > MOST_BYTES:
            return
        event = PreviewFrame(
            reader=picture.reader, at=picture.at, jpeg_b64=b64encode(picture.jpeg).decode(), codes=picture.codes
        )
        for want in due:
            if want.viewer.has_read_all:
                want.due = now + want.every
                want.viewer.preview_frame(event)

    def _order(self, reader: str, now: float) -> None:
        wants, driver = self._wants[reader], self._readers[reader].driver
        if wants:
            every = min(want.every for want in wants.values())
            self._send(driver, Preview(reader=reader, every=every, until=now + LONGEST))
            return
        self.removed(reader)
        self._send(driver, Preview(reader=reader, every=0.0, until=now))
