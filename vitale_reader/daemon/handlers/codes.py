"""Calls for the codes at imagers that are no patient's."""

from vitale_protocol.errors import InvalidRequest
from vitale_protocol.methods import CodesSubscribe, CodesSubscribed, CodesUnsubscribe, Done
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services

__all__ = ["CodeCalls"]


class CodeCalls:
    """Handlers of ``codes.subscribe`` and ``codes.unsubscribe``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.handlers: Handlers = {
            "codes.subscribe": self._codes_subscribe,
            "codes.unsubscribe": self._codes_unsubscribe,
        }

    def _codes_subscribe(self, conversation: Conversation, request: RequestId | None, params: CodesSubscribe) -> Answer:
        if request is None:
            raise InvalidRequest("a subscription needs an id, or its name would have nowhere to go")
        self._services.require_room(conversation)
        readers = self._services.readers_here(params.readers or ())
        return CodesSubscribed(subscription=self._services.desk.subscribe_codes(conversation, readers))

    def _codes_unsubscribe(
        self, conversation: Conversation, _request: RequestId | None, params: CodesUnsubscribe
    ) -> Answer:
        self._services.desk.unsubscribe_codes(conversation, params.subscription)
        return Done()
