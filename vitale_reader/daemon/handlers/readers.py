"""Calls about readers, and about what cameras see."""

from vitale_protocol.events import Reader
from vitale_protocol.methods import Done, Empty, PreviewStart, PreviewStarted, PreviewStop, ReadersListed
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services

__all__ = ["ReaderCalls"]


class ReaderCalls:
    """Handlers of ``readers.*`` and ``preview.*``."""

    def __init__(self, services: Services) -> None:
        self._services = services
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
        remote_desks = self._services.remote_desks
        return self._services.desk.readers + (() if remote_desks is None else remote_desks.readers)

    async def _readers_list(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> ReadersListed:
        await self._services.desk.settle()
        return ReadersListed(readers=self._readers)

    def _readers_watch(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        self._services.desk.watch(conversation)
        return ReadersListed(readers=self._readers)

    def _readers_unwatch(self, conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        self._services.desk.unwatch(conversation)
        return Done()

    def _preview_start(self, conversation: Conversation, _id: RequestId | None, params: PreviewStart) -> Answer:
        self._services.desk.preview(conversation, params.reader, params.every_ms / 1000)
        return PreviewStarted(reader=params.reader, every_ms=params.every_ms)

    def _preview_stop(self, conversation: Conversation, _id: RequestId | None, params: PreviewStop) -> Answer:
        self._services.desk.end_preview(conversation, params.reader)
        return Done()
