"""Calls about readers, and about what cameras see."""

from vitale_protocol.events import Reader
from vitale_protocol.methods import Done, Empty, PreviewStart, PreviewStarted, PreviewStop, ReadersListed
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, Parts, RequestId

__all__ = ["ReaderCalls"]


class ReaderCalls:
    """``readers.*`` and ``preview.*``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.handlers: Handlers = {
            "readers.list": self._readers_list,
            "readers.watch": self._readers_watch,
            "readers.unwatch": self._readers_unwatch,
            "preview.start": self._preview_start,
            "preview.stop": self._preview_stop,
        }

    @property
    def _readers(self) -> tuple[Reader, ...]:
        """Those of this desk, then those of the others of its site."""
        neighbours = self._parts.neighbours
        return self._parts.desk.readers + (() if neighbours is None else neighbours.readers)

    def _readers_list(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        return ReadersListed(readers=self._readers)

    def _readers_watch(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        self._parts.desk.watch(conversation)
        return ReadersListed(readers=self._readers)

    def _readers_unwatch(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        self._parts.desk.unwatch(conversation)
        return Done()

    def _preview_start(self, conversation: Conversation, _id: RequestId | None, params: PreviewStart) -> Answer:
        self._parts.desk.preview(conversation, params.reader, params.every_ms / 1000)
        return PreviewStarted(reader=params.reader, every_ms=params.every_ms)

    def _preview_stop(self, conversation: Conversation, _id: RequestId | None, params: PreviewStop) -> Answer:
        self._parts.desk.end_preview(conversation, params.reader)
        return Done()
