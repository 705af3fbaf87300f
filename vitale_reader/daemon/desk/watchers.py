"""Watchers of readers: sessions, and the other desks of the site, that hear of every change."""

from typing import Protocol

from vitale_protocol.events import Reader

__all__ = ["ReaderWatchers", "Watcher"]


class Watcher(Protocol):
    """Receiver of the changes of readers.

    Attributes:
        number: unique among the sessions of this process.
    """

    number: int

    def reader_event(self, what: str, reader: Reader) -> None:
        """A reader was ``added``, ``changed`` or ``removed``."""


class ReaderWatchers:
    """Those who watch now, each once."""

    def __init__(self) -> None:
        self._watching: dict[int, Watcher] = {}

    def add(self, watcher: Watcher) -> None:
        """Somebody wants to hear of readers."""
        self._watching[watcher.number] = watcher

    def leave(self, watcher: Watcher) -> None:
        """Somebody has heard enough of readers; nothing if that is so already."""
        self._watching.pop(watcher.number, None)

    def announce(self, what: str, reader: Reader) -> None:
        """A reader was ``added``, ``changed`` or ``removed``: told to everyone."""
        for watcher in list(self._watching.values()):
            watcher.reader_event(what, reader)
