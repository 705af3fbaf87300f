"""Calls about the station."""

from vitale_protocol.methods import Empty, StationKeys
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services

__all__ = ["StationCalls"]


class StationCalls:
    """Handlers of the calls ``station.*``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.handlers: Handlers = {"station.info": self._station_info, "station.keys": self._station_keys}

    def _station_info(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        return self._services.station_info()

    def _station_keys(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        return StationKeys(jwks=self._services.keys.jwks)
