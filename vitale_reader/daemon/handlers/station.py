"""Calls about the station."""

from vitale_protocol.methods import ClockHealth, Empty, StationInfo, StationKeys
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services

__all__ = ["StationCalls"]


class StationCalls:
    """Handlers of the calls ``station.*``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._started_at = services.clock()
        self.handlers: Handlers = {"station.info": self._station_info, "station.keys": self._station_keys}

    def _station_info(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        drivers = self._services.desk.supervisor.health
        return StationInfo(
            station=self._services.station,
            media=tuple(sorted({medium for driver in drivers for medium in driver.media})),
            drivers=drivers,
            uptime=self._services.clock() - self._started_at,
            resolver=self._services.resolver.health,
            clock=ClockHealth(offset=round(self._services.clock_offset(), 3)),
        )

    def _station_keys(self, _conversation: Conversation, _id: RequestId | None, _params: Empty) -> Answer:
        return StationKeys(jwks=self._services.keys.jwks)
