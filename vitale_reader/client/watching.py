"""Watches of the readers: each gets every change once, also across a loss of the connection."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection

from vitale_protocol.errors import Cancelled, DaemonUnreachable, LocalMisuse
from vitale_protocol.events import Event, Reader, ReaderEvent
from vitale_protocol.methods import Done, Empty, ReadersListed
from vitale_reader.client.presentation import ReaderChange
from vitale_reader.client.reconnecting import ReconnectingTransport

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
    """All the watches of a connection; the daemon tells of readers for as long as there is one."""

    def __init__(self, transport: ReconnectingTransport) -> None:
        self._transport = transport
        self._watches: list[Watch] = []

    @contextlib.asynccontextmanager
    async def join(self) -> AsyncGenerator[Watch, None]:
        """A watch for as long as the context lasts; it knows nothing before ``look()``."""
        watch = Watch()
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)
            if not self._watches and not self._transport.closed:
                self._transport.spawn(self._unwatch())

    async def look(self, watch: Watch) -> list[ReaderChange]:
        """Asks for the readers and their changes from here on; returns what is news to a watch."""
        return watch.settle((await self._transport.ask("readers.watch", Empty(), ReadersListed)).readers)

    async def changes(self) -> AsyncGenerator[ReaderChange, None]:
        """The readers there are, then every change, until the connection is closed."""
        async with self.join() as watch:
            while not self._transport.closed:
                try:
                    found = await self.look(watch)
                except Cancelled:
                    return
                for change in found:
                    yield change
                while (heard := await watch.next()) is not None:
                    yield heard

    async def until_empty(self, readers: Collection[str], once_watching: Callable[[], object] | None) -> None:
        """Returns when one of the readers is empty, or gone; calls ``once_watching`` when no later event can be missed.

        Raises:
            Cancelled: the connection was closed.
        """
        async with self.join() as watch:
            while not self._transport.closed:
                await self.look(watch)
                if once_watching is not None:
                    once_watching()
                    once_watching = None
                while all(watch.occupied(reader) for reader in readers):
                    if await watch.next() is None:
                        break
                else:
                    return
        raise Cancelled("the connection was closed")

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

    async def _unwatch(self) -> None:
        if not self._transport.lost:
            with contextlib.suppress(Cancelled, DaemonUnreachable, LocalMisuse):
                await self._transport.ask_once("readers.unwatch", Empty(), Done)
