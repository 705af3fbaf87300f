"""Calls of programs that hold simulators, and of those who play them."""

from vitale_protocol.methods import Done, Result, SimActed, SimAttach, SimPlay
from vitale_reader.daemon.conversation import Conversation
from vitale_reader.daemon.handlers.services import Answer, Handlers, RequestId, Services

__all__ = ["SimulatorCalls"]


class SimulatorCalls:
    """Handlers of ``sim.*``; each refuses unless the station is in ``simulated`` mode."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.handlers: Handlers = {
            "sim.attach": self._sim_attach,
            "sim.acted": self._sim_acted,
            "sim.play": self._sim_play,
        }

    def _sim_attach(self, conversation: Conversation, _id: RequestId | None, params: SimAttach) -> Answer:
        with self._services.noted("sim.attach", conversation.authenticated()):
            self._services.simulators.attach(conversation, params.places)
        return Done()

    def _sim_acted(self, conversation: Conversation, _id: RequestId | None, params: SimActed) -> Answer:
        self._services.simulators.acted(conversation, params.act, params.places, params.refused)
        return Done()

    async def _sim_play(self, conversation: Conversation, _id: RequestId | None, params: SimPlay) -> Result:
        with self._services.noted("sim.play", conversation.authenticated()):
            await self._services.simulators.play(params.place, params.thing)
        return Done()
