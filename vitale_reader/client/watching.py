"""Watches of the readers: each gets every change once, also across a loss of the connection."""

import asyncio
import contextlib
from collections.abc import Generator

from vitale_protocol.events import Event, Reader, ReaderEvent
from vitale_reader.client.presentation import ReaderChange

__all__ = ["Watch", "Watchers"]

# Readers come and go at the pace of hands. A watcher that is this far behind does better to ask again.
BACKLOG = 1000


class Watch:
    """One watch: what it knows of the readers, and what it has still to hear."""

    def __init__(self) -> None:
        self._known: dict[str, Reader] = {}
        self._heard: asyncio.Queue[ReaderChange | None] = asyncio.Queue()

    def hear(self, change: ReaderChange) -> None:
        """A change to be told; when the watcher is too far behind, an order to ask again instead."""
        if self._heard.qsize() >= BACKLOG:
            self.interrupt()
        else:
            self._heard.put_nowait(change)

    def interrupt(self) -> None:
        """Forgets what is still to be heard; the watcher has to ask again."""
        while not self._heard.empty():
            self._heard.get_nowait()
        self._heard.put_nowait(None)

    async def next(self) -> ReaderChange | None:
        """The next change that is one; None when the watcher has to ask again."""
        while (change := await self._heard.get()) is not None:
            if self._apply(change):
                return change
        return None

    def settle(self, readers: tuple[Reader, ...]) -> list[ReaderChange]:
        """The changes from what is known to what there is."""
        present = {reader.id for reader in readers}
        gone = [reader for reader in self._known.values() if reader.id not in present]
        changes = [ReaderChange("removed", reader) for reader in gone]
        changes += [ReaderChange("changed" if reader.id in self._known else "added", reader) for reader in readers]
        return [change for change in changes if self._apply(change)]

    def occupied(self, reader: str) -> bool:
        """True if a medium is known to lie in a reader."""
        known = self._known.get(reader)
        return known is not None and known.state in {"present", "busy", "leased"}

    def _apply(self, change: ReaderChange) -> bool:
        reader = change.reader
        if change.kind == "removed":
            return self._known.pop(reader.id, None) is not None
        before = self._known.get(reader.id)
        self._known[reader.id] = reader
        return before != reader


class Watchers:
    """All the watches of a connection."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []

    def __bool__(self) -> bool:
        return bool(self._watches)

    @contextlib.contextmanager
    def join(self) -> Generator[Watch, None, None]:
        """A watch for as long as the context lasts."""
        watch = Watch()
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)

    def hear(self, name: str, event: Event | None) -> None:
        """An event of the session's by its wire name, or its loss."""
        for watch in self._watches:
            match name, event:
                case "reader.added", ReaderEvent(reader=reader):
                    watch.hear(ReaderChange("added", reader))
                case "reader.changed", ReaderEvent(reader=reader):
                    watch.hear(ReaderChange("changed", reader))
                case "reader.removed", ReaderEvent(reader=reader):
                    watch.hear(ReaderChange("removed", reader))
                case _, None:
                    watch.interrupt()
                case _:
                    pass  # about something else

    def close(self) -> None:
        """Wakes every watch, so that it ends."""
        for watch in self._watches:
            watch.interrupt()
